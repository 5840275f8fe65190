#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drivers whose calls return success and have not done what they were asked for, and owners who reset a device in the
# middle: no command takes that for a success.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.2 size=0
empty=$device
emulate 0000:3b:00.1
commands="$emulated/$device"

# command_is VALUE: what the device's command register is now
# shellcheck disable=SC2317 # check calls it
command_is() {
	test "$(od -An -tx2 -j4 -N2 "$commands/config" | tr -d ' ')" = "$1"
}

# set_command LOW HIGH: octal numbers
set_command() {
	# shellcheck disable=SC2059 # octal numbers
	printf "\\$1\\$2" | dd of="$commands/config" bs=1 seek=4 conv=notrunc status=none
}

# one_line: standard error is one line
one_line() {
	test "$(wc -l <$ERR)" -eq 1
}

noise "$device"
vfiomig hold -q "$device"
noise "$device"
cp "$commands/memory" memory
vfiomig save -q "$device" -o image
vfiomig save -q --raw "$device" -o raw
vfiomig pack -o packed raw
check "the raw state is the device's memory" cmp raw memory

# ---- Arcs ----

# The commands that take arcs, on a device that is held. What they print does not matter here.
arcs_of='save DEV --precopy=never -o new
save DEV -o new
save DEV --raw --precopy=never -o new
save DEV --raw -o new
save DEV --leave=STOP -o new
restore DEV -i image
restore DEV --raw -i raw
restore DEV --leave=STOP -i image
state DEV STOP
state DEV STOP_COPY
state DEV PRE_COPY_P2P
state DEV RESUMING
state DEV STOP --json'

# home: the device is as it is at the beginning of each case
home() {
	no_faults "$device"
	echo RUNNING >"$commands/state"
	no_log "$device"
	rm -f new
}

# bad_arcs WORD...: each command with this fault at each of its arcs
bad_arcs() {
	echo "$arcs_of" | sed "s/DEV/$device/" >list
	while read -r line; do
		home
		# shellcheck disable=SC2086 # words
		vfiomig $line >$OUT 2>$ERR </dev/null || complain "vfiomig $line without a fault: $?"
		arcs=$(log_of "$device" | grep -c ' arc ')
		arc=0
		while [ $arc -lt "$arcs" ]; do
			home
			fault "$device" arc "$@" after=$arc times=1
			rc=0
			# shellcheck disable=SC2086 # words
			vfiomig $line >$OUT 2>$ERR </dev/null || rc=$?
			what="vfiomig $line, arc $((arc + 1)): $*"
			judge
			arc=$((arc + 1))
		done
	done <list
}

# A device that enters ERROR is reset, and whoever asked is told.
judge() {
	[ $rc -eq 7 ] || complain "not 7"
	one_line || complain "not one line"
	grep -q 'returned success, but the device is in ERROR;.* the device was reset (its state is lost) and is now in RUNNING' \
		$ERR || complain "this is not said"
	[ "$(state_of "$device")" = RUNNING ] || complain "the device is in $(state_of "$device")"
	case $line in
	*--json) [ "$(jq -r '.state + " " + (.reset | tostring)' $OUT)" = "RUNNING true" ] || complain "JSON: $(cat $OUT)" ;;
	esac
	# Only the way back of a save can fail with its image whole.
	[ ! -e new ] || [ -z "${line##*--raw*}" ] || vfiomig inspect --verify new >/dev/null 2>&1 || complain "a bad image"
}
bad_arcs to=ERROR
verdict "a device that is in ERROR after each arc in turn"

# An arc that does nothing
judge() {
	case $rc in
	1) grep -q 'returned success, but the device is in .*; the device is back in RUNNING' $ERR || complain "this is not said" ;;
	7) grep -q 'but the device is in RESUMING; the device was reset (its state is lost) and is now in RUNNING' \
		$ERR || complain "this is not said" ;;
	*) complain "neither 1 nor 7" ;;
	esac
	one_line || complain "not one line"
	[ "$(state_of "$device")" = RUNNING ] || complain "the device is in $(state_of "$device")"
}
bad_arcs skip
verdict "each arc in turn returns success and does nothing"

# An arc that is busy once
judge() {
	[ $rc -eq 0 ] || complain "not 0"
	! log_of "$device" | grep -q reset || complain "a reset"
}
bad_arcs errno=EBUSY
verdict "each arc in turn is busy once"

