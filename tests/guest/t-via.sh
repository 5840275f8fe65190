#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Both ways to a device, its cdev and its group, on a kernel that has both. And what is shown of a
# device that somebody else has open.
# guest: -m 1M -m 1M -s 240
# kernels: newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

fill "$device"

for d in "$device" "$mtty"; do
	for via in cdev group; do
		status 0 "$d: save --via=$via" vfiomig save "$d" --raw -v --via=$via -o $via
		says "through its $via"
		status 0 "$d: restore --via=$via" vfiomig restore "$d" --no-hold --raw --via=$via -i $via
		status 0 "$d: state --via=$via" vfiomig state "$d" --via=$via STOP_COPY
		vfiomig state "$d" --reset >/dev/null
	done
	check "$d: both ways give the same image" cmp cdev group
	vfiomig save "$d" --raw -v -o auto 2>log
	check "$d: the cdev is preferred" grep -q 'through its cdev$' log
	cdev=$(vfiomig list | sed -n "s/^$d .* \(vfio[0-9]*\) .*/\1/p")
	status 0 "$d: named by its cdev" vfiomig info "$cdev"
	status 0 "$d: named by its cdev's path" vfiomig info "/dev/vfio/devices/$cdev"
done
check "from one device to another, by both ways" sh -c \
	"vfiomig save $device --via=cdev | vfiomig restore $other --no-hold --via=group"
check "the memory is the same" sh -c "bar $device read >a; bar $other read >b; cmp a b"

# A save whose output nobody reads has the device, which is where the save leaves it.
for via in cdev group; do
	begin_save "$device" --via=$via --leave=STOP
	wait_for sh -c "vfiomig list | grep -q '^$device .* STOP '"
	ok "$via: list shows the state, and who has the device: $(vfiomig list | grep "^$device")"
	for second in cdev group; do
		status 4 "$via: a second command, by $second, is refused" vfiomig save "$device" --raw --via=$second -o x
		says "(vfiomig) is at work on it; --wait waits for it"
	done
	status 4 "$via: info" vfiomig info "$device"
	prints 'state:      STOP'
	prints ' (vfiomig)'
	end_save first
	vfiomig save "$device" --raw -q -o again
	check "$via: the first command was not disturbed" cmp first again
done

# Without iommufd the group is used.
mv /dev/iommu /dev/iommu-not
vfiomig save "$device" --raw -v -o x 2>log
check "without iommufd the group is used" grep -q 'through its group$' log
status 3 "--via=cdev without iommufd" vfiomig info "$device" --via=cdev
says 'go through its group'
mv /dev/iommu-not /dev/iommu
status 4 "not permitted" as_nobody "exec vfiomig info $device"
says 'not permitted to open /dev/iommu; run as root, or give this user access to it'
chown nobody "/dev/vfio/$(group_of "$device")"
status 0 "who may open the group goes through the group" as_nobody "exec vfiomig info $device"
status 4 "unless the cdev is asked for" as_nobody "exec vfiomig info $device --via=cdev"
says 'not permitted to open /dev/iommu; run as root, or give this user access to it, or open the device with --via=group'
status 4 "of another group" as_nobody "exec vfiomig info $other --via=group"
says "not permitted to open /dev/vfio/$(group_of "$other"); run as root"

finish
