#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# doctor on a real kernel: without interrupt remapping, without modules, and as an ordinary user. Its lines in all of their
# outcomes are in host/emulated-doctor.sh.
# guest: -m 1M
# env: GUEST_BOOT_ARGS=intremap=off
# kernels: newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# line VERDICT CHECK TEXT: the last doctor has such a line; TEXT is a pattern
line() {
	check "$1 $2" grep -q "^$1  $2  *$3" "$OUT"
}

# not_fails CHECK: that does not fail
not_fails() {
	check "$1 is no failure" sh -c "grep -q '  $1 ' '$OUT' && ! grep -q '^FAIL  $1 ' '$OUT'"
}

unsafe=parameters/allow_unsafe_interrupts
status 1 "doctor" vfiomig doctor
line PASS kernel.vfio 'VFIO is loaded, and 3 devices have VFIO drivers$'
line PASS kernel.hang ''
line PASS kernel.group 'devices can be opened through groups'
line PASS kernel.cdev 'devices can be opened through cdevs'
line PASS kernel.debugfs ''
line PASS iommu.on 'the IOMMU is on (dmar0): [0-9]* groups'
line FAIL iommu.remapping "interrupts are not remapped: .* echo Y >/sys/module/iommufd/$unsafe"
line PASS modules.vfio-pci ''
line PASS modules.variants 'this kernel has ivshmem_vfio_pci'
line PASS modules.fit "$device has ivshmem_vfio_pci"
line PASS process.ptrace ''
line PASS process.visible ''
check "nothing else fails" test "$(grep -c ^FAIL $OUT)" -eq 1
status 4 "info says the same" vfiomig info "$device"
says 'the platform has no interrupt remapping'
status 1 "doctor DEV --probe says the same" vfiomig doctor --probe "$device"
line FAIL device.migration 'not permitted: the platform has no interrupt remapping'
echo Y >/sys/module/iommufd/$unsafe
status 0 "it is allowed for iommufd" vfiomig doctor "$device" --probe
line WARN iommu.remapping '.* for --via=cdev only'
line PASS device.group ''
line PASS device.driver 'ivshmem_vfio_pci, the driver that fits it best'
line PASS device.users 'nobody has it open'
line PASS device.state 'nobody'
line PASS device.migration 'STOP_COPY P2P PRE_COPY'
check "nothing that can be known is not known" test "$(grep -c '^????' $OUT)" -eq 0

# Without --probe it opens nothing: what is held is left alone, and an idle device is not reset.
fill "$device"
bar "$device" read >before
status 0 "doctor DEV" vfiomig doctor "$device"
line '????' device.migration 'what it supports shows only when it is open'
bar "$device" read >after
check "the device was not reset" cmp before after
vfiomig hold -q "$device"
vfiomig state "$device" STOP >/dev/null
status 0 "a device that is held" vfiomig doctor "$device"
line PASS device.users 'process [0-9]* holds it'
line PASS device.state 'it is in STOP'
vfiomig release "$device"
status 0 "a mediated device" vfiomig doctor "$mtty" --probe
line PASS device.driver mtty
line PASS device.migration 'STOP_COPY'

# Not bound, or to vfio-pci
vfiomig unbind "$device" >/dev/null
status 1 "a device without a driver" vfiomig doctor "$device"
line FAIL device.driver 'not bound to a VFIO driver (bound to no driver) -> run "vfiomig bind'
line PASS device.bind "\"vfiomig bind $device\" can bind it to ivshmem_vfio_pci"
vfiomig bind -d vfio-pci "$device" >/dev/null
status 1 "a device with vfio-pci" vfiomig doctor "$device"
line FAIL device.driver "its driver vfio-pci has no migration support -> run \"vfiomig bind $device\""
vfiomig bind "$device" >/dev/null

# An ordinary user
status 1 "an ordinary user" as_nobody "vfiomig doctor $device"
line '????' kernel.debugfs 'only root may look into debugfs'
line WARN process.visible ''
line WARN nodes.cdev 'this user may not open /dev/iommu'
line FAIL device.nodes 'not permitted to open /dev/vfio/devices/'
line '????' device.users ''
not_fails kernel.vfio
not_fails iommu.on
not_fails device.driver

# Without modules
for uuid in $MTTY; do
	echo 1 >"/sys/bus/mdev/devices/$uuid/remove"
done
vfiomig unbind "$device" >/dev/null
rmmod ivshmem_vfio_pci vfio-pci vfio-pci-core mtty mdev vfio_iommu_type1 vfio iommufd
status 1 "nothing is loaded, what permits unsafe interrupts neither" vfiomig doctor
line WARN kernel.vfio 'VFIO is not loaded'
line WARN kernel.group 'vfio_iommu_type1, for groups, is not loaded -> modprobe vfio_iommu_type1'
line WARN kernel.cdev 'iommufd, for cdevs, is not loaded -> modprobe iommufd'
line PASS modules.vfio-pci 'vfio-pci is not loaded'
line FAIL iommu.remapping "interrupts are not remapped: .*/vfio_iommu_type1/$unsafe"
mv /lib/modules /lib/no-modules
status 1 "there are no modules" vfiomig doctor
line '????' kernel.vfio 'whether the kernel has VFIO is not known'
line '????' modules.variants ''
mv /lib/no-modules /lib/modules
check "doctor has loaded nothing" test ! -e /sys/module/vfio

finish
