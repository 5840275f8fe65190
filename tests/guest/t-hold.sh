#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A held device: its state outlives commands. What happens when the holder or its clients die, are
# silent or send nonsense.
# guest: -m 1M -m 1M -s 480
# kernels: stock

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

socket=/run/vfiomig/$device.sock

# shellcheck disable=SC2317 # wait_for calls it
is_held() {
	[ -n "$(holder_of "$1")" ]
}

# logged TEXT: the log has such a line within five seconds
# shellcheck disable=SC2317 # check calls it
logged() {
	within 50 grep -q "$1" /run/log
}

fds_of() {
	find "/proc/$1/fd" -type l | wc -l
}

syslogd -O /run/log
fill "$device"
bar "$device" read >memory

# The holder's process, socket and log
status 3 "a device without a VFIO driver cannot be held" vfiomig hold 0000:00:00.0
status 1 "release of a device that nobody holds" vfiomig release "$device"
says 'nobody holds it'
status 0 "hold" sh -c "exec 9>keep; mkdir -p here; cd here; vfiomig hold $device 2>&1"
prints "holds it, on $socket"
holder=$(holder_of "$device")
check "list shows the holder" test -n "$holder"
check "the directory is for its owner only" test "$(stat -c %a /run/vfiomig)" = 700
check "the socket is for its owner only" test "$(stat -c %a "$socket")" = 600
check "the holder has a session of its own, without a terminal" test "$(cut -d ' ' -f 6,7 "/proc/$holder/stat")" = "$holder 0"
check "the holder's working directory is /" test "$(readlink "/proc/$holder/cwd")" = /
check "the holder keeps no descriptor of the shell open" test "$(for fd in "/proc/$holder/fd"/*; do readlink "$fd"; done |
	grep -v -e '^/dev/vfio/' -e '^/dev/iommu$' -e '^anon_inode:' -e '^socket:' | sort | uniq -c | sed 's/  */ /g')" = " 3 /dev/null"
check "the holder's process has a name" test "$(cat "/proc/$holder/comm")" = vfiomig-hold
check "the holder leaves no core" grep -q '^Max core file size *1  ' "/proc/$holder/limits"
check "the journal has a line" logged "vfiomig\[$holder\]: holding $device (ivshmem_vfio_pci) for user 0 on $socket"
status 4 "a second holder" vfiomig hold "$device"
says "process $holder holds it already"
vfiomig state "$device" -v 2>log >/dev/null
check "other commands use the holder" grep -q 'through its holder$' log
region "$device" 0 0 0x55
check "a register keeps its value between commands" test "$(region "$device" 0 0)" = 85
status 0 "state" vfiomig state "$device" STOP
check "the state is kept between commands" test "$(vfiomig state "$device")" = STOP
check "the socket's name leads to the device" test "$(vfiomig state "unix:$socket")" = STOP
status 0 "info" vfiomig info "$device"
prints 'state:      STOP'
kill -HUP "$holder"
kill -INT "$holder"
kill -ALRM "$holder"
check "signals of a terminal and an alarm do not end the holder" test "$(vfiomig state "$device")" = STOP
other_way=cdev
[ ! -e /dev/iommu ] || other_way=group
status 4 "--via of another way than the holder's" vfiomig state "$device" --via=$other_way
says "release it first"
status 0 "release" vfiomig release "$device"
check "the socket is gone" test ! -e "$socket"
wait_for test ! -e "/proc/$holder"
ok "the holder is gone"
check "the device was closed" test "$(vfiomig state "$device") $(region "$device" 0 0)" = "RUNNING 0"
check "the journal says so" logged "released $device"
check "the directory is empty" test -z "$(ls -A /run/vfiomig)"

# The device of another process
vfiomig exec --via=group "$device" -- sleep 1000 &
owner=$!
wait_for grep -q sleep "/proc/$owner/comm"
status 0 "hold the device of another process" vfiomig hold "pid:$owner/$device"
says "warning: the device and its IOMMU group stay in use after process $owner (sleep) has ended, until the release"
kill $owner
wait $owner
check "it is still held" test "$(vfiomig state "$device")" = RUNNING
status 0 "release it" vfiomig release "$device"

