#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vfiomig-image(5) describes an image completely, and its examples are right.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
vfiomig=${VFIOMIG_BUILD:-build}/vfiomig

# All kinds of state: constant blocks, constant chunks, text, noise, and all of them in one chunk
{
	head -c 300000 /dev/zero
	head -c 262144 /dev/zero | tr '\0' '\377'
	seq 60000
	head -c 200000 /dev/urandom
	head -c 70000 /dev/zero
	seq 1000
} >"$work/all"
printf x >"$work/1"
printf xy >"$work/2"
head -c 255 "$work/all" >"$work/255"
seq 300 | head -c 256 >"$work/256"
seq 20000 | head -c 65535 >"$work/65535"
seq 20000 | head -c 65536 >"$work/65536"
seq 20000 | head -c 65537 >"$work/65537"
seq 20000 | head -c 65792 >"$work/65792"

for state in 1 2 255 256 65535 65536 65537 65792 all; do
	for option in --chunk-size=64K --chunk-size=1M -z "-z --chunk-size=64K" "-z19 --chunk-size=256K"; do
		# shellcheck disable=SC2086 # options
		check "pack $option: $state" $vfiomig pack $option -o "$work/image" "$work/$state"
		check "reading it by the page" sh -c "tests/host/read-image.pl '$work/image' >'$work/out'"
		check "the state is the same" cmp "$work/$state" "$work/out"
		digest=$(xxh128sum <"$work/$state")
		check "the digest is xxh128sum's" sh -c \
			"test \"\$($vfiomig inspect --json '$work/image' | jq -r .trailer.digest)\" = 'xxh128:${digest%% *}'"
	done
done

# The page's reader must find damage, or its success would prove nothing.
$vfiomig pack -z --chunk-size=64K -o "$work/image" "$work/all"
size=$(stat -c %s "$work/image")
for at in 0 10 15 30 $((size / 3)) $((size / 2)) $((size - 130)) $((size - 60)) $((size - 2)); do
	perl -0777 -pe "substr(\$_, $at, 1) ^= \"\\x10\"" "$work/image" >"$work/damaged"
	check "the page's reader finds a bit flipped at $at" sh -c "! tests/host/read-image.pl '$work/damaged' >/dev/null"
done
head -c -1 "$work/image" >"$work/damaged"
check "and a byte missing" sh -c "! tests/host/read-image.pl '$work/damaged' >/dev/null"

# The page's example is an image of "hello", and its description of this image is right.
sed -n '/^\.Bd -literal$/,/^\.Ed$/p' man/vfiomig-image.5 | sed -n 's/^[0-9a-f]\{3\} \(.*\) |.*/\1/p' |
	perl -ne 'print pack("H*", s/\s//gr)' >"$work/example"
check "the page's example is an image" "$vfiomig" inspect --verify "$work/example"
check "which has what it says" sh -c "[ \"\$($vfiomig unpack '$work/example')\" = hello ]"
n=$(od -An -j16 -N4 -tu4 --endian=little "$work/example")
dd if="$work/example" bs=1 skip=20 count=$((n - 24)) status=none >"$work/json"
check "the page's way to the header" test "$(jq '.format == 1' "$work/json")" = true
sum=$(xxh64sum <"$work/json")
check "and to its checksum" test "xxh64:${sum%% *}" = \
	"$(dd if="$work/example" bs=1 skip=$((n - 3)) count=23 status=none)"

check "mandoc -Tlint" sh -c "! mandoc -Tlint -W warning man/vfiomig-image.5 | grep ."

finish
