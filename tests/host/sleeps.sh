#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Signals end a command wherever it sleeps, and the device goes home. An arc or a reset that sleeps is waited for,
# which the user is told, until another signal breaks it off.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.1 size=8000000
vfiomig hold "$device" -q
noise "$device"
vfiomig save "$device" -q -o image
vfiomig save "$device" -q --raw -o raw

# catches PID SIGNAL: the process has a handler for it, or is gone
# shellcheck disable=SC2317 # wait_for calls it
catches() {
	! is_gone "$1" || return 0
	caught=$(sed -n 's/^SigCgt:.*\(........\)$/\1/p' "/proc/$1/status")
	[ $((0x0$caught >> ($2 - 1) & 1)) -eq 1 ]
}

# shoot SIGNAL: send it to the command that has its number in the file "pid", when it has a handler for it and sleeps. A
# command that does not end is killed.
shoot() {
	wait_for test -s pid
	target=$(cat pid)
	wait_for catches "$target" "$1"
	sleep 0.2
	date +%s%N >shot
	kill -s "$1" "$target"
	within 100 is_gone "$target" || kill -s KILL "$target"
}

# Run a command whose number is in the file "pid", and end with its exit status. A shell would print the signal. A shell's
# background processes ignore SIGINT.
# shellcheck disable=SC2016 # perl's
numbered='
	$SIG{INT} = "DEFAULT";
	my $pid = fork // die;
	exec @ARGV if !$pid;
	open my $file, ">", "pid.new";
	print $file $pid;
	close $file;
	rename "pid.new", "pid";
	waitpid $pid, 0;
	exit($? & 127 ? 128 + ($? & 127) : $? >> 8)'

# ends WHAT COMMAND...: COMMAND, which sleeps, ends within a second of a signal, and the device is RUNNING
ends() {
	what=$1
	shift
	for signal in 2 15 1; do
		rm -f pid
		shoot $signal &
		status $((128 + signal)) "$what: signal $signal" perl -e "$numbered" "$@"
		wait $!
		check "$what: in time" test $((($(date +%s%N) - $(cat shot)) / 1000000)) -lt 1000
		says 'interrupted by a signal'
		check "$what: the device is home" test "$(state_of "$device")" = RUNNING
	done
}

while read -r at options; do
	fault "$device" read at="$at" hang
	# shellcheck disable=SC2086 # words
	ends "a read that sleeps at $at $options" vfiomig save "$device" $options -o new
	no_faults "$device"
done <<-END
	0
	3000000 --raw
	7999999 --precopy=never
END
check "no file was made" test ! -e new
fault "$device" write at=0 hang
ends "a write that sleeps" vfiomig restore "$device" -i image
ends "a write that sleeps, --raw" vfiomig restore "$device" --raw -i raw
no_faults "$device"

# Nobody reads the pipe.
noise "$device"
mkfifo fifo
exec 9<>fifo
ends "a pipe that nobody reads" sh -c "exec vfiomig save $device >fifo"

# A save that fails does not wait for its consumer. The pipe takes less than
# what was read until then.
fault "$device" read at=200000 errno=EIO
for how in '' --raw; do
	exec 9<&-
	exec 9<>fifo
	status 1 "a save that fails, and a pipe that nobody reads $how" \
		timeout -k 5 5 sh -c "exec vfiomig save $device $how --chunk-size=64K >fifo"
	says "Input/output error; the device is back in RUNNING"
done
no_faults "$device"
exec 9<&-

# SIGUSR1 is answered before the first byte. SIGUSR2 ends nothing.
exec 9<>fifo
for how in '' --raw; do
	# shellcheck disable=SC2086 # words
	/run/bin/vfiomig restore "$device" --wait=60 $how <fifo 2>"$ERR" &
	command=$!
	wait_for sh -c "vfiomig state '$device' 2>&1 | grep -q busy"
	kill -s USR2 "$command"
	kill -s USR1 "$command"
	check "SIGUSR1 is answered before the first byte $how" within 20 grep -q '^0 bytes (0 B) copied' "$ERR"
	kill -s TERM "$command"
	wait "$command" 2>/dev/null
done
exec 9<&-
holder=$(openers "$device")
kill -s USR2 "$holder"
status 0 "SIGUSR2 does not end a holder" vfiomig state "$device"
check "it is the same holder" test "$(openers "$device")" = "$holder"

# Nobody writes to the pipe, or it ends in the middle of a write that sleeps.
exec 9<>fifo
ends "a pipe that nobody writes to" sh -c "exec vfiomig restore $device --raw <fifo"
exec 9<&-
fault "$device" write at=0 hang
status 5 "a truncated image, and a write that sleeps" timeout -k 5 5 sh -c "head -c 5000000 image | vfiomig restore $device"
says "the image is truncated"
no_faults "$device"

