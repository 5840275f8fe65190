#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bind and unbind. The bridge puts two functions into one group. The driver of one of them is built
# into the kernel. t-bind-use.sh tests devices that are in use.
# guest: -m 1M -s 480
# kernels: cdev
# env: GUEST_QEMU_ARGS='-device pcie-pci-bridge,id=bridge,addr=5 -device edu,bus=bridge,addr=1 -device virtio-rng-pci,bus=bridge,addr=2'

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

pci=/sys/bus/pci/devices
edu=$(functions_with 0x11e8)
rng=$(functions_with 0x1005)
bridge=0000:00:05.0
notes=/run/vfiomig/bound

# binding ADDRESS: print "DRIVER OVERRIDE", with "-" for none
binding() {
	driver=$(readlink "$pci/$1/driver") || driver=-
	override=$(cat "$pci/$1/driver_override")
	[ "$override" != '(null)' ] || override=-
	echo "${driver##*/} $override"
}

# is ADDRESS BINDING: check that binding() prints this
is() {
	check "$1: $2" test "$(binding "$1")" = "$2"
}

# one LINE: standard output of the last status() is this line and no other
one() {
	check "standard output is: $1" test "$(cat $OUT)" = "$1"
}

# From no driver to the best one, and back.
set_driver "$device" ''
status 3 "info names the command and the driver" vfiomig info "$device"
says "not bound to a VFIO driver (bound to no driver); run \"vfiomig bind $device\", which binds it to ivshmem_vfio_pci"
status 0 "bind --dry-run" vfiomig bind "$device" --dry-run
one "$device: would be bound to ivshmem_vfio_pci (now no driver)"
is "$device" '- -'
check "--dry-run writes no note" test ! -e $notes
rmmod ivshmem_vfio_pci vfio_pci
status 0 "bind loads the driver" vfiomig bind "$device"
one "$device: bound to ivshmem_vfio_pci (before no driver)"
is "$device" 'ivshmem_vfio_pci ivshmem_vfio_pci'
check "the device can be used at once" vfiomig state "$device"
check "only root can read the note" test "$(stat -c %a $notes $notes/"$device" | tr '\n' ' ')" = '700 600 '
check "the note says no driver" test ! -s "$notes/$device"
status 0 "bind again" vfiomig bind "$device"
one "$device: bound to ivshmem_vfio_pci already"
status 0 "unbind --dry-run" vfiomig unbind "$device" --dry-run
one "$device: would be bound to no driver (now ivshmem_vfio_pci)"
is "$device" 'ivshmem_vfio_pci ivshmem_vfio_pci'
status 0 "unbind" vfiomig unbind "$device"
one "$device: bound to no driver (before ivshmem_vfio_pci)"
is "$device" '- -'
check "the note is gone" test ! -e "$notes/$device"
status 0 "unbind again" vfiomig unbind "$device"
one "$device: bound to no driver already"
status 0 "bind -q" vfiomig bind -q "$device"
check "-q prints nothing" test ! -s $OUT -a ! -s $ERR

# --driver takes the name of a driver, or of its module, even if there is a better driver.
for called in vfio-pci vfio_pci; do
	vfiomig unbind -q "$device"
	rmmod vfio_pci 2>/dev/null
	status 0 "--driver $called --dry-run" vfiomig bind "$device" --driver $called --dry-run
	one "$device: would be bound to vfio-pci (now no driver)"
	status 0 "--driver $called" vfiomig bind "$device" --driver $called
	one "$device: bound to vfio-pci (before no driver)"
	status 0 "--driver $called again" vfiomig bind "$device" --driver $called
	one "$device: bound to vfio-pci already"