home
fault "$device" get errno=EIO times=1
status 0 "a state that cannot be read once" vfiomig save "$device" -q -o new
check "the image is whole" vfiomig inspect --verify new
home
fault "$device" get errno=EIO after=4 times=2
status 1 "a state that cannot be read after an arc" vfiomig state "$device" STOP
says 'cannot read the state: Input/output error; the device is back in RUNNING'

# ---- Descriptors ----

home
fault "$device" arc STOP-STOP_COPY nofd
status 1 "a session without a descriptor" vfiomig save "$device" --precopy=never -o new
says 'arc STOP -> STOP_COPY came without a data_fd; the device is back in RUNNING'
home
fault "$device" arc PRE_COPY_P2P-STOP_COPY fd
status 1 "another descriptor for the same session" vfiomig save "$device" -o new
says 'arc PRE_COPY_P2P -> STOP_COPY came with a new data_fd, although the session goes on; the device is back in RUNNING'
check "there is no image" test ! -e new

# ---- Resets ----

home
echo STOP >"$commands/state"
fault "$device" reset skip
status 1 "a reset that does nothing" vfiomig state --reset "$device"
says 'VFIO_DEVICE_RESET returned success, but the device is in STOP'
home
fault "$device" reset skip
vfiomig pack <raw >whole
head -c 40000 whole >truncated
cp "$commands/memory" before
status 7 "and after a bad image" sh -c "cat truncated | vfiomig restore $device"
says 'the image is truncated'
says 'the device could not be reset and is left in RESUMING, not in RUNNING'
check "nothing was loaded" cmp "$commands/memory" before
home
end_holder "$device"
vfiomig hold -q "$device"
cp memory "$commands/memory"

# ---- Owners ----

# The owner resets the device: a new session begins.
owner="echo RUNNING >$commands/state; echo 77 >$commands/session"
borrowed=pid:$(openers "$device")/$device

# resets EVENT...: the owner resets the device at this moment
resets() {
	home
	fault "$device" "$@" run="$owner"
}

# Each time that a restore reads the state, which it does before and after each arc
lost=0 get=0
while [ $get -lt 20 ]; do
	resets get after=$get times=1
	head -c 100000 /dev/zero >"$commands/memory"
	what="the owner resets the device when its state is read for time $get" rc=0
	vfiomig restore "$borrowed" -i image >$OUT 2>$ERR || rc=$?
	case $rc in
	0) cmp "$commands/memory" memory >/dev/null || complain "nothing was restored" ;;
	1) grep -q 'arc RUNNING -> RUNNING_P2P returned success, but the device is in RUNNING;' $ERR || complain "1" ;;
	7) grep -q 'somebody else has reset the device.*; its state is lost, and it is now in RUNNING' $ERR || complain "7" ;;
	*) complain "$rc" ;;
	esac
	[ "$(state_of "$device")" = RUNNING ] || complain "the device is in $(state_of "$device")"
	! grep -q 'it is in RUNNING, not in RESUMING' $ERR || lost=$((lost + 1))
	[ $rc -ne 7 ] || last=$get
	get=$((get + 1))
done
verdict "the owner resets the device each time that a restore reads its state"
check "once when the restore wants to leave RESUMING" test $lost -eq 1
resets get "after=$last" times=1
status 7 "--json" vfiomig restore "$borrowed" -i image --json
check "reset is true" test "$(jq -r '.state + " " + (.reset | tostring)' $OUT)" = "RUNNING true"
resets write at=50000 times=1
status 7 "the owner resets the device in the middle of a restore" vfiomig restore "$borrowed" --raw -i raw
says 'somebody else has reset the device, or driven it on: it is in RUNNING, not in RESUMING; its state is lost, and it is now in RUNNING'
cp memory "$commands/memory"
for options in --precopy=never --precopy=auto; do
	for at in 1000 90000; do
		resets read at=$at times=1
		status 7 "the owner resets the device in a save, $options, byte $at" vfiomig save "$borrowed" $options -o new
		says 'somebody else has reset the device'
		check "there is no image" test ! -e new
	done
done
home
fault "$device" read at=90000 return=0 run="$owner"
status 7 "and its data_fd gives the end of the stream" vfiomig save "$borrowed" --precopy=never -o new
says 'somebody else has reset the device, or driven it on: it is in RUNNING, not in STOP_COPY; its state is lost'
check "there is no image" test ! -e new

