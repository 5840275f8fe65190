#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# "make demo" runs this in the guest. Each command is shown and then run.
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

say "Fill its memory with a pattern (bar is a program of the tests, which reads and writes a BAR without VFIO):"
try "yes 'vfiomig was here' | bar $from write"
try "bar $from read | head -n 2"

say "Stop the device, copy its state into an image, and let the device run again:"
try "vfiomig save $from -v >image"
try "vfiomig inspect --verify image"

say "The second device has other memory, until the image is restored into it:"
try "bar $to read | sha256sum"
try "vfiomig restore $to -v <image"

say "A holder keeps the device open now, because its state would be lost otherwise. Other commands find the device there;"
say "so does region, a program of the tests that reads a region of a VFIO device through the library:"
try "vfiomig list"
try "region $to 2 | head -n 2"

say "Both devices have the same memory, byte for byte:"
try "bar $from read >from; region $to 2 >to; cmp from to && echo identical"

say "The author of a driver can take single arcs, and see what is refused:"
try "vfiomig state $from STOP_COPY"
try "vfiomig state $from ERROR || echo exit status \$?"

say "A truncated image is refused, and the device is reset:"
try "head -c 1000000 image | vfiomig restore $to || echo exit status \$?"

say "Close the second device:"
try "vfiomig release $to"
