#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Resets of a device that PCI can reset (behind a port that resets what is below it), and of one
# that PCI cannot reset.
# guest: -m 1M -s 240
# env: GUEST_QEMU_ARGS='-device pcie-root-port,id=downstream,chassis=1,addr=8 -object memory-backend-ram,id=below,size=1M,share=on -device ivshmem-plain,memdev=below,bus=downstream'
# kernels: stock cdev 6.1 newest

device=0000:01:00.0
echo ivshmem_vfio_pci >"/sys/bus/pci/devices/$device/driver_override"
echo $device >/sys/bus/pci/drivers_probe
if [ ! -e "/sys/bus/pci/devices/$device/reset" ] || [ -e "/sys/bus/pci/devices/$IVSHMEM/reset" ]; then
	echo "not ok - PCI resets $device, and not $IVSHMEM"
	exit 1
fi

failed=0
for device in "$IVSHMEM" $device; do
	echo "# $device"
	resets "$device" ivshmem_vfio_pci || failed=1
	modprobe ivshmem_vfio_pci
	echo 1 >/sys/bus/pci/rescan
done
exit $failed
