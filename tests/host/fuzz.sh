#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The fuzz target on its seeds, on what "make fuzz" has found so far, and for a short time on its own.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

mkdir -p "$work/new" build/fuzz/corpus
check "seeds" tests/fuzz/seeds "$work/seeds"
for seed in empty one raw text-z zero-z mixed-z blocks; do
	check "$seed is an image" build/vfiomig inspect --verify "$work/seeds/$seed"
done
check "replay" build/fuzz/image -runs=0 -artifact_prefix="$work/" "$work/seeds" build/fuzz/corpus
# Always the same numbers: what fails here fails again.
check "ten seconds more" build/fuzz/image -seed=1 -max_total_time=10 -max_len=8192 -timeout=30 \
	-dict=tests/fuzz/image.dict -artifact_prefix=build/fuzz/ "$work/new" "$work/seeds"
check "it got past the checksums" sh -c "[ \$(ls '$work/new' | wc -l) -gt 50 ]"

finish
