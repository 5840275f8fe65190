#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device one of whose BARs somebody else has claimed cannot be opened, and can be once that is over. From Linux 7.2 on
# vfio_pci_core leaves it to the driver to look.
# guest: -m 1M
# kernels: stock cdev 6.1 newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

for bar in 0 2; do
	check "BAR $bar is claimed" modprobe claim "device=$device" "bar=$bar"
	status 4 "the device is not to be had" vfiomig state "$device"
	status 4 "nor through its group" vfiomig state "$device" --via=group
	check "BAR $bar is released" rmmod claim
	status 0 "the device can be opened" vfiomig save "$device" -q -o image
done

finish
