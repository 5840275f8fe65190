#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest has the devices that all other tests rely on.
# kernels: stock cdev 6.1 newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

check "the container device is there" test -c /dev/vfio/vfio

for device in $IVSHMEM; do
	check "$device is an ivshmem device" grep -q 0x1110 "/sys/bus/pci/devices/$device/device"
	check "$device is bound to ivshmem_vfio_pci" test "$(driver_of "$device")" = ivshmem_vfio_pci
	check "$device has a group" test -c "/dev/vfio/$(group_of "$device")"
done

for uuid in $MTTY; do
	check "$uuid is an mtty device" test "$(driver_of "$uuid")" = mtty
	check "$uuid has a group" test -c "/dev/vfio/$(group_of "$uuid")"
done

finish
