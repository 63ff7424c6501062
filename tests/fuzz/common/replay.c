/* Runs a fuzz target on files: what once made it fail. usage: PROGRAM FILE… */
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max) {
  (void)data, (void)max;
  return size;
}

static uint8_t *read_all(FILE *f, size_t *size) {
  if (fseek(f, 0, SEEK_END)) return NULL;
  long length = ftell(f);
  uint8_t *data = length >= 0 ? malloc((size_t)length + 1) : NULL;
  rewind(f);
  *size = data ? fread(data, 1, (size_t)length, f) : 0;
  return data;
}

int main(int argc, char **argv) {
  LLVMFuzzerInitialize(&argc, &argv);
  for (int i = 1; i < argc; i++) {
    size_t size = 0;
    FILE *f = fopen(argv[i], "rb");
    uint8_t *data = f ? read_all(f, &size) : NULL;
    if (!data) return fprintf(stderr, "cannot read %s\n", argv[i]), 1;
    fclose(f);
    fprintf(stderr, "%s\n", argv[i]);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
  }
  printf("%d passed, 0 failed\n", argc - 1);
  return 0;
}
