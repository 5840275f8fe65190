#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guest.sh KIND RUNS MIB, in the guest: save an ivshmem device with vfiomig and without it, in turn. Prints the lines of
# "measure", with an "a" before those of vfiomig and a "b" before the others; with a "c" those for which a device is stopped
# whose image nobody takes for seconds, and with a "d" those of a program that reads the state and does nothing with it.

set -eu

for address in $IVSHMEM; do
	dev=$address
done
state "$1" "$3" | bar "$dev" write
# The first run is always slower, so do not measure it.
bareloop "$dev" >/tmp/image
rm /tmp/image
for _ in $(seq "$2"); do
	measure /tmp/a sh -c "exec vfiomig save $dev >/tmp/image"
	rm /tmp/image
	measure /tmp/b sh -c "exec bareloop $dev >/tmp/image"
	rm /tmp/image
	vfiomig save --json "$dev" 2>/tmp/json | { sleep 5 && cat >/dev/null; }
	gojq -r '"\(.downtime_seconds * 1000000 | floor) 0"' /tmp/json >>/tmp/c
	measure /tmp/d sh -c "exec bareloop $dev >/dev/null"
done
for side in a b c d; do
	sed "s/^/$side /" "/tmp/$side"
done
