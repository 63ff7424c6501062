# Cornu. `make` builds build/cornu, build/libcornu.a, build/libcornu.so and the Lua module; `make help` lists the rest.

VERSION  := 0.1.0
BUILD    ?= build
PREFIX   ?= /usr/local
CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
PKG      ?= pkg-config
LUA_PC   ?= lua5.4

# The Debian packages, named here alone.
PACKAGES := gcc make pkg-config libhdf5-dev libcjson-dev libzip-dev libpng-dev libjpeg-dev libopenblas-dev \
            liblua5.4-dev lua5.4 libluajit-5.1-dev luajit libedit-dev libcmocka-dev lua-unit

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
OPT      ?= -O2 -g
SANFLAGS := $(if $(SAN),-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
PCS      := hdf5-serial libcjson libzip libpng libjpeg openblas
CFLAGS_ALL = -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE -fPIC -fvisibility=hidden -pthread $(OPT) $(WARN) $(SANFLAGS) \
             -Isrc $(DEFS) $(CFLAGS)
LIBS     = $(shell $(PKG) --libs $(PCS)) -lm -pthread
LIB_CFLAGS = $(shell $(PKG) --cflags $(PCS))
LUA_CFLAGS = $(shell $(PKG) --cflags $(LUA_PC))
LUA_LIBS   = $(shell $(PKG) --libs $(LUA_PC))

O        := $(BUILD)/obj
ROOMS    := base tensor kernels ops graph layers model formats
SRC      := $(foreach r,$(ROOMS),$(sort $(wildcard src/$(r)/*.c)))
LUA_SRC  := $(sort $(wildcard src/lua/*.c))
CLI_SRC  := $(sort $(wildcard src/cli/*.c))
ISA_SRC  := $(sort $(wildcard src/kernels/isa/*.c))
ISAS     := sse2 avx2 avx512
ISA_sse2   := -msse2
ISA_avx2   := -mavx2 -mfma -mf16c
ISA_avx512 := -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mf16c -mprefer-vector-width=512

OBJ      := $(SRC:src/%.c=$(O)/%.o) $(foreach i,$(ISAS),$(ISA_SRC:src/kernels/isa/%.c=$(O)/kernels/isa/%.$(i).o)) \
            $(O)/gen/registry.o
LUA_OBJ  := $(LUA_SRC:src/%.c=$(O)/%.o)
CLI_OBJ  := $(CLI_SRC:src/%.c=$(O)/%.o)
OP_OBJ   := $(patsubst src/%.c,$(O)/%.o,$(filter src/ops/%,$(SRC)))
LAYER_OBJ := $(patsubst src/%.c,$(O)/%.o,$(filter src/layers/% src/model/%,$(SRC)))

.PHONY: all
all: $(BUILD)/cornu $(BUILD)/libcornu.a $(BUILD)/libcornu.so $(BUILD)/lib/cornu/core.so

$(BUILD)/libcornu.a: $(OBJ)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/libcornu.so: $(OBJ)
	$(CC) -shared -Wl,-soname,libcornu.so.0 $(SANFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/lib/cornu/core.so: $(LUA_OBJ) $(OBJ)
	@mkdir -p $(@D)
	$(CC) -shared $(SANFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/cornu: $(CLI_OBJ) $(LUA_OBJ) $(BUILD)/libcornu.a
	$(CC) $(SANFLAGS) -Wl,-E -o $@ $^ $(LIBS) $(LUA_LIBS) $(shell $(PKG) --libs libedit)

$(O)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$(O)/formats/%.o: CFLAGS += $(LIB_CFLAGS)
$(O)/kernels/%.o: CFLAGS += $(LIB_CFLAGS)
$(O)/lua/%.o $(O)/cli/%.o: CFLAGS += $(LUA_CFLAGS)
$(O)/cli/%.o: CFLAGS += $(shell $(PKG) --cflags libedit)

# Kernels: one source, one object per instruction set; CN_ISA names it.
define ISA_RULE
$(O)/kernels/isa/%.$(1).o: src/kernels/isa/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS_ALL) $$(ISA_$(1)) -O3 -DCN_ISA=$(1) -DCN_ISA_$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call ISA_RULE,$(i))))

# The registries of ops and layers are what their objects define: cn_op_NAME and cn_layer_NAME.
$(BUILD)/gen/registry.c: $(OP_OBJ) $(LAYER_OBJ)
	@mkdir -p $(@D)
	@sh scripts/registry.sh "$(OP_OBJ)" "$(LAYER_OBJ)" > $@.new
	@if cmp -s $@.new $@; then rm $@.new; touch $@; else mv $@.new $@; fi
$(O)/gen/registry.o: $(BUILD)/gen/registry.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c -o $@ $<

# A deleted source must not stay in the archives: the list of sources is a prerequisite.
SRC_LIST := $(BUILD)/gen/sources
$(shell mkdir -p $(BUILD)/gen; echo '$(OBJ) $(LUA_OBJ) $(CLI_OBJ)' | cmp -s - $(SRC_LIST) || echo '$(OBJ) $(LUA_OBJ) $(CLI_OBJ)' > $(SRC_LIST))
$(BUILD)/libcornu.a $(BUILD)/gen/registry.c: | $(SRC_LIST)

# Unit tests in C: one program per file of tests/unit.
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/*.c)))
$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/libcornu.a $(LIBS) -lcmocka

.PHONY: unit
unit: $(UNIT)
	@status=0; for t in $(UNIT); do echo "== $$t"; $$t || status=1; done; exit $$status

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(OBJ:.o=.d) $(LUA_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT:=.d)
