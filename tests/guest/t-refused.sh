#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Why the kernel refuses a device: there is no interrupt remapping, another function of its group is
# open, it wants a VF token.
# guest: -m 1M -s 600
# env: GUEST_BOOT_ARGS=intremap=off GUEST_QEMU_ARGS='-object memory-backend-ram,id=a,size=1M,share=on -object memory-backend-ram,id=b,size=1M,share=on -device ivshmem-plain,memdev=a,addr=6.0,multifunction=on -device ivshmem-plain,memdev=b,addr=6.1 -device pcie-root-port,id=r,chassis=1,slot=1,addr=7 -device nvme-subsys,id=s -device nvme,serial=1,subsys=s,sriov_max_vfs=2,sriov_vq_flexible=4,sriov_vi_flexible=2,bus=r'
# kernels: newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

ways=group
[ ! -e /dev/iommu ] || ways='group cdev'
modules=/sys/module

# Interrupt remapping
no_remapping='not permitted: the platform has no interrupt remapping; enable it, or set allow_unsafe_interrupts of'
status 4 "interrupts are not remapped: by group" vfiomig state "$device" --via=group
says "$no_remapping vfio_iommu_type1"
echo Y >$modules/vfio_iommu_type1/parameters/allow_unsafe_interrupts
status 0 "it is allowed" vfiomig save "$device" -q -o image --via=group
if [ -e /dev/iommu ]; then
	status 4 "interrupts are not remapped: by cdev" vfiomig state "$device"
	says "$no_remapping iommufd, which is set for --via=group"
	echo Y >$modules/iommufd/parameters/allow_unsafe_interrupts
	status 0 "it is allowed" vfiomig save "$device" -q -o image --via=cdev
fi

# Two functions of a group
first=0000:00:06.0 second=0000:00:06.1
for function in $first $second; do
	set_driver "$function" ivshmem_vfio_pci
done
check "the two functions share a group" test "$(group_of $first)" = "$(group_of $second)"
for held in $ways; do
	vfiomig hold -q $first --via="$held"
	holder=$(holder_of $first)
	for via in $ways; do
		status 4 "the other one is held by its $held: by $via" vfiomig state $second --via="$via"
		says "busy: process $holder (vfiomig-hold) has "
	done
	vfiomig release $first
	status 0 "the other one is released" vfiomig save $second -q -o image
done

# SR-IOV, which not all kernels here have
[ -e /sys/bus/pci/devices/0000:01:00.0/sriov_numvfs ] || finish
physical=0000:01:00.0
token=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
wrong=83b8f4f2-509f-382f-3c1e-e6bfe0fa1002
echo Y >$modules/vfio_pci/parameters/enable_sriov
set_driver $physical vfio-pci
virtual=0000:01:00.1
# Opening the physical function resets it, from which QEMU's virtual functions do not come back.
vfiomig hold -q $physical --vf-token=$token
echo 2 >/sys/bus/pci/devices/$physical/sriov_numvfs
check "the virtual function belongs to vfio-pci" test "$(driver_of $virtual)" = vfio-pci
status 2 "a token that is no UUID" vfiomig state $virtual --vf-token=x
says "a VF token is a UUID like"
# Each way has a virtual function of its own: QEMU's does not come back from its second reset.
for via in $ways; do
	if [ "$KERNEL $via" = 'cdev cdev' ]; then
		status 3 "an older kernel takes no token through the cdev" vfiomig state $virtual --via=cdev --vf-token=$token
		says 'takes no VF token through the cdev, which Linux 6.17 does; --via=group takes it'
		continue
	fi
	status 4 "a virtual function: by $via" vfiomig state $virtual --via="$via"
	says "its physical function $physical belongs to vfio-pci, which wants a VF token; give --vf-token with"
	status 4 "the wrong token: by $via" vfiomig state $virtual --via="$via" --vf-token=$wrong
	says "the VF token is not the one that its physical function $physical was opened with"
	status 0 "the right token: by $via" vfiomig hold $virtual --via="$via" --vf-token=$token
	status 1 "a token for another device: by $via" vfiomig state "$device" --via="$via" --vf-token=$token
	says 'no VF token is wanted, because it is neither a virtual nor a physical function of SR-IOV'
	virtual=0000:01:00.2
done
vfiomig release $physical
status 4 "a physical function, while a virtual one is in use" vfiomig state $physical --via=group
says 'its virtual functions are in use, and vfio-pci wants their VF token; give --vf-token'
status 4 "the wrong token" vfiomig state $physical --via=group --vf-token=$wrong
says 'the VF token is not the one of its virtual functions, which are in use'

# Somebody takes the virtual functions away while they are held, which waits for the holders in the kernel.
echo 0 >/sys/bus/pci/devices/$physical/sriov_numvfs &
virtual=0000:01:00.1
wait_for test ! -e /sys/bus/pci/devices/$virtual/driver
holder=$(holder_of $virtual)
status 0 "a virtual function is being removed: list" timeout 20 vfiomig list
check "it is listed, and held" grep -q "^$virtual .*$holder (holder)" $OUT
for command in 'unbind -n' 'bind -n' unbind; do
	# shellcheck disable=SC2086 # words
	status 4 "a virtual function is being removed: $command" timeout 20 vfiomig $command $virtual
	says "busy: somebody is taking $virtual from its driver, and process $holder still holds it; run \"vfiomig release $virtual\""
done
status 4 "its physical function: unbind" timeout 20 vfiomig unbind $physical
for virtual in 0000:01:00.1 0000:01:00.2; do
	[ -z "$(holder_of $virtual)" ] || status 0 "$virtual is being removed: release" timeout 20 vfiomig release $virtual
done
wait
check "the virtual functions are gone" test "$(cat /sys/bus/pci/devices/$physical/sriov_numvfs)" = 0

finish
