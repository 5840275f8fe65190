#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# DKMS builds the driver for the guest's kernels, from the files that "make install-dkms" installs. All of it happens in a
# temporary directory: the host's DKMS, kernels and modules are not changed.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# The variables of a calling make must not affect these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

# for modinfo, which every user may run
PATH=$PATH:/usr/sbin:/sbin

module=ivshmem-vfio-pci
version=$(build/vfiomig --version | sed 's/.* //')
tree=$work/dkms
mkdir "$tree"

# If dkms finds the program sign_file, it signs the modules, and makes a key for that on the host.
run_dkms() {
	command=$1
	shift
	sign_file=/nonexistent dkms "$command" --dkmstree "$tree" --sourcetree "$work/usr/src" \
		--installtree "$work/modules" -m $module -v "$version" "$@"
}

# build RELEASE KDIR
build() {
	run_dkms build -k "$1" -a x86_64 --kernelsourcedir "$2"
}

state() {
	find /var/lib/dkms /usr/src /lib/modules -maxdepth 3 2>/dev/null | sort
}
before=$(state)

check "make install-dkms" make -s install-dkms "DESTDIR=$work"
check "its version is the tool's" grep -x "PACKAGE_VERSION=\"$version\"" "$work/usr/src/$module-$version/dkms.conf"
check "it has all sources, and nothing else" test "$(ls "$work/usr/src/$module-$version")" = \
	"$(git ls-files -co --exclude-standard 'driver/[!.]*' | sed 's|driver/||; s|\.in$||' | LC_ALL=C sort)"
check "dkms add" run_dkms add

for variant in stock 6.1; do
	kernel=$(tests/guest/kernel $variant)
	release=$(cat "$kernel/release")
	check "$variant: dkms build" build "$release" "$kernel/build"
	log=$tree/$module/$version/$release/x86_64/log/make.log
	check "$variant: without a warning" sh -c "test -e '$log' && ! grep warning: '$log'"
	ko=$(echo "$tree/$module/$version/$release/x86_64/module/"ivshmem_vfio_pci.ko*)
	# "vfiomig bind" and libvirt choose a variant driver by this alias.
	check "$variant: the alias" test "$(modinfo -F alias "$ko")" = 'vfio_pci:v00001AF4d00001110sv*sd*bc*sc*i*'
	check "$variant: the version" test "$(modinfo -F version "$ko")" = "$version"
	check "$variant: the kernel" test "$(modinfo -F vermagic "$ko" | cut -d' ' -f1)" = "$release"
	check "$variant: dkms status" sh -c "dkms status --dkmstree '$tree' | grep -q '$release, x86_64: built'"
done

# excluded WHAT RELEASE KDIR: check that dkms skips this kernel; 77 tells dkms autoinstall to continue
excluded() {
	rc=0
	build "$2" "$3" >"$work/log" 2>&1 || rc=$?
	check "not for $1" test $rc -eq 77
	check "as dkms.conf says" grep -q BUILD_EXCLUSIVE "$work/log"
}
# said N TEXT: check that N lines of dkms's last output are this text
said() {
	check "it says: $2 ($1)" test "$(grep -c -x -F "$2" "$work/log")" -eq "$1"
}
for release in 4.19.0-1-amd64 5.10.0-30-amd64 5.18.1 6.0.12; do
	excluded "Linux $release" $release "$kernel/build"
	said 1 "$module needs Linux 6.1 or later, and this is $release"
done
mkdir "$work/kdir"
echo 'CONFIG_VFIO_PCI_CORE=m' >"$work/kdir/.config"
excluded "a kernel without XXHASH" 6.12.0-other "$work/kdir"
check "which is not too old" sh -c "! grep 'needs Linux' '$work/log'"
# These kernels are not excluded. dkms fails because it does not find their headers.
newest=$(sed -n 's/^newest := //p' driver/Kbuild)
next=${newest%.*}.$((${newest#*.} + 1))
for release in 6.1.0-40-amd64 6.2.0 6.10.3 6.12.0 7.0.1 "$newest.99+deb13-amd64" "$next.0-rc1" "$next.1+deb13-amd64" 10.2.0; do
	rc=0
	build "$release" "$work/nowhere" >"$work/log" 2>&1 || rc=$?
	check "for Linux $release" test $rc -ne 0 -a $rc -ne 77
	check "if it had its headers" grep -q "headers for kernel $release cannot be found" "$work/log"
	case $release in
	"$next".* | 10.*) said 1 "$module was not tested with Linux $release, only up to $newest" ;;
	*) check "which it was tested with" sh -c "! grep 'not tested' '$work/log'" ;;
	esac
done

check "dkms remove" run_dkms remove --all
check "nothing is left" test ! -e "$tree/$module"
mkdir -p "$tree/$module/$version"
make -s uninstall-dkms dkms_sources="$work/usr/src" dkms_tree="$tree" >"$work/log" 2>&1
check "uninstall-dkms while DKMS has it" grep -q -x "DKMS still .*; first: dkms remove $module/$version --all" "$work/log"
check "the sources are there" test -d "$work/usr/src/$module-$version"
rm -r "${tree:?}/$module"
check "make uninstall-dkms" make -s uninstall-dkms dkms_sources="$work/usr/src" dkms_tree="$tree"
check "nothing is left of the sources" test -z "$(ls "$work/usr/src")"
check "the host is as it was" test "$(state)" = "$before"

finish
