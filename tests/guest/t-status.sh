#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Exit statuses and messages: each is caused for real here. host/usage.sh has those of the command
# line. The bridge puts two devices into one group; the driver of 02:02.0 is built into the kernel.
# guest: -m 1M -m 1M -s 240
# env: GUEST_QEMU_ARGS='-device pcie-pci-bridge,id=bridge,addr=5 -device edu,bus=bridge,addr=1 -device virtio-rng-pci,bus=bridge,addr=2'
# kernels: cdev 6.1

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

edu=$(functions_with 0x11e8)
rng=$(functions_with 0x1005)

# Status 0, and what a user sees
status 0 "list" vfiomig list
check "list: a line for each device and a head" test "$(vfiomig list | wc -l)" -eq 5
check "list has opened nothing" sh -c "! vfiomig list -v 2>&1 | grep -q opened"
status 0 "info" vfiomig info "$device"
status 0 "info of a sysfs path" vfiomig info "/sys/bus/pci/devices/$device/vendor"
status 0 "info of a cdev's name" vfiomig info vfio0
status 0 "state" vfiomig state "$device"
check "state prints RUNNING" test "$(vfiomig state "$device")" = RUNNING
check "state prints the path" sh -c "vfiomig state $device stop-copy |
	grep -q -x 'RUNNING -> RUNNING_P2P -> STOP -> STOP_COPY ([0-9.]* ms)'"
check "state --json" test "$(vfiomig state "$device" stop --json | jq -r '[.state, .arcs[].to, .reset] | join(" ")')" = \
	"STOP RUNNING_P2P STOP false"
check "state --json without a target" test "$(vfiomig state "$device" --json | jq -r .state)" = RUNNING
check "state -v tells of each arc" sh -c "vfiomig state -v $device STOP 2>&1 | grep -q 'RUNNING_P2P -> STOP (.* ms)'"
check "-q prints nothing" sh -c "test -z \"\$(vfiomig save $device --raw -q -o image 2>&1)\""
status 0 "state --reset" vfiomig state "$device" --reset STOP

# mtty keeps its state when it is closed. On 6.1 it does not support migration.
if [ "$KERNEL" != 6.1 ]; then
	status 0 "save --leave" vfiomig save "$mtty" --raw --leave=stop -o image-of-mtty
	check "the device is left in STOP" test "$(vfiomig state "$mtty")" = STOP
	status 0 "a save from STOP" vfiomig save "$mtty" --raw -o image-of-mtty
	check "the device is back in STOP" test "$(vfiomig state "$mtty")" = STOP
	status 0 "restore --leave" vfiomig restore "$mtty" --raw --leave=running-p2p -i image-of-mtty
	check "the device is left in RUNNING_P2P" test "$(vfiomig state "$mtty")" = RUNNING_P2P
	status 0 "restore leaves RUNNING" vfiomig restore "$mtty" --raw -i image-of-mtty
	check "the device is RUNNING" test "$(vfiomig state "$mtty")" = RUNNING
	status 0 "the restored device is released" vfiomig release "$mtty"
	status 0 "a session that was left in RESUMING" vfiomig state "$mtty" RESUMING
	status 0 "the next session begins anew" vfiomig save "$mtty" --raw -o image-of-mtty
fi

# Status 1
status 1 "a disk that is full" sh -c "vfiomig save $device --raw >/dev/full"
says 'No space left on device; the device is back in RUNNING'
mkdir small
mount -t tmpfs -o size=256k tmpfs small
status 1 "a disk that is full, by -o" vfiomig save "$device" --raw -o small/image
check "nothing is left on the disk" test -z "$(ls -A small)"
echo precious >small/image
status 1 "a disk that is full, over a file" vfiomig save "$device" --raw -o small/image
check "the file is unchanged" test "$(cat small/image)" = precious
status 1 "a pipe that is closed" sh -c "{ vfiomig save $device --raw; echo \$? >rc; } | true; exit \$(cat rc)"
says 'Broken pipe; the device is back in RUNNING'
status 1 "a directory that is not there" vfiomig save "$device" --raw -o nowhere/image
status 1 "an input that is not there" vfiomig restore "$device" --raw -i nowhere
says 'No such file'
status 1 "--leave with a state that a device cannot be left in" vfiomig save "$device" --raw --leave=PRE_COPY -o x
says 'cannot be left in PRE_COPY'
check "there is no image" test ! -e x
status 1 "ERROR as a target" vfiomig state "$device" ERROR
status 1 "a device that is not there" vfiomig info 0000:00:1e.7
says 'there is no device'

