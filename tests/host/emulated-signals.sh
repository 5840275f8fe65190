#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# hold and restore get a signal, and so does all of their process group, as with Ctrl-C, timeout(1) or a closed terminal:
# at 300 moments from their start to their end, and later. After a success, the holder is there and has what it should have.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.1
socket=/run/vfiomig/$device.sock
head -c 100000 /dev/urandom >memory
vfiomig pack memory -o good

# alone: this shell and the first process are the only ones in the name space
alone() {
	! kill -s 0 -- -1 2>/dev/null
}

# end_all: no process has the device any more. Not for a subshell, which would kill the script
end_all() {
	kill -s KILL -- -1 2>/dev/null
	until alone; do
		:
	done
	rm -f "$socket"
}

# said_holder: print the PID that the last message names as that of the holder
said_holder() {
	sed -n 's/.*process \([0-9]*\) holds it.*/\1/p' "$ERR"
}

# measure COMMAND...: how many microseconds the program takes if nothing else runs, the least of five, in $takes
measure() {
	takes=1000000
	for _ in 1 2 3 4 5; do
		begun=$(date +%s%N)
		vfiomig "$@" >"$OUT" 2>&1
		taken=$((($(date +%s%N) - begun) / 1000))
		[ $taken -gt "$takes" ] || takes=$taken
		end_all
	done
}

# check_served COMMAND: the process that holds the device is there, serves it, and has what was restored
check_served() {
	if [ -z "$holder" ]; then
		complain "nobody is said to hold it"
	elif ! kill -s 0 "$holder" 2>/dev/null; then
		complain "the holder has ended"
	elif ! served=$(vfiomig state "$device" 2>&1) || [ "$served" != RUNNING ]; then
		complain "it does not serve: $served"
	elif [ "$1" = restore ] && ! cmp -s memory "$emulated/$device/memory"; then
		complain "the state is lost"
	elif [ "$(grep -c ' open$' "$emulated/$device/log")" -ne 1 ]; then
		complain "it was opened again"
	fi
}

# check_ended: the command has ended by the signal
check_ended() {
	[ "$rc" -eq $((128 + number)) ] || complain "another status"
	[ -z "$holder" ] || complain "it says that process $holder holds it"
	alone || within 100 alone || complain "a process has stayed behind"
}

# at_moments N COMMAND...: run a command N times, and send each of the signals in turn. Half of the moments go from the start
# to twice the time that the command takes. The others are near its end, where it leaves the device to its holder: later
# after a run that the signal has ended, and earlier after one that it has not.
at_moments() {
	n=$1
	shift
	measure "$@"
	i=0 ended=0 edge=$takes
	while [ $i -lt "$n" ]; do
		i=$((i + 1))
		case $((i % 3)) in
		0) signal=INT number=2 ;;
		1) signal=TERM number=15 ;;
		2) signal=HUP number=1 ;;
		esac
		[ $((i % 2)) -eq 0 ] && moment=$((takes * 2 * i / n)) || moment=$edge
		what="$1: SIG$signal after $moment us of $takes"
		no_log "$device"
		rc=0
		/run/build/moment "$moment" "$signal" vfiomig "$@" >"$OUT" 2>"$ERR" || rc=$?
		holder=$(said_holder)
		if [ $rc -eq 0 ]; then
			check_served "$1"
			edge=$((edge - takes / 16))
			[ "$edge" -gt 0 ] || edge=0
		else
			check_ended
			edge=$((edge + takes / 16))
			ended=$((ended + 1))
		fi
		end_all
	done
	what="$1: both are tried: a signal that ends it, and one that comes too late"
	case $ended in
	0 | "$n") complain "a signal ended it in $ended of $n" ;;
	esac
	verdict "$1: $n moments; a signal ended it in $ended of them"
}

cp "$top/build/tests/host/moment" /run/build
at_moments 150 hold "$device"
at_moments 150 restore "$device" -i good

finish
