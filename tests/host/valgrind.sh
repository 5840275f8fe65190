#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run the holder's loop under valgrind, with the peers that are the fuzzer's seeds and some that the fuzzer finds.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

tests/fuzz/seeds "$work/seeds"
build/fuzz/holder -seed=2 -max_total_time=3 -max_len=512 "$work/seeds/holder" >"$work/log" 2>&1
find "$work/seeds/holder" -type f | sort | head -n 100 >"$work/inputs"
check "some peers" test "$(wc -l <"$work/inputs")" -gt 20
check "no error, no leak, no descriptor" xargs -a "$work/inputs" valgrind -q --leak-check=full \
	--show-leak-kinds=all --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=9 build/valgrind/holder

finish
