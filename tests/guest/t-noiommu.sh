#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device without an IOMMU, in the kernel's noiommu mode.
# guest: -m 1M
# kernels: newest
# env: GUEST_BOOT_ARGS='intel_iommu=off vfio.enable_unsafe_noiommu_mode=1'

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

mode=/sys/module/vfio/parameters/enable_unsafe_noiommu_mode
group=/dev/vfio/noiommu-$(group_of "$device")
check "the group has no IOMMU" test -c "$group"
ways=group
[ ! -e /dev/vfio/devices/noiommu-vfio0 ] || ways='group cdev'

# The kernel has tainted itself: TAINT_USER.
check "the kernel is tainted by that" test $(($(cat /proc/sys/kernel/tainted) & 64)) -ne 0
status 0 "list" vfiomig list
prints "$device"

for via in $ways; do
	fill "$device"
	bar "$device" read >before
	status 0 "info: by $via" vfiomig info "$device" --via="$via"
	prints 'migration:  STOP_COPY P2P PRE_COPY'
	status 0 "save: by $via" vfiomig save "$device" -q -o image --via="$via"
	fill "$device"
	status 0 "restore: by $via" vfiomig restore "$device" -q -i image --via="$via"
	bar "$device" read >after
	check "the memory is what it was" cmp before after
	holder=$(holder_of "$device")
	check "a holder has it" test -n "$holder"
	check "the holder has the group, or the cdev, open" \
		sh -c "ls -l /proc/$holder/fd | grep -q '/dev/vfio/.*noiommu-'"
	status 0 "state: by its holder" vfiomig state "$device" STOP
	status 0 "list" vfiomig list
	prints "STOP   $holder (holder)"
	vfiomig release "$device"
done
[ "$ways" != group ] || status 3 "no cdev" vfiomig info "$device" --via=cdev
[ "$ways" != group ] || says 'the kernel has no cdev for a device without an IOMMU (noiommu mode), which Linux 7.3 has'

# exec leaves a cdev to its command to bind, and sleep(1) does not.
vfiomig exec "$device" --via=group -- sleep 1000 &
owner=$!
wait_for sh -c "ls -l /proc/$owner/fd 2>/dev/null | grep -q noiommu- && ! grep -q vfiomig /proc/$owner/comm"
status 4 "somebody has it" vfiomig info "$device"
says "busy: process $owner (sleep) has the device or its group open"
status 4 "unbind does not wait for who has it" vfiomig unbind "$device"
says "process $owner (sleep)"
status 0 "borrowed" vfiomig save "pid:$owner/$device" -q -o image
kill $owner
wait $owner

# An ordinary user who may open the nodes
chmod 666 "$group" /dev/vfio/devices/* /dev/iommu
for via in auto $ways; do
	status 4 "an ordinary user: by $via" as_nobody "vfiomig state $device --via=$via"
	says 'not permitted: a device without an IOMMU (noiommu mode) needs CAP_SYS_RAWIO; run as root'
done

# The group vanishes when the function is taken from VFIO.
status 0 "unbind" vfiomig unbind "$device"
check "it has no group" test ! -e "/sys/bus/pci/devices/$device/iommu_group"
status 0 "bind --dry-run" vfiomig bind "$device" --dry-run
status 0 "bind" vfiomig bind "$device" --group
status 0 "it can be opened" vfiomig state "$device"
status 0 "unbind" vfiomig unbind "$device"

# While vfio is not loaded, its parameter is the one that it would be loaded with.
for uuid in $MTTY; do
	echo 1 >"/sys/bus/mdev/devices/$uuid/remove"
done
rmmod ivshmem_vfio_pci vfio-pci vfio-pci-core mtty mdev vfio_iommu_type1 vfio
check "vfio is not loaded" test ! -e /sys/module/vfio
status 0 "bind --dry-run without vfio" vfiomig bind "$device" --dry-run
status 0 "bind loads vfio" vfiomig bind "$device"
check "it is in noiommu mode" test "$(cat $mode)" = Y
modprobe vfio_iommu_type1

# Without the mode
echo N >$mode
status 3 "the mode was switched off" vfiomig info "$device" --via=group
says 'the device has no IOMMU; set enable_unsafe_noiommu_mode of vfio, if that is wanted'
status 0 "unbind" vfiomig unbind "$device"
status 3 "bind" vfiomig bind "$device"
says 'the device has no IOMMU group; enable the IOMMU (firmware setup, intel_iommu=on), or do without (enable_unsafe_'
status 0 "unbind has nothing to do" vfiomig unbind "$device"

finish
