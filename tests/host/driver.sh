#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which kernels the driver supports: what Kbuild says about older and about newer ones. To get a kernel of another version,
# the stock kernel's make is given that version.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# The variables of a calling make must not affect these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

kernel=$(tests/guest/kernel stock)
newest=$(sed -n 's/^newest := //p' driver/Kbuild)
next=${newest%.*}.$((${newest#*.} + 1))
cp driver/*.[ch] driver/Kbuild "$work"

# make_for SERIES TARGET: run make for this version, with its output in $work/log
make_for() {
	make -s -C "$kernel/build" "M=$work" "VERSION=${1%.*}" "PATCHLEVEL=${1#*.}" "$2" >"$work/log" 2>&1
}

for series in 4.19 5.10 6.0; do
	rc=0
	make_for $series modules || rc=$?
	check "not for Linux $series" test $rc -eq 2
	check "it says so" grep -q -F "*** ivshmem_vfio_pci needs Linux 6.1 or later, and this is $series.  Stop." "$work/log"
	check "nothing is built" test ! -e "$work/hw.o"
	check "what there is can be removed" make_for $series clean
done

# modpost reads Kbuild, too, and must not repeat the warning.
check "Linux $next: it is built" make_for "$next" modules
check "and there is a module" test -e "$work/ivshmem_vfio_pci.ko"
check "with a warning, and only one" test "$(sed 's/^.*Kbuild:[0-9]*: //' "$work/log")" = \
	"ivshmem_vfio_pci was not tested with Linux $next, only up to $newest"
check "make clean" make_for "$next" clean
check "has none" test ! -s "$work/log"

for series in 6.1 6.12 7.0 "$newest" 10.1; do
	rm -f "$work/hw.o"
	check "Linux $series: it can be built" make_for "$series" hw.o
	case $series in
	10.*) check "with a warning" grep -q 'not tested' "$work/log" ;;
	*) check "without a warning" test ! -s "$work/log" ;;
	esac
done

check "the newest kernel is the one that the guests run" test "$(tests/guest/kernel --newest)" = "$newest"
check "README.md says so" grep -q "tested with Linux 6.1 to $newest;" README.md

finish
