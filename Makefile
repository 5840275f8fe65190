# SPDX-License-Identifier: GPL-2.0-or-later
VERSION = 0.1.0
SOVERSION = 0

prefix = /usr/local
bindir = $(prefix)/bin
libdir = $(prefix)/lib
includedir = $(prefix)/include
datadir = $(prefix)/share
mandir = $(datadir)/man
bashcompdir = $(datadir)/bash-completion/completions
zshcompdir = $(datadir)/zsh/site-functions
fishcompdir = $(datadir)/fish/vendor_completions.d
unitdir = $(prefix)/lib/systemd/system
DESTDIR =

ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS ?= -O2 -g
CLANG_FORMAT = clang-format
PKG_CONFIG ?= pkg-config
LIB_PKGS = libkmod libzstd libxxhash
CLI_PKGS = json-c libpci libxxhash
# libunistring has no file for pkg-config.
LIB_LIBS = $(shell $(PKG_CONFIG) --libs $(LIB_PKGS)) -lunistring
CLI_LIBS = $(shell $(PKG_CONFIG) --libs $(CLI_PKGS)) -lunistring

B = build
comma = ,

# CC, CPPFLAGS, CFLAGS and LDFLAGS belong to the user, who sets them in the environment or on the command line. They come
# after the project's own flags. WERROR=1 makes warnings errors, for the project's own checks.
WARN = -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes \
	-Wwrite-strings -Wshadow -Wvla -Wformat=2 -Wno-psabi
OWN_CFLAGS = -std=gnu17 $(WARN) $(if $(filter 1,$(WERROR)),-Werror) -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64 \
	-DVERSION='"$(VERSION)"' -Ilib -MMD -MP

# The hardening flags that this compiler accepts together with the user's flags. HARDENING= switches all of them off.
HARDENING = $(eval HARDENING := $$(fortify) $$(foreach flag,$$(HARDENING_CFLAGS),$$(call accepted,$$(flag))) \
	-pie -Wl,-z,relro -Wl,-z,now)$(HARDENING)
HARDENING_CFLAGS = -fstack-protector-strong -fstack-clash-protection -fcf-protection -mbranch-protection=standard -fPIE
accepted = $(shell $(CC) -Werror $(1) $(filter-out --coverage -ftest-coverage,$(CPPFLAGS) $(CFLAGS)) \
	-x c -c -o /dev/null /dev/null 2>/dev/null && echo '$(1)')
# _FORTIFY_SOURCE needs optimisation. A second definition with another value would be a warning.
fortify = $(if $(shell $(CC) $(CPPFLAGS) $(CFLAGS) -dM -E -x c /dev/null 2>/dev/null | grep __OPTIMIZE__), \
	$(call accepted,-D_FORTIFY_SOURCE=2))

# BASE_CFLAGS are for programs under the sanitizers, which do not work together with hardening.
BASE_CFLAGS = $(OWN_CFLAGS) $(CPPFLAGS) $(CFLAGS)
ALL_CFLAGS = $(filter-out -pie -Wl%,$(HARDENING)) $(BASE_CFLAGS)
ALL_LDFLAGS = $(filter -pie -Wl%,$(HARDENING)) $(LDFLAGS)

