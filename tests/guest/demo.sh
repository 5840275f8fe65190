#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What "make demo" runs in the guest: each command is shown, then run.
# guest: -m 16M -m 16M -s 120

set -e

# shellcheck disable=SC2086 # a list
set -- $IVSHMEM
from=$1 to=$2

say() {
	printf '\n# %s\n' "$*"
}

try() {
	printf '$ %s\n' "$*"
	sh -c "$*" 2>&1
}

say "Two of QEMU's shared memory devices and two of the kernel's sample devices, each with a VFIO driver that migrates:"
try "vfiomig list"

say "What the first one can do:"
try "vfiomig info $from"

say "Its memory gets a pattern (bar reads and writes a BAR from outside, it is no part of vfiomig):"
try "yes 'vfiomig was here' | bar $from write"
try "bar $from read | head -n 2"

say "Stop it, stream its state out, put it back into the state it was in:"
try "vfiomig save $from -v >image"
try "vfiomig inspect --verify image"

say "The second one has other memory, until the image is restored into it:"
try "bar $to read | sha256sum"
try "vfiomig restore $to -v <image"

say "A holder keeps it open now, else its state would be lost; other commands find it there (as region does, which reads"
say "a region of a VFIO device through the library, and is no part of vfiomig either):"
try "vfiomig list"
try "region $to 2 | head -n 2"

say "The same, byte for byte:"
try "bar $from read >from; region $to 2 >to; cmp from to && echo identical"

say "A driver's author drives single arcs, and sees what is refused:"
try "vfiomig state $from STOP_COPY"
try "vfiomig state $from ERROR || echo exit status \$?"

say "An image that was cut off is refused, and the device reset:"
try "head -c 1000000 image | vfiomig restore $to || echo exit status \$?"

say "Done with it:"
try "vfiomig release $to"
