#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Memory that is mapped by pages of 1 GiB, where the kernel has them, while it is read.
# guest: -m 1G -m 2G -s 600
# kernels: debug

failed=0
for device in $IVSHMEM; do
	tracking "$device" || failed=1
done
exit $failed
