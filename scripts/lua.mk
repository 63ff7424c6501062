# The binding: what its Lua part needs, and libraries for each Lua.

# The Lua part within the binding: all but what the program alone has.
EMBEDDED := $(filter-out $(patsubst %,lua/cornu/%.lua,cli commands complete pretty profile_report repl),$(sort $(wildcard lua/cornu/*.lua)))
$(BUILD)/gen/lua.c: $(EMBEDDED) scripts/embed.sh
	@mkdir -p $(@D)
	@sh scripts/embed.sh $(EMBEDDED) > $@.new && mv $@.new $@
$(O)/gen/lua.o: $(BUILD)/gen/lua.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -c -o $@ $<

# The binding for other Luas, named as pkg-config has them.
OTHER_LUAS := lua5.1 lua5.2 lua5.3 luajit
lua5.4_OBJ := $(LUA_SRC:src/%.c=$(O)/%.o)
define LUA_RULE
$(1)_OBJ ?= $(LUA_SRC:src/%.c=$(O)/$(1)/%.o)
$(O)/$(1)/lua/%.o: src/lua/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS_ALL) $$(shell $$(PKG) --cflags $(1)) -MMD -MP -c -o $$@ $$<
$(BUILD)/libcornu-$(1).a: $$($(1)_OBJ) $(O)/gen/lua.o
	@rm -f $$@
	ar rcs $$@ $$^
$(BUILD)/host/%-$(1): tests/host/%.c $(BUILD)/libcornu-$(1).a $(BUILD)/libcornu.a
	@mkdir -p $$(@D)
	$$(CC) $$(CFLAGS_ALL) $$(shell $$(PKG) --cflags $(1)) -MMD -MP -MF $$@.d -o $$@ $$< $(BUILD)/libcornu-$(1).a \
	  $(BUILD)/libcornu.a $$(LIBS) $$(shell $$(PKG) --libs $(1)) -lcmocka
endef
$(foreach l,lua5.4 $(OTHER_LUAS),$(eval $(call LUA_RULE,$(l))))

$(BUILD)/luajit/lib/cornu/core.so: $(luajit_OBJ) $(O)/gen/lua.o $(OBJ)
	@mkdir -p $(@D)
	$(CC) -shared $(SANFLAGS) -o $@ $^ $(LIBS)

# Programs with Luas of their own. Those of all versions need packages that the rest does not.
HOSTS    := $(patsubst tests/host/%.c,%,$(sort $(wildcard tests/host/*.c)))
HOST_TESTS := $(foreach h,$(HOSTS),$(BUILD)/host/$(h)-lua5.4 $(BUILD)/host/$(h)-luajit)
.PHONY: lua-bindings lua-versions-test
lua-hosts: $(HOST_TESTS)
lua-bindings: $(BUILD)/libcornu-lua5.4.a $(foreach l,$(OTHER_LUAS),$(if $(shell $(PKG) --exists $(l) && echo yes),$(BUILD)/libcornu-$(l).a))
lua-versions-test: $(foreach h,$(HOSTS),$(foreach l,lua5.4 $(OTHER_LUAS),$(BUILD)/host/$(h)-$(l)))
	@sh tests/run.sh $(BUILD) host

-include $(foreach l,lua5.4 $(OTHER_LUAS),$($(l)_OBJ:.o=.d)) $(HOST_TESTS:=.d)
