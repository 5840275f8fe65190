#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# watch follows what another process does with a device: it sees the states in their order, tells what it cannot see, ends
# with the owner, waits for no driver, and changes nothing.

# Without an argument no_faults is for all devices.
# shellcheck disable=SC2119

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.1 data_name=mtty_mig

# watches NAME ARG...: start a watch, with its output in NAME.out and NAME.err, and wait for its first state. Its PID is in
# $watcher.
watches() {
	name=$1
	shift
	rm -f "$name.out"
	env vfiomig watch "$@" >"$name.out" 2>"$name.err" 8>&- 9>&- &
	watcher=$!
	wait_for has_begun "$name"
}

# shellcheck disable=SC2317 # wait_for calls it
has_begun() {
	[ -s "$1.out" ] || is_over "$watcher"
}

# sees NAME TEXT: wait until the watch has printed this
sees() {
	wait_for grep -q -e "$2" "$1.out"
}

# is_over PID: the process has ended, and may still be waited for
# shellcheck disable=SC2317 # wait_for calls it
is_over() {
	is_gone "$1" || grep -q ') Z ' "/proc/$1/stat" 2>/dev/null
}

# ended N NAME: the last watch ends, with this status
ended() {
	within 600 is_over "$watcher" || kill -KILL "$watcher"
	wait "$watcher"
	check "$2" test $? -eq "$1"
}

# states NAME: the states that it has seen, in their order
states() {
	awk '{ print $2 }' "$1.out" | grep -v end | uniq | paste -s -d ' '
}

# comes_to NAME STATE: wait until this is the last state that it has seen
comes_to() {
	wait_for sh -c "grep -v ' end ' $1.out | tail -n 1 | grep -q -e '^[^ ]* $2\( \|\$\)' -e '\"state\": \"$2\"'"
}

# hold DEV: hold it. $holder is the process.
hold() {
	vfiomig hold -q "$1"
	holder=$(openers "$1")
}

# goes DEV STATE: somebody else drives the device there, as seen by the watch NAME
goes() {
	vfiomig state "$1" "$2" >/dev/null
	sees "$3" " $2 "
}

# shellcheck disable=SC2317 # wait_for calls it
nobody_has() {
	test -z "$(openers "$1")"
}

# ---- States ---------------------------------------------------------------------

hold "$device"
watches pid "pid:$holder/$device"
pid_watcher=$watcher
watches json --json "$device"
json_watcher=$watcher
watches socket "unix:/run/vfiomig/$device.sock"
check "a device that is named by its holder" grep -q "process $holder (holder) has it open" socket.err
kill -USR1 "$watcher"
sees socket ' RUNNING  *for [0-9.]* s$'
kill -TERM "$watcher"
ended 143 "a signal ends it"
fd=$(find "/proc/$holder/fd" -lname '*/dev/vfio/devices/vfio0' | sed 's|.*/||')
watches byfd "pid:$holder/fd:$fd"
check "the watch does not keep a descriptor that it was named by" test "$(openers "$device")" = "$holder"
kill -TERM "$watcher"
ended 143 "a signal ends it"
watches held "$device"
check "it says who has the device, and who tells the state" \
	grep -qx "vfiomig: watch $device: process $holder (holder) has it open; the device itself tells the state" held.err
check "also if it was named by its process" grep -q "process $holder (holder) has it open" pid.err
check "the first line is the state" grep -qx '[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]* RUNNING' held.out
for state in RUNNING_P2P STOP STOP_COPY; do
	goes "$device" $state held
	sees pid " $state "
	sees json "\"state\": \"$state\""
done
vfiomig state "$device" RUNNING >/dev/null
for name in held pid json; do
	sees $name '\(after [0-9.]* s in \|"before": "\)STOP_COPY'
	comes_to $name RUNNING
done
# On the way back from STOP_COPY it may have seen the states in between.
for name in held pid; do
	check "$name: the states are in their order" sh -c \
		"echo '$(states $name)' | grep -q -x 'RUNNING RUNNING_P2P STOP STOP_COPY\( STOP\)\?\( RUNNING_P2P\)\? RUNNING'"
