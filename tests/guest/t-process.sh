#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Devices that other processes have open: a real QEMU, whose virtual machine does not run, and
# commands that inherit devices. The functions behind root ports can be reset one by one, by which
# vfiomig can tell them apart.
# guest: -m 1M -m 1M -m 2M -s 480
# env: GUEST_FILES='/usr/bin/qemu-system-x86_64 /usr/share/seabios/bios-256k.bin /usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.s*' GUEST_QEMU_ARGS='-object memory-backend-ram,id=a,size=1M,share=on -object memory-backend-ram,id=b,size=1M,share=on -device pcie-root-port,id=r1,chassis=1,slot=1,addr=7 -device pcie-root-port,id=r2,chassis=2,slot=2,addr=8 -device ivshmem-plain,memdev=a,bus=r1 -device ivshmem-plain,memdev=b,bus=r2'
# kernels: newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

twin=$other bigger=$third
export QEMU_MODULE_DIR=/tests

# start ADDRESS...: start a QEMU with these functions. Its PID is in $qemu, and its monitor is
# descriptor 7.
start() {
	functions=
	for function; do
		functions="$functions -device vfio-pci,host=$function"
	done
	rm -f monitor
	mkfifo monitor
	# shellcheck disable=SC2086 # a list
	qemu-system-x86_64 -nodefaults -no-user-config -display none -M q35 -m 16M -bios /tests/bios-256k.bin -S \
		$functions -monitor stdio <monitor >qemu.log 2>&1 &
	qemu=$!
	exec 7>monitor
	# The monitor appears before the devices are open.
	wait_for has_devices $#
	wait_for grep -q '^(qemu)' qemu.log
}

# has_devices N: QEMU has opened N devices
# shellcheck disable=SC2317 # wait_for calls it
has_devices() {
	[ "$(for fd in "/proc/$qemu/fd"/*; do readlink "$fd"; done | grep -c vfio-device)" -eq "$1" ]
}

# tell COMMAND: give COMMAND to QEMU's monitor, and wait until it is done
tell() {
	lines=$(grep -c '^(qemu)' qemu.log)
	echo "$1" >&7
	wait_for sh -c "[ \$(grep -c '^(qemu)' qemu.log) -gt $lines ]"
}

# quit: end QEMU, which must succeed
quit() {
	echo quit >&7
	wait $qemu
	check "QEMU's exit status is 0" test $? -eq 0
	exec 7>&-
}

state_of() {
	zstd -dcq "$1"
}

fill "$device"
bar "$device" read >memory
vfiomig save "$device" -q -o before
fill "$twin"
bar "$twin" read >memory-of-twin
vfiomig save "$twin" -q -o image-of-twin

# One device
start "$device"
status 0 "state" vfiomig state "pid:$qemu/$device"
prints RUNNING
status 0 "info" vfiomig info "pid:$qemu/$device"
prints '1af4:1110'
status 0 "save" vfiomig save "pid:$qemu/$device" -v -o image
says 'the device is in RUNNING'
check "a paused VMM causes no warning" sh -c "! grep -q warning $ERR"
state_of before >a
state_of image >b
check "the image has the device's state" cmp a b
status 0 "restore" vfiomig restore "pid:$qemu/$device" -i image-of-twin
says 'the device is in RUNNING'
check "no holder is left" sh -c "! vfiomig list | grep -q holder"
status 0 "save once more" vfiomig save "pid:$qemu/$device" -q -o image
state_of image-of-twin >a
state_of image >b
check "the state has changed" cmp a b
status 0 "drive it to STOP" vfiomig state "pid:$qemu/$device" STOP
check "the device stays in STOP" test "$(vfiomig state "pid:$qemu/$device")" = STOP
status 0 "restore leaves the device in its owner's state" vfiomig restore "pid:$qemu/$device" -i before
says 'the device is in STOP'
status 0 "restore --leave" vfiomig restore "pid:$qemu/$device" --leave=RUNNING -i image-of-twin
says 'the device is in RUNNING'
vfiomig state "pid:$qemu/$device" STOP_COPY >/dev/null
status 1 "a device that its owner may be saving" vfiomig save "pid:$qemu/$device" -o x
says 'the device is in STOP_COPY: its owner may be in the middle of saving it, which this would end; drive it to STOP first'
check "the device is left alone" test "$(vfiomig state "pid:$qemu/$device") $(ls x 2>/dev/null)" = "STOP_COPY "
vfiomig state "pid:$qemu/$device" STOP >/dev/null
status 0 "save from STOP, --leave" vfiomig save "pid:$qemu/$device" --leave=RUNNING -q -o x
status 5 "a bad image" sh -c "head -c 60000 image | vfiomig restore pid:$qemu/$device"
check "QEMU is alive" grep -q '^(qemu)' qemu.log
tell 'info status'
check "QEMU says that its machine is paused" grep -q 'paused (prelaunch)' qemu.log
status 0 "the last image" vfiomig restore "pid:$qemu/$device" -i image-of-twin

