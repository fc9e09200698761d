# The front door; the work is done by meson and ninja in $(BUILD).
#
#   make            the programs, in build/bin
#   make demo       a small service behind sslserver, fetched with curl and sslclient
#   make check      every test, about 10 minutes; last line: N passed, M failed,
#                   K skipped
#   make install    programs, manual, users (prefix=/usr/local, DESTDIR=)
#   make bench      CPU time, memory, speed beside other servers, goals; rule
#                   tables; faults, calls, instructions of a connection: fails
#                   if these are more than in bench/baseline.json.  A quarter
#                   of an hour (bench/readme build/bench-report puts figures
#                   and plot into README.md)
#   make bench-quick  some of that in less than a minute, with build
#   make fuzz       the boundary parsers under libFuzzer (FUZZ_SECONDS=)
#
# Missing packages are installed when root, else the command is printed.
# In a build directory of another user root builds as that user.
# Meson options: make MESON_ARGS=-Dnursery=dynamic (first call, or after
# make distclean).

BUILD = build
MESON_ARGS =
FUZZ_SECONDS = 20
prefix = /usr/local
DESTDIR =

# Enough of them to run sslserver.
servers = bin/sslserver bin/ucspissl-keeper bin/ucspissl-nursery
# What bench/run and bench/counters want besides.
measured = bin/sslhandle bin/tcprules bench/counted bench/load \
    bench/nursery-counted bench/program bench/stream

# To set an option again takes as long as to configure anew.
has_bench = grep -q '^build bench/counted:' $(BUILD)/build.ninja

as_owner = tools/as-owner $(BUILD)
dest = $(abspath $(DESTDIR))

all: $(BUILD)/build.ninja
	@$(as_owner) ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@tools/deps build
	@$(as_owner) meson setup $(BUILD) $(MESON_ARGS)

demo:
	@tools/deps demo
	@$(MAKE) --no-print-directory all
	@tools/demo $(BUILD)/bin

check:
	@tools/deps check
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja
	@$(as_owner) meson configure $(BUILD) -Dtests=true
	@$(as_owner) tools/peers $(BUILD)/peers
	@tests/check $(BUILD)

install: $(BUILD)/build.ninja
	@$(as_owner) meson configure $(BUILD) --prefix='$(prefix)'
	@$(as_owner) ninja -C $(BUILD)
	@DESTDIR='$(dest)' meson install -C $(BUILD) --no-rebuild
	@[ "$$(id -u)" -ne 0 ] || chown -h --reference=$(BUILD) \
	    $(BUILD)/meson-logs/install-log.txt
	@DESTDIR='$(dest)' tools/users

bench:
	@tools/deps bench
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja \
	    MESON_ARGS='$(MESON_ARGS) -Dbench=true'
	@$(has_bench) || $(as_owner) meson configure $(BUILD) -Dbench=true
	@$(as_owner) ninja -C $(BUILD)
	@[ -f $(BUILD)-dynamic/build.ninja ] || $(as_owner) \
	    meson setup $(BUILD)-dynamic $(MESON_ARGS) -Dnursery=dynamic
	@$(as_owner) ninja -C $(BUILD)-dynamic $(servers)
	@bench/counters $(BUILD); worse=$$?; \
	    bench/run $(BUILD) && bench/rules $(BUILD) && exit $$worse

bench-quick:
	@tools/deps bench-quick
	@$(MAKE) --no-print-directory $(BUILD)/build.ninja \
	    MESON_ARGS='$(MESON_ARGS) -Dbench=true'
	@$(has_bench) || $(as_owner) meson configure $(BUILD) -Dbench=true
	@$(as_owner) ninja -C $(BUILD) $(servers) $(measured)
	@bench/counters $(BUILD) --server sslserver; worse=$$?; \
	    bench/run $(BUILD) --quick && exit $$worse

fuzz:
	@tools/deps fuzz
	@tests/fuzz/run $(BUILD)-fuzz $(FUZZ_SECONDS)

clean:
	@if [ -f $(BUILD)/build.ninja ]; then ninja -C $(BUILD) clean; fi

distclean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-clang $(BUILD)-dynamic \
	    $(BUILD)-fuzz $(BUILD)-gcc

.PHONY: all demo check install bench bench-quick fuzz clean distclean