# Nobody reads the log
syslogd=$(pidof syslogd)
kill -STOP "$syslogd"
status 0 "with a log that nobody reads: hold" timeout 10 vfiomig hold -q "$device"
i=0
while [ $i -lt 12 ]; do
	timeout 10 vfiomig release "$device" || break
	timeout 10 vfiomig hold -q "$device" || break
	i=$((i + 1))
done
check "with a log that nobody reads the holder works" test $i -eq 12
kill -CONT "$syslogd"
status 0 "release it" vfiomig release "$device"

# SIGTERM, and in the foreground
vfiomig hold "$device" -q
kill "$(holder_of "$device")"
wait_for test ! -e "$socket"
ok "SIGTERM ends the holder, and its socket is gone"
vfiomig hold --foreground "$device" 2>log &
holder=$!
wait_for is_held "$device"
check "in the foreground the command itself is the holder" test "$(holder_of "$device")" = "$holder"
kill $holder
wait $holder
check "in the foreground the signal is the exit status" test $? -eq 143
check "in the foreground the socket is gone after a signal" test ! -e "$socket"
check "in the foreground the log is on standard error" grep -q -x "vfiomig: holding $device (ivshmem_vfio_pci) for user 0 on $socket" log
check "the log has the end, too" test "$(tail -n 1 log)" = "vfiomig: $device is closed now: interrupted by a signal"
check "in the foreground nothing is in the journal" sh -c "! grep 'vfiomig.$holder.:' /run/log"
check "there is no error in the log" test "$(wc -l <log)" = 2

# A service manager that waits for the holder: what it is told, and when
for manager in "$PWD/notify" @vfiomig-test; do
	manager "$manager" >told &
	waiter=$!
	wait_for grep -q "${manager#"$PWD"}\$" /proc/net/unix
	NOTIFY_SOCKET=$manager vfiomig hold --foreground "$device" 2>log &
	holder=$!
	wait_for grep -q READY=1 told
	vfiomig state "$device" -v >"$OUT" 2>verbose
	check "$manager: after READY=1 the device is held, and nobody is at work on it" grep -q 'through its holder$' verbose
	check "$manager: the manager is told that the holder is ready" test "$(cat told)" = "READY=1|STATUS=Holding $device on $socket"
	vfiomig release "$device"
	wait_for grep -q STOPPING=1 told
	check "$manager: the manager is told of the end" test "$(sed 1d told)" = "STOPPING=1|STATUS=Closing $device"
	wait $holder
	check "$manager: after a release the exit status is 0" test $? -eq 0
	check "$manager: the log has no error" test "$(sed "1d; s/process [0-9]*/process N/" log | xargs)" = \
		"vfiomig: process N released $device vfiomig: $device is closed now"
	kill $waiter
done

# A signal comes while a command is at work: the holder waits for the command, but tells the manager
# at once.
manager @vfiomig-test >told &
waiter=$!
wait_for grep -q '@vfiomig-test$' /proc/net/unix
NOTIFY_SOCKET=@vfiomig-test vfiomig hold -q --foreground "$device" 2>log &
holder=$!
wait_for grep -q READY=1 told
begin_save "$device"
kill $holder
wait_for grep -q STOPPING=1 told
check "the manager is told of the end when it begins" test -e "/proc/$holder/fd"
end_save /dev/null
check "the command at work comes to its end, and is told that the holder has ended: status 7" test $? -eq 7
wait $holder
check "then the holder ends" test $? -eq 143
check "each event is told once" test "$(wc -l <told)" = 2
check "with -q the log is empty" test ! -s log
kill $waiter

# A service manager that cannot be told
for manager in relative "$PWD/nobody" "/$(head -c 120 /dev/zero | tr '\0' x)"; do
	rm -f log
	NOTIFY_SOCKET=$manager vfiomig hold --foreground "$device" 2>log &
	holder=$!
	wait_for grep -q 'service manager' log
	check "$manager: the holder says that it cannot notify" grep -q -F "vfiomig: hold $device: cannot notify the service manager on $manager (NOTIFY_SOCKET): " log
	check "$manager: the device is held all the same" test "$(vfiomig state "$device")" = RUNNING
	vfiomig release "$device"
	wait $holder
	check "$manager: the exit status is 0" test $? -eq 0
done
# stop PID: send SIGSTOP, and wait until the process has stopped. Without the wait the process could
# still receive something.
stop() {
	kill -STOP "$1"
	wait_for grep -q '^State:.T' "/proc/$1/status"
}

