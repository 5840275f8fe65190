#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The conformance test of a driver that hangs, of one that cannot be reset, and a signal.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.1

fault "$device" arc STOP-STOP_COPY hang
status 1 "an arc hangs" vfiomig check "$device" --timeout=1 -t session.eof-permanent,size.plausible
prints 'no answer within 1 s: SET_STATE RUNNING -> STOP_COPY'
prints "again:    vfiomig check -v -t session.eof-permanent $device"
prints 'H3   size.plausible               OK'
/run/bin/vfiomig check "$device" -q -t session.eof-permanent >/dev/null 2>&1 &
check=$!
sleep 0.5
kill $check
wait $check 2>/dev/null
check "a signal ends the test of a driver that hangs: status 143" test $? = 143
no_faults "$device"
check "the device is RUNNING" test "$(vfiomig state "$device")" = RUNNING

fault "$device" reset errno=EIO
status 7 "the device cannot be reset" vfiomig check "$device" -q -t session.eof-permanent
says "check $device: the device cannot be reset: VFIO_DEVICE_RESET fails"
prints 'ended early: the device cannot be reset'
no_faults "$device"

# The emulated driver looks at nothing that it loads.
status 1 "bad state is loaded" vfiomig check "$device" --tap -t resume.invalid
prints 'not ok 1 resume.invalid'
status 1 "a warning with --strict" vfiomig check "$device" --tap --strict -t resume.foreign
prints 'not ok 1 resume.foreign'
status 0 "a warning" vfiomig check "$device" --tap -t resume.foreign
prints 'ok 1 resume.foreign'
status 0 "a pattern, without one of its rules" vfiomig check "$device" -t 'size.*' --skip=size.argsz
prints 'H5   size.argsz                   SKIP'

finish
