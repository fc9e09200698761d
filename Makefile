# The front door; the work is done by meson and ninja in $(BUILD).
#
#   make            the programs, in build/bin
#   make demo       a small service behind sslserver, fetched with curl
#   make check      every test; last line: N passed, M failed, K skipped
#   make install    programs, manual, users (prefix=, DESTDIR=)
#   make bench      CPU time per connection beside tcpserver; rule tables
#   make fuzz       the boundary parsers under libFuzzer (FUZZ_SECONDS=)
#
# Missing packages are installed when root, else the command is printed.
# Meson options: make MESON_ARGS=-Dnursery=dynamic (first call, or after
# make distclean).

BUILD = build
MESON_ARGS =
FUZZ_SECONDS = 20
prefix =
DESTDIR =

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/deps build
	@meson setup $(BUILD) $(MESON_ARGS)

demo:
	@tools/deps demo
	@$(MAKE) --no-print-directory all
	@tools/demo $(BUILD)/bin

check:
	@tools/deps check
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dtests=true
	@tests/check $(BUILD)

install: $(BUILD)/build.ninja
	@$(if $(prefix),meson configure $(BUILD) --prefix=$(prefix))
	@ninja -C $(BUILD)
	@DESTDIR='$(DESTDIR)' meson install -C $(BUILD) --no-rebuild
	@$(if $(DESTDIR),:,tools/users)

bench:
	@tools/deps bench
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@meson configure $(BUILD) -Dbench=true
	@ninja -C $(BUILD)
	@bench/run $(BUILD)
	@bench/rules $(BUILD)

fuzz:
	@tools/deps fuzz
	@tests/fuzz/run $(BUILD)-fuzz $(FUZZ_SECONDS)

clean:
	@if [ -f $(BUILD)/build.ninja ]; then ninja -C $(BUILD) clean; fi

distclean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-clang $(BUILD)-gcc \
	    $(BUILD)-fuzz

.PHONY: all demo check install bench fuzz clean distclean
