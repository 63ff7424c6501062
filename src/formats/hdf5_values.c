/* HDF5: types, shapes, attributes, global heaps, arrays. */
#include <string.h>

#include "base/text.h"
#include "formats/hdf5.h"

/* ---- Types, section IV.A.2.d ---- */

/* IEEE formats by size and the places of their bits: exponent's and mantissa's, with their lengths, bias, sign. */
static bool float_dtype(size_t size, const uint8_t *p, int sign, cornu_dtype *out) {
  static const struct { cornu_dtype dtype; size_t size; uint8_t places[4]; uint64_t bias; int sign; } known[] = {
      {CORNU_FLOAT32, 4, {23, 8, 0, 23}, 127, 31}, {CORNU_FLOAT64, 8, {52, 11, 0, 52}, 1023, 63},
      {CORNU_FLOAT16, 2, {10, 5, 0, 10}, 15, 15},  {CORNU_BFLOAT16, 2, {7, 8, 0, 7}, 127, 15}};
  for (int i = 0; i < CN_COUNT(known); i++)
    if (size == known[i].size && memcmp(p, known[i].places, 4) == 0 && cn_hdf5_number(p + 4, 4) == known[i].bias &&
        sign == known[i].sign)
      return *out = known[i].dtype, true;
  return false;
}

static bool integer_dtype(size_t size, bool with_sign, cornu_dtype *out) {
  static const cornu_dtype signs[] = {CORNU_INT8, CORNU_INT16, CORNU_INT32, CORNU_INT64};
  static const cornu_dtype none[] = {CORNU_UINT8, CORNU_UINT16, CORNU_UINT32, CORNU_UINT64};
  for (int i = 0; i < 4; i++)
    if (size == (size_t)1 << i) return *out = with_sign ? signs[i] : none[i], true;
  return false;
}

/* h5py's bool: an enumeration of FALSE and TRUE over one byte. The names follow the base type, padded to 8 bytes. */
static bool bool_names(const uint8_t *p, size_t size, int members, bool padded) {
  for (int i = 0; i < members; i++) {
    const uint8_t *end = memchr(p, 0, size);
    if (!end || (strcmp((const char *)p, "FALSE") != 0 && strcmp((const char *)p, "TRUE") != 0)) return false;
    size_t length = (size_t)(end - p) + 1;
    if (padded) length = (length + 7) / 8 * 8;
    if (length > size) return false;
    p += length;
    size -= length;
  }
  return members == 2;
}

/* Bits from 0, all of them, in one of the two byte orders. */
static bool plain_bits(const uint8_t *properties, size_t size) {
  return cn_hdf5_number(properties, 2) == 0 && cn_hdf5_number(properties + 2, 2) == 8 * size;
}

cn_status cn_hdf5_read_type(const uint8_t *p, size_t size, cn_hdf5_type *out, cn_error *e) {
  if (size < 8) return cn_hdf5_damaged(e, "a type");
  int version = p[0] >> 4, bits = (int)cn_hdf5_number(p + 1, 3);
  *out = (cn_hdf5_type){.kind = p[0] & 15, .size = (size_t)cn_hdf5_number(p + 4, 4)};
  if (version < 1 || version > 5 || !out->size) return cn_hdf5_damaged(e, "a type");
  const uint8_t *properties = p + 8;
  size_t rest = size - 8;
  switch (out->kind) {
  case CN_HDF5_INTEGER:
    out->known = rest >= 4 && plain_bits(properties, out->size) && integer_dtype(out->size, bits & 8, &out->dtype);
    out->swapped = bits & 1;
    break;
  case CN_HDF5_FLOAT:
    out->known = rest >= 12 && plain_bits(properties, out->size) && !(bits & 64) &&
                 float_dtype(out->size, properties + 4, bits >> 8 & 255, &out->dtype);
    out->swapped = bits & 1;
    break;
  case CN_HDF5_STRING:
    out->text = true;
    out->padding = bits & 15;
    break;
  case CN_HDF5_OPAQUE: /* how h5py stores what NumPy does not know */
    out->known = out->size == 2;
    out->dtype = CORNU_BFLOAT16;
    break;
  case CN_HDF5_ENUM:
    out->known = out->size == 1 && rest >= 12 && (properties[0] & 15) == CN_HDF5_INTEGER &&
                 bool_names(properties + 12, rest - 12, bits & 0xffff, version < 3);
    out->dtype = CORNU_BOOL8;
    break;
  case CN_HDF5_VLEN:
    out->text = (bits & 15) == 1;
    if (out->size != 16) return cn_hdf5_damaged(e, "a type of variable length");
    break;
  default:
    break;
  }
  if (out->swapped && out->size == 1) out->swapped = false;
  return CORNU_OK;
}

/* ---- Shapes, section IV.A.2.b ---- */

