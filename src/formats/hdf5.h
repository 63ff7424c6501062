/* The part of HDF5 that Keras and h5py write, read strictly: superblocks 0 to 3, object headers and groups of both
 * formats, hard links, arrays contiguous, compact or in chunks with any index, packed by gzip, shuffle and fletcher32.
 * Every offset and size is checked against the file before it is used, and work is bounded by the file's size. The
 * numbers of sections refer to the HDF5 File Format Specification 3.0.
 *
 * CORNU_ERR_FORMAT: the file is damaged; CORNU_ERR_UNSUPPORTED: it is HDF5 outside of this part. */
#ifndef CN_FORMATS_HDF5_H
#define CN_FORMATS_HDF5_H

#include "ops/op.h"

typedef struct cn_hdf5 {
  const uint8_t *data; /* from the base address on: others' data may be in front */
  uint64_t size, root;
  bool checked;        /* the check sums of all object headers are known to be right */
  struct cn_hdf5_indexes *indexes; /* of large groups; made when they are searched, by one thread at a time */
} cn_hdf5;
cn_status cn_hdf5_open(cn_hdf5 *f, const void *data, size_t size, cn_error *e); /* data is borrowed */
void cn_hdf5_close(cn_hdf5 *f); /* after a failure, too */

/* [at, at + length) of the file; NULL: it is not inside. */
const uint8_t *cn_hdf5_bytes(const cn_hdf5 *f, uint64_t at, uint64_t length);
uint64_t cn_hdf5_number(const uint8_t *p, int bytes); /* little-endian, 1 to 8 bytes */
#define CN_HDF5_NOWHERE UINT64_MAX                    /* the undefined address */
cn_status cn_hdf5_damaged(cn_error *e, const char *what);
cn_status cn_hdf5_outside(cn_error *e, const char *what);
/* Of the later formats: a block that begins with four letters and ends with the check sum of itself; NULL: it does not. */
const uint8_t *cn_hdf5_block(const cn_hdf5 *f, uint64_t at, uint64_t length, const char *letters);
uint32_t cn_hdf5_checksum(const uint8_t *p, size_t size);
enum { CN_HDF5_BY_ID = 1, CN_HDF5_BY_LINK = 5, CN_HDF5_BY_ATTRIBUTE = 8, CN_HDF5_BY_CHUNK = 10 }; /* types of records */
/* Calls `each` with the records of a tree of the second version, or with the objects of a fractal heap that its tree of
 * names (of this type of records) knows. A status other than CORNU_OK from `each` stops. */
typedef cn_status (*cn_hdf5_each)(void *user, const uint8_t *data, size_t size, cn_error *e);
cn_status cn_hdf5_records(const cn_hdf5 *f, uint64_t tree, int type, cn_hdf5_each each, void *user, cn_error *e);
cn_status cn_hdf5_dense(const cn_hdf5 *f, uint64_t heap, uint64_t names, int type, cn_hdf5_each each, void *user,
                        cn_error *e);

/* ---- Objects: an address, messages ---- */

enum {
  CN_HDF5_SPACE = 1, CN_HDF5_LINK_INFO = 2, CN_HDF5_TYPE = 3, CN_HDF5_FILL = 5, CN_HDF5_LINK = 6, CN_HDF5_EXTERNAL = 7,
  CN_HDF5_LAYOUT = 8, CN_HDF5_FILTERS = 11, CN_HDF5_ATTRIBUTE = 12, CN_HDF5_CONTINUATION = 16, CN_HDF5_GROUP = 17, CN_HDF5_ATTRIBUTES = 21
};
typedef struct cn_hdf5_message { int type; const uint8_t *data; size_t size; } cn_hdf5_message;

/* Walks over an object's messages: start, then next until *more is false. */
enum { CN_HDF5_BLOCKS = 256 };
typedef struct cn_hdf5_walk {
  const cn_hdf5 *file;
  int left;                                     /* messages */
  size_t head;                                  /* of a message */
  bool later;                                   /* of the second format */
  uint64_t bytes;                               /* of the header so far */
  const uint8_t *at, *end;
  struct { uint64_t at, length; } blocks[CN_HDF5_BLOCKS]; /* where the header goes on */
  int n_blocks, block;
} cn_hdf5_walk;
cn_status cn_hdf5_start(cn_hdf5_walk *w, const cn_hdf5 *f, uint64_t object, cn_error *e);
cn_status cn_hdf5_next(cn_hdf5_walk *w, cn_hdf5_message *m, bool *more, cn_error *e);
/* The object's one message of this type; m->data NULL: it has none. */
cn_status cn_hdf5_message_of(const cn_hdf5 *f, uint64_t object, int type, cn_hdf5_message *m, cn_error *e);

/* Where a group's links or an object's attributes are when they are many, after a counter of so many bytes. */
cn_status cn_hdf5_info(const cn_hdf5_message *m, size_t counter, uint64_t *heap, uint64_t *names, cn_error *e);

/* Members of a group; object CN_HDF5_NOWHERE: a link to another place. A status other than CORNU_OK from visit stops. */
typedef cn_status (*cn_hdf5_visit)(void *user, const char *name, uint64_t object, cn_error *e);
cn_status cn_hdf5_members(const cn_hdf5 *f, uint64_t group, cn_hdf5_visit visit, void *user, cn_error *e);
/* The object at a path of names with slashes below the root; CORNU_ERR_NOT_FOUND. */
cn_status cn_hdf5_find(const cn_hdf5 *f, const char *path, uint64_t *object, cn_error *e);

