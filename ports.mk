# Other machines: the C tests and the small library, compiled here and run by an emulator. The Makefile includes this.
# make cross-aarch64 builds in build/aarch64, make cross-test-aarch64 runs the tests there; cross and cross-test: all.

PORTS := aarch64

PORT_CC_aarch64       := aarch64-linux-gnu-gcc
PORT_TOOLS_aarch64    := aarch64-linux-gnu-
PORT_RUN_aarch64      := qemu-aarch64 -L /usr/aarch64-linux-gnu
PORT_PACKAGES_aarch64 := gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user

# The library without the formats that need others, and the unit tests that link with it, with a substitute for cmocka.
CORE_OBJ   := $(filter-out $(O)/formats/%,$(OBJ)) $(patsubst src/%.c,$(O)/%.o,$(filter src/lite/% src/formats/%,$(LITE_SRC)))
PORT_UNITS := $(filter-out formats_% failing_values,$(patsubst tests/unit/%.c,%,$(wildcard tests/unit/*.c))) formats_flat formats_json
PORT_UNIT  := $(PORT_UNITS:%=$(BUILD)/port/%$(EXE))

.PHONY: cross cross-test port-programs $(PORTS:%=cross-%) $(PORTS:%=cross-test-%)
cross: $(PORTS:%=cross-%)
cross-test: $(PORTS:%=cross-test-%)

define PORT_RULES
cross-$(1):
	@command -v $(PORT_CC_$(1)) $(firstword $(PORT_RUN_$(1))) >/dev/null || { $(SUDO) apt-get update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(PORT_PACKAGES_$(1)); }
	@$$(MAKE) -s BUILD=$(BUILD)/$(1) CC="$(CCACHE) $(PORT_CC_$(1))" PKG=true AR=$(PORT_TOOLS_$(1))ar NM=$(PORT_TOOLS_$(1))nm \
	  OPT="-O2 $(PORT_FLAGS_$(1))" LIBS="-lm -pthread $(PORT_LIBS_$(1))" EXE=$(PORT_EXE_$(1)) port-programs
cross-test-$(1): cross-$(1) $(BUILD)/cross/cases
	@PORT_RUN="$(PORT_RUN_$(1))" EXE=$(PORT_EXE_$(1)) sh tests/cross/run.sh $(BUILD)/$(1) $(BUILD)/cross
endef
$(foreach p,$(PORTS),$(eval $(call PORT_RULES,$(p))))

# The models and what Keras gave for them, from the cases, by the program of this machine.
$(BUILD)/cross/cases: $(BUILD)/cornu scripts/plain_cases.lua
	@mkdir -p $(@D)
	@$(BUILD)/cornu scripts/plain_cases.lua $(CASES) $(@D) > $@ || { rm $@; exit 1; }

port-programs: $(PORT_UNIT) $(BUILD)/cases$(EXE)
$(BUILD)/cases$(EXE): tests/cross/cases.c $(BUILD)/libcornu-lite.a
	$(CC) $(CFLAGS_ALL) -o $@ $^ $(LIBS)
$(BUILD)/libcornu-core.a: $(CORE_OBJ)
	@rm -f $@
	$(AR) rcs $@ $^
$(BUILD)/port/%$(EXE): tests/unit/%.c tests/cross/cmocka.h $(BUILD)/libcornu-core.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -Itests/cross -DTESTS_WITHOUT_FORK -MMD -MP -MF $(@D)/$*.d -o $@ $< $(BUILD)/libcornu-core.a $(LIBS)
-include $(PORT_UNITS:%=$(BUILD)/port/%.d)
