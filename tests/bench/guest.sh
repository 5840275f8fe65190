#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guest.sh KIND RUNS MIB, in the guest: save an ivshmem device, which is stopped all the time, with vfiomig and without it,
# in turn. Prints the lines of "measure", with an "a" before those of vfiomig and a "b" before the others.

set -eu

for address in $IVSHMEM; do
	dev=$address
done
state "$1" "$3" | bar "$dev" write
# The first run is always slower, so do not measure it.
bareloop "$dev" >/tmp/image
rm /tmp/image
for _ in $(seq "$2"); do
	measure /tmp/a sh -c "exec vfiomig save --precopy=never $dev >/tmp/image"
	rm /tmp/image
	if ! measure /tmp/b sh -c "exec bareloop $dev >/tmp/image 2>/tmp/errors"; then
		cat /tmp/errors >&2
		exit 1
	fi
	rm /tmp/image
done
for side in a b; do
	sed "s/^/$side /" "/tmp/$side"
done
