#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Like t-stress.sh, but memory decoding is also switched off meanwhile, by the user or by a reset:
# on a device that PCI cannot reset, and on one that it can reset (behind a port that resets what is
# below it). For this QEMU's processors have to take turns (tests/guest/run says why).
# guest: -m 1M -s 120
# long: -s 400
# env: GUEST_QEMU_ARGS='-device pcie-root-port,id=downstream,chassis=1,addr=8 -object memory-backend-ram,id=below,size=1M,share=on -device ivshmem-plain,memdev=below,bus=downstream'
# kernels: debug

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/stress.sh
. /tests/stress.sh

below=0000:01:00.0
set_driver $below ivshmem_vfio_pci
check "PCI resets $below" test -e /sys/bus/pci/devices/$below/reset
check "PCI does not reset $device" test ! -e "/sys/bus/pci/devices/$device/reset"

stress_seconds 12 180 "$@"
stress_device "$device"
stress_device $below

finish
