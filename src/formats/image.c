/* Pictures: PNG and JPEG to uint8 tensors (height, width, channels), and back to PNG. */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
/* these want stdio.h first */
#include <jpeglib.h>
#include <jerror.h>

#include "base/deadline.h"
#include "base/file.h"
#include "tensor/tensor.h"

/* A picture being decoded. Everything that a longjmp must not lose is in here. */
typedef struct job {
  const unsigned char *data;
  size_t size, at;
  cn_tensor *pixels;     /* (height, width, channels as in the file: 1, 2, 3 or 4) */
  unsigned char **rows;
  jmp_buf leave;
  cn_status status;
  char message[200];
} job;

static bool stop(job *j, cn_status status, const char *message) {
  j->status = status;
  snprintf(j->message, sizeof j->message, "%.199s", message);
  return false;
}

/* Memory for the pixels, after their number is known to be within the limits. */
static bool make_pixels(job *j, int64_t height, int64_t width, int64_t channels) {
  cn_error e;
  int64_t shape[] = {height, width, channels}, size = cn_shape_size(3, shape);
  if (height < 1 || width < 1 || size < 0 || (uint64_t)size > cn_limits.max_tensor_bytes) {
    char text[100];
    snprintf(text, sizeof text, "a picture of %lld x %lld points is beyond the limits", (long long)width,
             (long long)height);
    return stop(j, CORNU_ERR_LIMIT, text);
  }
  cn_status status = cornu_tensor_new(CORNU_UINT8, 3, shape, &j->pixels, &e);
  if (status) return stop(j, status, e.message);
  j->rows = cn_calloc((size_t)height, sizeof *j->rows);
  if (!j->rows) return stop(j, CORNU_ERR_MEMORY, "no memory");
  for (int64_t i = 0; i < height; i++) j->rows[i] = (unsigned char *)j->pixels->data + i * width * channels;
  return true;
}

/* ---- PNG ---- */

static void png_stop(png_structp png, png_const_charp message) {
  job *j = png_get_error_ptr(png);
  stop(j, CORNU_ERR_FORMAT, message);
  longjmp(j->leave, 1);
}

static void png_note(png_structp png, png_const_charp message) { (void)png, (void)message; }

static void png_take(png_structp png, png_bytep to, size_t size) {
  job *j = png_get_io_ptr(png);
  if (size > j->size - j->at) png_error(png, "the file ends too early");
  memcpy(to, j->data + j->at, size);
  j->at += size;
}

/* 8 bits a channel, no palette, a transparent colour as alpha. */
static void png_plain(png_structp png, png_infop info) {
  if (png_get_bit_depth(png, info) == 16) png_set_scale_16(png);
  png_set_expand(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
}

static bool in_time(job *j) { return !cn_past_deadline() || stop(j, CORNU_ERR_INTERRUPTED, "the time for it is over"); }

static bool read_rows(job *j, png_structp png, int passes) {
  for (int64_t i = 0; i < passes * j->pixels->shape[0]; i++) {
    if (!in_time(j)) return false;
    png_read_row(png, j->rows[i % j->pixels->shape[0]], NULL);
  }
  return true;
}

static bool run_png(job *j, png_structp png, png_infop info) {
  if (setjmp(j->leave)) return false;
  png_set_read_fn(png, j, png_take);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_read_info(png, info);
  png_plain(png, info);
  if (!make_pixels(j, png_get_image_height(png, info), png_get_image_width(png, info), png_get_channels(png, info)))
    return false;
  if (png_get_rowbytes(png, info) != (size_t)(j->pixels->shape[1] * j->pixels->shape[2]))
    return stop(j, CORNU_ERR_FORMAT, "unexpected rows");
  if (!read_rows(j, png, png_get_interlace_type(png, info) == PNG_INTERLACE_NONE ? 1 : 7)) return false;
  png_read_end(png, NULL);
  return true;
}

static bool read_png(job *j) {
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, j, png_stop, png_note);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  bool good = info ? run_png(j, png, info) : stop(j, CORNU_ERR_MEMORY, "no memory");
  if (png) png_destroy_read_struct(&png, info ? &info : NULL, NULL);
  return good;
}

