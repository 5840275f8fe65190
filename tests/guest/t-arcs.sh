#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every transition between all states, on both devices.
# guest: -m 1M -s 300

# Each driver tells in the kernel's log of each arc that it takes.
for module in ivshmem_vfio_pci mtty; do
	echo "module $module +p" >/sys/kernel/debug/dynamic_debug/control || exit
done

failed=0
for device in ${IVSHMEM%% *} ${MTTY%% *}; do
	echo "# $device"
	arcs "$device" || failed=1
done
exit $failed