done
check "JSON: the states are in their order" jq -s -e \
	'[.[] | select(.event == "state").state] | .[:4] == ["RUNNING", "RUNNING_P2P", "STOP", "STOP_COPY"] and .[-1] == "RUNNING"' json.out
check "the device is not closed, and nobody else has it open" test "$(openers "$device")" = "$holder"
check "the watch has driven nothing" test "$(log_of "$device" | grep -c -e " arc" -e reset)" -eq 6
status 0 "another command is not kept out" vfiomig state "$device"

# ---- The owner ------------------------------------------------------------------

kill -STOP "$holder"
sees held "process $holder (holder) is stopped; \"kill -CONT $holder\" lets it go on"
sees json '"event": "stopped"'
watches stopped "$device"
check "a device whose holder is stopped" grep -q ' RUNNING$' stopped.out
kill -TERM "$watcher"
ended 143 "a signal ends it"
check "which it says" grep -q 'interrupted by a signal' stopped.err
kill -CONT "$holder"
sees held "process $holder (holder) goes on"
vfiomig release -q "$device"
watcher=$pid_watcher
ended 0 "it ends when the owner does (pid:PID/DEV)"
check "which it says" grep -q " end .*process $holder (holder) has ended, after [0-9.]* s in RUNNING\$" pid.out
watcher=$json_watcher
ended 0 "it ends when the owner does (JSON)"
check "JSON: each line is an object" jq -e . json.out
check "JSON: the last event" jq -s -e ".[-1] | .event == \"end\" and .reason == \"owner\" and .error == \"process $holder (holder) has ended\" and .state == \"RUNNING\"" json.out
check "JSON: the owner" jq -s -e "all(.owner == { pid: $holder, command: \"vfiomig-hold\", holder: true, stopped: .owner.stopped })" json.out
check "JSON: all events have these keys" jq -s -e 'all(contains({ device: "0000:3b:00.1" }) and
	(keys - ["before", "seconds_before", "reason", "error"] == ["bytes_per_second", "converges", "data_fd", "device", "dirty_bytes",
	"event", "exact", "initial_bytes", "moved_bytes", "owner", "precopy_error", "seconds", "state", "time"]))' json.out
check "nobody has the device open any more" nobody_has "$device"

status 1 "nobody has it open" vfiomig watch "$device"
says "watch $device: nobody is seen to have it open from this PID namespace; look outside of the container, too"
status 1 "a process that is not there" vfiomig watch "pid:4000000/$device"
says "there is no process 4000000"
status 1 "a process without the device" vfiomig watch "pid:$$/$device"
says "has not got $device open"
# shellcheck disable=SC2016 # the inner shell's
status 2 "a descriptor of its own" vfiomig exec "$device" -- sh -c 'vfiomig watch fd:$VFIOMIG_DEVICE_FD'
says 'what is watched is a device that another process has open; name it, or pid:PID/DEV'

# ---- An owner that does what the test says ------------------------------------------

# The state is in debugfs.
show_debugfs() {
	mkdir -p "/sys/kernel/debug/vfio/$device/migration"
	ln -s "$emulated/$device/state" "/sys/kernel/debug/vfio/$device/migration/state"
}

# begin_owner: start a shell that has the device open. Its PID is in $owner. A cdev that is bound has a position.
begin_owner() {
	rm -f orders owner.pid
	mkfifo orders
	cat >owner.sh <<-END
		exec 7<>/dev/vfio/devices/vfio0
		dd bs=1 count=1 <&7 >/dev/null 2>&1
		echo \$\$ >owner.pid
		while read -r order; do
			eval "\$order"
		done <orders
	END
	sh owner.sh 8>&- &
	owner=$!
	exec 9>orders
	wait_for test -s owner.pid
}

# order COMMAND: have the owner run it
order() {
	echo "$1" >&9
}

end_owner() {
	exec 9>&-
	wait $owner
}

# is_state STATE: drive the device there, as the owner would
is_state() {
	echo "$1" >"$emulated/$device/state"
}

show_debugfs
begin_owner
watches closed "$device"
check "debugfs tells the state" grep -q "process $owner (sh) has it open; debugfs tells the state" closed.err
order 'exec 7>&-'
ended 0 "it ends when the owner closes the device"
check "which it says" grep -q " end .*process $owner (sh) has closed the device, after " closed.out
end_owner

