#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The guest itself: the devices that every other test relies on are there.
# kernels: stock cdev 6.1 newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# driver_of SYSFS-DEVICE
driver_of() {
	basename "$(readlink "$1/driver")"
}

check "the container device is there" test -c /dev/vfio/vfio

for device in $IVSHMEM; do
	sysfs=/sys/bus/pci/devices/$device
	check "$device is an ivshmem device" grep -q 0x1110 "$sysfs/device"
	check "$device is bound to ivshmem_vfio_pci" test "$(driver_of "$sysfs")" = ivshmem_vfio_pci
	check "$device has a group" test -c "/dev/vfio/$(basename "$(readlink "$sysfs/iommu_group")")"
done

for uuid in $MTTY; do
	sysfs=/sys/bus/mdev/devices/$uuid
	check "$uuid is an mtty device" test "$(driver_of "$sysfs")" = mtty
	check "$uuid has a group" test -c "/dev/vfio/$(basename "$(readlink "$sysfs/iommu_group")")"
done

finish
