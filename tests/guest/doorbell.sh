#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# ivshmem devices with interrupts. tests/host/doorbell.sh runs this, with the options that it needs.

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

for address in $(functions_with 0x1110); do
	if [ "$address" != "$device" ]; then
		set -- "$@" "$address"
		set_driver "$address" ivshmem_vfio_pci
	fi
done
check "there are two devices with interrupts" test $# -eq 2

check "$1 has no reset by PCI" test ! -e "/sys/bus/pci/devices/$1/reset"
check "$2 has a reset by PCI" test -e "/sys/bus/pci/devices/$2/reset"
doorbell "$1" "$2" || failed=$((failed + 1))
doorbell "$2" "$1" 0000:00:09.0 || failed=$((failed + 1))

# Otherwise the state of these devices is like that of any ivshmem device.
for device; do
	check "$device: fill" fill "$device"
	bar "$device" read >memory
	check "$device: save" vfiomig save "$device" --raw -o image
	head -c 1048576 /dev/zero | bar "$device" write
	check "$device: restore" vfiomig restore "$device" --no-hold --raw -i image
	check "$device: the memory is the same" sh -c "bar $device read | cmp - memory"
	check "$device: the image is the same" sh -c "vfiomig save $device --raw | cmp - image"
done

finish