home
fault "$device" read at=90000 return=0 run="echo ERROR >$commands/state"
status 7 "the device enters ERROR at the end of a save" vfiomig save "$device" --precopy=never -o new
says 'the device has left STOP_COPY for ERROR; the device was reset (its state is lost) and is now in RUNNING'
check "there is no image" test ! -e new

# ---- The driver's own failure ----

# mlx5's data_fd says ENODEV when its work has failed: nobody has reset the device.
for of in "$device" "$borrowed"; do
	for options in --precopy=never --precopy=auto; do
		home
		fault "$device" read errno=ENODEV at=70000
		status 1 "a save's data_fd is dead, ${of%%:*}, $options" vfiomig save "$of" $options -o new
		says "reading the device's state: No such device; the device is back in RUNNING"
		check "it is there" test "$(state_of "$device")" = RUNNING
	done
	home
	fault "$device" write errno=ENODEV at=70000
	status 7 "a restore's data_fd is dead, ${of%%:*}" vfiomig restore "$of" --raw -i raw
	says 'No such device; the device was reset (its state is lost) and is now in RUNNING'
	check "it is there" test "$(state_of "$device")" = RUNNING
done

# The last write() is of no bytes: it tells whether the session is still there.
home
fault "$device" write after=1 times=1 errno=ENODEV
status 7 "a restore's session is over before its state is loaded" vfiomig restore "$device" --raw -i raw
says "the restore's session is over: No such device; the device was reset (its state is lost) and is now in RUNNING"

# ---- No state ----

home
for option in '' --raw; do
	# shellcheck disable=SC2086 # nothing, if it is empty
	status 1 "an empty state is not saved $option" vfiomig save $option "$empty" -o new
	says "the device's state is empty: its driver has given no byte of it; the device is back in RUNNING"
	check "there is no image" test ! -e new
done
status 5 "nothing is not restored" vfiomig restore "$device" --raw -i /dev/null
says 'there is no state: the input is empty'
check "the device was not touched" sh -c "! grep arc $commands/log"

# ---- The command register ----

# restores FILE OPTION...: what the command register is after a restore, which had been 0x0000 and 0x0401
restores() {
	file=$1
	shift
	for before in '000 000 0006' '001 004 0407'; do
		# shellcheck disable=SC2086 # words
		set_command ${before% *}
		check "$file $*: restored" vfiomig restore -q "$@" -i "$file" "$device"
		check "$file $*: the command register" command_is "${before##* }"
	done
}

set_command 006 004
vfiomig save -q "$device" -o image
restores image
restores packed
restores raw --raw
set_command 000 007
vfiomig save -q "$device" -o image
set_command 007 000
check "an image of a device without both" vfiomig restore -q "$device" -i image
check "nor has it them now" command_is 0001
set_command 001 004
status 0 "pid:" vfiomig restore "$borrowed" --raw -i raw
says "its owner has the PCI command register at 0x0401: the device cannot work before that is 0x0407"
check "the owner's register stays" command_is 0401
set_command 007 004
status 0 "pid:, the owner has set what is needed" vfiomig restore "$borrowed" --raw -i raw
check "no word of the register" sh -c "! grep register '$ERR'"
set_command 000 000
status 0 "pid:, the image tells that nothing is needed" vfiomig restore "$borrowed" -i image
check "no word of the register" sh -c "! grep register '$ERR'"
set_command 001 004
# shellcheck disable=SC2016 # exec sets the variable
check "fd:" vfiomig exec "$device" -- sh -c 'vfiomig restore -q fd:$VFIOMIG_DEVICE_FD --raw -i raw'
check "fd: the command register" command_is 0407

# The holder is told to end while a command has the device. It waits, and closes the device then.
for command in "restore -i image" "save -o new --precopy=never" "state STOP"; do
	end_holder "$device"
	vfiomig hold -q "$device"
	holder=$(openers "$device")
	fault "$device" arc RUNNING-RUNNING_P2P run="kill -TERM $holder"
	# shellcheck disable=SC2086 # words
	set -- $command
	name=$1
	shift
	status 7 "$name: SIGTERM to the holder meanwhile" vfiomig "$name" "$device" "$@"
	says 'its holder has ended, which closed the device: its state is lost'
	wait_for is_gone "$holder"
	no_faults "$device"
done
finish
