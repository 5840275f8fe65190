#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The mutants of tests/mutants: each patch applies to the sources of today, and each rule of "vfiomig check" that is tested has
# a mutant, or a reason why it has none.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

check "shim.patch applies" tests/mutants/build --sources "$work/src"
for patch in tests/mutants/*/*.patch; do
	rule=$(echo "${patch#tests/mutants/}" | sed 's/\.patch$//; s/+.*//; s|/|.|')
	echo "$rule" >>"$work/mutants"
	kind=$(tests/mutants/kind "$patch")
	said=$(patch --dry-run -p1 -F1 -d "$work/src/$kind" <"$patch") ||
		echo "$patch does not apply: $said" >>"$work/stale"
done
check "each mutant applies" sh -c "! cat '$work/stale'"

build/vfiomig check --list --json >"$work/list"
jq -r '.rules[] | select(.not_tested == null) | .id' "$work/list" | sort >"$work/tested"
jq -r '.rules[] | select(.not_tested == null and .level != "info") | .id' "$work/list" | sort >"$work/judged"
sed '/^#/d; s/ .*//' tests/mutants/none | sort >"$work/none"
sort -u "$work/mutants" "$work/none" >"$work/known"
check "each must and each should that is tested has a mutant, or a reason in tests/mutants/none" \
	sh -c "! comm -23 '$work/judged' '$work/known' | grep ."
check "each mutant is one of a rule that is tested" sh -c "! comm -13 '$work/tested' '$work/known' | grep ."
check "what has a mutant has no reason" sh -c "sort -u '$work/mutants' | comm -12 - '$work/none' | { ! grep .; }"
check "a reason is more than a word" sh -c "! sed '/^#/d' tests/mutants/none | grep -v '^[^ ]* .* '"

finish
