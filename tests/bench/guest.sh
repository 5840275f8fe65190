#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# guest.sh KIND RUNS, in the guest: save an ivshmem device, and do the same without vfiomig, in turns. Prints what
# "measure" does, with an "a" before save's lines and a "b" before the others.

set -eu

for address in $IVSHMEM; do
	dev=$address
done
state "$1" 256 | bar "$dev" write
# The first time, everything is slower.
bareloop "$dev" >/tmp/image
rm /tmp/image
for _ in $(seq "$2"); do
	measure /tmp/a sh -c "exec vfiomig save $dev >/tmp/image"
	rm /tmp/image
	measure /tmp/b sh -c "exec bareloop $dev >/tmp/image"
	rm /tmp/image
done
sed 's/^/a /' /tmp/a
sed 's/^/b /' /tmp/b