/* ---- JPEG ---- */

typedef struct jpeg_job { struct jpeg_error_mgr errors; job *j; } jpeg_job;

static void jpeg_stop(j_common_ptr c) {
  jpeg_job *own = (jpeg_job *)c->err;
  char text[JMSG_LENGTH_MAX];
  c->err->format_message(c, text);
  stop(own->j, CORNU_ERR_FORMAT, text);
  longjmp(own->j->leave, 1);
}

/* Warnings are ignored, apart from a file that was cut off. */
static void jpeg_note(j_common_ptr c, int level) {
  if (level < 0 && c->err->msg_code == JWRN_JPEG_EOF) jpeg_stop(c);
}

static bool run_jpeg(job *j, struct jpeg_decompress_struct *d) {
  if (setjmp(j->leave)) return false;
  jpeg_create_decompress(d);
  jpeg_mem_src(d, (unsigned char *)j->data, j->size);
  jpeg_read_header(d, TRUE);
  if (d->jpeg_color_space == JCS_CMYK || d->jpeg_color_space == JCS_YCCK ||
      (d->num_components != 1 && d->num_components != 3))
    return stop(j, CORNU_ERR_UNSUPPORTED, "a JPEG in CMYK colours: convert it to RGB");
  d->out_color_space = d->num_components == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_calc_output_dimensions(d);
  if (!make_pixels(j, d->output_height, d->output_width, d->num_components)) return false;
  jpeg_start_decompress(d);
  while (d->output_scanline < d->output_height) {
    if (!in_time(j)) return false;
    jpeg_read_scanlines(d, j->rows + d->output_scanline, d->output_height - d->output_scanline);
  }
  jpeg_finish_decompress(d);
  return true;
}

static bool read_jpeg(job *j) {
  struct jpeg_decompress_struct d;
  jpeg_job own = {.j = j};
  memset(&d, 0, sizeof d);
  d.err = jpeg_std_error(&own.errors);
  own.errors.error_exit = jpeg_stop;
  own.errors.emit_message = jpeg_note;
  bool good = run_jpeg(j, &d);
  jpeg_destroy_decompress(&d);
  return good;
}

/* ---- Channels ---- */

/* One point; grey by the weights of ITU-R 601, as PIL rounds them. Alpha is dropped, or opaque when there is none. */
static void convert_point(const unsigned char *from, int n, unsigned char *to, int m) {
  if (m == 1) {
    *to = n < 3 ? from[0] : (unsigned char)((19595u * from[0] + 38470u * from[1] + 7471u * from[2] + 0x8000u) >> 16);
    return;
  }
  for (int c = 0; c < 3; c++) to[c] = from[n < 3 ? 0 : c];
  if (m == 4) to[3] = n == 2 || n == 4 ? from[n - 1] : 255;
}

static cn_status convert_channels(cn_tensor **t, int channels, cn_error *e) {
  int n = (int)(*t)->shape[2], m = channels ? channels : n == 2 ? 4 : n;
  if (m == n) return CORNU_OK;
  cn_tensor *out;
  CN_TRY(cornu_tensor_new(CORNU_UINT8, 3, (int64_t[]){(*t)->shape[0], (*t)->shape[1], m}, &out, e));
  const unsigned char *from = (const unsigned char *)(*t)->data;
  unsigned char *to = (unsigned char *)out->data;
  for (int64_t i = 0, points = (*t)->shape[0] * (*t)->shape[1]; i < points; i++)
    convert_point(from + i * n, n, to + i * m, m);
  cornu_tensor_release(*t);
  *t = out;
  return CORNU_OK;
}

/* ---- Public ---- */

static bool decode(job *j) {
  if (j->size >= 8 && png_sig_cmp(j->data, 0, 8) == 0) return read_png(j);
  if (j->size >= 3 && memcmp(j->data, "\xff\xd8\xff", 3) == 0) return read_jpeg(j);
  return stop(j, CORNU_ERR_UNSUPPORTED, "neither PNG nor JPEG");
}

