#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What tests/fresh and tests/deps say when there is no fresh root to be had. That they work is seen by whoever runs the tests.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# ends N NAME CMD...: as status() does, but what it says may have more lines
ends() {
	want=$1 name=$2
	shift 2
	rc=0
	"$@" >"$OUT" 2>"$ERR" || rc=$?
	if [ $rc -eq "$want" ]; then
		ok "$name"
	else
		not_ok "$name" "exit status $rc: $(head -c 2000 "$ERR")"
	fi
}

status 125 "an unknown suite" tests/fresh woody true
says "fresh: unknown suite 'woody'; this can be bookworm or trixie"
status 1 "an unknown purpose" tests/deps woody
says "deps: unknown purpose 'woody'; there are: program "

# On another system: the same script, with that system's file
printf 'ID=fedora\nVERSION_ID=44\n' >"$work/os-release"
sed "s|/etc/os-release|$work/os-release|; s|dpkg-query|false|" tests/deps >"$work/deps"
ends 1 "on another system" sh "$work/deps"
says 'deps: this is neither Debian 12 nor 13.'
says 'for the virtual machines:'
says ' qemu-system-x86'

if [ "$(id -u)" -ne 0 ]; then
	status 125 "not root" tests/fresh bookworm true
	says 'fresh: only root can make a root file system; run it with sudo'
	finish
fi

# A user has to be able to read it.
cp -r tests "$work/"
chmod -R a+rX "$work"
status 125 "not root" setpriv --reuid=65534 --clear-groups "$work/tests/fresh" bookworm true
says 'fresh: only root can make a root file system; run it with sudo'

status 125 "outside of a checkout" "$work/tests/fresh" bookworm true
says "fresh: $work is not a git checkout"

# without PATH: a program that is not there
# shellcheck disable=SC2317 # status calls it
without() {
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount sh -c 'mount --bind /dev/null "$1" && shift && "$@"' sh "$(command -v "$@")" tests/fresh bookworm true
}
PATH=$PATH:/usr/sbin
status 125 "no debootstrap" without debootstrap
says 'fresh: there is no debootstrap; install the package debootstrap (tests/deps fresh does)'

# offline: an empty cache, in a network name space that has no network
# shellcheck disable=SC2317 # status calls it
offline() {
	VFIOMIG_CACHE=$work/cache unshare --net tests/fresh bookworm true
}
status 125 "no network" offline
says 'debian: cannot fetch the lists of bookworm from '
says ' (is the network there?): '

# With the lists that are there already it comes to debootstrap.
cache=$(VFIOMIG_CACHE=$work/cache tests/debian cache)
touch "$cache/apt/bookworm/updated"
ends 125 "no network for debootstrap" offline
says 'fresh: debootstrap cannot make a root of bookworm from '
mkdir -p "$work/root/etc/apt/apt.conf.d" "$work/root/root"
tar -C "$work/root" -cf "$cache/fresh/bookworm.tar" .
status 125 "no network for apt" offline
says 'fresh: cannot install git in the root of bookworm (is the network there?)'

finish