# Outputs that are not regular files are written to, and not replaced.
status 0 "-o /dev/null" vfiomig save "$device" --raw -o /dev/null
check "/dev/null is still a device" test -c /dev/null
ln -s real link
status 1 "-o LINK to nothing" vfiomig save "$device" --raw -o link
echo old >real
status 0 "-o LINK" vfiomig save "$device" --raw -o link
check "the link is still a link" test -L link
check "the link's target is the image" cmp image real
mkfifo fifo
cat fifo >from-fifo &
status 0 "-o FIFO" vfiomig save "$device" --raw -o fifo
wait
check "the FIFO's reader gets the image" cmp image from-fifo

# Status 3
set_driver "$other" vfio-pci
status 3 "a driver without migration" vfiomig save "$other" --raw -o x
says "its driver vfio-pci has no migration support; run \"vfiomig bind $other\", which binds it to ivshmem_vfio_pci"
check "there is no image" test ! -e x
status 3 "info without migration" vfiomig info "$other"
status 3 "state without migration" vfiomig state "$other"
set_driver "$other" \'\'
status 3 "no driver" vfiomig info "$other"
says "not bound to a VFIO driver (bound to no driver); run \"vfiomig bind $other\", which binds it to ivshmem_vfio_pci"
status 3 "another driver" vfiomig info "$rng"
says "not bound to a VFIO driver (bound to virtio-pci); run \"vfiomig bind $rng\", which binds it to vfio-pci"

# Status 4
exec 5<>"/dev/vfio/$(group_of "$device")"
status 4 "a device that is busy" vfiomig save "$device" --raw -o x
says "busy: process $$ (sh) has the device or its group open"
check "list names the process" sh -c "vfiomig list | grep -q '^$device .* $$ (sh) '"
exec 5>&-
begin_save "$device"
status 4 "two at once: the second" vfiomig save "$device" --raw -o x
says '(vfiomig) is at work on it; --wait waits for it'
end_save image-1
check "two at once: the first" cmp image image-1
set_driver "$edu" vfio-pci
status 4 "a group that is not viable" vfiomig info "$edu"
says "is not viable: $rng is in it and bound to virtio-pci; run \"vfiomig bind --group $edu\", which takes it along"
set_driver "$rng" \'\'
status 3 "the group is viable without that driver" vfiomig info "$edu"
says 'its driver vfio-pci has no migration support; a variant driver for the device is needed'
status 4 "not permitted" as_nobody "exec vfiomig info $device"
says 'not permitted to open /dev/'

# Status 5
status 5 "an empty image" vfiomig restore "$device" -i /dev/null
says 'the image is empty'
status 5 "no raw state" vfiomig restore "$device" --raw -i /dev/null
says 'there is no state: the input is empty'
vfiomig save "$device" -q -o whole
status 5 "an image where raw state is expected" vfiomig restore "$device" --raw -i whole
says 'this is an image of vfiomig, not raw state'

status 5 "raw state that is cut off" sh -c "head -c 100 image | vfiomig restore $device --raw"
says 'the stream of ivshmem ends in the middle of record 2'

# Status 7. t-stream.sh has more causes.
status 7 "a device that was reset" sh -c "head -c 100 image | vfiomig restore $device --raw --force"

# Status 128 + N: the device comes home first. A pipe that nobody reads stops the save in its
# middle.
exec 6<>pipe
for signal in INT TERM HUP; do
	timeout -s $signal 1 vfiomig save "$device" --raw >pipe 2>log
	check "SIG$signal ends a save" test "$(kill -l $?)" = $signal
	check "SIG$signal: the message says so" grep -q 'interrupted by a signal; the device is back in RUNNING' log
done
exec 6<&-
head -c 100 image >half
{
	cat half
	exec sleep 100
} >pipe &
feeder=$!
rm -f log
vfiomig restore "$device" --raw -v <pipe 2>log &
wait_for grep -q 'STOP -> RESUMING' log
kill -TERM $!
wait $!
check "SIGTERM in a restore ends it" test $? -eq 143
check "the device was reset" grep -q 'the device was reset (its state is lost) and is now in RUNNING' log
kill $feeder

# A kernel without VFIO
for module in mtty mdev ivshmem_vfio_pci vfio_pci vfio_pci_core vfio_iommu_type1 vfio; do
	rmmod $module
done
status 3 "no VFIO" vfiomig info "$device"
says 'the kernel has no VFIO loaded'
modprobe ivshmem_vfio_pci
set_driver "$device" ivshmem_vfio_pci
rmmod vfio_iommu_type1
rm -f /lib/modules/*/vfio_iommu_type1.ko
status 3 "no type1 IOMMU" vfiomig info "$device" --via=group
says 'the kernel has no type1 IOMMU'

finish
