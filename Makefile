# Cornu. `make` builds build/cornu, build/libcornu.a, build/libcornu.so and the Lua module; `make help` lists the rest.

VERSION  := 0.1.0
BUILD    ?= build
PREFIX   ?= /usr/local
CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
PKG      ?= pkg-config
NM       ?= nm
LUA_PC   ?= lua5.4

# The Debian packages, named here alone.
PACKAGES := gcc g++ make pkg-config libhdf5-dev libcjson-dev libzip-dev libyaml-dev zlib1g-dev libpng-dev libjpeg-dev libopenblas-dev \
            liblua5.4-dev lua5.4 libluajit-5.1-dev luajit libedit-dev libcmocka-dev lua-unit
CI_PACKAGES := clang

# What the compiler makes programs for.
MACHINE  := $(shell $(CC) -dumpmachine 2>/dev/null)
is       = $(filter $(1),$(MACHINE))
ISAS     := $(if $(call is,x86_64-% i%86-%),sse2 avx2 avx512,$(if $(call is,aarch64-%),neon,$(if $(call is,wasm32-%),simd128,generic)))
PIC      := $(if $(call is,wasm32-% %-mingw32),,-fPIC)
LARGE    := $(if $(call is,arm% i%86-%),-D_FILE_OFFSET_BITS=64)
THREADS  := $(if $(call is,wasm32-%),,-pthread)

WARN     := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
OPT      ?= -O2 -g
comma    := ,
SANFLAGS := $(if $(SAN),$(if $(filter thread,$(SAN)),-fsanitize=thread,-fsanitize=address$(comma)undefined \
            -fno-sanitize-recover=undefined) -fno-omit-frame-pointer) \
            $(if $(COVER),-fsanitize=fuzzer-no-link)
# clang takes minutes to put checks of undefined behaviour and of coverage into the unrolled kernels.
PLAIN_KERNELS := $(if $(COVER),-fno-sanitize=undefined$(comma)fuzzer-no-link -O1)
PCS      := libcjson libzip yaml-0.1 zlib libpng libjpeg openblas
HDF5_PC  ?= hdf5-serial
CFLAGS_ALL = -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE $(PIC) $(LARGE) -fvisibility=hidden $(THREADS) $(OPT) $(WARN) $(SANFLAGS) \
             -Isrc $(DEFS) $(CFLAGS)
LIBS     = $(shell $(PKG) --libs $(PCS)) -lm -ldl -pthread
LIB_CFLAGS = $(shell $(PKG) --cflags $(PCS) $(HDF5_PC))
# libhdf5 is loaded at run time, by this name.
HDF5_SO  = $(shell sh scripts/soname.sh "$(CC)" hdf5 $$($(PKG) --libs $(HDF5_PC)))
LUA_CFLAGS = $(shell $(PKG) --cflags $(LUA_PC))
LUA_LIBS   = $(shell $(PKG) --libs $(LUA_PC))

