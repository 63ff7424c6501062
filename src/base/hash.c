#include "base/hash.h"

#include <string.h>

/* ---- words ---- */

static uint64_t load_bytes(const unsigned char *s, int n) { /* little endian */
  uint64_t v = 0;
  for (int i = n - 1; i >= 0; i--) v = v << 8 | s[i];
  return v;
}

static uint64_t load64(const unsigned char *s) { return load_bytes(s, 8); }
static uint64_t rotate_right(uint64_t v, int by) { return v >> by | v << (64 - by); }
static uint64_t rotate_left(uint64_t v, int by) { return v << by | v >> (64 - by); }
static uint64_t fold(uint64_t v) { return v ^ v >> 47; }

/* ---- Fingerprint64 ---- */

static const uint64_t K0 = 0xc3a5c85c97cb3127, K1 = 0xb492b66fbe98f273, K2 = 0x9ae16a3b2f90404f;

static uint64_t mix(uint64_t a, uint64_t b, uint64_t m) {
  uint64_t x = fold((a ^ b) * m);
  return fold((b ^ x) * m) * m;
}

static uint64_t up_to_16(const unsigned char *s, size_t n) {
  uint64_t m = K2 + 2 * n;
  if (n >= 8) {
    uint64_t a = load64(s) + K2, b = load64(s + n - 8);
    return mix(rotate_right(b, 37) * m + a, (rotate_right(a, 25) + b) * m, m);
  }
  if (n >= 4) return mix(n + (load_bytes(s, 4) << 3), load_bytes(s + n - 4, 4), m);
  if (n == 0) return K2;
  uint64_t y = s[0] + ((uint64_t)s[n >> 1] << 8), z = n + ((uint64_t)s[n - 1] << 2);
  return fold(y * K2 ^ z * K0) * K2;
}

static uint64_t up_to_32(const unsigned char *s, size_t n) {
  uint64_t m = K2 + 2 * n, a = load64(s) * K1, b = load64(s + 8), c = load64(s + n - 8) * m,
           d = load64(s + n - 16) * K2;
  return mix(rotate_right(a + b, 43) + rotate_right(c, 30) + d, a + rotate_right(b + K2, 18) + c, m);
}

static uint64_t up_to_64(const unsigned char *s, size_t n) {
  uint64_t m = K2 + 2 * n, a = load64(s) * K2, b = load64(s + 8), c = load64(s + n - 8) * m,
           d = load64(s + n - 16) * K2;
  uint64_t y = rotate_right(a + b, 43) + rotate_right(c, 30) + d, z = mix(y, a + rotate_right(b + K2, 18) + c, m);
  uint64_t e = load64(s + 16) * m, f = load64(s + 24), g = (y + load64(s + n - 32)) * m,
           h = (z + load64(s + n - 24)) * m;
  return mix(rotate_right(e + f, 43) + rotate_right(g, 30) + h, e + rotate_right(f + a, 18) + g, m);
}

typedef struct pair { uint64_t a, b; } pair;

/* 32 bytes into two words. */
static pair absorb(const unsigned char *s, uint64_t a, uint64_t b) {
  uint64_t first = a + load64(s), sum = first + load64(s + 8) + load64(s + 16), last = load64(s + 24);
  b = rotate_right(b + first + last, 21) + rotate_right(sum, 44);
  return (pair){sum + last, b + first};
}

typedef struct long_state { uint64_t x, y, z; pair v, w; } long_state;

/* 64 bytes; `times` is 1, or 9 at the end. */
static void absorb_block(long_state *t, const unsigned char *s, uint64_t m, uint64_t times) {
  t->x = rotate_right(t->x + t->y + t->v.a + load64(s + 8), 37) * m;
  t->y = rotate_right(t->y + t->v.b + load64(s + 48), 42) * m;
  t->x ^= t->w.b * times;
  t->y += t->v.a * times + load64(s + 40);
  t->z = rotate_right(t->z + t->w.a, 33) * m;
  t->v = absorb(s, t->v.b * m, t->x + t->w.a);
  t->w = absorb(s + 32, t->z + t->w.b, t->y + load64(s + 16));
  uint64_t x = t->x;
  t->x = t->z;
  t->z = x;
}

uint64_t cn_hash_fingerprint(const void *data, size_t n) {
  const unsigned char *s = data;
  if (n <= 16) return up_to_16(s, n);
  if (n <= 32) return up_to_32(s, n);
  if (n <= 64) return up_to_64(s, n);
  const uint64_t seed = 81, y = seed * K1 + 113;
  long_state t = {.x = seed * K2 + load64(s), .y = y, .z = fold(y * K2 + 113) * K2};
  const unsigned char *end = s + (n - 1) / 64 * 64, *last = s + n - 64;
  for (; s < end; s += 64) absorb_block(&t, s, K1, 1);
  uint64_t m = K1 + ((t.z & 0xff) << 1);
  t.w.a += (n - 1) & 63;
  t.v.a += t.w.a;
  t.w.a += t.v.a;
  absorb_block(&t, last, m, 9);
  return mix(mix(t.v.a, t.w.a, m) + fold(t.y) * K0 + t.z, mix(t.v.b, t.w.b, m) + t.x, m);
}

uint64_t cn_hash_combine(uint64_t a, uint64_t b) {
  const uint64_t m = 0xc6a4a7935bd1e995;
  uint64_t r = ((a ^ m) ^ fold(b * m) * m) * m;
  return fold(fold(r) * m);
}

/* ---- SipHash-2-4 ---- */

static void sip_rounds(uint64_t v[4], int rounds) {
  for (; rounds; rounds--) {
    v[0] += v[1], v[2] += v[3];
    v[1] = rotate_left(v[1], 13) ^ v[0], v[3] = rotate_left(v[3], 16) ^ v[2];
    v[0] = rotate_left(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = rotate_left(v[1], 17) ^ v[2], v[3] = rotate_left(v[3], 21) ^ v[0];
    v[2] = rotate_left(v[2], 32);
  }
}

uint64_t cn_hash_sip(const uint64_t key[2], const void *data, size_t length) {
  const unsigned char *s = data;
  uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261,
                   key[1] ^ 0x7465646279746573};
  size_t words = length / 8;
  for (size_t i = 0; i <= words; i++) {
    uint64_t m = i < words ? load64(s + 8 * i)
                           : load_bytes(s + 8 * words, (int)(length % 8)) | (uint64_t)(length & 0xff) << 56;
    v[3] ^= m;
    sip_rounds(v, 2);
    v[0] ^= m;
  }
  v[2] ^= 0xff;
  sip_rounds(v, 4);
  return v[0] ^ v[1] ^ v[2] ^ v[3];
}
