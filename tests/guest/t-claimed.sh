#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device cannot be opened while somebody else has claimed one of its BARs, and can be opened
# afterwards. Since Linux 7.2 vfio_pci_core leaves this check to the driver.
# guest: -m 1M
# kernels: stock 6.1 newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

for bar in 0 2; do
	check "BAR $bar is claimed" modprobe claim "device=$device" "bar=$bar"
	status 4 "the device cannot be opened" vfiomig state "$device"
	says "busy: 'claim' has claimed a BAR of it, as /proc/iomem shows"
	status 4 "the device cannot be opened through its group" vfiomig state "$device" --via=group
	says "busy: 'claim' has claimed a BAR of it, as /proc/iomem shows"
	check "BAR $bar is released" rmmod claim
	status 0 "the device can be opened" vfiomig save "$device" -q -o image
done

finish