/* ---- Values ---- */

typedef enum cn_hdf5_class { /* section IV.A.2.d */
  CN_HDF5_INTEGER = 0, CN_HDF5_FLOAT = 1, CN_HDF5_STRING = 3, CN_HDF5_OPAQUE = 5, CN_HDF5_ENUM = 8, CN_HDF5_VLEN = 9
} cn_hdf5_class;
typedef struct cn_hdf5_type {
  int kind;            /* cn_hdf5_class, or another number */
  size_t size;
  bool known;          /* an array may hold it: dtype and swapped say what */
  cornu_dtype dtype;
  bool swapped;        /* big-endian */
  bool text;           /* a string, of variable length when kind is CN_HDF5_VLEN */
  int padding;         /* of strings of fixed length: 0 ends at a NUL, 1 NULs, 2 spaces */
} cn_hdf5_type;
typedef struct cn_hdf5_space { /* nothing: count 0, rank -1 */
  int rank;
  int64_t shape[CN_MAX_RANK], count;
  uint64_t most[CN_MAX_RANK]; /* what the shape may grow to, UINT64_MAX: without an end */
} cn_hdf5_space;

cn_status cn_hdf5_read_type(const uint8_t *p, size_t size, cn_hdf5_type *out, cn_error *e);
cn_status cn_hdf5_read_space(const uint8_t *p, size_t size, cn_hdf5_space *out, cn_error *e);

typedef struct cn_hdf5_attribute {
  bool found;
  cn_hdf5_type type;
  cn_hdf5_space space;
  const uint8_t *data; /* space.count elements of type.size bytes, inside the file */
} cn_hdf5_attribute;
cn_status cn_hdf5_attribute_of(const cn_hdf5 *f, uint64_t object, const char *name, cn_hdf5_attribute *out, cn_error *e);
/* The bytes that an element of a variable length points to. *steps bounds the work over many elements. */
cn_status cn_hdf5_heap(const cn_hdf5 *f, const uint8_t *element, const uint8_t **data, size_t *length, int64_t *steps,
                       cn_error *e);

typedef struct cn_hdf5_filter { int id; size_t value; } cn_hdf5_filter;
enum { CN_HDF5_SINGLE = 1, CN_HDF5_IMPLICIT, CN_HDF5_FIXED, CN_HDF5_GROWING, CN_HDF5_TREE }; /* indexes of chunks */
typedef struct cn_hdf5_array {
  cn_hdf5_type type;
  cn_hdf5_space space;
  const uint8_t *data; /* inside the file; NULL: never written, or in chunks */
  bool chunked;
  int index;           /* 0: a tree of the first version */
  uint64_t tree;       /* where the index is; the chunk itself, or the first one */
  bool single;         /* a single chunk that is packed: its size, its mask */
  uint64_t single_bytes;
  uint32_t single_mask;
  int64_t chunk[CN_MAX_RANK], n_chunks;
  size_t chunk_bytes;
  const uint8_t *fill; /* an element of chunks that were never written, inside the file; NULL: zeros … */
  bool unfilled;       /* … or that are not to be read */
  cn_hdf5_filter filters[8];
  int n_filters;
} cn_hdf5_array;
cn_status cn_hdf5_array_of(const cn_hdf5 *f, uint64_t object, cn_hdf5_array *out, cn_error *e);
/* Of an array in chunks: whether the file can hold it, to be asked before memory is taken, and its elements. */
cn_status cn_hdf5_check_chunks(const cn_hdf5 *f, const cn_hdf5_array *a, cn_error *e);
cn_status cn_hdf5_unpack(const cn_hdf5 *f, const cn_hdf5_array *a, char *to, cn_error *e);
/* The same in parts: where the chunks are, which the caller frees with cn_free, and the elements of some rows. */
typedef struct cn_hdf5_place { uint64_t address; uint32_t bytes, mask; } cn_hdf5_place; /* nowhere: never written */
cn_status cn_hdf5_places(const cn_hdf5 *f, const cn_hdf5_array *a, cn_hdf5_place **out, cn_error *e);
cn_status cn_hdf5_unpack_rows(const cn_hdf5 *f, const cn_hdf5_array *a, cn_hdf5_place *places, int64_t first, int64_t n,
                              char *to, cn_error *e);
/* What the messages say of chunks and filters; type and space are known. */
cn_status cn_hdf5_read_chunks(const cn_hdf5_message *layout, cn_hdf5_array *out, cn_error *e);
cn_status cn_hdf5_read_later_chunks(const cn_hdf5_message *layout, cn_hdf5_array *out, cn_error *e);
cn_status cn_hdf5_set_chunk(cn_hdf5_array *out, int axis, uint64_t size, cn_error *e);
cn_status cn_hdf5_read_filters(const cn_hdf5_message *m, cn_hdf5_array *out, cn_error *e);

/* A chunk: where it is, its first element, and which filters (bits of the mask) were left out. */
typedef struct cn_hdf5_chunk { uint64_t address, bytes; uint32_t mask; int64_t first[CN_MAX_RANK]; } cn_hdf5_chunk;
typedef cn_status (*cn_hdf5_chunk_visit)(void *user, const cn_hdf5_chunk *chunk, cn_error *e);
/* The chunks that an index of the later layout knows. */
cn_status cn_hdf5_chunks(const cn_hdf5 *f, const cn_hdf5_array *a, cn_hdf5_chunk_visit visit, void *user, cn_error *e);

#endif