done
status 3 "a driver without migration" vfiomig info "$device"
says "its driver vfio-pci has no migration support; run \"vfiomig bind $device\", which binds it to ivshmem_vfio_pci"
status 0 "from one VFIO driver to another" vfiomig bind "$device"
one "$device: bound to ivshmem_vfio_pci (before vfio-pci)"
status 0 "unbind gives back the driver from before both" vfiomig unbind "$device"
is "$device" '- -'
set_driver "$device" vfio-pci
status 0 "from a VFIO driver that somebody else has bound" vfiomig bind "$device"
one "$device: bound to ivshmem_vfio_pci (before vfio-pci)"
status 0 "unbind gives back that VFIO driver" vfiomig unbind "$device"
is "$device" 'vfio-pci vfio-pci'

# A blacklisted driver is not chosen, but can be named.
vfiomig unbind -q "$device"
rmmod ivshmem_vfio_pci
mkdir -p /etc/modprobe.d
echo 'blacklist ivshmem_vfio_pci' >/etc/modprobe.d/local.conf
status 0 "a blacklisted driver" vfiomig bind "$device"
one "$device: bound to vfio-pci (before no driver)"
status 0 "a blacklisted driver by its name" vfiomig bind "$device" --driver ivshmem_vfio_pci
one "$device: bound to ivshmem_vfio_pci (before vfio-pci)"
rm /etc/modprobe.d/local.conf
vfiomig unbind -q "$device"
set_driver "$device" vfio-pci

# Without a note the kernel chooses the driver. If a note is out of date, the present driver counts.
status 0 "unbind --dry-run of a function that somebody else has bound" vfiomig unbind "$device" --dry-run
one "$device: would be bound to the driver that the kernel chooses (now vfio-pci)"
status 0 "unbind" vfiomig unbind "$device"
one "$device: bound to no driver (before vfio-pci)"
is "$device" '- -'
set_driver "$rng" vfio-pci
status 0 "unbind of a function that the kernel has a driver for" vfiomig unbind "$rng"
one "$rng: bound to virtio-pci (before vfio-pci)"
is "$rng" 'virtio-pci -'
vfiomig bind -q "$rng" 2>/dev/null
set_driver "$rng" ''
status 0 "unbind of a function that somebody else has unbound" vfiomig unbind "$rng"
one "$rng: bound to virtio-pci (before no driver)"
vfiomig bind -q "$device"
echo 'driver gone' >"$notes/$device"
status 0 "a former driver that does not exist any more" vfiomig unbind "$device"
says "$device had the driver gone, which the kernel has no more"
is "$device" '- -'
vfiomig bind -q "$device"
echo 'driver ../x' >"$notes/$device"
status 1 "a note that is damaged" vfiomig unbind "$device"
says 'is damaged; remove it'
is "$device" 'ivshmem_vfio_pci ivshmem_vfio_pci'
rm "$notes/$device"
vfiomig unbind -q "$device"

# A former driver_override is given back, too, with its driver.
echo virtio-pci >"$pci/$rng/driver_override"
vfiomig bind -q "$rng" 2>/dev/null
is "$rng" 'vfio-pci vfio-pci'
status 0 "unbind" vfiomig unbind "$rng"
is "$rng" 'virtio-pci virtio-pci'
echo >"$pci/$rng/driver_override"