cn_status cn_hdf5_read_space(const uint8_t *p, size_t size, cn_hdf5_space *out, cn_error *e) {
  if (size < 4 || p[0] < 1 || p[0] > 2) return cn_hdf5_damaged(e, "a shape");
  int head = p[0] == 1 ? 8 : 4, rank = p[1];
  *out = (cn_hdf5_space){.rank = rank, .count = 1};
  if (p[0] == 2 && p[3] == 2) return *out = (cn_hdf5_space){.rank = -1}, CORNU_OK;
  if (rank > CN_MAX_RANK)
    return cn_fail(e, CORNU_ERR_UNSUPPORTED, "it has %d dimensions, the most are %d", rank, CN_MAX_RANK);
  bool grows = p[2] & 1;
  if (size < (size_t)(head + 8 * rank * (1 + grows))) return cn_hdf5_damaged(e, "a shape");
  for (int i = 0; i < rank; i++) {
    uint64_t n = cn_hdf5_number(p + head + 8 * i, 8);
    if (n > INT64_MAX || !cn_mul_i64(out->count, (int64_t)n, &out->count))
      return cn_fail(e, CORNU_ERR_LIMIT, "its shape has more elements than memory can hold");
    out->shape[i] = (int64_t)n;
    out->most[i] = grows ? cn_hdf5_number(p + head + 8 * (rank + i), 8) : n;
  }
  return CORNU_OK;
}

/* ---- Attributes, section IV.A.2.m ---- */

static size_t padded(size_t size, int version) { return version == 1 ? (size + 7) / 8 * 8 : size; }

/* The name, type and shape of an attribute come one after the other, and then its data. */
static cn_status read_attribute(const cn_hdf5_message *m, const char *name, cn_hdf5_attribute *out, cn_error *e) {
  const uint8_t *p = m->data;
  int version = m->size >= 8 ? p[0] : 0, head = version == 3 ? 9 : 8;
  if (version < 1 || version > 3 || m->size < (size_t)head) return cn_hdf5_damaged(e, "an attribute");
  if (version > 1 && p[1] & 3) return cn_hdf5_outside(e, "attributes whose type is shared");
  size_t sizes[3], at = (size_t)head;
  const uint8_t *parts[3];
  for (int i = 0; i < 3; i++) {
    sizes[i] = (size_t)cn_hdf5_number(p + 2 + 2 * i, 2);
    parts[i] = p + at;
    if (padded(sizes[i], version) > m->size - at) return cn_hdf5_damaged(e, "an attribute");
    at += padded(sizes[i], version);
  }
  size_t length = strlen(name);
  if (sizes[0] != length + 1 || memcmp(parts[0], name, length + 1) != 0) return CORNU_OK;
  CN_TRY(cn_hdf5_read_type(parts[1], sizes[1], &out->type, e));
  CN_TRY(cn_hdf5_read_space(parts[2], sizes[2], &out->space, e));
  size_t bytes;
  if (!cn_mul_size((size_t)out->space.count, out->type.size, &bytes) || bytes > m->size - at)
    return cn_hdf5_damaged(e, "an attribute shorter than its shape says");
  out->data = p + at;
  out->found = true;
  return CORNU_OK;
}

typedef struct search { const char *name; cn_hdf5_attribute *out; } search;

static cn_status match_attribute(void *user, const uint8_t *data, size_t size, cn_error *e) {
  search *s = user;
  cn_hdf5_message m = {CN_HDF5_ATTRIBUTE, data, size};
  return s->out->found ? CORNU_OK : read_attribute(&m, s->name, s->out, e);
}

cn_status cn_hdf5_attribute_of(const cn_hdf5 *f, uint64_t object, const char *name, cn_hdf5_attribute *out, cn_error *e) {
  *out = (cn_hdf5_attribute){0};
  search s = {name, out};
  uint64_t heap = CN_HDF5_NOWHERE, names = CN_HDF5_NOWHERE;
  cn_hdf5_walk w;
  cn_hdf5_message m;
  bool more = true;
  CN_TRY(cn_hdf5_start(&w, f, object, e));
  while (!out->found) {
    CN_TRY(cn_hdf5_next(&w, &m, &more, e));
    if (!more) return cn_hdf5_dense(f, heap, names, CN_HDF5_BY_ATTRIBUTE, match_attribute, &s, e);
    if (m.type == CN_HDF5_ATTRIBUTES) CN_TRY(cn_hdf5_info(&m, 2, &heap, &names, e));
    if (m.type == CN_HDF5_ATTRIBUTE) CN_TRY(read_attribute(&m, name, out, e));
  }
  return CORNU_OK;
}

/* ---- Global heaps, section III.E ---- */

