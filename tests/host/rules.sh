#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The rules of "vfiomig check": what stands in quotation marks is in the comments of the newest kernel's linux/vfio.h, and
# each rule has an ID of its own.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
vfiomig=build/vfiomig

header=$(tests/guest/kernel "$(tests/guest/kernel --newest)")/build/include/uapi/linux/vfio.h
# The text of the comments in one line
sed 's|^[[:blank:]]*\*||; s|^[[:blank:]]*/\*||' "$header" | tr -s '[:space:]' ' ' >"$work/text"
check "the header has a text" grep -q 'STOP_COPY' "$work/text"

$vfiomig check --list --json >"$work/list"
# Each quotation in a line; "..." leaves words out.
jq -r '.rules[].rule' "$work/list" | grep -o '"[^"]*"' | tr -d '"' | sed 's/ *\.\.\. */\n/g' | grep . >"$work/quotations"
check "there are quotations" test "$(wc -l <"$work/quotations")" -gt 40
while read -r words; do
	grep -q -F -e "$words" "$work/text" || echo "$words"
done <"$work/quotations" >"$work/bad"
check "each quotation is in the header" sh -c "! grep . '$work/bad'"

# So many rules has each group.
for group in A:12 B:23 C:10 D:20 E:24 R:21 G:9 H:6 I:23; do
	seq -f "${group%:*}%g" "${group#*:}"
done >"$work/numbers"
check "each number is there" sh -c "jq -r '.rules[].number' '$work/list' | uniq | diff '$work/numbers' -"
check "what is not tested has a reason" sh -c "jq -r '.rules[] | select(.not_tested) | .not_tested' '$work/list' | { ! grep -v '^it '; }"
check "each ID is there once" sh -c "jq -r '.rules[].id' '$work/list' | sort | uniq -d | { ! grep .; }"

finish