O        := $(BUILD)/obj
ROOMS    := base tensor kernels ops graph layers model formats train
SRC      := $(foreach r,$(ROOMS),$(sort $(wildcard src/$(r)/*.c)))
LUA_SRC  := $(sort $(wildcard src/lua/*.c))
CLI_SRC  := $(sort $(wildcard src/cli/*.c))
ISA_SRC  := $(sort $(wildcard src/kernels/isa/*.c))
ISA_sse2   := -msse2
ISA_avx2   := -mavx2 -mfma -mf16c
ISA_simd128 := -msimd128
ISA_avx512 := -mavx512f -mavx512vl -mavx512dq -mavx512bw -mfma -mf16c -mprefer-vector-width=512

OBJ      := $(SRC:src/%.c=$(O)/%.o) $(foreach i,$(ISAS),$(ISA_SRC:src/kernels/isa/%.c=$(O)/kernels/isa/%.$(i).o)) \
            $(O)/gen/registry.o
LUA_OBJ  := $(LUA_SRC:src/%.c=$(O)/%.o) $(O)/gen/lua.o
CLI_OBJ  := $(CLI_SRC:src/%.c=$(O)/%.o)
OP_OBJ   := $(patsubst src/%.c,$(O)/%.o,$(filter src/ops/%,$(SRC)))
TRAIN_OBJ := $(patsubst src/%.c,$(O)/%.o,$(filter src/train/%,$(SRC)))
LAYER_OBJ := $(patsubst src/%.c,$(O)/%.o,$(filter src/layers/% src/model/%,$(SRC)))

.PHONY: all
all: $(BUILD)/cornu $(BUILD)/libcornu.a $(BUILD)/libcornu.so $(BUILD)/lib/cornu/core.so $(BUILD)/libcornu-lua5.4.a

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

$(O)/formats/%.o: override CFLAGS += $(LIB_CFLAGS)
$(O)/formats/h5_calls.o: override CFLAGS += -DCORNU_HDF5='"$(HDF5_SO)"'
$(O)/kernels/%.o: override CFLAGS += $(LIB_CFLAGS)
# These are loops for the compiler's vectors.
$(O)/train/%.o $(O)/ops/random.o: override CFLAGS += -O3 -fno-math-errno
$(O)/lua/%.o $(O)/cli/%.o: override CFLAGS += $(LUA_CFLAGS)
$(O)/cli/%.o: override CFLAGS += $(shell $(PKG) --cflags libedit) -DCORNU_LUA_DIR='"$(PREFIX)/share/cornu/lua"'

# Kernels: one source, one object per instruction set; CN_ISA names it.
define ISA_RULE
$(O)/kernels/isa/%.$(1).o: src/kernels/isa/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS_ALL) $$(ISA_$(1)) -O3 $$(PLAIN_KERNELS) -DCN_ISA=$(1) -DCN_ISA_$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call ISA_RULE,$(i))))

# The registries are what the objects define: cn_op_NAME, cn_layer_NAME, cn_optimizer_NAME.
$(BUILD)/gen/registry.c: $(OP_OBJ) $(LAYER_OBJ) $(TRAIN_OBJ)
	@mkdir -p $(@D)
	@NM="$(NM)" sh scripts/registry.sh "$(OP_OBJ)" "$(LAYER_OBJ)" "$(TRAIN_OBJ)" > $@.new
	@if cmp -s $@.new $@; then rm $@.new; touch $@; else mv $@.new $@; fi
$(O)/gen/registry.o: $(BUILD)/gen/registry.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c -o $@ $<

# A deleted source must not stay in the archives: the list of sources is a prerequisite.
SRC_LIST := $(BUILD)/gen/sources
$(shell mkdir -p $(BUILD)/gen; echo '$(OBJ) $(LUA_OBJ) $(CLI_OBJ)' | cmp -s - $(SRC_LIST) || echo '$(OBJ) $(LUA_OBJ) $(CLI_OBJ)' > $(SRC_LIST))
$(BUILD)/libcornu.a $(BUILD)/gen/registry.c: | $(SRC_LIST)

# ---- the small library: flat files alone, no training, nothing but libc, libm and threads ----

LITE_ROOMS := base tensor kernels ops graph layers model lite
LITE_SRC := $(foreach r,$(LITE_ROOMS),$(sort $(wildcard src/$(r)/*.c))) \
            $(addprefix src/formats/,flat.c flat_load.c json_write.c load.c shared_layers.c)
LITE_SRC := $(filter-out %_gradient.c %/gradient.c %/slope.c %_back.c,$(LITE_SRC))
LITE_ISA := $(filter-out %_back.c %/slope.c,$(ISA_SRC))
L        := $(BUILD)/lite/obj
LITE_OBJ := $(LITE_SRC:src/%.c=$(L)/%.o) $(foreach i,$(ISAS),$(LITE_ISA:src/kernels/isa/%.c=$(L)/kernels/isa/%.$(i).o)) \
            $(L)/gen/registry.o
LITE_OP  := $(patsubst src/%.c,$(L)/%.o,$(filter src/ops/%,$(LITE_SRC)))
LITE_LAYER := $(patsubst src/%.c,$(L)/%.o,$(filter src/layers/% src/model/%,$(LITE_SRC)))
LITE_LIBS := -lm -pthread
# What is no kernel is made small; so are the kernels that no machine of today needs.
# Of the others these are worth the room that -O3 takes.
LITE_SMALL := -Os
LITE_HOT   := gemm norm rnn window winograd
LITE_SPEED = $(if $(filter $(LITE_HOT),$*),-O3,-O2 -ftree-vectorize)
LITE_SPEED_sse2 := -Os
LITE_SPEED_generic := -O1
LITE_FLAGS = $(CFLAGS_ALL) -DCORNU_LITE -g0 -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables -Wno-unused-function

.PHONY: lite
lite: $(BUILD)/libcornu-lite.a
$(BUILD)/libcornu-lite.a: $(LITE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^
$(L)/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(LITE_FLAGS) $(LITE_SMALL) -MMD -MP -c -o $@ $<
define LITE_ISA_RULE
$(L)/kernels/isa/%.$(1).o: src/kernels/isa/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(LITE_FLAGS) $$(ISA_$(1)) $$(or $$(LITE_SPEED_$(1)),$$(LITE_SPEED)) -DCN_ISA=$(1) -DCN_ISA_$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call LITE_ISA_RULE,$(i))))
$(BUILD)/lite/registry.c: $(LITE_OP) $(LITE_LAYER)
	@NM="$(NM)" sh scripts/registry.sh "$(LITE_OP)" "$(LITE_LAYER)" > $@
$(L)/gen/registry.o: $(BUILD)/lite/registry.c
	@mkdir -p $(@D)
	$(CC) $(LITE_FLAGS) $(LITE_SMALL) -c -o $@ $<

# The same in one file, which builds with one command: cc -O2 -c cornu.c
AMALGAMATION := $(BUILD)/amalgamation/cornu.c
.PHONY: amalgamation
amalgamation: $(AMALGAMATION)
$(AMALGAMATION): $(BUILD)/cornu $(BUILD)/libcornu-lite.a scripts/amalgamate.lua
	@mkdir -p $(@D)
	$(BUILD)/cornu scripts/amalgamate.lua $(@D) $(BUILD)/lite/registry.c $(LITE_SRC) $(LITE_ISA)

# Its tests: the answers of models beside those of the whole library, and what it has of its own.
LITE_UNIT := $(patsubst %,$(BUILD)/lite/unit/%,formats_flat formats_json)
LITE_TESTS := $(BUILD)/lite/answers $(BUILD)/lite/answers-whole $(BUILD)/amalgamation/checked $(LITE_UNIT)
# Compiling it takes minutes: make packaging-test does, and compares what it answers.
$(BUILD)/amalgamation/checked: $(AMALGAMATION)
	$(CC) -std=c99 -Wall -Werror -fsyntax-only $<
	@touch $@
$(BUILD)/lite/answers: tests/lite/answers.c $(BUILD)/libcornu-lite.a
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LITE_LIBS)
$(BUILD)/lite/answers-whole: tests/lite/answers.c $(BUILD)/libcornu.a
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS)
$(BUILD)/lite/unit/%: tests/unit/%.c $(BUILD)/libcornu-lite.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -DCORNU_LITE -MMD -MP -MF $@.d -o $@ $< $(BUILD)/libcornu-lite.a $(LITE_LIBS) -lcmocka

# Unit tests in C: one program per file of tests/unit.
UNIT     := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/*.c)))
$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/libcornu.a $(LIBS) -lcmocka

.PHONY: unit
unit: $(UNIT)
	@sh tests/run.sh $(BUILD) unit

# Fuzz targets: with libFuzzer (clang), and as programs that replay the inputs which once failed.
FUZZ     := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/*.c)))
REPLAYS  := $(FUZZ:%=$(BUILD)/replay/%)
FUZZ_SUPPORT := tests/fuzz/common/support.c
SECONDS  ?= 60
TARGET   ?= $(FUZZ)
FUZZ_DIR := $(BUILD)/fuzz
FUZZ_CC  ?= clang
FUZZ_OPTIONS := -rss_limit_mb=1500 -malloc_limit_mb=600 -timeout=20 -print_final_stats=1
$(BUILD)/replay/%: tests/fuzz/%.c $(FUZZ_SUPPORT) tests/fuzz/common/replay.c $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS)
$(BUILD)/fuzzer/%: tests/fuzz/%.c $(FUZZ_SUPPORT) $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer -o $@ $^ $(LIBS)

.PHONY: fuzz fuzzers replays
replays: $(REPLAYS)
fuzzers: $(TARGET:%=$(BUILD)/fuzzer/%)
fuzz: ci-deps all
	@$(MAKE) -s BUILD=$(FUZZ_DIR) CC="$(FUZZ_CC)" SAN=1 COVER=1 OPT="-O1 -g" WARN= TARGET="$(TARGET)" fuzzers
	@for t in $(TARGET); do sh scripts/fuzz.sh $(BUILD) $(FUZZ_DIR) $$t $(CASES) -max_total_time=$(SECONDS) $(FUZZ_OPTIONS) || exit 1; done

# ---- setting up ----

# What is missing for a build, as far as the tools can tell.
HAVE := sh -c 'for t in $(firstword $(CC)) g++ $(PKG) luajit lua5.4; do command -v $$t || exit 1; done >/dev/null && $(PKG) --exists $(PCS) $(HDF5_PC) lua5.4 luajit libedit && \
        test -e /usr/include/cmocka.h && test -e /usr/share/lua/5.4/luaunit.lua'
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: deps ready ci-deps
deps:
	$(SUDO) apt-get update
	$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(PACKAGES)
ci-deps: ready
	@command -v clang >/dev/null || $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(CI_PACKAGES)
ready:
	@$(HAVE) || $(MAKE) deps

# The build itself runs in a second make, after the packages it asks about are there.
.PHONY: run test
run: ready
	@$(MAKE) -s BUILD=$(BUILD) all
	@$(BUILD)/cornu lua/examples/digits/demo.lua
	@if [ -t 0 ] && [ -t 1 ]; then $(BUILD)/cornu -i lua/examples/digits/start.lua; fi

test: ready
	@$(MAKE) -s BUILD=$(BUILD) all test-programs
	@sh tests/run.sh $(BUILD)

.PHONY: test-programs luajit lua-hosts
test-programs: $(UNIT) $(REPLAYS) $(LITE_TESTS) luajit lua-hosts
luajit: $(BUILD)/luajit/lib/cornu/core.so

include scripts/lua.mk
include scripts/ports.mk

# ---- checks ----

CASES ?= tests/models
.PHONY: conformance asan bench agents
conformance: all
	$(BUILD)/cornu scripts/conformance.lua $(CASES)

# Tests under the address and undefined-behaviour sanitizers. Plain lua and luajit cannot load a sanitized module.
asan:
	@$(MAKE) -s BUILD=$(BUILD)/asan SAN=1 OPT="-O1 -g" $(BUILD)/asan/cornu unit-programs replays
	@ASAN_OPTIONS=detect_leaks=1:abort_on_error=0 UBSAN_OPTIONS=print_stacktrace=1 sh tests/run.sh $(BUILD)/asan unit lua models cli fuzz readme
# What several threads do, under the thread sanitizer.
TSAN_UNIT := base_pool base_context formats_loader formats_rows graph_slices model_refresh model_runner model_threads
.PHONY: tsan
tsan:
	@$(MAKE) -s BUILD=$(BUILD)/tsan SAN=thread OPT="-O1 -g" UNIT="$(TSAN_UNIT:%=$(BUILD)/tsan/unit/%)" unit-programs
	@TSAN_OPTIONS="halt_on_error=1 die_after_fork=0" sh tests/run.sh $(BUILD)/tsan unit
.PHONY: unit-programs
unit-programs: $(UNIT)

# The vector functions against long double, on all floats where they are more than their limit: many minutes.
.PHONY: accuracy
accuracy: $(BUILD)/accuracy/vmath
	$(BUILD)/accuracy/vmath
$(BUILD)/accuracy/%: tests/accuracy/%.c $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LIB_CFLAGS) -MMD -MP -MF $@.d -o $@ $< $(BUILD)/libcornu.a $(LIBS)

# The machine, the kernels beside it, and the bundled models. BENCH=--json: JSON, of the kernels and then of each model.
BENCH_PEAKS := $(foreach i,$(ISAS),$(BUILD)/bench/peak.$(i).o)
bench: ready
	@$(MAKE) -s BUILD=$(BUILD) all $(BUILD)/bench/kernels
	@$(BUILD)/bench/kernels $(BENCH)
	@for m in lua/examples/*/*.keras; do $(BUILD)/cornu bench $$m --seconds 1 $(BENCH) || exit 1; done
$(BUILD)/bench/kernels: tests/bench/kernels.c tests/bench/peak.h $(BENCH_PEAKS) $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(LIB_CFLAGS) -Itests -o $@ $< $(BENCH_PEAKS) $(BUILD)/libcornu.a $(LIBS)
# Small networks frame by frame, beside plain loops and, if given, ONNX Runtime: AGENTS="FOLDER --onnxruntime LIBRARY".
agents: ready
	@$(MAKE) -s BUILD=$(BUILD) $(BUILD)/bench/agents
	@$(BUILD)/bench/agents $(AGENTS)
$(BUILD)/bench/agents: tests/bench/agents.c $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -O3 -mavx2 -mfma -ffast-math -o $@ $< $(BUILD)/libcornu.a $(LIBS)
define PEAK_RULE
$(BUILD)/bench/peak.$(1).o: tests/bench/peak.c tests/bench/peak.h src/kernels/simd.h
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS_ALL) $$(ISA_$(1)) -O3 -Itests -DCN_ISA=$(1) -DCN_ISA_$(1) -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call PEAK_RULE,$(i))))

