# Programs that Cornu is embedded in. They need packages beyond Cornu's own.
HOST_PACKAGES := godot3-server love xvfb xauth libsdl2-dev zip
HAVE_HOSTS := sh -c 'for p in godot3-server love Xvfb xauth zip; do command -v $$p >/dev/null || exit 1; done; $(PKG) --exists sdl2'
HOST_DIR := $(BUILD)/hosts

.PHONY: hosts hosts-deps hosts-test hosts-godot hosts-love hosts-sdl
hosts-deps: ready
	@$(HAVE_HOSTS) || { $(SUDO) apt-get update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(HOST_PACKAGES); }
hosts: hosts-deps
	@$(MAKE) -s BUILD=$(BUILD) all luajit $(HOST_DIR)/godot/libcornu_godot.so $(HOST_DIR)/sdl/forage
# Each runs without a screen, and what it prints is judged.
hosts-test: hosts-godot hosts-love hosts-sdl
hosts-godot hosts-love hosts-sdl: hosts-%: hosts
	@sh scripts/hosts/$*/run.sh $(BUILD)

# On the small library: a plugin that brings no other libraries along.
$(HOST_DIR)/godot/libcornu_godot.so: scripts/hosts/godot/cornu_godot.c scripts/hosts/godot/gdnative.h $(BUILD)/libcornu-lite.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -shared -Wl,--gc-sections -Wl,--exclude-libs,ALL -o $@ $< $(BUILD)/libcornu-lite.a $(LITE_LIBS)
SDL_HOST := $(wildcard scripts/hosts/sdl/*.c)
$(HOST_DIR)/sdl/forage: $(SDL_HOST) $(wildcard scripts/hosts/sdl/*.h) $(BUILD)/libcornu-lua5.4.a $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(shell $(PKG) --cflags sdl2) $(LUA_CFLAGS) -o $@ $(SDL_HOST) $(BUILD)/libcornu-lua5.4.a $(BUILD)/libcornu.a \
	  $(LIBS) $(LUA_LIBS) $(shell $(PKG) --libs sdl2)