# One at a time
begin_save "pid:$qemu/$device"
status 4 "a second command" vfiomig save "pid:$qemu/$device" -o x
says "busy: process $saver (vfiomig) is at work on it; --wait waits for it"
status 4 "by another name" vfiomig save "$device" -o x
says "busy: process $saver (vfiomig) is at work on it; --wait waits for it"
check "the first one succeeds" end_save /dev/null
status 4 "a device that QEMU has open" vfiomig save "$device" -o x
says "busy: process $qemu (qemu-system-x86) has the device or its group open"

# Names that lead to nothing, and processes of others
status 1 "a device that QEMU does not have" vfiomig state "pid:$qemu/$twin"
says "process $qemu (qemu-system-x86) has not got $twin open"
status 1 "a device that is not there" vfiomig state "pid:$qemu/0000:00:1e.7"
status 1 "a descriptor that is not a device" vfiomig state "pid:$qemu/fd:0"
says '/tmp/monitor is not a VFIO device'
status 1 "a descriptor that is not open" vfiomig state "pid:$qemu/fd:1000"
says "process $qemu has no descriptor 1000"
status 1 "a process without devices" vfiomig state "pid:1/$device"
status 1 "a process that is not there" vfiomig state "pid:4000000/$device"
says 'there is no process 4000000'
status 2 "a PID that is not a number" vfiomig state "pid:qemu/$device"
status 2 "a name without a device" vfiomig state "pid:$qemu"
mkdir /run/session
chown nobody /run/session
status 4 "another user's process" as_nobody "XDG_RUNTIME_DIR=/run/session exec vfiomig state pid:$qemu/$device"
says "not permitted to take descriptors of process $qemu: that needs CAP_SYS_PTRACE; run as root"
status 1 "a user without a run-time directory" as_nobody "exec vfiomig state pid:$qemu/$device"
says 'nowhere to lock it: cannot make /run/user/65534/vfiomig: No such file or directory; set XDG_RUNTIME_DIR'
status 4 "a failure that has nothing to do with it" as_nobody "exec vfiomig info $twin"
says 'not permitted to open /dev/'
check "says nothing of it" sh -c "! grep XDG_RUNTIME_DIR $ERR"

# The virtual machine runs.
tell cont
sleep 1
status 0 "a VMM that runs" vfiomig save "pid:$qemu/$device" -o image
says "warning: process $qemu (qemu-system-x86) is running; a VMM should be paused before its device is touched"
tell stop
quit
check "the last state is in the device's memory" sh -c "bar $device read | cmp - memory-of-twin"