# A group is bound as a whole or not at all.
status 0 "bind one of two" vfiomig bind "$edu"
says "cannot be used yet: $rng is in it and bound to virtio-pci; --group takes it along"
one "$edu: bound to vfio-pci (before no driver)"
status 4 "its group is not viable" vfiomig info "$edu"
says "run \"vfiomig bind --group $edu\", which takes it along"
status 0 "--group --dry-run" vfiomig bind --group "$edu" --dry-run
prints "$edu: bound to vfio-pci already"
prints "$rng: would be bound to vfio-pci (now virtio-pci)"
status 0 "--group" vfiomig bind --group "$edu" -v
prints "$edu: bound to vfio-pci already"
prints "$rng: bound to vfio-pci (before virtio-pci)"
says "$bridge of group"
is "$bridge" '- -'
status 3 "the group is viable now" vfiomig info "$edu"
says 'its driver vfio-pci has no migration support'
status 0 "unbind --group --json" vfiomig unbind --group --json "$rng"
check "both functions are unbound" jq -e ".device == \"$rng\" and ([.functions[] | [.name, .before, .after, .changed]] ==
	[[\"$edu\", \"vfio-pci\", null, true], [\"$rng\", \"vfio-pci\", \"virtio-pci\", true]])" $OUT
is "$edu" '- -'
is "$rng" 'virtio-pci -'
check "no note is left" test -z "$(ls $notes)"

# A bind that fails is undone.
set_driver "$device" ivshmem_vfio_pci
status 1 "a driver that refuses the device" vfiomig bind "$device" --driver virtio-pci
says "virtio-pci did not take $device"
says "; $device is back with ivshmem_vfio_pci"
is "$device" 'ivshmem_vfio_pci ivshmem_vfio_pci'
check "the device works as before" vfiomig state "$device"
status 1 "the same from no driver" vfiomig bind "$edu" --driver virtio-pci
says "; $edu is back with no driver, as it was"
is "$edu" '- -'
status 3 "a driver that is not a VFIO driver" vfiomig bind "$rng" --driver virtio-pci
says "virtio-pci is not a VFIO driver"
is "$rng" 'virtio-pci -'
status 1 "no such driver" vfiomig bind "$device" --driver nosuch
says 'the kernel has no PCI driver nosuch and no module of that name'
status 1 "no such driver, --dry-run" vfiomig bind "$device" --driver nosuch --dry-run
status 1 "a module without a PCI driver" vfiomig bind "$device" --driver mtty
says 'the module mtty brings no PCI driver'
status 2 "a malformed name of a driver" vfiomig bind "$device" --driver ../x
status 2 "an empty name" vfiomig bind "$device" --driver=
set_driver "$device" ''
mount -t tmpfs tmpfs /dev/vfio
status 1 "a node that does not appear" vfiomig bind "$device"
says 'has not appeared within 10 seconds'
says "; $device is back with no driver, as it was"
is "$device" '- -'
# waits: a vfiomig has given the device to its driver, and its step has ended, so that it waits for the node
# shellcheck disable=SC2317 # within calls it
waits() {
	[ -e "/sys/bus/pci/devices/$device/vfio-dev" ] && pidof vfiomig >waiter && [ "$(wc -w <waiter)" -eq 1 ]
}
signal_waiter() {
	within 600 waits && kill -s "$1" "$(cat waiter)"
}
for signal in INT TERM; do
	# The shell has its background commands ignore SIGINT, so the one that sends it is there.
	signal_waiter $signal &
	vfiomig bind "$device" 2>log
	check "SIG$signal ends the wait for the node" test "$(kill -l $?)" = $signal
	check "SIG$signal: the message says so" grep -q "interrupted by a signal; $device is back with no driver, as it was" log
	is "$device" '- -'
done
status 1 "a group of which one fails" vfiomig bind --group "$edu"
is "$edu" '- -'
is "$rng" 'virtio-pci -'
check "no note is left" test -z "$(ls $notes)"
umount /dev/vfio

# Two commands at once do not disturb each other.
vfiomig bind "$device" --wait >first &
vfiomig bind "$device" --wait >second
wait $!
check "two at once: one binds the device" test "$(sort first second)" = "$device: bound to ivshmem_vfio_pci (before no driver)
$device: bound to ivshmem_vfio_pci already"

# A device is not taken away from a command that is at work on it.
begin_save "$device"
for command in unbind 'bind --driver vfio-pci --force' 'bind'; do
	# shellcheck disable=SC2086 # words
	status 4 "$command of a device that is being saved" vfiomig $command "$device"
	says '(vfiomig) is at work on it; --wait waits for it'
done
vfiomig unbind "$device" --wait=60 >after &
end_save /dev/null
wait
check "--wait waits for the command" grep -q 'bound to no driver (before ivshmem_vfio_pci)' after
vfiomig bind -q "$device"

# No other process that has the device open is waited for, because that may take for ever.
for via in cdev group; do
	[ $via = group ] || [ -e /dev/iommu ] || continue
	vfiomig hold -q "$device" --via=$via
	for command in unbind 'bind --driver vfio-pci --force' 'unbind --dry-run'; do
		# shellcheck disable=SC2086 # words
		status 4 "$command of a device that is held by its $via" vfiomig $command "$device"
		says "holds $device; run \"vfiomig release $device\""
	done
	status 2 "a device named by its holder" vfiomig bind "unix:/run/vfiomig/$device.sock"
	says 'named by who has it open'
	# A process of which nothing is known, because /proc does not show it.
	status 4 "$via: an unknown process" env -i PATH="$PATH" unshare -m sh -c \
		"mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /proc; exec vfiomig unbind $device"
	says 'busy: another process has the device or its group open'
	is "$device" 'ivshmem_vfio_pci ivshmem_vfio_pci'
	vfiomig release "$device"
done
exec 5<>"/dev/vfio/$(group_of "$device")"
status 4 "a group that is open" vfiomig unbind "$device"
says "busy: process $$ (sh) has the device or its group open"
exec 5>&-
status 0 "unbind works once the group is closed" vfiomig unbind "$device"

# Somebody else takes the device from its driver while it is held, which waits for the holder in the kernel.
for via in cdev group; do
	[ $via = group ] || [ -e /dev/iommu ] || continue
	vfiomig bind -q "$device"
	vfiomig hold -q "$device" --via=$via
	holder=$(holder_of "$device")
	echo "$device" >"/sys/bus/pci/drivers/ivshmem_vfio_pci/unbind" &
	wait_for test ! -e "$pci/$device/driver"
	status 0 "$via: list" timeout 20 vfiomig list
	check "$via: the device is listed, and held" sh -c "grep -q '^$device .*$holder (holder)' $OUT"
	status 0 "$via: info" timeout 20 vfiomig info "$device"
	for command in 'unbind -n' 'bind -n' unbind 'bind --driver vfio-pci --force'; do
		# shellcheck disable=SC2086 # words
		status 4 "$via: $command" timeout 20 vfiomig $command "$device"
		says "busy: somebody is taking $device from its driver, and process $holder still holds it; run \"vfiomig release $device\""
	done
	status 0 "$via: release" timeout 20 vfiomig release "$device"
	wait
	status 0 "$via: unbind" vfiomig unbind "$device"
done

# Other devices, and other users.
status 2 "a mediated device" vfiomig bind "$mtty"
says 'only PCI functions can be bound'
status 2 "unbind of a mediated device" vfiomig unbind "$mtty"
status 3 "a bridge" vfiomig bind "$bridge"
says 'a bridge, which VFIO does not take'
status 4 "not permitted" as_nobody "exec vfiomig bind $device"
says "not permitted to change the driver of $device; run as root"
status 0 "--dry-run is permitted" as_nobody "exec vfiomig bind $device --dry-run"

# The kernel has no VFIO loaded, and then no modules at all.
for uuid in $MTTY; do
	echo 1 >"/sys/bus/mdev/devices/$uuid/remove"
done
rmmod mtty mdev ivshmem_vfio_pci vfio_pci vfio_pci_core vfio_iommu_type1 vfio
status 3 "no VFIO" vfiomig info "$device"
says "the kernel has no VFIO loaded; run \"vfiomig bind $device\", which loads ivshmem_vfio_pci"
status 0 "bind loads VFIO" vfiomig bind "$device"
check "the device can be used at once" vfiomig state "$device"
vfiomig unbind -q "$device"
rmmod ivshmem_vfio_pci
rm -r /lib/modules/*
status 3 "no modules" vfiomig bind "$device"
says 'the kernel has no PCI driver vfio-pci and no module of that name'
is "$device" '- -'

finish
