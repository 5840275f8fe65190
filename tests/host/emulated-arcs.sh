#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each command, with a device that misbehaves on each arc in turn: it goes to ERROR, fails, stays where it was, or goes
# somewhere else. No success may be one that is none: what is said of the state has to be so.

# shellcheck disable=SC2317 # with_faults calls them

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

# read_state: the device's state, in $state
read_state() {
	read -r state <"$emulated/$device/state"
}

# was_reset: whether the device was reset since the log was emptied. Opening resets it as well, but a device that is held is
# opened by nobody else.
was_reset() {
	while read -r _ event; do
		case $event in
		'reset: 0' | "$opens") return 0 ;;
		esac
	done <"$emulated/$device/log"
	return 1
}

# check_failure: the command did not end with 0
check_failure() {
	said=$(said_state)
	[ "$rc" -lt 125 ] || complain "a strange status"
	[ "$(wc -l <"$ERR")" -eq 1 ] || complain "not one line"
	[ "$said" = "$state" ] || complain "it says '$said', the device is in $state"
	if was_reset; then
		[ "$rc" -eq 7 ] || complain "the device was reset"
	elif [ "$state" != "$from" ]; then
		[ "$rc" -eq 7 ] || complain "the device was in $from, and is in $state"
	fi
}

# check_success TARGET: the command ended with 0
check_success() {
	was_reset && complain "the device was reset"
	[ "$state" = "$1" ] || complain "the device is in $state, not in $1"
}

# begin STATE FAULT...: the device is in STATE, and will misbehave
begin() {
	from=$1
	shift
	no_faults "$device"
	echo "$from" >"$emulated/$device/state"
	: >"$emulated/$device/log"
	[ $# -eq 0 ] || echo "$*" >"$emulated/$device/faults"
	what="$from, $*: vfiomig $command"
	runs=$((runs + 1))
}

run() {
	rc=0
	vfiomig "$@" >"$OUT" 2>"$ERR" || rc=$?
	read_state
}

# A command leads over these arcs: a word for each of them, in $arcs.
arcs_of() {
	arcs=$(sed -n 's/.* arc \([A-Z_0-9-]*\)$/\1/p' "$emulated/$device/log" | sort -u)
}

# what the device does at an arc
misbehave() {
	cat <<-END
		arc $1 to=ERROR
		arc $1 errno=EIO to=ERROR
		arc $1 errno=EIO
		arc $1 errno=EIO times=1
		arc $1 skip
		arc $1 skip times=1
		arc $1 to=STOP times=1
	END
}

# with_faults STATE CHECK ARG...: run a command without faults, and then with each fault on each of its arcs
with_faults() {
	start=$1 check=$2
	shift 2
	command=$*
	begin "$start"
	run "$@"
	[ "$rc" -eq 0 ] || complain "it fails without a fault"
	$check "$@"
	arcs_of
	for arc in $arcs; do
		misbehave "$arc" >faults
		while read -r line; do
			begin "$start" "$line"
			run "$@"
			$check "$@"
		done <faults
	done
}

runs=0 leave='' opens=open
check_state() {
	if [ "$rc" -eq 0 ]; then
		check_success "$3"
		grep -q "$3 (.* ms)$" "$OUT" || complain "it prints $(cat "$OUT")"
	else
		check_failure
	fi
}

# The image has what the device had.
check_save() {
	if [ "$rc" -eq 0 ]; then
		check_success "$leave"
		[ "$(said_state)" = "$leave" ] || complain "it does not say $leave"
		vfiomig unpack image 2>&1 | cmp -s - memory || complain "the image is wrong"
	else
		check_failure
	fi
	rm -f image
	# The next run saves the same.
	cp memory "$emulated/$device/memory"
}

check_restore() {
	if [ "$rc" -eq 0 ]; then
		check_success "$leave"
		[ "$(said_state)" = "$leave" ] || complain "it does not say $leave"
		cmp -s memory "$emulated/$device/memory" || complain "the state is not there"
	else
		check_failure
		if grep -q "with the image's state" "$ERR"; then
			cmp -s memory "$emulated/$device/memory" || complain "the state is not there"
		else
			cmp -s memory "$emulated/$device/memory" && complain "the state was loaded"
		fi
	fi
	cp zeros "$emulated/$device/memory"
}

# The device is idle, and a process that holds it is left behind after a success alone.
check_restore_and_hold() {
	check_restore
	holder=$(openers "$device")
	said=$(sed -n 's/.*; process \([0-9]*\) holds it$/\1/p' "$ERR")
	[ "$said" = "$holder" ] || complain "process '$holder' has the device, and '$said' is said to hold it"
	[ "$rc" -ne 0 ] || [ -n "$holder" ] || complain "nobody holds it"
	[ -z "$holder" ] || end_holder "$device"
}

for flags in 7 1; do
	emulate 0000:3b:00.1 flags=$flags size=10000
	head -c "$(cat "$emulated/$device/size")" /dev/urandom >memory
	head -c "$(cat "$emulated/$device/size")" /dev/zero >zeros
	vfiomig pack memory -o good
	vfiomig hold -q "$device"
	[ $flags = 1 ] && targets=STOP_COPY || targets='STOP STOP_COPY RESUMING PRE_COPY_P2P'
	for target in $targets; do
		with_faults RUNNING check_state state "$device" "$target"
	done
	with_faults STOP_COPY check_state state "$device" RUNNING
	verdict "flags $flags: state: $runs runs"
	cp memory "$emulated/$device/memory"
	leave=RUNNING with_faults RUNNING check_save save "$device" -o image
	leave=STOP with_faults RUNNING check_save save "$device" -o image --precopy=never --leave=STOP
	# As many drivers do, this one has no other end of the stream for the time before the device stops.
	echo 0 >"$emulated/$device/end"
	[ $flags = 1 ] || leave=RUNNING with_faults RUNNING check_save save "$device" -o image
	verdict "flags $flags: save: $runs runs"
	leave=RUNNING with_faults RUNNING check_restore restore "$device" -i good
	leave=STOP with_faults STOP check_restore restore "$device" -i good --leave=STOP
	verdict "flags $flags: restore: $runs runs"
	end_holder "$device"
	[ $flags = 1 ] || opens=reset leave=RUNNING with_faults RUNNING check_restore_and_hold restore "$device" -i good
	verdict "flags $flags: restore of an idle device: $runs runs"
	no_devices
done

finish
