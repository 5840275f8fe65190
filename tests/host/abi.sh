#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Programs and libraries of different versions: a program that was built with today's header runs with a library whose
# structures have one field more, and a program built with that one's header runs with today's library.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# What make was told above it is not told here.
unset MAKEFLAGS MAKELEVEL MFLAGS
today=$(realpath "${VFIOMIG_BUILD:-build}")

# The next version: one field more at the end of each structure that grows. Descriptors come in pairs, because no structure
# may end with padding.
mkdir "$work/next" "$work/next/cli"
cp -R lib Makefile "$work/next"
sed -i -e 's/^\tconst char \*device;$/&\n\tuint64_t added_option;/' \
	-e '/^struct vfiomig_fds {/,/^};/s/^};/\tint added_fd, other_fd;\n};/' \
	-e 's/.container = -1 }/.container = -1, .added_fd = -1, .other_fd = -1 }/' \
	-e '/^struct vfiomig_pci_id {/,/^};/s/^};/\tuint64_t added_number;\n};/' \
	-e 's/^\tchar doubtful\[256\];$/&\n\tuint64_t added_result;/' "$work/next/lib/vfiomig.h"
check "the next version's header has four fields more" test "$(grep -c '^	.*added_.*;' "$work/next/lib/vfiomig.h")" -eq 4
check "the next version's library" make -s -C "$work/next" CFLAGS=-O0 build/libvfiomig.so

cat >"$work/program.c" <<'END'
/* program OPTION: pack standard input to standard output, and tell what the result says. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vfiomig.h>

/* What comes of descriptors that are no device. */
static void look_at_device(struct vfiomig_ctx *ctx)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	struct vfiomig_device *dev;
	int null = open("/dev/null", O_RDWR);

	fprintf(stderr, "without a device: %s\n",
		vfiomig_device_from_fds(ctx, &fds, &dev) == -EINVAL ? "EINVAL" : vfiomig_get_error(ctx));
#ifdef NEXT
	fds.added_fd = null;
	fprintf(stderr, "an added descriptor: %s\n",
		vfiomig_device_from_fds(ctx, &fds, &dev) == -E2BIG ? "E2BIG" : vfiomig_get_error(ctx));
#endif
	close(null);
}

int main(int argc, char **argv)
{
	struct {
		struct vfiomig_result result;
		uint64_t behind[4];
	} r = { VFIOMIG_RESULT_INIT, { 1, 2, 3, 4 } };
	struct vfiomig_options options = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_ctx *ctx;
	int err;

	if (vfiomig_new(&ctx))
		return 2;
	options.level = 1;
	fprintf(stderr, "%s %d.%d.%d %s\n", VFIOMIG_VERSION, VFIOMIG_VERSION_MAJOR, VFIOMIG_VERSION_MINOR,
		VFIOMIG_VERSION_PATCH, vfiomig_version());
	look_at_device(ctx);
#ifdef NEXT
	options.added_option = argc > 1 ? atoi(argv[1]) : 0;
	r.result.added_result = 77;
#else
	(void)argc;
	(void)argv;
#endif
	err = vfiomig_pack(ctx, STDIN_FILENO, STDOUT_FILENO, &options, &r.result);
	fprintf(stderr, "%s, %" PRIu64 " bytes, complete %d, before %d\n",
		err == -E2BIG ? "E2BIG" : err ? "failed" : "done", r.result.bytes, r.result.complete,
		r.result.before);
	fprintf(stderr, "%s\n", vfiomig_get_error(ctx));
#ifdef NEXT
	fprintf(stderr, "added %" PRIu64 "\n", r.result.added_result);
#endif
	for (int i = 0; i < 4; i++)
		if (r.behind[i] != i + 1u)
			return 3;
	if (r.result.size != sizeof(r.result))
		return 4;
	vfiomig_unref(ctx);
	return err ? 1 : 0;
}
END

# build NAME BUILD HEADERS FLAG...
build() {
	name=$1 libs=$2 headers=$3
	shift 3
	check "the $name" gcc -Wall -Wextra -Werror "-I$headers" "$@" -o "$work/$name" "$work/program.c" "-L$libs" -lvfiomig
}
build "program of today" "$today" lib
build "program of the next version" "$work/next/build" "$work/next/lib" -DNEXT

# run STATUS BUILD PROGRAM [OPTION]
run() {
	want=$1 libs=$2
	shift 2
	program=$1
	shift
	yes | head -c 100000 >"$work/state"
	LD_LIBRARY_PATH=$libs "$work/$program" "$@" <"$work/state" >"$work/image" 2>"$work/said"
	check "$program${1:+ (option $1)} with $libs ends with $want" test $? -eq "$want"
}
done='done, 100000 bytes, complete 1, before -1'

run 0 "$today" "program of today"
check "it is done" grep -qx "$done" "$work/said"
check "descriptors are understood" grep -qx 'without a device: EINVAL' "$work/said"
version=$(sed -n 's/^VERSION = //p' Makefile)
check "the version of the Makefile, the header and the library" grep -qxF "$version $version $version" "$work/said"
check "which the header cannot have otherwise" sh -c "! make -s -C '$work/next' VERSION=$version.1 B=other \
	other/lib/ctx.o"
run 0 "$work/next/build" "program of today"
check "the next version's library serves it" grep -qx "$done" "$work/said"
check "descriptors are understood" grep -qx 'without a device: EINVAL' "$work/said"
check "with the options that it gave" zstd -tq "$work/image"
check "which make the image small" test "$(stat -c %s "$work/image")" -lt 2000

run 0 "$work/next/build" "program of the next version" 1
check "a program of the next version with its own library" grep -qx "$done" "$work/said"
run 0 "$today" "program of the next version" 0
check "today's library serves it" grep -qx "$done" "$work/said"
check "descriptors are understood, and what it does not know is -1" grep -qx 'without a device: EINVAL' "$work/said"
check "a descriptor that it does not know is refused" grep -qx 'an added descriptor: E2BIG' "$work/said"
check "what it does not know is 0 in the result" grep -qx 'added 0' "$work/said"
run 1 "$today" "program of the next version" 1
check "an option that it does not know is refused" grep -q '^E2BIG, 0 bytes, complete 0, before -1$' "$work/said"
check "with a sentence" grep -q '^struct vfiomig_options has a member that is newer than this libvfiomig (' "$work/said"
check "and nothing is written" test ! -s "$work/image"

finish