# begin COMMAND...: start COMMAND, and wait until it sleeps in a fault that has $asleep
asleep="run=touch asleep"
group=
begin() {
	rm -f asleep
	no_log "$device"
	$group /run/bin/vfiomig "$@" >"$OUT" 2>"$ERR" &
	command=$!
	wait_for test -e asleep
}

# told TEXT: the command has said this
# shellcheck disable=SC2317 # check calls it
told() {
	grep -q -F -e "$1" "$ERR"
}

# signalled SIGNAL WHAT: the command gets SIGNAL, and says in a second that it waits for WHAT
signalled() {
	kill -s "$1" "$command"
	check "SIG$1 $2: in a second it says that it waits" within 12 \
		told "interrupted; waiting for the driver: $2; another signal breaks that off"
}

# is_among WORDS WORD
# shellcheck disable=SC2317 # check calls it
is_among() {
	case " $1 " in *" $2 "*) ;; *) return 1 ;; esac
}

# broken_off NUMBERS WHAT: the command ends by one of these signals within a second
broken_off() {
	start=$(date +%s%N) rc=0
	wait "$command" 2>/dev/null || rc=$?
	check "$2: another signal ends it" is_among "$1" $((rc - 128))
	check "$2: in time" test $((($(date +%s%N) - start) / 1000000)) -lt 1000
}

# A read that no signal interrupts is waited for.
deaf='a read or a write cannot be broken off, because the driver or the file does not react to signals; still waiting for it'
for at in 0 7999999; do
	fault "$device" read at=$at slow=3.5 times=1 "$asleep"
	begin save "$device" -o new
	kill -s TERM "$command"
	check "a read at $at that no signal interrupts: it says so" within 30 told "$deaf"
	wait "$command" 2>/dev/null
	check "a read at $at that no signal interrupts: once" test "$(wc -l <"$ERR")" -eq 2
	says "interrupted by a signal; the device is back in RUNNING"
	no_faults "$device"
done

# An arc that the reader takes has words of its own.
fault "$device" arc PRE_COPY-PRE_COPY_P2P slow=3 times=1 "$asleep"
begin save "$device" -o new
signalled TERM "arc PRE_COPY -> PRE_COPY_P2P"
wait "$command" 2>/dev/null
check "an arc is no read" sh -c "! grep -F '$deaf' '$ERR'"
no_faults "$device"

# A signal does not interrupt an arc, which goes on to its end.
fault "$device" arc STOP_COPY-STOP sleep=1 times=1 "$asleep"
begin save "$device" -o new
signalled TERM "arc STOP_COPY -> STOP"
broken_off 15 "an arc that ends by itself"
says "interrupted by a signal; the device is back in RUNNING"
check "the arc was not interrupted" sh -c "! grep EINTR '$emulated/$device/log'"
no_faults "$device"

# The arc can be taken again. Signals that come at once are one: timeout(1) sends two. Where the second one comes before the
# handler of the first one has begun, its handler runs first.
fault "$device" arc STOP_COPY-STOP hang times=1 "$asleep"
begin save "$device" -o new
kill -s TERM "$command"
signalled HUP "arc STOP_COPY -> STOP"
check "two signals at once do not break it off" sh -c "sleep 0.2; kill -s 0 $command"
kill -s TERM "$command"
broken_off "15 1" "save, which hangs in an arc"
says "arc STOP_COPY -> STOP was broken off: interrupted by a signal; the device is back in RUNNING"
check "the device is home" test "$(state_of "$device")" = RUNNING
check "the device was not reset" sh -c "! grep reset '$emulated/$device/log'"
no_faults "$device"

# It hangs again on the way home, where nobody waits for it as long once more.
fault "$device" arc STOP_COPY-STOP hang "$asleep"
begin save "$device" -o new
rm asleep
signalled TERM "arc STOP_COPY -> STOP"
kill -s TERM "$command"
broken_off 15 "save, which hangs in an arc and on the way home"
check "it hung on the way home" test -e asleep
says "the device is left in STOP_COPY, not in RUNNING"
check "it is there" test "$(state_of "$device")" = STOP_COPY
check "the device was not reset" sh -c "! grep reset '$emulated/$device/log'"
no_faults "$device"
status 0 "it can be brought back" vfiomig state "$device" RUNNING

# Who does not wait for the message before the second signal is understood, too.
fault "$device" arc STOP_COPY-STOP hang times=1 "$asleep"
begin save "$device" -o new
kill -s HUP "$command"
sleep 0.3
kill -s TERM "$command"
broken_off 1 "save, which hangs in an arc, and two signals"
says "arc STOP_COPY -> STOP was broken off: interrupted by a signal; the device is back in RUNNING"
no_faults "$device"

