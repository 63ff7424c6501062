#!/bin/sh
# Prints the C source of the registries: every op (cn_op_NAME), layer type (cn_layer_NAME), table of operations
# (cn_operations_NAME) and optimizer (cn_optimizer_NAME) that the objects define, sorted by symbol.
# usage: registry.sh "OP_OBJECTS" "LAYER_OBJECTS" ["TRAIN_OBJECTS"]
set -eu
symbols() { # OBJECTS PREFIX: data symbols alone
  ${NM:-nm} --defined-only $1 | awk -v p="^$2" '$2 ~ /^[DRBG]$/ && $3 ~ p { print $3 }' | LC_ALL=C sort -u
}
table() { # TYPE ARRAY TOTAL NAMES
  for n in $4; do echo "extern const $1 $n;"; done
  echo "const $1 *const $2[] = {"
  for n in $4; do echo "  &$n,"; done
  echo "  0"
  echo "};"
  echo "const int $3 = sizeof $2 / sizeof $2[0] - 1;"
}
echo '#include "layers/operation.h"'
[ $# -lt 3 ] || echo '#include "train/optimizer.h"'
table cn_op cn_ops cn_op_total "$(symbols "$1" cn_op_)"
table cn_layer_type cn_layer_types cn_layer_type_total "$(symbols "$2" cn_layer_)"
[ $# -lt 3 ] || table cn_optimizer_type cn_optimizer_types cn_optimizer_type_total "$(symbols "$3" cn_optimizer_)"
names=$(symbols "$2" cn_operations_)
for n in $names; do echo "extern const cn_operation $n[];"; done
echo "const cn_operation *const cn_operation_tables[] = {"
for n in $names; do echo "  $n,"; done
echo "  0"
echo "};"