# The manager reads nothing. There is room for one datagram, and the holder waits with the second
# one for a limited time only.
echo 0 >/proc/sys/net/unix/max_dgram_qlen
manager @vfiomig-test >told &
waiter=$!
wait_for grep -q '@vfiomig-test$' /proc/net/unix
stop $waiter
NOTIFY_SOCKET=@vfiomig-test vfiomig hold --foreground "$device" 2>log &
holder=$!
wait_for is_held "$device"
check "a service manager that reads nothing does not keep the holder from ending" vfiomig release "$device"
wait $holder
check "the exit status is 0 nevertheless" test $? -eq 0
check "the holder says that the notification timed out" sh -c "grep -q 'cannot notify the service manager on @vfiomig-test (NOTIFY_SOCKET): Connection timed out' log ||
	{ echo 'what it said:'; cat log; echo 'what was told:'; cat told; false; }"
kill -9 $waiter
echo 10 >/proc/sys/net/unix/max_dgram_qlen

# A holder that may have only a few descriptors
status 0 "hold with few descriptors" sh -c "ulimit -n 20; exec vfiomig hold $device 2>&1"
prints "holds it, on $socket"
check "with few descriptors the holder answers" timeout 20 vfiomig state "$device"
check "with few descriptors the device can be saved" sh -c "timeout 20 vfiomig save $device -q -o few && vfiomig inspect --verify few"
check "with few descriptors the device can be released" timeout 20 vfiomig release "$device"

# A command that has too few descriptors says so, whichever file it cannot open.
vfiomig hold "$device" -q
for n in 7 8 9 10 11 12; do
	rc=0
	sh -c "ulimit -n $n; exec vfiomig save $device -q -o few" >"$OUT" 2>"$ERR" || rc=$?
	if [ $rc -eq 0 ] && [ ! -s "$ERR" ]; then
		ok "$n descriptors: enough"
	elif [ $rc -eq 1 ] && [ "$(wc -l <"$ERR")" -eq 1 ] && grep -q 'Too many open files' "$ERR"; then
		ok "$n descriptors: too few, and it says so"
	else
		not_ok "$n descriptors" "status $rc: $(cat "$ERR")"
	fi
done
check "the device is still RUNNING" test "$(vfiomig state "$device")" = RUNNING
vfiomig release "$device" --wait

# restore
vfiomig save "$device" -q -o image
status 0 "restore leaves a holder" vfiomig restore "$other" -i image
holder=$(holder_of "$other")
says "the device is in RUNNING; process $holder holds it"
region "$other" 0 0 0x33
check "the restored device has the memory" sh -c "region $other 2 | cmp - memory"
status 0 "a restore into a held device" vfiomig restore "$other" -i image
says 'the device is in RUNNING'
check "a restore keeps the holder" test "$(holder_of "$other")" = "$holder"
check "a restore into a held device restores the register" test "$(region "$other" 0 0)" = 0
status 0 "save of the held device" vfiomig save "$other" -q -o again
check "the held device has the image's state" sh -c "zstd -dcq image >a; zstd -dcq again >b; cmp a b"
vfiomig release "$other"
status 0 "restore --no-hold" vfiomig restore "$other" --no-hold -i image
says 'and closed now, which on most devices ends its state'
check "restore --no-hold leaves no holder" test -z "$(holder_of "$other")"
ln -s /tmp /run/vfiomig/not
mv /run/vfiomig /run/aside
ln -s /run/aside /run/vfiomig
status 4 "restore, if a holder is impossible" vfiomig restore "$other" -i image
says '/run/vfiomig is not a directory (a link to one is none either); remove it'
rm /run/vfiomig
mkdir -m 777 /run/vfiomig
status 4 "a directory that others may write to" vfiomig hold "$device"
says 'others may write to /run/vfiomig'
chmod 700 /run/vfiomig
chown nobody /run/vfiomig
status 4 "a directory of another user" vfiomig hold "$device"
says '/run/vfiomig belongs to user 65534'
rmdir /run/vfiomig

