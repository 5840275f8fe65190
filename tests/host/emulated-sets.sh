#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Several devices at one instant: save and restore of sets, with emulated devices.

# Without an argument no_faults is for all devices.
# shellcheck disable=SC2119

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

a=0000:3b:00.1 b=0000:3b:00.2 c=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001

# note_arcs: from now on the file "order" has each arc of each device. The second device is slow, so that others which do not
# wait for it are seen.
note_arcs() {
	: >order
	for device in $a $b $c; do
		[ "$device" = $b ] && slow='sleep 0.1; ' || slow=''
		for state in RUNNING RUNNING_P2P STOP STOP_COPY PRE_COPY PRE_COPY_P2P RESUMING; do
			fault "$device" to $state "run=${slow}echo $device $state >>/run/test/order"
		done
	done
}

# before STATE OTHER: all devices were in STATE before any was in OTHER after that
# shellcheck disable=SC2317 # check calls it
before() {
	awk -v state="$1" -v other="$2" -v count=3 '
		$2 == state && !seen[$1]++ { n++ }
		$2 == other && n && n < count { exit 1 }
		$2 == other && n == count { found = 1 }
		END { if (!found) exit 1 }' order
}

# since STATE: leave only what follows the last arc into STATE in "order"
since() {
	awk -v state="$1" '{ line[NR] = $0 } $2 == state { last = NR } END { for (i = last + 1; i <= NR; i++) print line[i] }' \
		order >rest
	mv rest order
}

# are STATE: all devices are in STATE
# shellcheck disable=SC2317 # check calls it
are() {
	for device in $a $b $c; do
		[ "$(state_of "$device")" = "$1" ] || return
	done
}

# shellcheck disable=SC2317 # check calls it
same() {
	for device in $a $b $c; do
		cmp "$emulated/$device/memory" "memory-$device" || return
	done
}

# shellcheck disable=SC2317 # check calls it
hold_all() {
	for device in $a $b $c; do
		vfiomig -q hold "$device" || return
		noise "$device"
		cp "$emulated/$device/memory" "memory-$device"
	done
}

release_all() {
	for device in $a $b $c; do
		vfiomig -q release "$device" || return
	done
}

emulate $a
emulate $b
emulate $c flags=3

# ---- Save

check "hold" hold_all
note_arcs
status 0 "save" vfiomig save $a $b $c -o set
no_faults
says "saved 3 devices, 300000 bytes"
check "each device is told of" test "$(grep -c 'the device is in RUNNING' "$ERR")" -eq 3
check "two are read while they run" test "$(grep -c ' PRE_COPY$' order)" -eq 2
check "they stay as they are until all can be stopped" sh -c "head -n 2 order | grep -c ' PRE_COPY$' | grep -qx 2"
sed 's/PRE_COPY_P2P/RUNNING_P2P/' order >calm && mv calm order
check "all are in their P2P states before any is stopped" before RUNNING_P2P STOP_COPY
check "also the one that passes STOP" before RUNNING_P2P STOP
check "all were read before any leaves STOP_COPY" before STOP_COPY RUNNING
since STOP_COPY
check "all are in STOP before any is in RUNNING_P2P" before STOP RUNNING_P2P
check "and there before any runs" before RUNNING_P2P RUNNING
check "they run" are RUNNING
check "zstd takes it" zstd -qt set

# The output does not keep what the devices have given.
for left in STOP STOP_COPY; do
	note_arcs
	UNDER="strace -qq -o /dev/null -e inject=fsync:error=EIO"
	status 1 "a disk that fails, --leave=$left" vfiomig save $a $b $c -o lost --leave=$left
	UNDER=
	no_faults
	check "a disk that fails, --leave=$left: they run" are RUNNING
	since STOP_COPY
	check "a disk that fails, --leave=$left: all are in STOP before any is in RUNNING_P2P" before STOP RUNNING_P2P
	check "a disk that fails, --leave=$left: and there before any runs" before RUNNING_P2P RUNNING
done

status 0 "through a pipe" sh -c "vfiomig save $a $b $c | vfiomig inspect --json - >piped"
status 0 "--json" vfiomig save --json $a $b $c -o set
check "an object of the set, and one of each" sh -c "grep -c '\"device\":' '$OUT' | grep -qx 3"

# ---- Restore

release_all
status 0 "restore" vfiomig restore $a $b $c -i set
check "the memory is back" same
check "they run" are RUNNING
check "each has a holder" test "$(grep -c 'holds it' "$ERR")" -eq 3
for device in $a $b $c; do
	check "$device is held" vfiomig state "$device"
done
note_arcs
status 0 "once more, from a pipe" sh -c "cat set | vfiomig restore $c $a $b"
no_faults
check "all are in RESUMING before any leaves it" before RESUMING RUNNING_P2P
since RESUMING
check "all are in STOP before any is in RUNNING_P2P" before STOP RUNNING_P2P
check "and there before any runs" before RUNNING_P2P RUNNING
check "the memory is back" same

# By name: two devices change places.
status 0 "by name" vfiomig restore 3b:00.1=3b:00.2 $b=$a $c -i set
check "each has the other's memory" cmp "$emulated/$a/memory" memory-$b
check "and the other its own" cmp "$emulated/$b/memory" memory-$a
status 0 "and back" vfiomig restore $a $b $c -i set
check "the memory is back" same

# ---- What is refused before a device is touched

# untouched NAME STATUS SENTENCE COMMAND...
untouched() {
	for device in $a $b $c; do
		no_log "$device"
	done
	name=$1 wanted=$2 sentence=$3
	shift 3
	status "$wanted" "$name" "$@"
	says "$sentence"
	check "$name: nothing was touched" sh -c "! grep -h 'arc\|reset' $emulated/$a/log $emulated/$b/log $emulated/$c/log"
}

untouched "twice" 2 "the device $a was given twice" vfiomig save $a $b $a -o other
untouched "twice, in short" 2 "the device $a was given twice" vfiomig save 3b:00.1 $a -o other
untouched "twice, by its cdev" 2 "the device $a was given twice" vfiomig save $a vfio0 -o other
untouched "twice, by its path" 2 "the device $a was given twice" vfiomig save /sys/bus/pci/devices/$a $a -o other
check "no file was made" test ! -e other
untouched "too few" 2 "no device was given for $c; the image is of $a, $b and $c" vfiomig restore $a $b -i set
untouched "one" 2 "no device was given for $b" vfiomig restore $a -i set
untouched "an unknown name" 2 "the image has no device 0000:3b:00.7" vfiomig restore 3b:00.7=$a $b $c -i set
untouched "two for one" 2 "two devices were given for $a" vfiomig restore $a $a=$b $c -i set
untouched "another kind" 6 "restore $c: the image is of another device: its bus is pci, this one's is mdev" \
	vfiomig restore $a $c=$b $b=$c -i set
# shellcheck disable=SC2046 # words
untouched "too many" 2 "64 devices are the most in an image" vfiomig save $(yes vfio1 | head -n 65) -o other
untouched "raw" 2 "raw state is of one device" vfiomig save --raw $a $b -o other
head -c 150000 set >cut.set
untouched "a file that is cut" 5 "truncated" vfiomig restore $a $b $c -i cut.set
vfiomig -q save $a -o one
untouched "an image of one device" 2 "the image is of one device, not of 2" vfiomig restore $a $b -i one
# shellcheck disable=SC2046 # words
vfiomig -q pack $(seq -f 'device-%g=one' 10 73) --force -o many
untouched "many names, which are whole" 2 ", device-35 and 38 more; NAME=DEV says which of them goes to DEV" \
	vfiomig restore $a -i many
untouched "a name that it has not" 2 "the image has no device $b: it is of $a" vfiomig restore $b=$a -i one
status 0 "its name" vfiomig restore $a=$a -i one
status 0 "all again" vfiomig restore $a $b $c -i set
release_all
echo 1 >$emulated/$c/flags
untouched "without P2P" 3 "$c has no P2P states" vfiomig save $a $b $c -o other
untouched "without P2P" 3 "--no-p2p says that it talks to none of them" vfiomig restore $a $b $c -i set
status 0 "--no-p2p" vfiomig save --no-p2p $a $b $c -o other
status 0 "--no-p2p" vfiomig restore --no-p2p $a $b $c -i other
release_all
echo 3 >$emulated/$c/flags
check "hold" hold_all

# ---- Failures

# Each arc of each device fails, of a save and of a restore. All are home, and the message says which one failed.
for device in $a $b $c; do
	vfiomig -q state "$device" >/dev/null
