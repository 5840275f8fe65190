#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The program in libvfiomig(3): it compiles as it stands there, without a warning, and does what the page says. With a
# device as argument, that is saved as well.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
build=${VFIOMIG_BUILD:-build}
example=$work/example

sed -n '/^\.Sh EXAMPLES/,/^\.Ed/{/^\.Bd/,/^\.Ed/{//!p}}' man/libvfiomig.3 | sed 's/\\e/\\/g' >"$work/example.c"
check "the page has a program" grep -q '^int main(' "$work/example.c"
for compiler in clang gcc; do
	check "$compiler compiles it" "$compiler" -std=gnu17 -Wall -Wextra -Wpedantic -Werror -Ilib -o "$example" \
		"$work/example.c" "-L$build" -lvfiomig "-Wl,-rpath,$(realpath "$build")"
done

yes state | head -c 300000 >"$work/state"
# shellcheck disable=SC2317 # status and ends call it
from() {
	input=$1
	shift
	"$@" <"$input"
}
ends 0 "pack" from "$work/state" "$example" pack
cp "$OUT" "$work/image"
check "it says how much that was" grep -q '300000 bytes of state' "$ERR"
check "the image is an image" sh -c "zstd -dcq '$work/image' | cmp - '$work/state'"
ends 0 "verify" from "$work/image" "$example" verify
check "it prints the trailer" jq -e '.bytes == 300000 and .frames == 1' "$OUT"
head -c 200 "$work/image" >"$work/half"
ends 1 "verify a part of it" from "$work/half" "$example" verify
check "with the library's sentence" grep -q '^the image is truncated' "$ERR"
ends 1 "save of a device that is none" "$example" save nothing
check "with the library's sentence" grep -q '^nothing: ' "$ERR"
ends 2 "without arguments" "$example"

if [ $# -eq 1 ]; then
	ends 0 "save of $1" "$example" save "$1"
	cp "$OUT" "$work/image"
	ends 0 "verify what was saved" from "$work/image" "$example" verify
fi

finish
