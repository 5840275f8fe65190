#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# migrate.sh RUNS, in the guest: save an ivshmem device with vfiomig, let QEMU migrate a machine that has it to a file,
# and copy its state in a loop, in turn. Prints the lines of "measure", with an "a" before those of vfiomig; with a "b"
# before those of QEMU for a paused machine; with a "c" before those of a raw save; and with a "d" before those of the
# loop. In all these the device is stopped all the time. An "e" is before those of vfiomig with pre-copy, and an "f" before
# those of QEMU with a running machine. QEMU's times begin when it is told to migrate and have no memory.

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/qemu.sh
. /tests/qemu.sh

# ticks PID: print the processor time of a process in units of 10 ms
ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# migrate SIDE HOW: let QEMU migrate a machine that is "paused" or "running", and note the microseconds that this has
# taken, and those of its processor time. QEMU goes through the memory again and again until it takes what is left to be
# moved within the downtime limit. All of a paused machine's device is left, and QEMU has moved next to nothing by which
# to tell how fast that goes, so it is told.
migrate() {
	how=$2
	start a "$device"
	wait_long has_written a 0
	tell a migrate-set-parameters '{"max-bandwidth": 1099511627776}'
	if [ "$how" = paused ]; then
		tell a stop
		tell a migrate-set-parameters '{"avail-switchover-bandwidth": 1099511627776}'
	fi
	pid=$(cat a.pid)
	before=$(ticks "$pid")
	tell a migrate '{"uri": "file:/tmp/image"}'
	# A look now and then: each takes processor time, which QEMU has to wait for.
	until has_reached a completed 1; do
		if has_reached a failed 1 || ! kill -0 "$pid"; then
			cat a.out a.err >&2
			exit 1
		fi
		sleep 1
	done
	used=$(($(ticks "$pid") - before))
	tell a query-migrate
	echo "$(sed 's/.*"total-time": \([0-9]*\).*/\1/' answer)000 ${used}0000 0" >>"/tmp/$1"
	echo '{"execute": "quit"}' >a.in
	wait "$pid"
	rm /tmp/image
}

# copy SIDE COMMAND: measure a command that writes the state to a file
copy() {
	if ! measure "/tmp/$1" sh -c "exec $2 >/tmp/image 2>/tmp/errors"; then
		cat /tmp/errors >&2
		exit 1
	fi
	rm /tmp/image
}

fill "$device"
for _ in $(seq "$1"); do
	copy a "vfiomig save -q --precopy=never $device"
	migrate b paused
	copy c "vfiomig save -q --precopy=never --raw $device"
	copy d "bareloop $device"
	copy e "vfiomig save -q $device"
	migrate f running
done
for side in a b c d e f; do
	sed "s/^/$side /" "/tmp/$side"
done
