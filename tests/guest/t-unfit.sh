#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Devices that the driver does not take, although it is told to, because it could not stop them. QEMU's graphics cards have
# memory where an ivshmem device has it, and two of each differ in one thing.
# guest: -m 1M
# env: GUEST_QEMU_ARGS='-device virtio-vga,addr=8 -device virtio-vga,vectors=0,addr=9 -device pcie-root-port,id=below,chassis=1,addr=a -device virtio-vga,bus=below -device secondary-vga,addr=b -device secondary-vga,qemu-extended-regs=off,addr=c -device virtio-gpu-pci,addr=d'
# kernels: stock 6.1

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# is_taken ADDRESS
# shellcheck disable=SC2317 # check calls it
is_taken() {
	set_driver "$1" ivshmem_vfio_pci
	[ "$(driver_of "$1")" = ivshmem_vfio_pci ]
}

# is_refused ADDRESS
# shellcheck disable=SC2317
is_refused() {
	! is_taken "$1" 2>/dev/null && [ -z "$(driver_of "$1")" ]
}

check "MSI-X, and no power management: taken" is_taken 0000:00:08.0
check "an interrupt that is not MSI-X: refused" is_refused 0000:00:09.0
check "power management: refused" is_refused 0000:01:00.0
check "no interrupt: taken" is_taken 0000:00:0b.0
check "revision 0: refused" is_refused 0000:00:0c.0
check "no memory where it should be: refused" is_refused 0000:00:0d.0

finish