# A command is stopped between the arcs, and not in one, whatever thread takes that.
# In a process group of its own: SIGTSTP stops nothing in a group whose parents are gone.
group='perl -e setpgrp;exec@ARGV'
# shellcheck disable=SC2317 # check calls it
stopped() {
	grep -q '^State:.T' "/proc/$command/status"
}
for arc in PRE_COPY-PRE_COPY_P2P STOP_COPY-STOP; do
	fault "$device" arc $arc sleep=1 times=1 "$asleep"
	begin save "$device" -o new
	kill -s TSTP "$command"
	sleep 0.4
	check "SIGTSTP in $arc: it is not stopped" sh -c "! grep -q '^State:.T' /proc/$command/status"
	check "SIGTSTP in $arc: it is stopped after that" within 30 stopped
	kill -s CONT "$command"
	rc=0
	wait "$command" || rc=$?
	check "SIGTSTP in $arc: it goes on" test $rc -eq 0
	check "SIGTSTP in $arc: the arc was not interrupted" sh -c "! grep EINTR '$emulated/$device/log'"
	no_faults "$device"
done

fault "$device" read at=7999999 hang "$asleep"
begin save "$device" -o new
kill -s TSTP "$command"
check "SIGTSTP in a read: it is stopped" within 30 stopped
kill -s CONT "$command"
kill -s TERM "$command"
broken_off 15 "a read in which it was stopped"
no_faults "$device"
group=

# From RESUMING only a reset leads home.
fault "$device" arc RESUMING-STOP hang "$asleep"
begin restore "$device" -i image
signalled TERM "arc RESUMING -> STOP"
kill -s TERM "$command"
broken_off 15 "restore, which hangs in an arc"
says "the device was reset (its state is lost) and is now in RUNNING"
no_faults "$device"

# The first arc, in which nothing is lost
fault "$device" arc RUNNING-RUNNING_P2P hang "$asleep"
begin restore "$device" -i image
signalled HUP "arc RUNNING -> RUNNING_P2P"
kill -s HUP "$command"
broken_off 1 "restore, which hangs in its first arc"
says "arc RUNNING -> RUNNING_P2P was broken off: interrupted by a signal; the device is back in RUNNING"
begin state "$device" STOP
signalled TERM "arc RUNNING -> RUNNING_P2P"
kill -s TERM "$command"
broken_off 15 "state, which hangs in an arc"
says "arc RUNNING -> RUNNING_P2P was broken off: interrupted by a signal; the device is back in RUNNING"
no_faults "$device"

fault "$device" reset hang "$asleep"
begin state "$device" --reset
signalled TERM "VFIO_DEVICE_RESET"
kill -s TERM "$command"
broken_off 15 "a reset that hangs"
says "VFIO_DEVICE_RESET was broken off: interrupted by a signal"
no_faults "$device"

# Without a second signal a driver has five seconds more. One that does not react has all the time that it takes.
fault "$device" arc RUNNING-RUNNING_P2P slow=2.2 times=1 "$asleep"
begin state "$device" STOP
signalled TERM "arc RUNNING -> RUNNING_P2P"
kill -s TERM "$command"
check "an arc that cannot be interrupted: it says so" within 15 \
	told "arc RUNNING -> RUNNING_P2P cannot be broken off, because the driver does not react to signals; still waiting for it"
wait "$command" 2>/dev/null
says "stopped in RUNNING_P2P: interrupted by a signal; the device is back in RUNNING"
no_faults "$device"
vfiomig release "$device" -q

# Other calls into the kernel are interrupted at once, and again where one follows the other.
while read -r of event names; do
	[ "$of" != device ] || of=$device
	for name in $names; do
		case $name in
		hold-group) set -- hold --via=group "$device" ;;
		save) set -- save "$device" -o new ;;
		restore) set -- restore "$device" -i image ;;
		*) set -- "$name" "$device" ;;
		esac
		fault "$of" "$event" hang "$asleep"
		begin "$@"
		start=$(date +%s%N) rc=0
		kill -s TERM "$command"
		wait "$command" 2>/dev/null || rc=$?
		check "$name, which hangs in $event" test $rc -eq 143
		says "interrupted by a signal"
		check "in time" test $((($(date +%s%N) - start) / 1000000)) -lt 1500
		no_faults "$of"
	done
done <<-END
	device open hold state save restore
	device bind hold state save restore
	device attach hold state
	device info hold state
	device migration hold state save restore
	device get state save restore
	device size save
	device precopy-info save
	device region save restore
	device region-read save restore
	device region-write restore
	common open-iommufd hold
	common ioas hold
	common open-container hold-group
	common open-group hold-group
	common api-version hold-group
	common extension hold-group
	common status hold-group
	common set-container hold-group
	common set-iommu hold-group
	common device-fd hold-group
END

# A device that was left in a dead end is reset when it is opened.
echo 1 >"$emulated/$device/keeps"
echo RESUMING >"$emulated/$device/state"
fault "$device" reset hang "$asleep"
begin hold "$device"
signalled TERM "VFIO_DEVICE_RESET"
kill -s TERM "$command"
broken_off 15 "hold, which hangs in a reset"
check "nobody holds it" test -z "$(openers "$device")"
no_faults "$device"

finish
