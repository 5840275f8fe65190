#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install puts everything where the programs that look for it look, and make uninstall takes all of it away.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# What make was told above it is not told here.
unset MAKEFLAGS MAKELEVEL MFLAGS
check "make install" make -s install DESTDIR="$work" prefix=/usr
share=$work/usr/share
for page in man/*.[1-9]; do
	check "$page" cmp "$page" "$share/man/man${page##*.}/${page#man/}"
done
for page in vfiomig vfiomig-unpack vfiomig-release; do
	check "$page(1) is found, and it is a page" sh -c "cd '$share/man' && mandoc 'man1/$page.1' | grep -q vfiomig"
done

# Where each shell finds it by itself
check "bash-completion's name for it" bash -n "$share/bash-completion/completions/vfiomig"
check "zsh finds it" zsh -f -c "fpath=($share/zsh/site-functions \$fpath); autoload -Uz compinit; compinit -u -D
	[[ \$_comps[vfiomig] == _vfiomig ]]"
check "fish finds it" sh -c "PATH='$work/usr/bin:$PATH' XDG_DATA_DIRS='$share' fish -c 'complete -C \"vfiomig inspec\"' |
	grep -q '^inspect'"

check "make uninstall" make -s uninstall DESTDIR="$work" prefix=/usr
check "nothing is left" test -z "$(find "$work" ! -type d)"

finish
