#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# watch follows a save of a device whose memory is written all the time. On a kernel with VFIO_DEBUGFS the state comes from
# there, and elsewhere from the device.
# guest: -m 16M -s 360

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# watches NAME DEV: start a watch, and wait for its first state
watches() {
	vfiomig watch --json "$2" >"$1.json" 2>"$1.said" &
	watcher=$!
	wait_for test -s "$1.json"
}

# is NAME FILTER: jq evaluates FILTER as true for the list of events
is() {
	check "$1: $2" jq -s -e "$2" "$1.json"
}

# sees NAME FILTER: wait until an event is like this
sees() {
	wait_for sh -c "jq -e '$2' $1.json | grep -q true"
}

source=device
[ ! -e "/sys/kernel/debug/vfio/$device/migration/state" ] || source=debugfs

check "the device is held" vfiomig hold "$device"
scribble "$device" >writing &
writer=$!
wait_for test -s writing
watches save "$device"
case $source in
debugfs) check "debugfs tells the state" grep -q 'debugfs tells the state' save.said ;;
*) check "the device tells the state" grep -q 'the device itself tells the state' save.said ;;
esac

# The pipe is not read until the watch has seen all that there is to be seen.
mkfifo pipe go
vfiomig save "$device" --downtime=1 --raw -q >pipe &
saver=$!
(
	read -r _ <go
	head -c 4194304 >first
	read -r _ <go
	cat >rest
) <pipe &
reader=$!
sees save '.state == "PRE_COPY"'
sees save '.data_fd.name == "ivshmem_vfio_mig" and .initial_bytes > 0 and .dirty_bytes == 0'
is save "[.[] | select(.data_fd)][0].data_fd | .pid == $saver and .command == \"vfiomig\""
echo >go
sees save '.initial_bytes == 0 and .dirty_bytes > 0'
# What the process has read, where the kernel tells that
[ ! -e /proc/self/io ] || sees save '.moved_bytes > 16777216 and .exact == false'
echo >go
check "the save is done" wait $saver
sees save '.state == "RUNNING" and .before != null'
wait "$reader"
cat first rest >stream
kill "$writer"
wait "$writer" 2>/dev/null
all=$(jq -r 'select(.event == "state").state' save.json | paste -s -d ' ')
check "the states are in their order: $all" sh -c \
	"echo '$all' | grep -q -x 'RUNNING PRE_COPY\( PRE_COPY_P2P\)\?\( STOP_COPY\)\?\( STOP\)\?\( RUNNING_P2P\)\? RUNNING'"
check "the stream is whole" vfiomig restore "$device" -q --raw -i stream

# The watch borrows nothing for longer than a look: the session ends with its owner.
holder=$(holder_of "$device")
kill -KILL "$holder"
wait "$watcher"
check "it ends with the holder" test $? -eq 0
is save ".[-1] | .reason == \"owner\" and .error == \"process $holder (holder) has ended\""
check "the device is free" vfiomig info "$device"

# The other driver
check "mtty is held" vfiomig hold "$mtty"
watches mtty "$mtty"
for state in PRE_COPY STOP_COPY STOP RESUMING; do
	vfiomig state "$mtty" $state >/dev/null
	sees mtty ".state == \"$state\""
done
check "mtty is released" vfiomig release "$mtty"
wait "$watcher"
check "it ends with the holder" test $? -eq 0
# What lies on the way may have been seen, too.
is mtty '[.[] | select(.event == "state").state] - ["PRE_COPY_P2P", "RUNNING_P2P"] == ["RUNNING", "PRE_COPY", "STOP_COPY", "STOP", "RESUMING"]'

status 1 "a device that nobody has open" vfiomig watch "$mtty"
says 'nobody has it open, so there is nothing to be watched'

# An ordinary user
vfiomig hold -q "$device"
holder=$(holder_of "$device")
status 4 "an ordinary user" as_nobody "XDG_RUNTIME_DIR=/tmp exec vfiomig watch pid:$holder/$device"
says "not permitted to take descriptors of process $holder: that needs CAP_SYS_PTRACE; run as root"

finish
