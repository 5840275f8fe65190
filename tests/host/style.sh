#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tools that check sources find nothing.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# files PATTERN...: print these files of the tree, committed or not
files() {
	git ls-files -co --exclude-standard -- "$@"
}

programs=$(files 'lib/*.[ch]' 'check/*.[ch]' 'cli/*.[ch]' 'tests/*.[ch]')
driver=$(files 'driver/*.[ch]')
scripts=$(files 'tests' 'packaging' '.ci/run' | xargs grep -l -E '^#!/bin/sh|^#!/bin/busybox sh|shellcheck shell=sh')

# shellcheck disable=SC2086 # lists, here and below
check "clang-format" clang-format --dry-run -Werror $programs
# clang-format does not break comments. A tab counts as 8 columns. A string may be longer than a line.
# shellcheck disable=SC2086
for file in $programs; do
	expand -t 8 "$file" | awk -v file="$file" '{
		line = $0
		if (line !~ /^ *(\/\*|\*|\/\/)/)
			gsub(/"([^"\\]|\\.)*"/, "\"\"", line)
		if (length(line) > 100)
			print file ":" FNR ": " $0
	}'
done >"$work/long"
check "no line is longer than 100 columns" sh -c "! grep . '$work/long'"
# cppcheck does not know that a cleanup attribute frees memory (the unit tests look for leaks), or __has_include.
# shellcheck disable=SC2317 # check calls it
cpp_check() {
	cppcheck -q --std=c11 '-D__has_include(x)=0' --enable=warning,performance,portability --inline-suppr \
		--suppress=memleak --suppress=normalCheckLevelMaxBranches --error-exitcode=1 -Ilib -Icli "$@"
}
# shellcheck disable=SC2046
check "cppcheck" cpp_check $(files 'lib/*.[ch]' 'check/*.[ch]' 'cli/*.[ch]')
# A test may crash if it gets no memory.
# shellcheck disable=SC2046
check "cppcheck of the tests" cpp_check --suppress=nullPointerOutOfMemory --suppress=ctunullpointerOutOfMemory \
	--suppress=nullPointerArithmeticOutOfMemory $(files 'tests/*.[ch]')
# shellcheck disable=SC2086
check "shellcheck" shellcheck $scripts

kernel=$(tests/guest/kernel stock)
# --no-tree: the files are not in a kernel tree.
# shellcheck disable=SC2086
check "checkpatch --strict" perl "$kernel/scripts/checkpatch.pl" --no-tree --strict --quiet -f $driver
# What the driver's files share: functions, structures and enumerations.
sed -n 's/^\(struct\|enum\) \(ivshmem_vfio_[a-z_]*\) {$/\1 \2/p
	s/^\([a-z].*[ *]\)\{0,1\}\(ivshmem_vfio_[a-z_]*\|to_ivdev\)(.*/\2()/p' driver/*.h >"$work/shared"
check "it is found" sh -c "test \$(wc -l <'$work/shared') -gt 40"
while read -r name; do
	# shellcheck disable=SC2086
	grep -q -F " * $name - " $driver || echo "$name"
done <"$work/shared" >"$work/without"
check "it has kernel-doc" sh -c "! grep . '$work/without'"
# The newest kernel, the kernel on which most tests run, and the oldest one. The newest kernel runs sparse only if it knows
# __typeof_unqual__, and prints a message otherwise.
for variant in "$(tests/guest/kernel --newest)" stock 6.1; do
	kernel=$(tests/guest/kernel "$variant")
	mkdir "$work/$variant"
	# shellcheck disable=SC2086
	cp $driver driver/Kbuild "$work/$variant"
	make -s -C "$kernel/build" "M=$work/$variant" C=2 W=1 modules >"$work/log" 2>&1
	check "$variant: the driver compiles" test -e "$work/$variant/ivshmem_vfio_pci.ko"
	check "$variant: without a warning, by W=1 or by sparse" sh -c "! grep -E 'warning:|error:' '$work/log'"
	table=main
	[ ! -e "$work/$variant/compat.o" ] || table=compat
	make -s -C "$kernel/build" "M=$work/$variant" $table.i >"$work/log" 2>&1
	check "$variant: it has the operations that this kernel knows" tests/ops "$work/$variant/$table.i"
done

# An SPDX line for each file that can have one.
for file in $(files 'lib' 'cli' 'driver' 'tests' 'man' 'completions' 'packaging' Makefile .ci .clang-format); do
	case $file in
	# Debian's formats of these have no comments.
	*/changelog | */copyright | */source/format | *.dkms) continue ;;
	esac
	grep -q 'SPDX-License-Identifier: ' "$file" || echo "$file"
done >"$work/without"
check "SPDX lines" sh -c "! grep . $work/without"

# The library exports all functions of the header, and nothing else.
sed -n 's/^[a-z].*[ *]\(vfiomig_[a-z_]*\)(.*/\1/p; s/^\(vfiomig_[a-z_]*\)(.*/\1/p' lib/vfiomig.h | sort >"$work/header"
nm -D --defined-only build/libvfiomig.so | sed -n 's/.* T \(.*\)@@.*/\1/p' | sort >"$work/exported"
check "the symbol map is the header's" cmp "$work/header" "$work/exported"

finish
