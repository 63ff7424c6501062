# Other machines: the small library and the C tests, compiled here and run by an emulator. The Makefile includes this.
# make cross-aarch64 builds in build/aarch64, make cross-test-aarch64 runs the tests there; cross and cross-test: all.

PORTS := aarch64 arm windows wasm

PORT_CC_aarch64       := aarch64-linux-gnu-gcc
PORT_AR_aarch64       := aarch64-linux-gnu-ar
PORT_NM_aarch64       := aarch64-linux-gnu-nm
PORT_RUN_aarch64      := qemu-aarch64 -L /usr/aarch64-linux-gnu
PORT_PACKAGES_aarch64 := gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
PORT_LIB_aarch64      := core

PORT_CC_arm           := arm-linux-gnueabihf-gcc
PORT_AR_arm           := arm-linux-gnueabihf-ar
PORT_NM_arm           := arm-linux-gnueabihf-nm
PORT_RUN_arm          := qemu-arm -L /usr/arm-linux-gnueabihf
PORT_PACKAGES_arm     := gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user
PORT_WITHOUT_arm      := tensor_convert

# The assembler makes unaligned moves of those of 32 bytes: the stack of Windows is aligned to 16, which gcc forgets.
PORT_CC_windows       := x86_64-w64-mingw32-gcc-posix
PORT_AR_windows       := x86_64-w64-mingw32-ar
PORT_NM_windows       := x86_64-w64-mingw32-nm
PORT_RUN_windows      := env WINEDEBUG=-all /usr/lib/wine/wine64
PORT_PACKAGES_windows := gcc-mingw-w64-x86-64-posix wine64
PORT_FLAGS_windows    := -DCORNU_BUILD -D__USE_MINGW_ANSI_STDIO=1 -Wa,-muse-unaligned-vector-move
PORT_LIBS_windows     := -static
PORT_EXE_windows      := .exe
PORT_LIB_windows      := core
PORT_WITHOUT_windows  := base_file

PORT_CC_wasm          := emcc
PORT_AR_wasm          := emar
PORT_NM_wasm          := emnm
PORT_RUN_wasm         := node
PORT_PACKAGES_wasm    := emscripten nodejs
PORT_FLAGS_wasm       := -msimd128
PORT_SLOW_wasm        := yes
PORT_LIBS_wasm        := -O1 -sNODERAWFS -sALLOW_MEMORY_GROWTH -sTOTAL_STACK=1MB -sSINGLE_FILE
PORT_EXE_wasm         := .js
PORT_WITHOUT_wasm     := base_pool base_file
export NODE_PATH      ?= /usr/share/nodejs

# The unit tests that link with the small library, and those that need one with gradients (core, which is the whole one
# without the formats of other libraries); PORT_WITHOUT: what needs what the machine has not (processes, threads, a
# long double that is longer than double), or many minutes in an emulator. With a substitute for cmocka.
PORT_LIB   ?= lite
CORE_OBJ   := $(filter-out $(O)/formats/%,$(OBJ)) $(patsubst src/%.c,$(O)/%.o,$(filter src/lite/% src/formats/%,$(LITE_SRC)))
UNIT_NAMES := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*.c))
CORE_UNITS := graph_gradient kernels_act kernels_norm ops_pool_gradient ops_random train_pattern
LITE_UNITS := formats_flat formats_json \
              $(filter-out base_context $(CORE_UNITS),$(filter base_% graph_% kernels_% layers_% ops_% tensor_%,$(UNIT_NAMES)))
PORT_UNITS := $(filter-out $(PORT_WITHOUT),$(LITE_UNITS) $(if $(filter core,$(PORT_LIB)),$(CORE_UNITS)))
PORT_UNIT  := $(PORT_UNITS:%=$(BUILD)/port/%$(EXE))

.PHONY: cross cross-test port-programs $(PORTS:%=cross-%) $(PORTS:%=cross-test-%)
cross: $(PORTS:%=cross-%)
cross-test: $(PORTS:%=cross-test-%)

define PORT_RULES
PORT_HAVE_$(1) := command -v $(filter qemu-% node %/wine64,$(PORT_RUN_$(1))) >/dev/null && \
                  $(PORT_CC_$(1)) -E -include stdio.h -xc /dev/null >/dev/null 2>&1