# The library has a folder for each responsibility, and the command line one for its commands.
LIB_SOURCES = $(wildcard lib/*.c lib/*/*.c)
CLI_SOURCES = $(wildcard cli/*.c cli/*/*.c check/*.c)
LIB_OBJS = $(LIB_SOURCES:%.c=$(B)/%.o)
CLI_OBJS = $(CLI_SOURCES:%.c=$(B)/%.o)
SONAME = libvfiomig.so.$(SOVERSION)

UNIT = vfiomig-hold@.service

all: $(B)/vfiomig $(B)/libvfiomig.so $(B)/libvfiomig.pc $(B)/$(UNIT)

$(B)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden $(shell $(PKG_CONFIG) --cflags $(LIB_PKGS)) -c -o $@ $<

$(B)/cli/%.o: cli/%.c
	@mkdir -p $(@D)
	$(CC) -Icli -Icheck $(ALL_CFLAGS) $(shell $(PKG_CONFIG) --cflags $(CLI_PKGS)) -c -o $@ $<

$(B)/check/%.o: check/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(shell $(PKG_CONFIG) --cflags $(LIB_PKGS)) -c -o $@ $<

$(B)/$(SONAME): $(LIB_OBJS) lib/libvfiomig.sym
	$(CC) $(ALL_CFLAGS) -fPIC $(filter-out -pie,$(ALL_LDFLAGS)) -shared -pthread -Wl,-soname,$(SONAME) \
		-Wl,--version-script=lib/libvfiomig.sym -Wl,--no-undefined \
		-o $@ $(LIB_OBJS) $(LIB_LIBS)

$(B)/libvfiomig.so: $(B)/$(SONAME)
	ln -sf $(SONAME) $@

# The program finds its library in the directory in which it is.
$(B)/vfiomig: $(CLI_OBJS) $(B)/libvfiomig.so
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $(CLI_OBJS) -L$(B) -lvfiomig \
		-Wl,-rpath,'$$ORIGIN' $(CLI_LIBS)

# Make this file each time, because the directories may have changed.
$(B)/libvfiomig.pc: lib/libvfiomig.pc.in FORCE
	sed 's|@prefix@|$(prefix)|; s|@libdir@|$(libdir)|; s|@includedir@|$(includedir)|; s|@version@|$(VERSION)|' $< > $@

$(B)/$(UNIT): packaging/$(UNIT).in FORCE
	sed 's|@bindir@|$(bindir)|' $< > $@

# ---- The driver: for the running kernel, or for another's KDIR -----------

KDIR = /lib/modules/$(shell uname -r)/build

DRIVER_SOURCES = $(filter-out %.mod.c,$(wildcard driver/*.[ch])) driver/Kbuild

# Build in a directory of links, so that the source directory stays clean.
driver:
	@test -d $(KDIR) || { echo "no headers of this kernel ($(KDIR)); install them, or set KDIR=" >&2; exit 1; }
	@mkdir -p $(B)/driver
	@ln -sf $(abspath $(DRIVER_SOURCES)) $(B)/driver/
	$(MAKE) -C $(KDIR) M=$(abspath $(B)/driver) IVSHMEM_VFIO_VERSION=$(VERSION) modules

# ---- Tests ---------------------------------------------------------------

# Use all processors, unless the caller has said how many.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

DEPS = tests/deps

deps:
	@$(DEPS)

UNIT_TESTS = $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/*.c))
GUEST_PROGRAMS = $(patsubst tests/guest/%.c,$(B)/tests/guest/%,$(wildcard tests/guest/*.c))
HOST_PROGRAMS = $(patsubst tests/host/%.c,$(B)/tests/host/%,$(wildcard tests/host/*.c)) $(B)/tests/host/emulate.so

# The library is built once more for the unit tests: with its internal functions visible, and under the sanitizers.
SANITIZE = -U_FORTIFY_SOURCE -fsanitize=address,undefined -fno-sanitize-recover=all
SANITIZED_OBJS = $(LIB_SOURCES:lib/%.c=$(B)/sanitized/%.o)

$(B)/sanitized/%.o: lib/%.c
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(SANITIZE) $(shell $(PKG_CONFIG) --cflags $(LIB_PKGS)) -c -o $@ $<

$(B)/libsanitized.a: $(SANITIZED_OBJS)
	$(AR) rcs $@ $(SANITIZED_OBJS)

$(B)/tests/unit/%: tests/unit/%.c $(B)/libsanitized.a
	@mkdir -p $(@D)
	$(CC) $(BASE_CFLAGS) $(SANITIZE) -I$(@D) $(LDFLAGS) $(WRAP:%=-Wl$(comma)--wrap=%) -o $@ $< \
		$(B)/libsanitized.a $(LIB_LIBS) $(shell $(PKG_CONFIG) --libs cmocka)

# This test has an allocator of its own, so that the allocations of other libraries can fail as well.
$(B)/tests/unit/memory: tests/unit/memory.c $(LIB_OBJS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) $(WRAP:%=-Wl$(comma)--wrap=%) -o $@ $< $(LIB_OBJS) \
		$(LIB_LIBS) $(shell $(PKG_CONFIG) --libs cmocka) -pthread

# The functions that a test replaces. With 64-bit offsets the C library's open() is open64(), and so on.
$(B)/tests/unit/apart: WRAP = syscall fork kill prctl ctx_note_failure
$(B)/tests/unit/atonce: WRAP = ioctl open64 close descriptors_close_others pthread_create
$(B)/tests/unit/background: WRAP = fork kill syscall open64
$(B)/tests/unit/bind: WRAP = step_write stat64 open64 readlinkat now_ns
$(B)/tests/unit/bindfail: WRAP = step_write geteuid mkdirat kmod_module_probe_insert_module
$(B)/tests/unit/bindmem: WRAP = step_write malloc calloc reallocarray strdup kmod_new
$(B)/tests/unit/borrow: WRAP = ioctl syscall
$(B)/tests/unit/device: WRAP = ioctl
$(B)/tests/unit/faults: WRAP = frame_encoder_new frame_decoder_new read pread64 lseek64 writev now_ns malloc calloc aligned_alloc pthread_create \
	pthread_mutex_init pthread_mutex_destroy eventfd sched_getaffinity sysconf ZSTD_compress2 ZSTD_createCCtx ZSTD_createDCtx XXH3_createState XXH64_createState XXH64_update
$(B)/tests/unit/held: WRAP = ioctl now_ns geteuid getsockopt
$(B)/tests/unit/identity: WRAP = statx stat64
$(B)/tests/unit/lock: WRAP = close fchmod flock
$(B)/tests/unit/look: WRAP = readlinkat openers_look openers_look_back
$(B)/tests/unit/memory: WRAP = ioctl kmod_new
$(B)/tests/unit/nodes: WRAP = statx
$(B)/tests/unit/open $(B)/tests/unit/refusal: WRAP = ioctl open64 faccessat geteuid
$(B)/tests/unit/patience: WRAP = now_ns pthread_create
$(B)/tests/unit/probe: WRAP = ioctl close syscall
$(B)/tests/unit/pipeline: WRAP = malloc aligned_alloc free
$(B)/tests/unit/precopy: WRAP = ioctl read pipeline_prepare
$(B)/tests/unit/refused: WRAP = ioctl pread64 pwrite64
$(B)/tests/unit/sentences: WRAP = ioctl
$(B)/tests/unit/serve: WRAP = ioctl now_ns socket bind listen accept4 getsockopt fork eventfd
$(B)/tests/unit/sleep: WRAP = read pread64 writev clock_gettime pthread_create
$(B)/tests/unit/together: WRAP = ioctl writev vfiomig_device_owner_runs pipeline_prepare
$(B)/tests/unit/transfer: WRAP = ioctl
$(B)/tests/unit/untrue: WRAP = ioctl now_ns read write writev vfiomig_device_owner_runs

$(B)/tests/unit/kernel_fsm: $(B)/tests/unit/vfio_mig_get_next_state.inc

$(B)/tests/unit/vfio_mig_get_next_state.inc:
	@mkdir -p $(@D)
	sed -n '/^int vfio_mig_get_next_state/,/^}/p' "$$(tests/guest/kernel stock)/vfio_main.c" >$@

# Libraries for LD_PRELOAD.
$(B)/tests/guest/nomemory $(B)/tests/host/emulate.so: HARDENING = -fPIC -shared

$(B)/tests/guest/%: tests/guest/%.c $(B)/libvfiomig.so
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -L$(B) -lvfiomig -Wl,-rpath,'$$ORIGIN/../..' -lxxhash

# libkmod reads the signatures of modules with libcrypto, and vfiomig never asks for them. But whenever vfiomig starts, the
# dynamic linker needs four times as long with it, which is felt in a guest. So most guests have a libcrypto that does nothing.
$(B)/guest/libcrypto.so.3: tests/guest/libcrypto
	@mkdir -p $(@D)
	tests/guest/libcrypto $@ $(CC)

# The software of the virtual machine in tests/guest/client.sh. The processor begins in the last bytes of its first 4 GiB.
$(B)/guest/firmware: tests/guest/firmware.S
	@mkdir -p $(@D)
	$(CC) -m32 -nostdlib -static -Wl,--build-id=none,-e,0xffff0000,-Ttext=0xffff0000,--oformat=binary -o $@ $<

# The library is built once more for the fuzzer, which belongs to clang.
FUZZ_CC = clang
FUZZ_SECONDS = 60
FUZZ_SANITIZE = -U_FORTIFY_SOURCE -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FUZZ_OBJS = $(LIB_SOURCES:%.c=$(B)/fuzz/%.o)

$(B)/fuzz/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CFLAGS) $(FUZZ_SANITIZE) $(shell $(PKG_CONFIG) --cflags $(LIB_PKGS)) -c -o $@ $<

FUZZ_TARGETS = image restore header holder records
FUZZ_PROGRAMS = $(FUZZ_TARGETS:%=$(B)/fuzz/%)

$(B)/fuzz/%.o: tests/fuzz/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CFLAGS) -Icli $(FUZZ_SANITIZE) -c -o $@ $<

$(B)/fuzz/cli/%.o: cli/%.c
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CFLAGS) $(FUZZ_SANITIZE) -c -o $@ $<

$(B)/fuzz/image $(B)/fuzz/restore: $(B)/fuzz/mutate.o
$(B)/fuzz/header: $(patsubst %,$(B)/fuzz/cli/%.o,json message printable rundir further status)
$(B)/fuzz/header: FUZZ_LIBS = $(shell $(PKG_CONFIG) --libs json-c)
$(B)/fuzz/restore $(B)/fuzz/holder: FUZZ_WRAP = ioctl
# This target includes the source of the holder.
$(B)/fuzz/holder: FUZZ_WITHOUT = $(B)/fuzz/lib/holder/holder.o

$(FUZZ_PROGRAMS): $(B)/fuzz/%: $(B)/fuzz/%.o $(FUZZ_OBJS)
	$(FUZZ_CC) $(BASE_CFLAGS) $(FUZZ_SANITIZE) -fsanitize=fuzzer $(LDFLAGS) $(FUZZ_WRAP:%=-Wl$(comma)--wrap=%) -o $@ \
		$(filter-out $(FUZZ_WITHOUT),$(filter %.o,$^)) $(LIB_LIBS) $(FUZZ_LIBS) -pthread

# The program for valgrind: the holder, which gets the inputs that the fuzzer begins with and has found.
$(B)/valgrind/holder: tests/fuzz/holder.c tests/fuzz/replay.c $(LIB_OBJS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--wrap=ioctl -o $@ $(filter %.c,$^) \
		$(filter-out $(B)/lib/holder/holder.o,$(LIB_OBJS)) $(LIB_LIBS) -pthread

BENCH_PROGRAMS = $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(wildcard tests/bench/*.c))

$(B)/tests/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $< -pthread

$(B)/tests/bench/fast: tests/bench/fast.c $(LIB_OBJS)
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -Wl,--wrap=ioctl -Wl,--wrap=read -o $@ $< $(LIB_OBJS) $(LIB_LIBS) -pthread

$(B)/tests/host/emulate.so: $(wildcard tests/host/emulate/*)
	@mkdir -p $(@D)
	$(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(ALL_LDFLAGS) -o $@ $(filter %.c,$^)

$(B)/tests/host/%: tests/host/%.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $@ $<

unit-tests: $(UNIT_TESTS)

guest-programs: $(GUEST_PROGRAMS)

tests: all unit-tests $(GUEST_PROGRAMS) $(B)/guest/libcrypto.so.3 $(B)/guest/firmware $(HOST_PROGRAMS) $(FUZZ_PROGRAMS) $(B)/valgrind/holder

check: deps
	@$(SUBMAKE) -s WERROR=1 tests
	@tests/check

# Run the two commands of README.md, and the test of the packages, in a newly installed Debian of each suite.
check-fresh:
	@tests/deps fresh
	@for suite in bookworm trixie; do \
		tests/fresh $$suite make demo && tests/fresh $$suite make check && tests/fresh $$suite tests/packages || exit; \
	done

NEWEST_KERNEL = $(shell tests/guest/kernel --newest)

# Run the driver's tests on kernels with KASAN, lockdep and kmemleak.
DEBUG_KERNELS = debug debug-$(NEWEST_KERNEL)
DEBUG_TESTS = boot arcs session stream craft reset roundtrip precopy huge faults hostile stress stress-decode

check-debug: deps
	@$(SUBMAKE) -s WERROR=1 tests
	@tests/check $(foreach kernel,$(DEBUG_KERNELS),$(DEBUG_TESTS:%=guest/t-%@$(kernel)))

# Test whether "vfiomig check" finds the drivers that break one rule each (tests/mutants/README.md). RULES names a part.
RULES = *

check-mutants: deps
	@$(SUBMAKE) -s WERROR=1 all $(GUEST_PROGRAMS) $(B)/guest/libcrypto.so.3
	@set -f; tests/mutants/run $(RULES)

# Record the terminal session in README.md again. tests/guest/t-readme.sh has its commands.
readme: deps
	@$(SUBMAKE) -s tests
	@for file in README.md man/vfiomig-check.1; do \
		eval "$$(sed -n 's/^# env: *//p' tests/guest/t-readme.sh)" && export GUEST_FILES && \
		tests/guest/run -m 16M -m 16M -s 600 tests/guest/t-readme.sh print $${file##*/} >$(B)/session && \
		cp $(B)/session $$file || exit; \
	done

# Run the host tests under the sanitizers. Unit tests always run under ASan and UBSan, so only TSan runs them here. TSan needs
# a memory layout that some kernels have only without randomization.
EMULATED_TESTS = $(patsubst tests/%.sh,%,$(filter-out %-valgrind.sh,$(wildcard tests/host/emulated*.sh)))
ASAN_B = $(B)/asan
TSAN_B = $(B)/tsan
# But for the test that has an allocator of its own.
TSAN_TESTS = $(filter-out %/memory,$(UNIT_TESTS:$(B)/%=$(TSAN_B)/%))

check-asan: deps
	@$(SUBMAKE) -s WERROR=1 B=$(ASAN_B) CFLAGS="-O1 -g $(SANITIZE)" all
	@$(SUBMAKE) -s WERROR=1 $(HOST_PROGRAMS)
	@VFIOMIG_BUILD=$(ASAN_B) tests/check host/image host/sets host/format host/usage $(EMULATED_TESTS)

check-tsan: deps
	@$(SUBMAKE) -s WERROR=1 B=$(TSAN_B) CFLAGS="-O1 -g -U_FORTIFY_SOURCE -fsanitize=thread" SANITIZE= all unit-tests
	@for test in $(TSAN_TESTS); do setarch -R $$test || exit; done
	@VFIOMIG_BUILD=$(TSAN_B) setarch -R tests/check host/image host/sets host/format host/usage

# QEMU of Debian 13, and the newer one of its backports, as the client of the driver. Debian's own kernels have no bitmap for
# DMA logging, which QEMU needs.
QEMU_TESTS = guest/client@cdev guest/client@$(NEWEST_KERNEL)

check-qemu: deps
	@$(SUBMAKE) -s WERROR=1 tests
	@for suite in trixie trixie-backports; do QEMU_SUITE=$$suite tests/check $(QEMU_TESTS) || exit; done

coverage: deps
	@tests/coverage

# These tests take too long for every day: they do many more of the same, with other seeds each time, or the same on a kernel
# that differs in nothing that they look at.
LONG_DEBUG_TESTS = faults hostile stress stress-decode
LONG_TESTS = $(foreach kernel,$(DEBUG_KERNELS),$(LONG_DEBUG_TESTS:%=guest/t-%@$(kernel)+long)) \
	guest/t-signals+long guest/t-signals@cdev+long guest/t-inject+long guest/t-inject@cdev+long \
	guest/t-destinations@cdev+long guest/t-roundtrip+long guest/t-set@cdev+long guest/t-bind@6.1 guest/t-stream@6.1 \
	guest/t-set@$(NEWEST_KERNEL) host/writers@$(NEWEST_KERNEL) host/doorbell host/doorbell@6.1 \
	$(REPEATED:%=guest/t-%) $(REPEATED_CDEV:%=guest/t-%@cdev) $(QEMU_TESTS)
REPEATED = arcs bind destinations json live precopy process refused reset status
REPEATED_CDEV = claimed craft hold image migrate noiommu precopy process refused reset session stream via

check-long: deps
	@$(SUBMAKE) -s WERROR=1 tests
	@tests/check $(LONG_TESTS)

demo: deps
	@$(SUBMAKE) -s tests
	@tests/demo

fuzz: deps
	@$(SUBMAKE) -s all $(FUZZ_PROGRAMS)
	@tests/fuzz/run $(FUZZ_SECONDS)

bench: deps
	@$(SUBMAKE) -s all $(GUEST_PROGRAMS) $(B)/guest/firmware $(BENCH_PROGRAMS)
	@tests/bench/run

# ---- Installation ---------------------------------------------------------

MAN_SECTIONS = 1 3 4 5

# The program needs no path to a library that is where the dynamic linker looks anyway.
RPATH = $(if $(filter /usr/lib%,$(libdir)),,-Wl,-rpath,$(libdir))

install: all
	$(CC) $(ALL_CFLAGS) $(ALL_LDFLAGS) -o $(B)/vfiomig.installed $(CLI_OBJS) -L$(B) \
		-lvfiomig $(RPATH) $(CLI_LIBS)
	install -D -m 755 $(B)/vfiomig.installed $(DESTDIR)$(bindir)/vfiomig
	install -D -m 644 $(B)/$(SONAME) $(DESTDIR)$(libdir)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(libdir)/libvfiomig.so
	install -D -m 644 lib/vfiomig.h $(DESTDIR)$(includedir)/vfiomig.h
	install -D -m 644 $(B)/libvfiomig.pc $(DESTDIR)$(libdir)/pkgconfig/libvfiomig.pc
	install -d $(MAN_SECTIONS:%=$(DESTDIR)$(mandir)/man%)
	$(foreach s,$(MAN_SECTIONS),install -m 644 man/*.$(s) $(DESTDIR)$(mandir)/man$(s) &&) :
	install -D -m 644 completions/vfiomig.bash $(DESTDIR)$(bashcompdir)/vfiomig
	install -D -m 644 completions/_vfiomig $(DESTDIR)$(zshcompdir)/_vfiomig
	install -D -m 644 completions/vfiomig.fish $(DESTDIR)$(fishcompdir)/vfiomig.fish
	install -D -m 644 $(B)/$(UNIT) $(DESTDIR)$(unitdir)/$(UNIT)

uninstall:
	rm -f $(DESTDIR)$(bindir)/vfiomig $(DESTDIR)$(libdir)/$(SONAME) \
		$(DESTDIR)$(libdir)/libvfiomig.so $(DESTDIR)$(includedir)/vfiomig.h \
		$(DESTDIR)$(libdir)/pkgconfig/libvfiomig.pc \
		$(foreach s,$(MAN_SECTIONS),$(patsubst man/%,$(DESTDIR)$(mandir)/man$(s)/%,$(wildcard man/*.$(s)))) \
		$(DESTDIR)$(bashcompdir)/vfiomig $(DESTDIR)$(zshcompdir)/_vfiomig \
		$(DESTDIR)$(fishcompdir)/vfiomig.fish $(DESTDIR)$(unitdir)/$(UNIT)

# DKMS builds the driver for each kernel from these sources. It looks for them in a place that does not depend on prefix.
dkms_sources = /usr/src
dkms_tree = /var/lib/dkms
DKMS_MODULE = ivshmem-vfio-pci/$(VERSION)
DKMS_DIR = $(DESTDIR)$(dkms_sources)/$(subst /,-,$(DKMS_MODULE))

install-dkms:
	install -d $(DKMS_DIR)
	install -m 644 $(DRIVER_SOURCES) $(DKMS_DIR)
	sed "s|@version@|$(VERSION)|; s|@newest@|$$(sed -n 's/^newest := //p' driver/Kbuild)|" driver/dkms.conf.in \
		> $(DKMS_DIR)/dkms.conf
	chmod 644 $(DKMS_DIR)/dkms.conf
	@test -n "$(DESTDIR)" || echo "now: dkms install $(DKMS_MODULE)"

# DKMS must remove what it has built, and cannot do that without the sources.
uninstall-dkms:
	@test -n "$(DESTDIR)" || ! test -e $(dkms_tree)/$(DKMS_MODULE) || \
		{ echo "DKMS still has the driver; first: dkms remove $(DKMS_MODULE) --all" >&2; exit 1; }
	rm -rf $(DKMS_DIR)

# ---- Releases ---------------------------------------------------------------

DIST = $(B)/vfiomig-$(VERSION).tar.xz

# The tarball has what is committed, and is the same each time, whatever the user has configured for git.
dist:
	@test -e .git || { echo "make dist packs what git has committed, and this is no git checkout" >&2; exit 1; }
	@test -z "$$(git status --porcelain)" || echo "make: what is not committed is not in the tarball" >&2
	@mkdir -p $(B)
	git -c tar.umask=0022 -c core.autocrlf=false archive --format=tar --prefix=vfiomig-$(VERSION)/ -o $(DIST:.xz=) HEAD
	XZ_DEFAULTS= XZ_OPT= xz -T1 -f $(DIST:.xz=)

# Build Debian packages, for the suite of this machine, in $(B)/deb.
deb:
	@tests/deps program packages
ifneq ($(wildcard .git),)
	@$(SUBMAKE) dist
else # this directory was unpacked from the tarball of make dist
	@mkdir -p $(B)
	tar -cJf $(DIST) --exclude=./$(B) --transform='s|^\.|vfiomig-$(VERSION)|' .
endif
	packaging/build $(DIST) $(B)/deb

# Build and install the packages in a newly installed Debian of each suite.
check-packages:
	@tests/deps fresh
	@for suite in bookworm trixie; do tests/fresh $$suite tests/packages || exit; done

clean:
	rm -rf $(B)

-include $(LIB_OBJS:.o=.d) $(CLI_OBJS:.o=.d) $(SANITIZED_OBJS:.o=.d) \
	$(UNIT_TESTS:=.d) $(GUEST_PROGRAMS:=.d) $(HOST_PROGRAMS:=.d) \
	$(FUZZ_OBJS:.o=.d) $(wildcard $(B)/fuzz/*.d) $(BENCH_PROGRAMS:=.d)

.PHONY: FORCE all driver deps tests unit-tests guest-programs check check-fresh check-debug check-qemu check-long check-mutants check-asan check-tsan coverage \
	check-packages readme demo fuzz bench dist deb install uninstall install-dkms uninstall-dkms clean
.DELETE_ON_ERROR:
