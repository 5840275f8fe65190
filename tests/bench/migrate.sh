#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# migrate.sh RUNS, in the guest: save an ivshmem device with vfiomig, let QEMU migrate a paused machine that has it to a file, and
# copy its state in a loop, in turn. Prints the lines of "measure", with an "a" before those of vfiomig; with a "b" before those of
# QEMU, whose times begin when QEMU is told to migrate and have no memory; with a "c" before those of a raw save; and with a "d"
# before those of the loop.

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/qemu.sh
. /tests/qemu.sh

# ticks PID: print the processor time of a process in units of 10 ms
ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# migrate: let QEMU migrate, and note the microseconds that this has taken, and those of its processor time. QEMU goes through the
# memory again and again until it takes what is left to be moved within the downtime limit. All of a paused machine's device is
# left, and QEMU has moved next to nothing by which to tell how fast that goes, so it is told.
migrate() {
	start a "$device"
	wait_long has_written a 0
	tell a stop
	tell a migrate-set-parameters '{"max-bandwidth": 1099511627776, "avail-switchover-bandwidth": 1099511627776}'
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
	echo "$(sed 's/.*"total-time": \([0-9]*\).*/\1/' answer)000 ${used}0000 0" >>/tmp/b
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
	copy a "vfiomig save -q $device"
	migrate
	copy c "vfiomig save -q --raw $device"
	copy d "bareloop $device"
done
for side in a b c d; do
	sed "s/^/$side /" "/tmp/$side"
done
