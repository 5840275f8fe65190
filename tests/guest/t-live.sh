#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Saves of a device whose memory is written all the time, and the messages meanwhile.
# guest: -m 16M -m 16M -s 360
# kernels: cdev

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# is FILTER: jq evaluates FILTER as true for the summary
is() {
	check "$1" test "$(jq "$1" $OUT)" = true
}

check "the device is held" vfiomig hold "$device"
scribble "$device" >writing &
writer=$!
wait_for test -s writing

# A downtime of a millisecond is impossible: pre-copy is given up, and the device is saved all the
# same.
status 0 "a save that cannot converge" vfiomig save "$device" --downtime=1 -o image
says 'pre-copy did not converge: the device changes its state faster than it can be read'
says 'the device is in RUNNING'
check "the image is whole" vfiomig inspect --verify image
status 0 "--json" vfiomig save "$device" --downtime=1 --json -o image
is '.complete and .converged == false and .rounds > 0'
is '.precopy_bytes >= 16777216 and .bytes > .precopy_bytes'
# A minute is enough for what is left after the first copy.
status 0 "a save that may take its time" vfiomig save "$device" --downtime=60000 --json -o image
is '.complete and .converged and .precopy_bytes >= 16777216'
check "no message says that pre-copy did not converge" sh -c "! grep converge $ERR"
status 0 "--precopy=never" vfiomig save "$device" --precopy=never --json -o image
is '.complete and .converged and .precopy_bytes == 0 and .rounds == 0'

# The next save has what was written last.
kill "$writer"
wait "$writer" 2>/dev/null
check "the device can be saved" vfiomig save "$device" --raw -o last
check "the device can be saved again" vfiomig save "$device" --raw --precopy=never -o again
check "both saves are equal" cmp last again
check "the stream can be restored into another device" vfiomig restore "$other" -q --raw -i last
check "the other device can be saved" vfiomig save "$other" --raw --precopy=never -o theirs
check "the other device has the same state" cmp last theirs

# A line of progress appears while the reader makes the save wait.
{ vfiomig save "$device" --raw --precopy=never --progress=always 2>lines; } | {
	sleep 1.5
	cat
} >slow
check "the slow reader gets the same stream" cmp last slow
tr '\r' '\n' <lines >shown
check "progress: bytes done, bytes expected and the time left" \
	grep -q ' MiB of 16.0 MiB, [0-9]*%, [0-9.]* .*iB/s, [0-9]*:[0-9][0-9] left' shown
check "the last line has only the summary" sh -c "tail -n 1 shown | grep -q '^$(printf '\033')\[Kvfiomig: save .*: saved 1'"

finish
