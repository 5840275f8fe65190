#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Signals end a save and a restore wherever they sleep, and the device goes home.

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

# ends WHAT COMMAND...: COMMAND, which sleeps, ends within a second of a signal, and the device is RUNNING
ends() {
	what=$1
	shift
	for signal in 2 15 1; do
		start=$(date +%s%N)
		status $((128 + signal)) "$what: signal $signal" \
			timeout --preserve-status -k 5 -s $signal 0.2 "$@"
		check "$what: in time" test $((($(date +%s%N) - start) / 1000000)) -lt 1200
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

# Nobody writes to the pipe, or it ends in the middle of a write that sleeps.
exec 9<>fifo
ends "a pipe that nobody writes to" sh -c "exec vfiomig restore $device --raw <fifo"
exec 9<&-
fault "$device" write at=0 hang
status 5 "a truncated image, and a write that sleeps" timeout -k 5 5 sh -c "head -c 5000000 image | vfiomig restore $device"
says "the image is truncated"
no_faults "$device"
vfiomig release "$device" -q

finish
