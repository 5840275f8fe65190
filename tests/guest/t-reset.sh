#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Resets of a device that PCI can reset (behind a port that resets what is below it), of one that
# PCI cannot reset, and of one that has a neighbour on its bus.
# guest: -m 1M -s 240
# env: GUEST_QEMU_ARGS='-device pcie-root-port,id=downstream,chassis=1,addr=8 -object memory-backend-ram,id=below,size=1M,share=on -device ivshmem-plain,memdev=below,bus=downstream -device pcie-root-port,id=pair,chassis=2,addr=9 -object memory-backend-ram,id=pair0,size=4M,share=on -device ivshmem-plain,memdev=pair0,bus=pair,multifunction=on,addr=0.0 -object memory-backend-ram,id=pair1,size=1M,share=on -device ivshmem-plain,memdev=pair1,bus=pair,addr=0.1'
# kernels: 6.1 newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

below=0000:01:00.0
set_driver $below ivshmem_vfio_pci
check "PCI resets $below" test -e "/sys/bus/pci/devices/$below/reset"
check "PCI does not reset $device" test ! -e "/sys/bus/pci/devices/$device/reset"

# The neighbour has a driver that knows nothing of migration.
pair=0000:02:00
modprobe vfio-pci
set_driver $pair.0 ivshmem_vfio_pci
set_driver $pair.1 vfio-pci
hotreset $pair.0 $pair.1 || failed=$((failed + 1))
hotreset $below || failed=$((failed + 1))
gone $below 0000:00:08.0 || failed=$((failed + 1))

for function in "$device" $below; do
	echo "# $function"
	resets "$function" ivshmem_vfio_pci || failed=$((failed + 1))
	modprobe ivshmem_vfio_pci
	echo 1 >/sys/bus/pci/rescan
done

finish
