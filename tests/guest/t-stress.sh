#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# All operations on a device at once, by many threads, on one that PCI cannot reset and on one that it can (behind a port
# that resets what is below it). The long variant takes six minutes; a second argument is its seed.
# guest: -m 1M -s 120
# long: -s 300
# env: GUEST_QEMU_ARGS='-device pcie-root-port,id=downstream,chassis=1,addr=8 -object memory-backend-ram,id=below,size=1M,share=on -device ivshmem-plain,memdev=below,bus=downstream'
# kernels: debug

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

below=0000:01:00.0
echo ivshmem_vfio_pci >/sys/bus/pci/devices/$below/driver_override
echo $below >/sys/bus/pci/drivers_probe
check "PCI resets $below" test -e /sys/bus/pci/devices/$below/reset
check "and not $IVSHMEM" test ! -e "/sys/bus/pci/devices/$IVSHMEM/reset"

seconds=12 seed=0
if [ "${1-}" = long ]; then
	seconds=180
	seed=${2:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
fi
for device in "$IVSHMEM" $below; do
	echo "# stress $device $seconds $seed"
	if stress "$device" $seconds "$seed" >tap; then
		ok "stress: $(grep ^ok tap)"
	else
		not_ok "stress" "$(grep -v ^ok tap)"
	fi
	grep '^#' tap
	# A state that only the kernel's sessions have is left by none.
	check "$device can be opened" vfiomig state "$device"
	prints RUNNING
done

finish
