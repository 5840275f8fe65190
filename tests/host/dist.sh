#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The tarball of a release: it is the same each time, has all committed files, and can be built without git.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# The variables of a calling make must not affect these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL

version=$(sed -n 's/^VERSION = //p' Makefile)
release=vfiomig-$version
tarball=$work/a/$release.tar.xz

check "make dist" make -s dist "B=$work/a"
printf '[tar]\n\tumask = 077\n[core]\n\tautocrlf = true\n' >"$work/config"
check "once more, as somebody else" sh -c "umask 077; GIT_CONFIG_GLOBAL='$work/config' TZ=Asia/Tokyo XZ_OPT=-0 make -s dist 'B=$work/b'"
check "the same bytes" cmp "$tarball" "$work/b/$release.tar.xz"
git ls-tree -r --name-only HEAD | sed "s|^|$release/|" | LC_ALL=C sort >"$work/committed"
tar -tf "$tarball" | grep -v '/$' | LC_ALL=C sort >"$work/packed"
check "all that is committed, and nothing else" cmp "$work/committed" "$work/packed"
check "nobody's names, and the commit's time" test "$(TZ=UTC tar -tvf "$tarball" --full-time | awk '{ print $2, $4, $5 }' | sort -u)" = \
	"root/root $(TZ=UTC git log -1 --format=%cd --date='format-local:%Y-%m-%d %H:%M:%S')"

tar -xf "$tarball" -C "$work"
# Not optimized, which takes half the time.
check "it builds" make -s -C "$work/$release" CFLAGS=-O0
check "the program has the version" test "$("$work/$release/build/vfiomig" --version)" = "vfiomig $version"
make -s -C "$work/$release" dist >"$work/log" 2>&1
check "without git there is no tarball" grep -x 'make dist packs what git has committed, and this is no git checkout' "$work/log"
check "none at all" test -z "$(find "$work/$release" -name '*.tar*')"

# The version of the package contains that of the release.
check "the version of the Debian packages" test "$(sed -n '1s/^vfiomig (\(.*\)-[0-9]*) .*/\1/p' packaging/debian/changelog)" = "$version"

finish