done
vfiomig -q save $a $b $c -o set
for failing in $a $b $c; do
	for arc in RUNNING-RUNNING_P2P RUNNING_P2P-STOP STOP-STOP_COPY RUNNING-PRE_COPY PRE_COPY-PRE_COPY_P2P \
		PRE_COPY_P2P-STOP_COPY STOP_COPY-STOP STOP-RUNNING_P2P RUNNING_P2P-RUNNING; do
		: >fired
		fault "$failing" arc "$arc" errno=EIO times=1 "run=echo 1 >/run/test/fired"
		vfiomig save $a $b $c -o other 2>"$ERR"
		ended=$?
		no_faults
		[ -s fired ] || continue
		check "save: $failing $arc: fails" test $ended -eq 1
		check "save: $failing $arc: is named" grep -q "^vfiomig: save $failing: arc .* failed: Input/output error" "$ERR"
		check "save: $failing $arc: all are back" test "$(grep -oE 'is (back|still) in RUNNING' "$ERR" | wc -l)" -eq 3
		check "save: $failing $arc: as they say" are RUNNING
		check "save: $failing $arc: with their memory" same
	done
	for arc in RUNNING-RUNNING_P2P RUNNING_P2P-STOP STOP-RESUMING RESUMING-STOP STOP-RUNNING_P2P RUNNING_P2P-RUNNING; do
		fault "$failing" arc "$arc" errno=EIO times=1
		vfiomig restore $a $b $c -i set 2>"$ERR"
		ended=$?
		no_faults
		check "restore: $failing $arc: fails" test $ended -ne 0
		check "restore: $failing $arc: is named" grep -q "^vfiomig: restore $failing: arc .* failed: Input/output error" "$ERR"
		check "restore: $failing $arc: all are back" are RUNNING
		for device in $a $b $c; do
			if grep -q "$device is back in RUNNING" "$ERR"; then
				check "restore: $failing $arc: $device has its memory" cmp "$emulated/$device/memory" "memory-$device"
			else
				check "restore: $failing $arc: $device is told of" grep -q "$device was reset" "$ERR"
				check "restore: $failing $arc: $device has none" cmp -n 100 "$emulated/$device/memory" /dev/zero
			fi
		done
		vfiomig -q restore $a $b $c -i set
	done
done
check "the memory is back" same

# One that cannot be brought back
fault $b arc STOP-STOP_COPY errno=EIO to=ERROR
fault $b arc PRE_COPY_P2P-STOP_COPY errno=EIO to=ERROR
fault $b reset errno=EIO
status 7 "a device that is lost" vfiomig save $a $b $c -o other
no_faults
says "$b is left in ERROR, not in RUNNING"
says "$a is back in RUNNING"
check "the others run" test "$(state_of $a) $(state_of $c)" = "RUNNING RUNNING"
vfiomig -q state --reset $b
vfiomig -q restore $a $b $c -i set

fault $b arc RESUMING-STOP errno=EIO to=STOP
fault $b reset errno=EIO
status 7 "a device with a part of a state that cannot be reset" vfiomig restore $a $b $c -i set
no_faults
says "$a was reset (its state is lost) and is now in RUNNING"
says "$b is left in STOP, not in RUNNING"
check "it does not run" test "$(state_of $a) $(state_of $b) $(state_of $c)" = "RUNNING STOP RUNNING"
vfiomig -q state --reset $b
vfiomig -q restore $a $b $c -i set

# A read that fails, a full disk, and an image that breaks off
fault $a read errno=EIO
status 1 "a read that fails" vfiomig save $a $b $c -o other
no_faults
says "save $a: reading the device's state: Input/output error"
check "all run" are RUNNING
status 1 "a full disk" sh -c "vfiomig save $a $b $c >/dev/full"
check "all run" are RUNNING
check "with their memory" same
status 5 "an image that breaks off" sh -c "head -c 250000 set | vfiomig restore $a $b $c"
says "truncated"
says "$c was reset (its state is lost) and is now in RUNNING"
check "all run" are RUNNING
status 0 "restore" vfiomig restore $a $b $c -i set
fault $b write errno=EINVAL
status 7 "a device that refuses its state" vfiomig restore $a $b $c -i set
no_faults
says "restore $b: the device refused its state: Invalid argument"
check "all run" are RUNNING

# Somebody else resets a device while another one fails.
vfiomig -q restore $a $b $c -i set
fault $a read errno=EIO times=1 "run=until grep -qx STOP_COPY $emulated/$b/state; do sleep 0.01; done; echo RUNNING >$emulated/$b/state"
no_log $b
status 7 "one is reset by somebody else" vfiomig save --precopy=never $a $b $c -o other
no_faults
says "$a is back in RUNNING"
says "$b was reset (its state is lost) and is now in RUNNING"
check "one is reset by somebody else, and not by the command" sh -c "! grep reset '$emulated/$b/log'"
release_all

