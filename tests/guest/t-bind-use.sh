#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bind does not take a device away from a disk that is mounted or used for swapping, from an
# interface that is up, or from who has a node of its driver open. Debian's kernel has the drivers
# for this test.
# guest: -m 1M -s 240
# kernels: stock
# env: GUEST_FILES=/usr/sbin/mkfs.minix GUEST_NATIVE=yes GUEST_QEMU_ARGS='-device e1000,addr=6 -drive if=none,id=disk,format=raw,snapshot=on,file.driver=null-co,file.size=16M -device virtio-blk-pci,drive=disk,addr=7 -audiodev none,id=none -device ES1370,audiodev=none,addr=8 -device bochs-display,addr=9'

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

nic=0000:00:06.0
disk=0000:00:07.0
sound=0000:00:08.0
display=0000:00:09.0

modprobe e1000
modprobe virtio_blk
modprobe minix

ip link set eth0 up
status 4 "an interface that is up" vfiomig bind $nic
says "$nic carries the network interface eth0, which is up; take it down (ip link set eth0 down), or use --force"
status 4 "--dry-run is refused, too" vfiomig bind $nic --dry-run
status 4 "--driver is refused, too" vfiomig bind $nic --driver vfio-pci
check "the function has its driver" test "$(driver_of $nic)" = e1000 -a "$(cat /sys/class/net/eth0/operstate)" != ''
status 0 "--force" vfiomig bind $nic --force
check "the interface is gone" test ! -e /sys/class/net/eth0
status 0 "unbind" vfiomig unbind $nic
check "the function is back with e1000" test "$(driver_of $nic)" = e1000
check "the interface is back, and down" test -e /sys/class/net/eth0
status 0 "an interface that is down" vfiomig bind $nic
rmmod e1000
status 0 "unbind loads the former driver" vfiomig unbind $nic
check "the function is back with e1000" test "$(driver_of $nic)" = e1000

# mounted DISK [NAME]: a function whose disk is mounted is not bound. DISK is the disk's node, or
# another name of it.
mounted() {
	mount -t minix "$1" "/tmp/a disk"
	status 4 "$1 is mounted" vfiomig bind $disk
	says "$disk carries the disk ${2:-vda}, which is mounted on /tmp/a disk; unmount it, or use --force"
	check "the function has its driver" test "$(driver_of $disk)" = virtio-pci
	# The mount is in another mount namespace, but the disk is in use all the same.
	unshare -m sh -c 'umount "/tmp/a disk"; exec vfiomig bind '$disk >$OUT 2>$ERR
	check "$1 is mounted elsewhere" test $? -eq 4
	umount "/tmp/a disk"
}
mkdir "/tmp/a disk"
mkfs.minix /dev/vda >log
mounted /dev/vda
mkdir /dev/by-name
ln -s ../vda /dev/by-name/disk
mounted /dev/by-name/disk
mount -t minix /dev/vda "/tmp/a disk"
unshare -m sh -c 'umount "/tmp/a disk"; exec vfiomig bind '$disk >log 2>&1
check "the message says that the disk is in use" grep -q "$disk carries the disk vda, which is in use; end that, or use --force" log
umount "/tmp/a disk"

# If a partition is mounted, the whole disk is in use.
printf 'n\np\n1\n\n\nw\n' | fdisk /dev/vda >/dev/null 2>&1
mkfs.minix /dev/vda1 >log
mounted /dev/vda1 vda1

mkswap /dev/vda1 >/dev/null
swapon /dev/vda1
status 4 "a disk that is swapped to" vfiomig bind $disk
says "$disk carries the disk vda1, which is swapped to; run \"swapoff /dev/vda1\", or use --force"
swapoff /dev/vda1

# A process that has the disk open by some node of it, and no exclusive right.
mknod /tmp/node b "$(cut -d: -f1 /sys/class/block/vda/dev)" "$(cut -d: -f2 /sys/class/block/vda/dev)"
exec 5</tmp/node
status 4 "a disk that is open" vfiomig bind $disk
says "$disk is in use: process $$ (sh) has block device "
status 0 "a disk that is open, --force" vfiomig bind --force -n $disk
exec 5<&-

status 0 "a disk that is not in use" vfiomig bind $disk
check "the disk is gone" test ! -e /sys/class/block/vda
status 0 "unbind" vfiomig unbind $disk
check "the disk is back" test -e /sys/class/block/vda

# open_node FUNCTION NODE: a function of whose driver a process has this node open is not bound
open_node() {
	wait_for test -e "$2"
	exec 5<>"$2"
	status 4 "$2 is open" vfiomig bind "$1"
	says "$1 is in use: process $$ (sh) has $2 open, and its driver may wait for that; end the process, or use --force"
	exec 5>&-
}
modprobe snd-ens1370
open_node $sound /dev/snd/controlC0
open_node $sound /dev/snd/pcmC0D0p
open_node $sound /dev/snd/midiC0D0
check "the function has its driver" test "$(driver_of $sound)" = snd_ens1370

# The driver does wait.
exec 5</dev/snd/controlC0
vfiomig bind $sound --force >log 2>&1 5<&- &
bind=$!
wait_for grep -q 'still waiting' log
exec 5<&-
notice="still waiting for the kernel, which is taking $sound from snd_ens1370; process $$ (sh) has /dev/snd/controlC0 open"
contains log "the notice names the process" "$notice"
wait $bind
check "--force waits until it is closed" test $? -eq 0
status 0 "unbind" vfiomig unbind $sound
open_node $sound /dev/snd/controlC0
status 0 "sound that nobody uses" vfiomig bind $sound
check "the nodes are gone" test ! -e /dev/snd/controlC0

modprobe bochs
open_node $display /dev/dri/card0
open_node $display /dev/fb0
status 0 "a display that nobody uses" vfiomig bind $display

finish
