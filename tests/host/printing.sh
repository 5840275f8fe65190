#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What commands print about a device arrives, or they fail; signals end them while they print; the JSON object is there after
# a signal; and names from the kernel and from other processes reach a terminal only as printable text.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh
# shellcheck source=tests/host/lib/printable.sh
. "$top/tests/host/lib/printable.sh"
pipes=$top/tests/host/pipes.pl

emulate 0000:3b:00.2
emulate 0000:3b:00.1 size=3000000
mkdir /sys/bus/pci/drivers/vfio-pci
vfiomig hold -q "$device"
noise "$device"

# back: the device runs
back() {
	check "the device is in RUNNING" test "$(state_of "$device")" = RUNNING
}

# The same text each time: without the times of the arcs
for command in "state $device" "state --json $device" "info $device" "info --json $device" list "list --json" \
	"bind -n 0000:3b:00.2" "save --json -o image $device"; do
	# shellcheck disable=SC2086 # words
	status 0 "$command: a slow reader" perl "$pipes" 0.1 0 1,nonblock,full vfiomig $command
	check "$command: all of it arrives" sh -c "$(
		case $command in
		save*) echo "jq .complete $OUT | grep -q true && vfiomig inspect --verify image" ;;
		*) echo "vfiomig $command | cmp - $OUT" ;;
		esac
	)"
	status 1 "$command >/dev/full" sh -c "exec vfiomig $command >/dev/full"
	says 'standard output: No space left on device'
done
status 143 "save --json: nobody reads" perl "$pipes" never 15 1,nonblock,full vfiomig save --json -o image "$device"
back
status 1 "save --json, the object on standard error" sh -c "exec vfiomig save --json $device >image 2>/dev/full"
back
check "the image is whole" vfiomig inspect --verify image
status 0 "a walk" perl "$pipes" 0.1 0 1,nonblock,full vfiomig state "$device" STOP
prints 'RUNNING -> RUNNING_P2P -> STOP ('
status 0 "a walk, with a line for each arc" perl "$pipes" 0.1 0 2,nonblock,full vfiomig state -v "$device" RUNNING
prints 'RUNNING_P2P'
status 1 "a walk >/dev/full" sh -c "exec vfiomig state $device RUNNING_P2P >/dev/full"
says 'standard output: No space left on device'
for signal in 1 15; do
	vfiomig state "$device" RUNNING -q >/dev/null
	status $((128 + signal)) "a walk that nobody reads, signal $signal" \
		perl "$pipes" never $signal 1,nonblock,full vfiomig state "$device" STOP
	says 'interrupted by a signal; the device is back in RUNNING'
	back
	status $((128 + signal)) "a progress line that nobody reads, signal $signal" \
		perl "$pipes" never $signal 2,full vfiomig save "$device" --progress=always -v -o image
	back
done

# A transfer that sleeps, and a signal. A signal that comes before the transfer has begun would end the program at once,
# without an object.
for signal in 2 15; do
	noise "$device"
	fault "$device" arc STOP-STOP_COPY slow=0.6 run=touch begun
	rm -f begun
	status $((128 + signal)) "signal $signal, the object on standard output" \
		env BEGUN=begun perl "$pipes" never $signal 0 vfiomig save "$device" --json --precopy=never -o image
	cp "$OUT" object
	check "the object is there" test "$(jq '(.complete | not) and .state == "RUNNING" and (.error | contains("interrupted"))' object)" = true
	no_faults "$device"
	back
	fault "$device" arc STOP-STOP_COPY run=touch begun
	rm -f begun
	status $((128 + signal)) "signal $signal, the object on standard error, an image that nobody reads" \
		env BEGUN=begun perl "$pipes" never $signal 1 sh -c "exec vfiomig save $device --json --precopy=never 2>object"
	check "the object is there" test "$(tail -n +2 object | jq '(.complete | not) and .state == "RUNNING"')" = true
	no_faults "$device"
	back
	fault "$device" write sleep=30 run=touch begun
	rm -f begun
	status $((128 + signal)) "signal $signal, restore" \
		sh -c "vfiomig save -q $device -o image && BEGUN=begun exec perl $pipes never $signal 0 vfiomig restore $device -i image --json"
	cp "$OUT" object
	check "the object is there" test "$(jq '(.complete | not) and .reset and .state == "RUNNING"' object)" = true
	no_faults "$device"
done
end_holder "$device"
no_devices

# ---- Names from outside ----------------------------------------------------------------------------------------------------

# A driver, the type of a mediated device, and a process that has the device open. A file's name has no slash, and that of
# a process only 15 bytes.
emulate 0000:3b:00.1
emulate 0000:3b:00.2
directory=/sys/bus/pci/drivers/$hostile
mkdir "$directory"
for address in 0000:3b:00.1 0000:3b:00.2; do
	ln -sfn "$directory" /sys/bus/pci/devices/$address/driver
done
ln -s /sys/bus/pci/devices/0000:3b:00.1 "$directory"
emulate 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
mkdir "/sys/$hostile"
ln -sfn "/sys/$hostile" /sys/bus/mdev/devices/"$device"/mdev_type

# opener NAME DEV: a process of this name has the device open
opener() {
	perl -e '
		my ($name, $path) = @ARGV;
		open my $fd, "<", $path or die;
		open my $comm, ">", "/proc/$$/comm" or die;
		syswrite $comm, $name;
		close $comm;
		open my $ready, ">", "ready";
		sleep 600' "$1" /dev/vfio/devices/"$2" &
	opener=$!
	wait_for test -e ready
	rm ready
}

for locale in C C.UTF-8; do
	export LC_ALL=$locale
	for name in "$(printf 'x\033[2J\n\302\233y')" "$(printf '\342\200\256\342\201\246\330\234\233')"; do
		opener "$name" vfio0
		feed list
		feed list --json
		for command in info 'info --json' state hold release 'bind -n' 'unbind -n' 'save -o image' 'exec --'; do
			# shellcheck disable=SC2086 # words
			feed $command 0000:3b:00.1 true
			# shellcheck disable=SC2086 # words
			feed $command "pid:$opener/0000:3b:00.1"
			# shellcheck disable=SC2086 # words
			feed $command 0000:3b:00.1
		done
		check "$locale: list has seen the process" grep -q "^0000:3b:00.1 .*$opener (" fed
		clean "$locale: the name of a process"
		kill "$opener"
		wait "$opener" 2>/dev/null
	done
	feed info 0000:3b:00.1
	feed info 0000:3b:00.1 --json
	feed info "$device"
	feed info "$device" --json
	feed list --probe
	feed bind -n 0000:3b:00.1
	feed unbind -n 0000:3b:00.1
	feed hold -f -v 0000:3b:00.1 --via=group --wait=x
	check "$locale: info has the driver" grep -q '^driver:  *a?\[2J' fed
	clean "$locale: the name of a driver and of a type"
	noise 0000:3b:00.2
	feed save 0000:3b:00.2 -o image
	feed inspect image
	feed inspect --json image
	ln -sfn /sys/bus/pci/drivers/emulated_vfio_pci /sys/bus/pci/devices/0000:3b:00.1/driver
	feed restore 0000:3b:00.1 -i image
	check "$locale: the image is of another driver" grep -q 'a?\[2J' fed.err
	ln -sfn "$directory" /sys/bus/pci/devices/0000:3b:00.1/driver
	clean "$locale: an image's header"
done

finish
