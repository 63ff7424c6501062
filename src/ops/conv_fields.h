/* The options that the convolutions share, by name. ATTRS: the struct of the attributes. */
#ifndef CN_OPS_CONV_FIELDS_H
#define CN_OPS_CONV_FIELDS_H

#include "ops/spatial.h"

#define CN_NAMED(attrs, member) (offsetof(attrs, named) + offsetof(cn_spatial_named, member))
#define CN_STRIDE_FIELD(attrs) \
  {"strides", "stride", CN_F_INTS, CN_NAMED(attrs, stride), .standard = "1", \
   .help = CN_HELP("step of the window: one number, or one a dimension")}
#define CN_DILATION_FIELD(attrs) \
  {"dilation_rate", "dilation dilations", CN_F_INTS, CN_NAMED(attrs, dilation), .standard = "1", \
   .help = CN_HELP("distance of the kernel's places")}
#define CN_PAD_FIELDS(attrs)                                              \
  {"pad_begin", NULL, CN_F_INTS, CN_NAMED(attrs, pad_begin), .standard = "0",         \
   .help = CN_HELP("padding before, one number or one a dimension")},             \
  {"pad_end", NULL, CN_F_INTS, CN_NAMED(attrs, pad_end), .standard = "0", .help = CN_HELP("padding behind")}

#endif
