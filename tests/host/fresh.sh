#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/fresh: what it promises, and what it and tests/deps say when they cannot make a root.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

status 125 "an unknown suite" tests/fresh woody true
says "fresh: unknown suite 'woody'; this can be bookworm or trixie"
status 1 "an unknown purpose" tests/deps woody
says "deps: unknown purpose 'woody'; there are: program "

# On another system: run the same script with that system's os-release
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

# Another user has to be able to read this copy.
cp -r tests "$work/"
chmod -R a+rX "$work"
status 125 "not root" setpriv --reuid=65534 --clear-groups "$work/tests/fresh" bookworm true
says 'fresh: only root can make a root file system; run it with sudo'

status 125 "outside of a checkout" "$work/tests/fresh" bookworm true
says "fresh: $work is not a git checkout"

# without PROGRAM: run tests/fresh on a system that does not have this program
# shellcheck disable=SC2317 # status calls it
without() {
	# shellcheck disable=SC2016 # the inner shell's
	unshare --mount sh -c 'mount --bind /dev/null "$1" && shift && "$@"' sh "$(command -v "$@")" tests/fresh bookworm true
}
PATH=$PATH:/usr/sbin
status 125 "no debootstrap" without debootstrap
says 'fresh: there is no debootstrap; install the package debootstrap (tests/deps fresh does)'

# The root is in the cache from here on.
mkdir "$work/roots"
# shellcheck disable=SC2016 # the inner shell's
TMPDIR=$work/roots ends 3 "the command's status" tests/fresh bookworm sh -c 'sleep 4711 & printf "%s:" "$PWD" "$@"; exit 3' \
	sh 'two  words' "a'b" 3 4 5 6 7 8 9 10
prints "/root/vfiomig:two  words:a'b:3:4:5:6:7:8:9:10:"
check "what it has left running is killed" sh -c "! pgrep -f -x 'sleep 4711'"
check "the root is gone" test -z "$(ls "$work/roots")"

# offline: run tests/fresh with an empty cache, in a network name space without a network
# shellcheck disable=SC2317 # status calls it
offline() {
	VFIOMIG_CACHE=$work/cache unshare --net tests/fresh bookworm true
}
status 125 "no network" offline
says 'debian: cannot fetch the lists of bookworm from '
says ' (is the network there?): '

# If the lists are there, debootstrap fails.
cache=$(VFIOMIG_CACHE=$work/cache tests/debian cache)
mkdir -p "$cache/apt/bookworm"
touch "$cache/apt/bookworm/updated"
ends 125 "no network for debootstrap" offline
says 'fresh: debootstrap cannot make a root of bookworm from '
# If debootstrap's root is there as well, apt fails in it.
mkdir -p "$cache/fresh"
ln -s "$(tests/debian cache)/fresh/bookworm.tar" "$cache/fresh/"
status 125 "no network for apt" offline
says 'fresh: cannot install git in the root of bookworm (is the network there?): '
says ': E: '
ln -s "$(tests/debian cache)/fresh/bookworm-git.tar" "$cache/fresh/"

# apt's lists in the cache contain its path, so the root has the cache at the same one.
rm -r "$cache/apt"
VFIOMIG_CACHE=$work/cache status 0 "a cache at another place" tests/fresh bookworm \
	'tests/debian apt bookworm apt-cache show linux-image-6.12-amd64'
prints 'Package: linux-image-6.12-amd64'

# began: succeed if the command has begun
# shellcheck disable=SC2317 # wait_for calls it
began() {
	pgrep -f -x 'sleep 4712' >"$OUT"
}
TMPDIR=$work/roots tests/fresh bookworm 'sleep 4712' >"$work/log" 2>&1 &
fresh=$!
wait_for began
kill -TERM $fresh
ends 143 "a signal ends it" wait $fresh
check "and the command" sh -c "! pgrep -f -x 'sleep 4712'"
check "the root is gone again" test -z "$(ls "$work/roots")"

finish