cn_status cn_hdf5_heap(const cn_hdf5 *f, const uint8_t *element, const uint8_t **data, size_t *length, int64_t *steps,
                       cn_error *e) {
  uint64_t wanted = cn_hdf5_number(element, 4), address = cn_hdf5_number(element + 4, 8);
  uint64_t index = cn_hdf5_number(element + 12, 4);
  *data = (const uint8_t *)"";
  *length = 0;
  if (wanted == 0 || address == CN_HDF5_NOWHERE) return CORNU_OK;
  const uint8_t *head = cn_hdf5_bytes(f, address, 16);
  if (!head || memcmp(head, "GCOL", 4) != 0 || head[4] != 1) return cn_hdf5_damaged(e, "a global heap");
  uint64_t size = cn_hdf5_number(head + 8, 8);
  const uint8_t *p = cn_hdf5_bytes(f, address, size);
  if (!p || size < 16) return cn_hdf5_damaged(e, "a global heap");
  const uint8_t *end = p + size;
  for (p += 16; end - p >= 16 && (*steps)-- > 0;) {
    uint64_t number = cn_hdf5_number(p, 2), bytes = cn_hdf5_number(p + 8, 8);
    if (number == 0 || bytes > (uint64_t)(end - p - 16)) break;
    if (number == index) {
      if (wanted > bytes) return cn_hdf5_damaged(e, "a text longer than what is stored of it");
      *data = p + 16;
      *length = (size_t)wanted;
      return CORNU_OK;
    }
    uint64_t step = (bytes + 7) / 8 * 8;
    if (step > (uint64_t)(end - p - 16)) break;
    p += 16 + step;
  }
  return cn_hdf5_damaged(e, "a text that is not in the global heap");
}

/* ---- Arrays, section IV.A.2.i ---- */

static cn_status find_data(const cn_hdf5 *f, const cn_hdf5_message *layout, size_t bytes, cn_hdf5_array *a,
                           cn_error *e) {
  const uint8_t *p = layout->data, **out = &a->data;
  if (layout->size < 4) return cn_hdf5_damaged(e, "the place of an array");
  if (p[0] != 3 && p[0] != 4) return cn_hdf5_outside(e, "arrays of an older or newer layout");
  if (p[1] == 2) return cn_hdf5_read_chunks(layout, a, e);
  if (p[1] > 2) return cn_hdf5_outside(e, "virtual arrays");
  if (a->n_filters) return cn_hdf5_damaged(e, "an array that is packed, but not in chunks");
  uint64_t stored, address = 0;
  if (p[1] == 0) {
    stored = cn_hdf5_number(p + 2, 2);
    if (stored <= layout->size - 4) *out = p + 4;
  } else {
    if (layout->size < 18) return cn_hdf5_damaged(e, "the place of an array");
    address = cn_hdf5_number(p + 2, 8);
    stored = cn_hdf5_number(p + 10, 8);
    if (address == CN_HDF5_NOWHERE) return CORNU_OK;
    *out = cn_hdf5_bytes(f, address, stored);
  }
  if (!*out) return cn_hdf5_damaged(e, "an array outside of the file");
  if (stored >= bytes) return CORNU_OK;
  return cn_fail(e, CORNU_ERR_FORMAT, "its shape needs %zu bytes, the file holds %llu", bytes,
                 (unsigned long long)stored);
}

/* Section IV.A.2.f. The second version has no size where there is no value, the third has flags. */
static cn_status read_fill(const cn_hdf5_message *m, cn_hdf5_array *out, cn_error *e) {
  const uint8_t *p = m->data;
  if (m->size < 2 || p[0] < 1 || p[0] > 3 || (p[0] < 3 && m->size < 4)) return cn_hdf5_damaged(e, "a fill value");
  bool given = p[0] == 3 ? p[1] & 32 : p[3];
  size_t at = p[0] == 3 ? 2 : 4;
  out->unfilled = p[0] == 3 ? p[1] & 16 : !p[3];
  if (!given) return CORNU_OK;
  if (m->size < at + 4) return cn_hdf5_damaged(e, "a fill value");
  uint64_t size = cn_hdf5_number(p + at, 4);
  if (size == 0) return CORNU_OK;
  if (size != out->type.size || size > m->size - at - 4) return cn_hdf5_damaged(e, "a fill value");
  out->fill = p + at + 4;
  return CORNU_OK;
}

cn_status cn_hdf5_array_of(const cn_hdf5 *f, uint64_t object, cn_hdf5_array *out, cn_error *e) {
  cn_hdf5_message type, space, layout, other;
  *out = (cn_hdf5_array){0};
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_TYPE, &type, e));
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_SPACE, &space, e));
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_LAYOUT, &layout, e));
  if (!type.data || !space.data || !layout.data) return cn_fail(e, CORNU_ERR_FORMAT, "it is not an array");
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_EXTERNAL, &other, e));
  if (other.data) return cn_fail(e, CORNU_ERR_UNSUPPORTED, "its data is in another file, which is never read");
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_FILTERS, &other, e));
  if (other.data) CN_TRY(cn_hdf5_read_filters(&other, out, e));
  CN_TRY(cn_hdf5_read_type(type.data, type.size, &out->type, e));
  CN_TRY(cn_hdf5_read_space(space.data, space.size, &out->space, e));
  CN_TRY(cn_hdf5_message_of(f, object, CN_HDF5_FILL, &other, e));
  if (other.data) CN_TRY(read_fill(&other, out, e));
  size_t bytes;
  if (!cn_mul_size((size_t)out->space.count, out->type.size, &bytes))
    return cn_fail(e, CORNU_ERR_LIMIT, "its shape has more elements than memory can hold");
  return find_data(f, &layout, bytes, out, e);
}