# The last of the holders cannot be left: there is none, and nobody keeps a state of the set, not even who had one before.
for device in $a $b $c; do
	echo 1 >"$emulated/$device/keeps"
done
status 0 "hold one" vfiomig hold $a
for failing in $b $c; do
	UNDER="$top/build/tests/guest/inject socketpair $([ "$failing" = "$b" ] && echo 1 || echo 2) EMFILE"
	status 7 "no holder for $failing" vfiomig restore $a $b $c -i set
	UNDER=
	says "restore $failing: cannot make a socket: Too many open files"
	for device in $a $b $c; do
		says "$device was reset (its state is lost) and is now in RUNNING"
		check "no holder for $failing: $device has no state" cmp -n 100 "$emulated/$device/memory" /dev/zero
	done
	check "no holder for $failing: there is none" test -z "$(openers $b)$(openers $c)"
	check "no holder for $failing: who has a device keeps it" vfiomig state $a
done
UNDER="strace -qq -o /dev/null -e inject=socketpair:signal=TERM:when=2"
ends 143 "a signal between two holders" vfiomig restore $a $b $c -i set
UNDER=
says "$b was reset (its state is lost) and is now in RUNNING"
check "a signal between two holders: there is none" test -z "$(openers $b)$(openers $c)"
status 0 "as JSON" vfiomig restore --json $a $b $c -i set
for device in $b $c; do
	vfiomig -q release "$device"
done
UNDER="$top/build/tests/guest/inject socketpair 2 EMFILE"
status 7 "as JSON: no holder" vfiomig restore --json $a $b $c -i set
UNDER=
check "as JSON: what is left" test "$(jq -c '[.complete, .reset, .loaded, [.devices[] | .reset, .loaded, .holder]]' "$OUT")" = \
	'[false,true,false,[true,false,null,true,false,null,true,false,null]]'
vfiomig -q release $a

status 0 "restore --no-hold" vfiomig restore --no-hold $a $b $c -i set
for device in $a $b $c; do
	check "nobody holds $device" test -z "$(openers "$device")"
	rm "$emulated/$device/keeps"
done

# ---- By who has them open

# One by its process, one by its holder's socket, one by its name: each owner finds its device as it was.
check "hold" hold_all
held="pid:$(openers $a)/$a unix:/run/vfiomig/$b.sock $c"
# shellcheck disable=SC2086 # a list
status 0 "borrowed: save" vfiomig save $held -o held.set
check "borrowed: the image has their own names" sh -c "vfiomig inspect --json held.set | jq -r '.header.devices[].device.name' |
	paste -s -d ' ' | grep -qx '$a $b $c'"
# shellcheck disable=SC2086 # a list
status 0 "borrowed: restore" vfiomig restore $held -i held.set
check "borrowed: no holder is left" sh -c "! grep 'holds it' '$ERR'"
check "borrowed: they run" are RUNNING
check "borrowed: the memory is back" same
# A process that has stopped its device gets it back stopped, and the other ones run.
status 0 "borrowed: stop one" vfiomig state "pid:$(openers $a)/$a" STOP
# shellcheck disable=SC2086 # a list
status 0 "borrowed: save, one of them stopped" vfiomig save $held -o held.set
check "borrowed: as they were" test "$(state_of $a) $(state_of $b) $(state_of $c)" = "STOP RUNNING RUNNING"
# shellcheck disable=SC2086 # a list
status 0 "borrowed: restore, one of them stopped" vfiomig restore $held -i held.set
check "borrowed: as they were" test "$(state_of $a) $(state_of $b) $(state_of $c)" = "STOP RUNNING RUNNING"
check "borrowed: the memory is back" same
# shellcheck disable=SC2086 # a list
untouched "borrowed twice" 2 "the device $a was given twice" vfiomig save $held $a -o other
fault $c write errno=EINVAL
# shellcheck disable=SC2086 # a list
status 7 "borrowed: one refuses its state" vfiomig restore $held -i held.set
no_faults
says "pid:$(openers $a)/$a was reset (its state is lost) and is now in STOP"
check "borrowed: as they were" test "$(state_of $a) $(state_of $b) $(state_of $c)" = "STOP RUNNING RUNNING"
# Holders that do not take their devices back. The message is about the first of them, and nothing is said of where they are.
for device in $a $c; do
	"$top/build/tests/host/unwilling" "/run/unwilling-$device" "/run/vfiomig/$device.sock" &
	unwilling="${unwilling-} $!"
	wait_for test -e "/run/unwilling-$device"
