# Programs that Cornu is embedded in. They need packages beyond Cornu's own.
HOST_PACKAGES := godot3-server love xvfb xauth
HAVE_HOSTS := sh -c 'command -v godot3-server love Xvfb xauth >/dev/null'
HOSTS    := $(BUILD)/hosts

.PHONY: hosts hosts-deps hosts-test hosts-godot hosts-love
hosts-deps: ready
	@$(HAVE_HOSTS) || { $(SUDO) apt-get update && \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $(HOST_PACKAGES); }
hosts: hosts-deps
	@$(MAKE) -s BUILD=$(BUILD) all luajit $(HOSTS)/godot/libcornu_godot.so
# Each runs without a screen, and what it prints is judged.
hosts-test: hosts-godot hosts-love

$(HOSTS)/godot/libcornu_godot.so: scripts/hosts/godot/cornu_godot.c scripts/hosts/godot/gdnative.h $(BUILD)/libcornu.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -shared -o $@ $< $(BUILD)/libcornu.a $(LIBS)
hosts-godot: hosts
	@sh scripts/hosts/godot/run.sh $(BUILD)
hosts-love: hosts
	@sh scripts/hosts/love/run.sh $(BUILD)