# The same descriptor may become another file of the same name. The node of an open file may get another name.
node=/dev/vfio/devices/vfio0
begin_owner
watches reused --json "$device"
sees reused '"state": "RUNNING"'
mv $node /run/node
is_state STOP
sees reused '"state": "STOP"'
cp --sparse=always /run/node $node
chmod 666 $node
order "exec 7<>$node"
ended 0 "it ends when the owner's descriptor is another file"
check "which it says" jq -s -e ".[-1].error == \"process $owner (sh) has closed the device\"" reused.out
mv /run/node $node
is_state RUNNING
end_owner

# Of two descriptors that may be the data_fd, none is taken. One that is for a state which is loaded is not for saving.
for file in one two; do
	stands_for "$emulated/$file" 6 0
	truncate -s +"$(cat "$emulated/$device/session")" "$emulated/$file"
done
begin_owner
order "exec 5<$emulated/one 6<$emulated/two 4>>$emulated/one"
is_state PRE_COPY
watches two "$device"
watches named --data-fd=6 "$device"
watches wrong --data-fd=77 "$device"
wait_for grep -q "descriptor 77 of process $owner is no data_fd through which a state moves now" wrong.err
kill "$watcher"
wait_for grep -q "process $owner has 2 descriptors that may be the data_fd (mtty_mig); --data-fd=N names the one to look at" two.err
sees named 'first copy: 48.8 KiB left'
check "nothing is known of what is left" sh -c '! grep -e first -e dirty two.out'
# One of them is closed, and then the other one.
order 'exec 5<&-'
sees two 'first copy: 48.8 KiB left'
order 'exec 6<&-'
is_state RESUMING
sees two RESUMING
is_state RUNNING
sees two 'after .* in RESUMING'
kill "$watcher"
end_owner
sees two "process $owner (sh) has ended"
check "the states are in their order" test "$(states two)" = 'PRE_COPY RESUMING RUNNING'

# What is dirty: whether it becomes less
begin_owner
order "exec 5<$emulated/one"
echo 0 >"$emulated/$device/initial"
for n in 9 8 7 6 5 4; do
	echo $((n * 1000000)) >"$emulated/$device/dirty_bytes"
	[ $n -ne 9 ] || { is_state PRE_COPY; watches falling --json "$device"; }
	sees falling "\"dirty_bytes\": ${n}000000"
done
sees falling '"converges": true'
kill "$watcher"
echo 1000000 >"$emulated/$device/dirty_bytes"
watches steady "$device"
sees steady 'dirty 977 KiB, steady'
for n in 4 5 6 7 8 9; do
	echo $((n * 1000000)) >"$emulated/$device/dirty_bytes"
	sees steady "dirty $(echo "$n" | awk '{ printf "%.1f", $1 * 1e6 / 1048576 }') MiB"
done
sees steady 'growing'
kill "$watcher"
end_owner
rm "$emulated/$device/initial" "$emulated/$device/dirty_bytes"
is_state RUNNING
no_log "$device"

# ---- --until, --interval --------------------------------------------------------

device=0000:3b:00.1
hold "$device"
watches until --until=stop-copy --interval=0.01 "$device"
vfiomig state "$device" STOP_COPY >/dev/null
ended 0 "--until ends in the state"
check "which it has seen" grep -q ' STOP_COPY ' until.out
check "debugfs tells the state before anybody is asked" grep -q 'debugfs tells the state' until.err
status 0 "--until: it is there already" timeout 60 vfiomig watch --until=STOP_COPY "$device"
vfiomig state -q "$device" RUNNING >/dev/null
# shellcheck disable=SC2016 # the inner shell's
check "a watch that nobody reads any more ends" timeout 60 sh -c 'vfiomig watch -q "$1" | head -n 1' sh "$device"
watches until --json --until=ERROR "$device"
vfiomig release -q "$device"
ended 1 "--until: the owner ends first"
check "which it says" grep -q "has ended before the device was seen in ERROR" until.err
for interval in 0 x 1s 0.009 3601 -1 nan; do
	status 2 "--interval=$interval" vfiomig watch --interval=$interval "$device"
	says "--interval is a number of seconds from 0.01 to 3600, not '$interval'"
