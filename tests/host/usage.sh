#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command line, without a device: usage errors are one line and status 2, help goes to standard output.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
trap 'rm -f "$OUT" "$ERR"' EXIT
vfiomig=build/vfiomig

status 0 "--version" $vfiomig --version
check "--version prints name and version" sh -c "$vfiomig --version | grep -q '^vfiomig [0-9.]*$'"

# usage ARG...: refused
usage() {
	status 2 "vfiomig $*" $vfiomig "$@" </dev/null
}

usage
says 'which command?'
usage frobnicate
says "there is no command 'frobnicate'"
usage --frobnicate
usage list extra
says "'extra': list takes no argument"
for command in info state save restore; do
	usage $command --raw --frobnicate
	status 0 "$command --help" $vfiomig $command --help
	status 0 "$command --usage" $vfiomig $command --usage
done
for command in info state; do
	usage $command
	says 'which device? "vfiomig list" shows them'
	usage $command x y z
done
for command in save restore; do
	usage $command --raw
	usage $command --raw x y
	says "'y' is one argument too many"
	usage $command --raw x --leave=NOWHERE
	says "'NOWHERE' is not a state; they are RUNNING"
	usage $command x
	says 'say so with --raw'
	usage $command --raw --leave
done
usage state x NOWHERE
says "'NOWHERE' is not a state"
usage info ''
says "'' does not name a device"
usage info /etc/passwd
usage save --raw /dev/null

# A terminal is neither a source nor a destination of an image.
status 2 "save to a terminal" script -qec "$vfiomig save --raw 0000:00:00.0" /dev/null
check "it says so" sh -c "script -qec '$vfiomig save --raw 0000:00:00.0' /dev/null | grep -q 'an image is not for a terminal'"
check "restore from a terminal" sh -c "script -qec '$vfiomig restore --raw 0000:00:00.0' /dev/null | grep -q 'does not come from a terminal'"

# What was to be printed and could not be is an error.
status 1 "--help to a full disk" sh -c "exec $vfiomig --help >/dev/full"
says 'standard output: No space left on device'

finish
