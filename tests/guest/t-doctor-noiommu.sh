#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# doctor on a real kernel whose IOMMU is off.
# guest: -m 1M
# env: GUEST_BOOT_ARGS='intel_iommu=off vfio.enable_unsafe_noiommu_mode=1'
# kernels: cdev

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# line VERDICT CHECK TEXT: the last doctor has such a line; TEXT is a pattern
line() {
	check "$1 $2" grep -q "^$1  $2  *$3" "$OUT"
}

status 0 "doctor" vfiomig doctor "$device" --probe
line WARN iommu.on 'no IOMMU is on, and VFIO is in its noiommu mode'
line PASS kernel.group ''
line WARN device.iommu 'it has no IOMMU'
line PASS device.nodes 'this user may open /dev/vfio/noiommu-'
line PASS device.migration 'STOP_COPY P2P PRE_COPY'
echo N >/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
vfiomig unbind "$device" >/dev/null
status 1 "the mode is off" vfiomig doctor "$device"
line FAIL iommu.on 'no IOMMU is on: VFIO takes no PCI device'
line FAIL device.iommu 'the device has no IOMMU group -> enable the IOMMU'
line FAIL device.bind 'it cannot be bound to a VFIO driver without an IOMMU'
status 3 "bind says the same" vfiomig bind "$device"
says 'the device has no IOMMU group; enable the IOMMU'
status 0 "a mediated device needs none" vfiomig doctor "$mtty" --probe
line PASS device.iommu 'it needs no IOMMU of its own'

finish