done
status 2 "--until=NOWHERE" vfiomig watch --until=NOWHERE "$device"
says "'NOWHERE' is not a state; they are RUNNING, RUNNING_P2P, STOP, STOP_COPY, RESUMING, PRE_COPY, PRE_COPY_P2P and ERROR"
status 2 "--until=EROR" vfiomig watch --until=EROR "$device"
says "'EROR' is not a state; did you mean ERROR?"
status 2 "nobody is sent to ERROR" vfiomig state "$device" EROR
says "'EROR' is not a state; they are RUNNING, RUNNING_P2P, STOP, STOP_COPY, RESUMING, PRE_COPY and PRE_COPY_P2P"
status 0 "--help" vfiomig watch --help
prints 'Print a JSON object on each line instead of text'
status 2 "--precopy-info=never" vfiomig watch --precopy-info=never "$device"
says "--precopy-info is auto or always, not 'never'"
rm -r /sys/kernel/debug

# ---- What moves ------------------------------------------------------------------

# slow_save NAME [OPTION...]: save the device slowly, and watch that. Each read of 5000 bytes waits for a line in the FIFO
# "go".
slow_save() {
	hold "$device"
	noise "$device"
	rm -f go
	mkfifo go
	exec 8<>go
	fault "$device" read most=5000 run="read -r _ </run/test/go"
	watches "$@" "$device"
	env vfiomig save "$device" -q --raw -o image 8>&- &
	saver=$!
	sees "$1" PRE_COPY
}

# moves N: let the save make N reads
moves() {
	seq "$1" >&8
}

end_save() {
	moves 100
	wait $saver
	exec 8>&-
	no_faults
	vfiomig release -q "$device"
	wait "$watcher"
}

slow_save moves --json
check "the data_fd is found in the process that saves" jq -s -e "[.[] | select(.event == \"state\" and .state == \"PRE_COPY\")][0].data_fd |
	.pid == $saver and .name == \"mtty_mig\" and .command == \"vfiomig\"" moves.out
moves 4
sees moves '"moved_bytes": 20000, "exact": true'
sees moves '"initial_bytes": 30000, "dirty_bytes": 0'
moves 8
sees moves '"state": "STOP_COPY"'
end_save
check "JSON: the states, as far as they last long enough" jq -s -e \
	'[.[] | select(.event == "state").state] - ["PRE_COPY_P2P"] | .[:3] == ["RUNNING", "PRE_COPY", "STOP_COPY"]' moves.out
check "nobody but the save has read from the data_fd" cmp image "$emulated/$device/memory"

# The driver is asked for PRE_COPY once in a second at most, and some drivers are not asked at all.
echo mlx5vf_mig >"$emulated/$device/data_name"
slow_save mlx5
moves 2
sees mlx5 'PRE_COPY .* 9.8 KiB moved'
wait_for grep -q "how much is left is not known: the driver of mlx5vf_mig may change what its owner gets when it is asked; --precopy-info=always asks" mlx5.err
check "nothing is known of what is left" sh -c '! grep -e first -e dirty mlx5.out'
end_save
slow_save mlx5 --precopy-info=always
sees mlx5 'first copy: 48.8 KiB left'
end_save
echo 'xe_vfio_mig' >"$emulated/$device/data_name"
slow_save xe --json
moves 5
sees xe '"moved_bytes": [1-9][0-9]*, "exact": false'
end_save

# ---- Drivers that do not return ------------------------------------------------------

echo mtty_mig >"$emulated/$device/data_name"
# children: the processes that the watch has started
children() {
	cat "/proc/$watcher/task/$watcher/children"
}

# hangs EVENT CALL: the driver hangs in a call that a look makes
hangs() {
	event=$1 call=$2
	hold "$device"
	fault "$device" "$event" hang
	rm -f hangs.out
	# The holder itself would hang, if it were asked.
	env vfiomig watch "pid:$holder/$device" >hangs.out 2>hangs.err 8>&- 9>&- &
	watcher=$!
	sees hangs "$call has not returned for [0-9.]* s: the driver is busy, or hangs"
	check "$event: one process waits, and no more" test "$(children | wc -w)" -eq 1
	kill -TERM "$watcher"
	ended 143 "$event: a signal ends the watch"
	no_faults
	vfiomig release -q "$device"
}