cornu_status cornu_image_load(const char *path, int channels, cornu_tensor **out, cornu_error *e) {
  *out = NULL;
  if (channels != 0 && channels != 1 && channels != 3 && channels != 4)
    return cn_fail(e, CORNU_ERR_ARGUMENT, "channels is %d; it may be 1 (grey), 3 (RGB), 4 (RGBA) or 0 (as in the file)",
                   channels);
  char *data;
  job *j = cn_calloc(1, sizeof *j);
  if (!j) return cn_no_memory(e);
  cn_status status = cn_file_read(path, cn_limits.max_tensor_bytes, &data, &j->size, e);
  if (!status) {
    j->data = (unsigned char *)data;
    if (!decode(j)) status = cn_fail(e, j->status, "%s: %s", path, j->message);
    if (!status && (status = convert_channels(&j->pixels, channels, e))) cn_at(e, status, "%s", path);
    cn_free(data);
  }
  if (status) cornu_tensor_release(j->pixels);
  else *out = j->pixels;
  cn_free(j->rows);
  cn_free(j);
  return status;
}

cornu_status cornu_image_load_source(const cornu_source *source, int channels, cornu_tensor **out, cornu_error *e) {
  cn_given_file file = {0};
  *out = NULL;
  CN_TRY(cn_file_take(source, &file, e));
  cn_file_give(&file);
  const cn_status status = cornu_image_load(file.name, channels, out, e);
  cn_file_give(NULL);
  cn_mapping_drop(file.content);
  return status;
}

/* ---- Writing ---- */

static bool run_write(job *j, png_structp png, png_infop info, FILE *file) {
  static const int colours[] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
  const int64_t *shape = j->pixels->shape;
  if (setjmp(j->leave)) return false;
  png_init_io(png, file);
  png_set_IHDR(png, info, (png_uint_32)shape[1], (png_uint_32)shape[0], 8, colours[shape[2]], PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (int64_t i = 0; i < shape[0]; i++) png_write_row(png, (png_const_bytep)j->pixels->data + i * shape[1] * shape[2]);
  png_write_end(png, NULL);
  return true;
}

static bool write_png(job *j, const char *path) {
  FILE *file = fopen(path, "wb");
  if (!file) return stop(j, CORNU_ERR_IO, "cannot write");
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, j, png_stop, png_note);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  bool good = info ? run_write(j, png, info, file) : stop(j, CORNU_ERR_MEMORY, "no memory");
  if (png) png_destroy_write_struct(&png, info ? &info : NULL);
  if (fclose(file) != 0 && good) good = stop(j, CORNU_ERR_IO, "cannot write");
  return good;
}

static bool is_picture(const cn_tensor *t) {
  if (t->dtype != CORNU_UINT8 || t->rank != 3 || cornu_tensor_is_symbolic(t)) return false;
  for (int i = 0; i < 2; i++)
    if (t->shape[i] < 1 || t->shape[i] > INT32_MAX) return false;
  return t->shape[2] == 1 || t->shape[2] == 3 || t->shape[2] == 4;
}

cornu_status cornu_image_save(const char *path, cornu_tensor *t, cornu_error *e) {
  if (!is_picture(t))
    return cn_fail(e, CORNU_ERR_ARGUMENT,
                   "%s: a picture is a uint8 tensor (height, width, channels) with 1, 3 or 4 channels, not %s", path,
                   cornu_dtype_name(t->dtype));
  cn_file_write w;
  job *j = cn_calloc(1, sizeof *j);
  if (!j) return cn_no_memory(e);
  cn_status status = cornu_tensor_contiguous(t, &j->pixels, e);
  if (!status && !(status = cn_file_begin(&w, path, e))) {
    if (write_png(j, w.temporary)) {
      status = cn_file_commit(&w, e);
    } else {
      cn_file_abandon(&w);
      status = cn_fail(e, j->status == CORNU_ERR_FORMAT ? CORNU_ERR_IO : j->status, "%s: %s", path, j->message);
    }
  }
  cornu_tensor_release(j->pixels);
  cn_free(j);
  return status;
}
