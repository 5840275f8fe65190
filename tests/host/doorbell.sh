#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The interrupts of ivshmem-doorbell: boot a guest with two such devices, of which PCI can reset one, and run the server
# that they need. The tests are in tests/guest/doorbell.sh. The argument is the kernel (tests/guest/run -k).
# kernels: newest

cd "$(dirname "$0")/../.." || exit
work=$(mktemp -d "${TMPDIR:-/tmp}/vfiomig-doorbell.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' INT TERM HUP

chardev="socket,path=$work/socket"
export GUEST_QEMU_ARGS="-chardev $chardev,id=peer0 -device ivshmem-doorbell,chardev=peer0,vectors=2,addr=8
	-chardev $chardev,id=peer1 -device pcie-root-port,id=downstream,chassis=1,addr=9
	-device ivshmem-doorbell,chardev=peer1,vectors=2,bus=downstream"
build/tests/host/ivshmem-server "$work/socket" 1048576 2 tests/guest/run -k "${1-stock}" -m 1M -s 240 tests/guest/doorbell.sh