done
status 1 "borrowed: two are not taken back" vfiomig save --json unix:/run/unwilling-$a $b unix:/run/unwilling-$c -o other
says "vfiomig: save unix:/run/unwilling-$a: its holder did not take it back: Input/output error; the image is whole"
check "borrowed: one line says so" test "$(wc -l <"$ERR")" -eq 1
check "borrowed: where they are is known of the other one alone" test "$(jq -c '[.devices[].state]' "$OUT")" = '[null,"RUNNING",null]'
check "borrowed: the image is whole" vfiomig inspect --verify other
# shellcheck disable=SC2086 # a list
kill $unwilling
release_all

# ---- Signals

check "hold" hold_all
for arc in RUNNING-RUNNING_P2P PRE_COPY_P2P-STOP_COPY STOP_COPY-STOP; do
	for signal in INT TERM HUP; do
		fault $a arc $arc signal=$signal times=1
		fault $c arc RUNNING_P2P-STOP slow=0.1
		setsid vfiomig save $a $b $c -o other 2>"$ERR"
		ended=$?
		no_faults
		check "$signal in $arc: all run" are RUNNING
		check "$signal in $arc: with their memory" same
		check "$signal in $arc: it is done, or ended by the signal ($ended)" test $ended -eq 0 -o $ended -gt 128
	done
done
# One device keeps all others waiting.
fault $b arc PRE_COPY-PRE_COPY_P2P sleep=100
setsid vfiomig save $a $b $c -o other 2>"$ERR" &
saver=$!
# shellcheck disable=SC2317 # wait_for calls it
is_waiting() {
	[ "$(state_of "$a")" = PRE_COPY_P2P ]
}
wait_for is_waiting
kill -TERM $saver
wait_for grep -q 'waiting for the driver' "$ERR"
says "arc PRE_COPY -> PRE_COPY_P2P of $b"
kill -TERM $saver
wait $saver
check "a second signal ends it" test $? -eq 143
no_faults
check "all run" are RUNNING
check "with their memory" same

release_all

# A device does not come back from being opened, while others are opened at the same time.
for hanging in $a $b $c; do
	for call in open bind info; do
		rm -f at-*
		for device in $a $b $c; do
			[ "$device" = "$hanging" ] || fault "$device" info "run=touch /run/test/at-$device"
		done
		fault "$hanging" "$call" hang "run=touch /run/test/at-$hanging"
		setsid vfiomig save $a $b $c -o other 2>"$ERR" &
		saver=$!
		# The others are through.
		wait_for test -e at-$a -a -e at-$b -a -e at-$c
		kill -TERM $saver
		(sleep 20 && kill -KILL $saver) 2>/dev/null &
		late=$!
		wait $saver
		check "a signal ends the $call of $hanging" test $? -eq 143
		kill $late
		no_faults
		says "vfiomig: save $hanging: "
		says "interrupted by a signal"
	done
done

# ---- One IOMMU group, which can be opened once

for via in cdev group; do
	emulate 0000:5e:00.0 group=40
	emulate 0000:5e:00.1 group=40
	noise 0000:5e:00.0
	noise 0000:5e:00.1
	for device in 0000:5e:00.0 0000:5e:00.1; do
		echo 1 >"$emulated/$device/keeps"
	done
	status 0 "$via: two of a group" vfiomig save --via=$via 0000:5e:00.0 0000:5e:00.1 -o group.set
	status 0 "$via: and back" vfiomig restore --via=$via 0000:5e:00.0 0000:5e:00.1 -i group.set
	check "$via: both are held" vfiomig state 0000:5e:00.0
	check "$via: both are held" vfiomig state 0000:5e:00.1
	vfiomig -q release 0000:5e:00.0
	vfiomig -q release 0000:5e:00.1
	no_devices
	emulate $a
	emulate $b
	emulate $c flags=3
done

# ---- Two sets at once

# Others are at work on two of the devices. Whatever the order on the command line, the first lock is that of the first name.
exec 8>/run/vfiomig/$a.lock 9>/run/vfiomig/$b.lock
check "two locks" sh -c "flock 8 && flock 9"
for set in "$a $b $c" "$c $b $a"; do
	# shellcheck disable=SC2086 # a list
	status 4 "the first one is busy" vfiomig save $set -o other
	says "save $a: busy: another command is at work on it"
done
exec 8>&- 9>&-
vfiomig save --wait=60 $a $b $c -o one.set 2>/dev/null &
first=$!
vfiomig save --wait=60 $c $b $a -o two.set 2>/dev/null &
check "two sets do not wait for each other for ever" wait $first
check "the other one" wait $!
finish
