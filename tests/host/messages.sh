#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each message of the library and of the program has its words in a test, which fails if they change.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# No test can bring these about: libzstd that fails at work, a context that cannot be made after the dynamic linker has had its
# descriptors, and metadata that are larger than all of their limits.
cat >"$work/known" <<END
cannot begin: %s
compression failed: %s
the image's metadata are too large
END
perl tests/host/unquoted.pl >"$work/unquoted"
check "those that no test can bring about are as they are listed" sh -c \
	"sed 's/^[^ ]* //' '$work/unquoted' | grep -x -F -f '$work/known' | sort | diff '$work/known' -"
grep -v -F -f "$work/known" "$work/unquoted" >"$work/bad"
check "each other message is in a test" sh -c "! grep . '$work/bad'"

finish