include scripts/hosts/hosts.mk

# ---- installing ----

INTO     = $(DESTDIR)$(PREFIX)
FILL     = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' -e 's|@LIBS@|$(filter-out %openblas %openblas-pthread/,$(LIBS))|g'
.PHONY: install
install: all lite luajit
	install -d $(INTO)/bin $(INTO)/lib/pkgconfig $(INTO)/lib/cmake/cornu $(INTO)/include $(INTO)/lib/lua/5.4/cornu \
	  $(INTO)/lib/lua/5.1/cornu $(INTO)/share/cornu/lua/cornu $(INTO)/share/lua/5.4 $(INTO)/share/lua/5.1
	install -m 755 $(BUILD)/cornu $(INTO)/bin/cornu
	install -m 644 $(BUILD)/libcornu.a $(BUILD)/libcornu-lite.a $(INTO)/lib/
	install -m 755 $(BUILD)/libcornu.so $(INTO)/lib/libcornu.so.$(VERSION)
	ln -sf libcornu.so.$(VERSION) $(INTO)/lib/libcornu.so.0
	ln -sf libcornu.so.0 $(INTO)/lib/libcornu.so
	install -m 644 src/cornu.h src/cornu_lua.h $(INTO)/include/
	install -m 644 $(BUILD)/libcornu-lua5.4.a $(INTO)/lib/
	install -m 755 $(BUILD)/lib/cornu/core.so $(INTO)/lib/lua/5.4/cornu/core.so
	install -m 755 $(BUILD)/luajit/lib/cornu/core.so $(INTO)/lib/lua/5.1/cornu/core.so
	install -m 644 lua/cornu/*.lua $(INTO)/share/cornu/lua/cornu/
	ln -sfn ../../cornu/lua/cornu $(INTO)/share/lua/5.4/cornu
	ln -sfn ../../cornu/lua/cornu $(INTO)/share/lua/5.1/cornu
	for f in cornu cornu-lite; do $(FILL) scripts/install/$$f.pc.in > $(INTO)/lib/pkgconfig/$$f.pc; done
	for f in Config ConfigVersion; do $(FILL) scripts/install/cornu$$f.cmake.in > $(INTO)/lib/cmake/cornu/cornu$$f.cmake; done

# The Lua module for LuaRocks, which says where its Lua is and where the module goes.
ROCK_OBJ := $(LUA_SRC:src/%.c=$(O)/rock/%.o)
.PHONY: rock rock-install packaging-test sizes
$(O)/rock/lua/%.o: src/lua/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(if $(LUA_INCDIR),-I$(LUA_INCDIR),$(LUA_CFLAGS)) -MMD -MP -c -o $@ $<
$(BUILD)/rock/core.so: $(ROCK_OBJ) $(O)/gen/lua.o $(OBJ)
	@mkdir -p $(@D)
	$(CC) -shared $(SANFLAGS) -o $@ $^ $(LIBS)
rock: $(BUILD)/rock/core.so
rock-install:
	install -d $(LIBDIR)/cornu $(LUADIR)/cornu
	install -m 755 $(BUILD)/rock/core.so $(LIBDIR)/cornu/core.so
	install -m 644 lua/cornu/*.lua $(LUADIR)/cornu/

# What was installed is found by pkg-config, CMake and LuaRocks; the amalgamation by both compilers. Minutes.
packaging-test: all amalgamation $(LITE_TESTS)
	@sh tests/packaging.sh $(BUILD)
sizes: all lite
	@sh scripts/sizes.sh $(BUILD) "$(CC)"

.PHONY: clean help
clean:
	rm -rf $(BUILD)
help:
	@echo 'make               build/cornu, libraries and the Lua module'
	@echo 'make lite          build/libcornu-lite.a: runs .cornu files, needs libc, libm and threads alone'
	@echo 'make amalgamation  that library as one file, build/amalgamation/cornu.c, and cornu.h'
	@echo 'make run           set up, build, run the digits demo, then the REPL'
	@echo 'make test          set up, build, run all tests'
	@echo 'make lua-bindings  libcornu-lua5.1.a to 5.4 and -luajit, where their headers are; make lua-versions-test tests them all'
	@echo 'make conformance   run the models under CASES=dir against the outputs kept with them'
	@echo 'make asan          tests under the address and undefined-behaviour sanitizers'
	@echo 'make tsan          what several threads do, under the thread sanitizer'
	@echo 'make fuzz          look for inputs that crash: TARGET="$(FUZZ)", SECONDS=60 for each, seeds from CASES=dir'
	@echo 'make accuracy      errors of exp, tanh, gelu and the like on all floats'
	@echo 'make bench         this machine, the kernels beside it and OpenBLAS, the bundled models (BENCH=--json)'
	@echo 'make agents        small networks frame by frame: AGENTS="FOLDER …", the files of scripts/make_agents.py'
	@echo 'make hosts         a game, a C program and an engine with Cornu in them; make hosts-test runs them'
	@echo 'make cross-test    the small library for other machines (aarch64 arm windows wasm), and its tests under emulators'
	@echo 'make wasm-page     a page that runs the digits model: build/wasm/page; make wasm-page-test looks at it in Chromium'
	@echo 'make deps          install the Debian packages'
	@echo 'make sizes         what the libraries weigh'
	@echo 'make install       to PREFIX (/usr/local), DESTDIR; with files for pkg-config and CMake'
	@echo 'make packaging-test  installs, and builds with it by pkg-config, CMake and LuaRocks'

-include $(OBJ:.o=.d) $(LUA_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(UNIT:=.d) $(LITE_OBJ:.o=.d) $(LITE_UNIT:=.d) $(ROCK_OBJ:.o=.d)
