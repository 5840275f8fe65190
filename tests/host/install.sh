#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make install" puts every file where other programs look for it, and "make uninstall" removes all files.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# The variables of a calling make must not affect these.
unset MAKEFLAGS MAKELEVEL MFLAGS
check "make install" make -s install DESTDIR="$work" prefix=/usr
share=$work/usr/share
for page in man/*.[1-9]; do
	check "$page" cmp "$page" "$share/man/man${page##*.}/${page#man/}"
done
for page in vfiomig vfiomig-unpack vfiomig-release; do
	check "$page(1) is found, and it is a page" sh -c "cd '$share/man' && mandoc 'man1/$page.1' | grep -q vfiomig"
done

# Each shell finds its completion by itself.
check "bash-completion's name for it" bash -n "$share/bash-completion/completions/vfiomig"
check "zsh finds it" zsh -f -c "fpath=($share/zsh/site-functions \$fpath); autoload -Uz compinit; compinit -u -D
	[[ \$_comps[vfiomig] == _vfiomig ]]"
check "fish finds it" sh -c "PATH='$work/usr/bin:$PATH' XDG_DATA_DIRS='$share' fish -c 'complete -C \"vfiomig inspec\"' |
	grep -q '^inspect'"

# The unit, and the targets of the system that it relies on. man(1) may be missing, so check here whether the unit's page
# exists. Do not use a PCI function: systemd-analyze takes the part after a colon for another name of the unit.
check "the unit runs the program where it will be" grep -q '^ExecStart=/usr/bin/vfiomig hold --foreground -- %I$' \
	"$work/usr/lib/systemd/system/vfiomig-hold@.service"
check "its page is there" test -f "$share/man/$(sed -n 's/^Documentation=man:\(.*\)(\(.\))$/man\2\/\1.\2/p' \
	"$work/usr/lib/systemd/system/vfiomig-hold@.service")"
mkdir -p "$work/etc/systemd/system"
for target in sysinit basic shutdown multi-user; do
	echo '[Unit]' >"$work/etc/systemd/system/$target.target"
done
for instance in '' vfio0 "$(systemd-escape 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001)"; do
	status 0 "systemd-analyze verify, instance '$instance'" \
		systemd-analyze verify --man=no --root="$work" "vfiomig-hold@$instance.service"
	check "it has nothing to say" test ! -s "$ERR"
done
rm -r "${work:?}/etc"

# Programs in C and in C++ can use the library.
cat >"$work/program.c" <<'END'
#include <stdio.h>
#include <vfiomig.h>

int main(void)
{
	struct vfiomig_options options = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_pci_id id = VFIOMIG_PCI_ID_INIT;
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	struct vfiomig_device *dev;
	struct vfiomig_ctx *ctx;

	if (vfiomig_new(&ctx))
		return 1;
	if (id.size != sizeof(id) || fds.size != sizeof(fds) || fds.device != -1 || fds.container != -1)
		return 1;
	if (vfiomig_device_new(ctx, "no device", &dev) == 0 || options.leave != -1)
		return 1;
	puts(vfiomig_get_error(ctx));
	vfiomig_unref(ctx);
	return 0;
}
END
cp "$work/program.c" "$work/program.cc"
# build COMPILER ARG...: build a program with the installed library, and run it
# shellcheck disable=SC2317 # check calls it
build() {
	# shellcheck disable=SC2046 # words
	"$@" -Wall -Wextra -Wpedantic -Werror -o "$work/program" \
		$(PKG_CONFIG_PATH=$work/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$work PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
			PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 pkg-config --cflags --libs libvfiomig) &&
		LD_LIBRARY_PATH=$work/usr/lib "$work/program" | grep -q 'does not name a device'
}
check "a program in C" build gcc -std=c99 "$work/program.c"
check "a program in C++" build g++ -std=c++11 -x c++ "$work/program.cc"
check "the version that pkg-config knows" test "vfiomig $(PKG_CONFIG_PATH=$work/usr/lib/pkgconfig pkg-config --modversion libvfiomig)" = \
	"$(LD_LIBRARY_PATH=$work/usr/lib "$work/usr/bin/vfiomig" --version)"
check "the program as it is installed runs" env LD_LIBRARY_PATH="$work/usr/lib" "$work/usr/bin/vfiomig" --help
check "it has no path to a library where there is no need" sh -c "! readelf -d $work/usr/bin/vfiomig | grep -E 'RPATH|RUNPATH'"

# The library exports the functions that the header declares.
{
	tr '\n' ' ' <lib/vfiomig.h | sed 's:/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/::g' | grep -o 'vfiomig_[a-z_]* *(' | tr -d ' ('
} | sort -u >"$work/declared"
nm -D --defined-only "$work/usr/lib/libvfiomig.so.0" | sed -n 's/.* T \([a-z_]*\)@@.*/\1/p' | sort >"$work/exported"
sed -n 's/^\t\(vfiomig_[a-z_]*\);/\1/p' lib/libvfiomig.sym | sort >"$work/mapped"
check "the symbol map has what the header declares" diff "$work/declared" "$work/mapped"
check "the library exports what the symbol map has" diff "$work/mapped" "$work/exported"
rm "$work"/program* "$work/declared" "$work/exported" "$work/mapped"

check "make uninstall" make -s uninstall DESTDIR="$work" prefix=/usr
check "nothing is left" test -z "$(find "$work" ! -type d)"

finish
