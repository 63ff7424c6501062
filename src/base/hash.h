/* The hashes that TensorFlow puts strings into buckets with. Results do not depend on the machine. */
#ifndef CN_BASE_HASH_H
#define CN_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/* FarmHash's Fingerprint64 (G. Pike, Google; published with its test vectors). */
uint64_t cn_hash_fingerprint(const void *data, size_t length);
/* Two fingerprints as one, as TensorFlow crosses features. */
uint64_t cn_hash_combine(uint64_t a, uint64_t b);
/* SipHash-2-4 (J.-P. Aumasson, D. J. Bernstein, 2012) with a key of two words. */
uint64_t cn_hash_sip(const uint64_t key[2], const void *data, size_t length);

#endif
