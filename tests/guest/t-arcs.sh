#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every transition between all states, on both devices if both support migration.
# guest: -m 1M -s 600
# kernels: cdev 6.1 newest

# Both drivers log each arc as a debug message.
for module in ivshmem_vfio_pci mtty; do
	echo "module $module +p" >/sys/kernel/debug/dynamic_debug/control || exit
done

failed=0
# shellcheck disable=SC2153 # the guest has set it
mtty=${MTTY%% *}
[ "$KERNEL" != 6.1 ] || mtty=
for device in ${IVSHMEM%% *} $mtty; do
	echo "# $device"
	arcs "$device" || failed=1
done
exit $failed