hold "$device"
watches killed "pid:$holder/$device"
fault "$device" get hang
sees killed 'has not returned for'
kill -KILL "$(children)"
ended 1 "the process that looks was killed"
check "which it says" grep -q 'the process that looks at it has failed' killed.err
no_faults
vfiomig release -q "$device"
hangs info VFIO_DEVICE_GET_INFO
hangs get 'VFIO_DEVICE_FEATURE (GET MIG_DEVICE_STATE)'
hold "$device"
watches busy "$device"
fault "$device" get hang times=1
sees busy 'RUNNING .*VFIO_DEVICE_FEATURE (GET MIG_DEVICE_STATE) has not returned for'
kill -KILL "$holder"
rm "/run/vfiomig/$device.sock"
ended 0 "the owner ends while the driver hangs"
no_faults
slow_save info --json
# The save asks, too, but not now.
fault "$device" precopy-info hang times=1
sees info '"event": "waiting".*"call": "VFIO_MIG_GET_PRECOPY_INFO"'
check "the state is known all the same" jq -s -e '[.[] | select(.event == "waiting")][0].state == "PRE_COPY"' info.out
end_save
slow_save info --json
no_log "$device"
begun=$(date +%s%N)
fault "$device" precopy-info errno=EIO
sees info '"precopy_error": "Input/output error"'
wait_for sh -c "[ \$(grep -c 'fault precopy-info' '$emulated/$device/log') -ge 4 ]"
check "the driver is asked once in a second, not in each look" test $(($(date +%s%N) - begun)) -ge 2900000000
no_faults
end_save

# A state that cannot be read for a while
hold "$device"
watches error "$device"
fault "$device" get errno=EIO
sees error '? *after .* in RUNNING; cannot read the state: Input/output error'
no_faults
sees error 'RUNNING *$'
vfiomig release -q "$device"
wait "$watcher"

# ---- What cannot be seen --------------------------------------------------------------

echo 0 >"$emulated/$device/flags"
hold "$device"
status 3 "a device without migration support" vfiomig watch "$device"
says 'its driver emulated_vfio_pci has no migration support'
echo 7 >"$emulated/$device/flags"
# shellcheck disable=SC2317 # status calls it
as_user() {
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}
status 4 "an ordinary user" as_user vfiomig watch "pid:$holder/$device"
says "not permitted to take descriptors of process $holder: that needs CAP_SYS_PTRACE; run as root"
status 4 "an ordinary user, by the name of the device" as_user vfiomig watch "$device"
says 'nobody is seen to have it open; this user may not see all processes: run as root'
# Root without CAP_SYS_PTRACE, as in a container
# shellcheck disable=SC2317 # status calls it
without_ptrace() {
	setpriv --bounding-set=-sys_ptrace "$@"
}
status 4 "without CAP_SYS_PTRACE and debugfs" without_ptrace vfiomig watch "pid:$holder/$device"
says 'nor does debugfs show the state: that needs VFIO_DEBUGFS (Linux 6.8) and "mount -t debugfs none /sys/kernel/debug"'
vfiomig release -q "$device"

# ---- In a terminal -----------------------------------------------------------------------

hold "$device"
: >typescript
script -qefc "stty cols 40; vfiomig watch --interval=0.05 $device" typescript </dev/null >/dev/null &
watcher=$!
wait_for grep -q 'RUNNING [0-9.]* s' typescript
vfiomig state "$device" STOP >/dev/null
wait_for grep -q 'STOP [0-9.]* s' typescript
fault "$device" get hang times=1
wait_for grep -q 'STOP [0-9.]* s: no answer for [0-9.]* s: VFIO' typescript
kill -KILL "$holder"
rm "/run/vfiomig/$device.sock"
ended 0 "in a terminal"
tr '\r' '\n' <typescript >lines
check "one line is renewed" grep -q "^STOP [0-9.]* s$(printf '\033')\\[K" lines
check "a change of the state stays" grep -q 'STOP  *after ' lines
check "no renewed line is as wide as the terminal" sh -c \
	"grep -v -e : -e '^$' lines | sed 's/$(printf '\033')\\[K//g' | awk 'length >= 40' | { ! grep .; }"

finish
