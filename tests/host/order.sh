#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The files in cli/ have an order, which is a list in a comment of cli.h: a file includes only headers of files before it.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

sed -n '/^ \*\tstatus,/,/main$/s/^ \*\t//p' cli/cli.h | sed 's/ (this header)//' | tr -d '\n' | tr ',' '\n' | tr -d ' ' >"$work/order"
echo >>"$work/order"
for file in cli/*.c; do
	basename "$file" .c
done | sort >"$work/files"
check "the list has all files" sh -c \
	"grep -v -x -e commands/ -e cli '$work/order' | sort | diff - '$work/files'"

for file in cli/*.[ch] cli/commands/*.c; do
	name=${file#cli/}
	[ "$name" = "${name#commands/}" ] && name=${name%.?} || name=commands/
	sed -n "s|^#include \"\(.*\)\.h\"|$name \1 $file|p" "$file"
done >"$work/includes"
check "there are includes" grep -q '^transfer options cli/transfer.c$' "$work/includes"
awk 'NR == FNR { place[$1] = NR; next }
	$2 in place && (place[$2] > place[$1] || !($1 in place))' "$work/order" "$work/includes" >"$work/bad"
check "each file includes only headers of files before it" sh -c "! grep . '$work/bad'"

finish
