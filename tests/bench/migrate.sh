#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# migrate.sh RUNS, in the guest: save an ivshmem device with vfiomig, and let QEMU migrate a paused machine that has it to a file,
# in turn. Prints the lines of "measure", with an "a" before those of vfiomig and a "b" before those of QEMU, whose times begin
# when QEMU is told to migrate and have no memory.

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/qemu.sh
. /tests/qemu.sh

# ticks PID: print the processor time of a process in units of 10 ms
ticks() {
	awk '{ print $14 + $15 }' "/proc/$1/stat"
}

# migrate: let QEMU migrate, and print the microseconds that this has taken, and those of its processor time
migrate() {
	start a "$device"
	wait_long has_written a 0
	tell a stop
	tell a migrate-set-parameters '{"max-bandwidth": 1099511627776, "downtime-limit": 60000}'
	pid=$(cat a.pid)
	before=$(ticks "$pid")
	tell a migrate '{"uri": "file:/tmp/image"}'
	reaches a completed
	used=$(($(ticks "$pid") - before))
	tell a query-migrate
	echo "$(sed 's/.*"total-time": \([0-9]*\).*/\1/' answer)000 ${used}0000 0" >>/tmp/b
	echo '{"execute": "quit"}' >a.in
	wait "$pid"
	rm /tmp/image
}

fill "$device"
for _ in $(seq "$1"); do
	measure /tmp/a sh -c "exec vfiomig save $device >/tmp/image"
	rm /tmp/image
	migrate
done
for side in a b; do
	sed "s/^/$side /" "/tmp/$side"
done