# One at a time
for held in no yes; do
	[ $held = no ] || vfiomig hold "$device" -q
	begin_save "$device"
	status 4 "held: $held: a second command" vfiomig save "$device" --raw -o x
	says "busy: process $saver (vfiomig) is at work on it; --wait waits for it"
	status 4 "held: $held: --wait=1 gives up after a second" vfiomig state "$device" --wait=1
	vfiomig state "$device" --wait >waited &
	second=$!
	vfiomig state "$device" --wait=100 >waited-too &
	third=$!
	timeout -s INT 1 vfiomig state "$device" --wait 2>log
	check "held: $held: a signal ends the wait" test $? -eq 130
	check "held: $held: the first one succeeds" end_save /dev/null
	wait $second && wait $third
	check "held: $held: the commands that waited succeed" test "$? $(cat waited waited-too | xargs)" = "0 RUNNING RUNNING"
done
check "no lock file is left" test "$(ls -A /run/vfiomig)" = "$device.sock"

# The client dies, the holder dies, or both.
holder=$(holder_of "$device")
begin_save "$device"
sleep 0.3
kill -9 $saver
wait $saver
exec 6<&-
check "kill -9 in a save: the device is brought back" test "$(vfiomig state "$device")" = RUNNING
check "the journal says so" logged "process $saver ended without giving $device back; the device is in RUNNING"
check "the device's memory is unchanged" sh -c "region $device 2 | cmp - memory"
vfiomig state "$device" -q STOP >/dev/null
head -c 50000 image >half
{
	cat half
	exec sleep 100
} >pipe &
feeder=$!
rm -f log
vfiomig restore "$device" -v <pipe 2>log &
client=$!
wait_for grep -q 'STOP -> RESUMING' log
kill -9 $client
wait $client
kill $feeder
check "kill -9 in a restore: the device is back in STOP" test "$(vfiomig state "$device")" = STOP
check "the journal says that it was reset" logged "process $client ended without giving $device back; the device was reset (its state is lost) and is in STOP"
# The holder dies during a restore. This must not count as success.
{
	cat half
	wait_for test -e go
	tail -c +50001 image
} >pipe &
rm -f log
vfiomig restore "$device" -v <pipe 2>log &
client=$!
wait_for grep -q 'STOP -> RESUMING' log
status 4 "release is refused while a restore is at work" vfiomig release "$device"
kill "$holder"
sleep 0.5
check "SIGTERM: the holder waits for the client that has the device" test "$(cut -d ' ' -f 3 "/proc/$holder/stat")" = S
kill -9 "$holder"
touch go
wait $client
check "a restore whose holder has died: status 7" test $? -eq 7
check "the restore says that the holder has ended" grep -q 'its holder has ended, which closed the device: its state is lost' log
rm go
for json in '' --json; do
	vfiomig hold "$device" -q
	# shellcheck disable=SC2086 # perhaps no word
	vfiomig save "$device" --precopy=never $json -o pipe >out 2>log &
	client=$!
	exec 6<pipe
	# dd reads byte by byte, because bytes that it reads ahead would be lost.
	dd bs=1 count=100 <&6 >kept 2>/dev/null
	kill -9 "$(holder_of "$device")"
	cat <&6 >>kept
	exec 6<&-
	wait $client
	check "a save whose holder has died: status 7" test $? -eq 7
	check "the save says so in one line" test "$(wc -l <log)" = 1
	check "the save says that the image is whole" grep -q 'its state is lost; the image is whole$' log
	check "the image is whole" vfiomig inspect --verify kept
	[ -z "$json" ] || check "--json says so, too" test "$(jq '(.error | contains("its state is lost")) and .state == null' out)" = true
done
vfiomig hold "$device" -q
holder=$(holder_of "$device")
kill -9 "$holder"
wait_for sh -c "! test -e /proc/$holder || grep -q zombie /proc/$holder/status"
check "kill -9 of the holder leaves its socket" test -S "$socket"
check "the device is closed" test "$(vfiomig state "$device")" = RUNNING
status 1 "there is nothing to release" vfiomig release "$device"
status 0 "a new holder replaces the socket" vfiomig hold "$device"
holder=$(holder_of "$device")
begin_save "$device"
kill -9 $saver "$holder"
wait $saver
exec 6<&-
wait_for sh -c "! test -e /proc/$holder || grep -q zombie /proc/$holder/status"
check "kill -9 of both: the device is RUNNING" test "$(vfiomig state "$device")" = RUNNING
status 0 "the device works" vfiomig save "$device" -q -o again