# Finding out which descriptor is which device
start "$device" "$twin" "$bigger"
status 0 "the sizes of the BARs show which device it is" vfiomig save "pid:$qemu/$bigger" -o image
check "the image is the bigger device's" test "$(state_of image | wc -c)" -gt 2097152
told=$(grep -l "^vfio-device-syspath:.*/$twin\$" "/proc/$qemu/fdinfo/"*)
if [ -n "$told" ]; then
	status 0 "two equal devices, if the kernel tells (Linux 6.18)" vfiomig state "pid:$qemu/$twin"
	candidate=pid:$qemu/fd:${told##*/}
else
	status 2 "two equal devices" vfiomig state "pid:$qemu/$twin"
	says "cannot tell which descriptor of process $qemu (qemu-system-x86) is $twin; it may be pid:$qemu/fd:"
	candidate=$(grep -o "pid:$qemu/fd:[0-9]*" $ERR | tail -n 1)
	check "both candidates are named" test "$(grep -o "pid:$qemu/fd:[0-9]*" $ERR | wc -l)" -eq 2
fi
check "there is a descriptor to name" test -n "$candidate"
# Without a candidate nothing would ever open the pipe below.
[ -n "$candidate" ] || finish
status 0 "a device named by its descriptor" vfiomig save "$candidate" -o image
state_of image >a
check "the image is the twin's" sh -c "zstd -dcq image-of-twin >b; cmp a b"
check "the image has the PCI ids" test "$(vfiomig inspect --json image | jq -r '[.. | objects | select(.vendor?) | .vendor + ":" + .device][0]')" = 1af4:1110
begin_save "$candidate"
status 4 "all devices are busy that it can be" vfiomig state "pid:$qemu/$twin"
end_save /dev/null
# The image tells all that is certain of it: the bus and the driver, which both twins have.
status 0 "restore a proper image" vfiomig restore "$candidate" -i before
status 0 "save it again" vfiomig save "$candidate" -q -o image
state_of before >a
state_of image >b
check "the device has the image's state" cmp a b
quit
status 0 "another device takes the image" vfiomig restore "$device" --no-hold -i image

ports=$(functions_with 0x1110 | grep '^0000:0[1-9]')
for function in $ports; do
	set_driver "$function" ivshmem_vfio_pci
done
# shellcheck disable=SC2086 # a list
start $ports
for function in $ports; do
	head -c 1048576 /dev/urandom >"memory-$function"
	status 0 "$function: the functions that a reset affects show which device it is" vfiomig state "pid:$qemu/$function"
	prints RUNNING
done
first=${ports%%[!0-9:.]*}
status 0 "save one of them" vfiomig save "pid:$qemu/$first" -q -o image
quit
vfiomig save "$first" -q -o again
state_of image >a
state_of again >b
check "the image is that device's" cmp a b

# exec
# shellcheck disable=SC2016 # the inner shell's
status 0 "exec" vfiomig exec "$device" --via=group -- sh -c 'vfiomig state -v fd:$VFIOMIG_DEVICE_FD; env; echo {device} {group} {container}'
says "opened $device (ivshmem_vfio_pci) through its descriptor"
prints RUNNING
check "placeholders and environment have the same numbers" test "$(tail -n 1 $OUT)" = \
	"$(sed -n 's/^VFIOMIG_DEVICE_FD=//p' $OUT) $(sed -n 's/^VFIOMIG_GROUP_FD=//p' $OUT) $(sed -n 's/^VFIOMIG_CONTAINER_FD=//p' $OUT)"
check "there is no iommufd" sh -c "! grep -q VFIOMIG_IOMMUFD $OUT"
status 7 "the command's status" vfiomig exec "$device" -- sh -c 'exit 7'
status 127 "a command that is not there" vfiomig exec "$device" -- /nowhere
says '/nowhere: No such file or directory'
status 126 "a command that cannot be run" vfiomig exec "$device" -- /tmp/memory
status 2 "no command" vfiomig exec "$device"
status 2 "a placeholder without a descriptor" vfiomig exec "$device" --via=group -- echo '{iommufd}'
says 'there is no {iommufd} when the device is opened this way; see --via'
check "options of the command are not vfiomig's" test "$(vfiomig exec "$device" -- echo --via=x -v)" = "--via=x -v"
check "options of the command are not vfiomig's, without --" test "$(vfiomig exec "$device" echo --via=x -v)" = "--via=x -v"
check "the command inherits the signals' dispositions" sh -c "test \"\$(vfiomig exec $device -- grep SigIgn /proc/self/status)\" = \"\$(grep SigIgn /proc/self/status)\""
status 1 "fd: of a descriptor that is not open" vfiomig state fd:77
says 'descriptor 77 is not open'
vfiomig exec "$device" --via=group -- sleep 100 &
sleeper=$!
wait_for sh -c "grep -q sleep /proc/$sleeper/comm"
check "a command under exec does not lock the device" test "$(vfiomig state "pid:$sleeper/$device")" = RUNNING
status 0 "mtty, in a process with one device" vfiomig exec "$mtty" -- vfiomig state 'fd:{device}'
# shellcheck disable=SC2016 # the inner shell's
status 0 "mtty, in a process with two devices" vfiomig exec "$mtty" --via=group -- vfiomig exec "$bigger" --via=group -- sh -c \
	"vfiomig info pid:\$\$/$mtty; vfiomig info pid:\$\$/$bigger; vfiomig info fd:{device}"
# vfiomig exec is the shell's process, so that $$ is right.
check "info names the right devices" test "$(sed -n 's/^device: *//p' $OUT | xargs)" = "$mtty $bigger $mtty"
kill $sleeper
wait $sleeper
vfiomig hold "$device" -q
status 0 "exec of a held device" vfiomig exec "$device" -- vfiomig state 'fd:{device}' STOP
check "the command has used the holder's session" test "$(vfiomig state "$device")" = STOP
vfiomig release "$device"
if [ -e /dev/iommu ]; then
	status 0 "QEMU's way with iommufd" vfiomig exec "$device" -- vmm '{device}' '{iommufd}'
	status 0 "vfiomig with the inherited iommufd" vfiomig exec "$device" -- vfiomig state 'fd:{device}'
	for iommufd in x 77 -1; do
		status 0 "an iommufd that is none ($iommufd): a new one" vfiomig exec "$device" -- \
			env VFIOMIG_IOMMUFD=$iommufd vfiomig state 'fd:{device}'
	done
	status 1 "a cdev of a holder is bound" sh -c "vfiomig hold -q $device; vfiomig exec $device -- vmm '{device}' '{iommufd}'"
	says 'the device is bound already'
	vfiomig release "$device"
	vfiomig exec "$device" --via=cdev -- sleep 100 &
	sleeper=$!
	wait_for sh -c "grep -q sleep /proc/$sleeper/comm"
	status 4 "a cdev that is not bound" vfiomig state "pid:$sleeper/$device"
	kill $sleeper
	wait $sleeper
fi

# Yama, if the kernel has it. Mode 3 cannot be taken back.
scope=/proc/sys/kernel/yama/ptrace_scope
if [ -e $scope ]; then
	echo 1 >$scope
	# shellcheck disable=SC2016 # the inner shell's
	status 4 "a process of one's own, with Yama" as_nobody 'sleep 100 & vfiomig state pid:$!/fd:0; rc=$?; kill $!; exit $rc'
	says 'kernel.yama.ptrace_scope is 1, with which that needs CAP_SYS_PTRACE; run as root'
	sleep 100 &
	echo 3 >$scope
	status 4 "root, with all of Yama" vfiomig state "pid:$!/fd:0"
	says 'kernel.yama.ptrace_scope is 3, which forbids it to everybody until the next boot'
fi

finish