cross-$(1):
	@{ $$(PORT_HAVE_$(1)); } || { $(SUDO) apt-get update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(PORT_PACKAGES_$(1)); }; \
	  { $$(PORT_HAVE_$(1)); } || { echo "make $$@ needs the packages $(PORT_PACKAGES_$(1))"; exit 1; }
	@$$(MAKE) -s BUILD=$(BUILD)/$(1) CC="$(CCACHE) $(PORT_CC_$(1))" PKG=true AR=$(PORT_AR_$(1)) NM=$(PORT_NM_$(1)) \
	  OPT="-O2 $(PORT_FLAGS_$(1))" LIBS="-lm $(PORT_LIBS_$(1))" EXE=$(PORT_EXE_$(1)) \
	  PORT_LIB=$(or $(PORT_LIB_$(1)),lite) PORT_WITHOUT="$(PORT_WITHOUT_$(1))" port-programs
# The library in one file by one command, as a host would; SLOW: where its compiler takes more than a quarter of an hour.
$(BUILD)/$(1)/amalgamated/cases$(PORT_EXE_$(1)): tests/cross/cases.c $(AMALGAMATION) | cross-$(1)
	@mkdir -p $$(@D)
	$(PORT_CC_$(1)) $(PORT_LIBS_$(1)) -O2 -Wall -Werror -I$(dir $(AMALGAMATION)) -o $$@ $$(filter %.c,$$^) -lm
cross-test-$(1): cross-$(1) $(BUILD)/cross/cases $(if $(PORT_SLOW_$(1)),,$(BUILD)/$(1)/amalgamated/cases$(PORT_EXE_$(1)))
	@PORT_CASES="cases $(if $(PORT_SLOW_$(1)),,amalgamated/cases)" PORT_RUN="$(PORT_RUN_$(1))" EXE=$(PORT_EXE_$(1)) sh tests/cross/run.sh $(BUILD)/$(1) $(BUILD)/cross
endef
$(foreach p,$(PORTS),$(eval $(call PORT_RULES,$(p))))

# The models and what Keras gave for them, from the cases, by the program of this machine.
$(BUILD)/cross/cases: $(BUILD)/cornu scripts/plain_cases.lua
	@mkdir -p $(@D)
	@$(BUILD)/cornu scripts/plain_cases.lua $(CASES) $(@D) > $@ || { rm $@; exit 1; }

port-programs: $(PORT_UNIT) $(BUILD)/cases$(EXE) $(if $(call is,%-mingw32),$(BUILD)/cornu.dll $(BUILD)/port/windows$(EXE))
$(BUILD)/cornu.dll: $(BUILD)/libcornu-lite.a
	$(CC) -shared -o $@ -Wl,--out-implib,$(BUILD)/libcornu.dll.a -Wl,--whole-archive $< -Wl,--no-whole-archive $(LIBS)
$(BUILD)/cases$(EXE): tests/cross/cases.c $(BUILD)/libcornu-lite.a
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS)
$(BUILD)/libcornu-core.a: $(CORE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/port/%$(EXE): tests/unit/%.c tests/cross/cmocka.h $(BUILD)/libcornu-$(PORT_LIB).a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(if $(filter lite,$(PORT_LIB)),-DCORNU_LITE) -Itests/cross -DTESTS_WITHOUT_FORK -MMD -MP -MF $(@D)/$*.d -o $@ $< $(BUILD)/libcornu-$(PORT_LIB).a $(LIBS)
$(BUILD)/port/windows$(EXE): tests/cross/windows.c tests/cross/cmocka.h $(BUILD)/libcornu-$(PORT_LIB).a
	$(CC) $(CFLAGS_ALL) -Itests/cross -o $@ $< $(BUILD)/libcornu-$(PORT_LIB).a $(LIBS)
-include $(PORT_UNITS:%=$(BUILD)/port/%.d)

# A page with the digits model, in build/wasm/page, and the check of it in Chromium.
PAGE := $(BUILD)/wasm/page
.PHONY: wasm-page wasm-page-test
wasm-page: cross-wasm $(BUILD)/cornu
	@mkdir -p $(PAGE)
	@$(BUILD)/cornu scripts/hosts/wasm/data.lua $(PAGE)
	@$(PORT_CC_wasm) -O3 $(PORT_FLAGS_wasm) -Isrc -o $(PAGE)/digits.js scripts/hosts/wasm/digits.c $(BUILD)/wasm/libcornu-lite.a \
	  --embed-file $(PAGE)/digits.cornu@digits.cornu -sALLOW_MEMORY_GROWTH -sSINGLE_FILE -sEXPORTED_RUNTIME_METHODS=ccall,UTF8ToString
	@cp scripts/hosts/wasm/index.html $(PAGE)
wasm-page-test: wasm-page
	@command -v chromium >/dev/null || { $(SUDO) apt-get update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium; } || \
	  { echo "make $@ needs the package chromium"; exit 1; }
	@sh scripts/hosts/wasm/check.sh $(PAGE)
