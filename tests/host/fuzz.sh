#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run the fuzz targets on their seeds, on the inputs that "make fuzz" has found so far, and for a short time on new inputs.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

check "seeds" tests/fuzz/seeds "$work/seeds"
for seed in one raw text-z zero-z mixed-z blocks pair triple-z; do
	check "$seed is an image" build/vfiomig inspect --verify "$work/seeds/image/$seed"
done
for target in image restore header holder records; do
	mkdir -p "$work/new-$target" build/fuzz/corpus-$target
	check "$target: replay" build/fuzz/$target -runs=0 -artifact_prefix="$work/" \
		"$work/seeds/$target" build/fuzz/corpus-$target
	# With a fixed seed, an input that fails here fails again.
	check "$target: two seconds more" build/fuzz/$target -seed=1 -max_total_time=2 -max_len=8192 -timeout=30 \
		-dict=tests/fuzz/image.dict -artifact_prefix=build/fuzz/$target- "$work/new-$target" "$work/seeds/$target"
done
# found TARGET: how many inputs it has found
found() {
	find "$work/new-$1" -type f | wc -l
}

# How many inputs are found in a few seconds depends on the machine, so a slow one gets more of them. It must be some.
for target in image restore; do
	for seed in 2 3 4 5 6; do
		[ "$(found $target)" -le 5 ] || break
		build/fuzz/$target -seed=$seed -max_total_time=6 -max_len=8192 -timeout=30 -dict=tests/fuzz/image.dict \
			-artifact_prefix=build/fuzz/$target- "$work/new-$target" "$work/seeds/$target" >"$OUT" 2>&1 || break
	done
done
check "it got past the checksums" test "$(found image)" -gt 5
check "into the device, too" test "$(found restore)" -gt 5

finish