# Many clients
vfiomig hold "$device" -q
holder=$(holder_of "$device")
before=$(fds_of "$holder")
n=0
for i in $(seq 30); do
	[ "$(vfiomig state "$device")" = RUNNING ] && n=$((n + 1))
done
check "30 commands in sequence" test $n -eq 30
for i in $(seq 20); do
	vfiomig state "$device" --wait >"state.$i" &
done
wait
check "20 commands at once with --wait" test "$(cat state.* | sort | uniq -c | sed 's/^ *//')" = "20 RUNNING"
for i in $(seq 20); do
	{
		vfiomig state "$device" 2>/dev/null >/dev/null
		echo $? >"state.$i"
	} &
done
wait
check "20 commands at once without --wait: done or busy" test -z "$(cat state.* | grep -v -e '^0$' -e '^4$')"
check "no descriptor has leaked" test "$(fds_of "$holder")" -eq "$before"

# A restore that is at work has no holder yet, and nobody waits for it.
rm -f log
vfiomig restore "$other" -v <pipe 2>log &
client=$!
exec 6>pipe
cat half >&6
wait_for grep -q 'STOP -> RESUMING' log
status 0 "list in the middle of a restore" timeout 3 vfiomig list
status 1 "there is nothing to release yet" timeout 3 vfiomig release "$other"
says 'nobody holds it'
tail -c +50001 image >&6
exec 6>&-
wait $client
check "the restore goes on" test $? -eq 0
status 4 "hold by the holder's name" vfiomig hold "unix:/run/vfiomig/$other.sock"
says 'holds it already'
status 2 "release by another name than a holder's" vfiomig release "pid:$(holder_of "$other")/$other"
vfiomig release "$other"

# Clients that send nonsense
check "16 bytes of garbage" test "$(peer "$socket" garbage 16)" = "71 version 1"
check "5000 bytes of garbage" test "$(peer "$socket" garbage 5000)" = "71 version 1"
check "one byte" test "$(peer "$socket" garbage 1)" = "71 version 1"
check "another version" test "$(peer "$socket" version 2)" = "93 version 1"
check "an unknown request" test "$(peer "$socket" op 77)" = "71 version 1"
check "DONE without a claim" test "$(peer "$socket" op 3)" = "71 version 1"
check "a request with descriptors" test "$(peer "$socket" fds)" = "0 version 1"
mkfifo stay
peer "$socket" flood 1000 <stay >flooded &
exec 7>stay
wait_for grep -q 1000 flooded
check "1000 silent connections: commands work" test "$(vfiomig state "$device")" = RUNNING
exec 7>&-
wait
check "the connections are closed: commands work" test "$(vfiomig state "$device")" = RUNNING
check "no descriptor has leaked" test "$(fds_of "$holder")" -eq "$before"
chmod 755 /run/vfiomig
chmod 666 "$socket"
status 4 "another user" as_nobody "exec vfiomig state unix:$socket"
says "the holder on $socket serves its own user and root"
check "the journal says so" logged "of user 65534, who is not the one that holds $device"
status 4 "another user, by the device's name" as_nobody "exec vfiomig state $device"
check "the holder is alive" test "$(holder_of "$device")" = "$holder"
check "the directory's mode is right again" sh -c "vfiomig state $device && test \$(stat -c %a /run/vfiomig) = 700"
# A command has the device while its holder is stopped: the device is given back when it goes on.
begin_save "$device"
stop "$holder"
check "a save whose holder is stopped succeeds" end_save stopped
kill -CONT "$holder"
check "the device is held by the same process" test "$(vfiomig state "$device") $(holder_of "$device")" = "RUNNING $holder"
stop "$holder"
status 4 "a holder that does not answer" vfiomig state "unix:$socket"
says 'does not answer'
status 4 "release of a holder that does not answer" vfiomig release "$device"
says 'does not answer'
kill -CONT "$holder"
status 0 "release it" vfiomig release "$device" --wait
status 1 "a socket that is not there" vfiomig state unix:/run/nowhere
# mtty of Linux 6.1 does not support migration.
if [ "$KERNEL" != 6.1 ]; then
	status 0 "mtty: hold" vfiomig hold "$mtty"
	status 0 "mtty: restore" sh -c "vfiomig save $mtty -q -o image; vfiomig restore $mtty -i image"
	status 0 "mtty: release" vfiomig release "$mtty"
fi

finish
