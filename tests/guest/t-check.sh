#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The conformance test. The driver of ivshmem keeps all rules. The kernel's mtty breaks some, which are the ones that its
# source breaks: so the test can fail.
# guest: -m 1M -m 1M
# kernels: stock newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# ids STATUS: print the IDs of the rules with this status in results.json
ids() {
	jq -r --arg status "$1" '.rules[] | select(.status == $status) | .id' results.json | tr '\n' ' '
}

# ---- Our own driver ------------------------------------------------------------

status 0 "ivshmem_vfio_pci keeps all rules" vfiomig check "$device" --strict --seed=1
says "the device is reset after each test: its state is lost"
check "the state is RUNNING after it" test "$(vfiomig state "$device")" = RUNNING
status 0 "so it does by its group" vfiomig check "$device" --strict --via=group -g feature -q
status 0 "slow and dangerous rules" vfiomig check "$device" --strict --dangerous \
	-t state.concurrent-set,session.leak,reset.leak,stop.access,reset.power
prints "C7   stop.access                  OK"
prints "G9   reset.power                  OK"

# ---- mtty ------------------------------------------------------------------------

vfiomig check "$mtty" --json >results.json 2>/dev/null
echo $? >status
# A kernel without CONFIG_IOMMUFD_DRIVER cannot report DMA.
known='dma.bad-ranges dma.not-started '
[ "$KERNEL" != stock ] || known=''
known="${known}dma.one-start precopy.enomsg reset.close reset.killed resume.killed resume.refused-write "
check "mtty breaks no rule that it is not known to break" test "$(ids fail)$(ids warn)" = ''
check "it breaks those that it is known to break" test "$(ids xfail | tr ' ' '\n' | sort | tr '\n' ' ' | sed 's/^ //')" = "$known"
check "what is known is no failure" test "$(cat status)" = 0
check "the JSON tells the driver" test "$(jq -r .driver results.json)" = mtty
check "the totals are those of the rules" sh -c "jq -e '([.totals[]] | add) == (.rules | length)' results.json"

# ---- What is printed -------------------------------------------------------------

vfiomig check "$mtty" --tap 2>/dev/null >results.tap
check "KTAP begins with its version" test "$(head -n 1 results.tap)" = "KTAP version 1"
check "the plan is what comes" test "$(sed -n 's/^1\.\.//p' results.tap)" = "$(grep -c -E '^(not )?ok ' results.tap)"
vfiomig check "$mtty" --tap --strict -t precopy.enomsg >strict.tap 2>/dev/null
check "what is known is known with --strict, too" grep -q '^ok 1 precopy.enomsg # XFAIL ' strict.tap
check "a reason is a directive" grep -q '^ok [0-9]* stop.no-dma # SKIP it needs a device that does DMA on request$' results.tap

status 0 "one rule, by its ID" vfiomig check "$device" -t session.eof-permanent
prints 'D1   session.eof-permanent        OK'
status 0 "by its number" vfiomig check "$device" -t d1
prints 'D1   session.eof-permanent        OK'
status 0 "by a pattern" vfiomig check "$device" -t 'size.*' --skip=size.argsz
prints 'H1   size.each-state'
prints 'H5   size.argsz                   SKIP'
status 0 "-v prints the calls" vfiomig check "$device" -v -t session.eof-permanent
says 'SET_STATE RUNNING -> STOP_COPY'

vfiomig check "$device" -g slow -q >/dev/null 2>&1 &
check=$!
sleep 1
kill $check
wait $check 2>/dev/null
check "a signal ends the test: status 143" test $? = 143

# ---- What is refused -------------------------------------------------------------

vfiomig hold -q "$device"
holder=$(holder_of "$device")
status 4 "a device that is held" vfiomig check "$device"
says "busy: process $holder holds it; \"vfiomig release $device\" ends that"
check "the holder goes on" test "$(holder_of "$device")" = "$holder"
status 4 "a device by its holder" vfiomig check "unix:/run/vfiomig/$device.sock"
says "busy: process $holder holds it"
vfiomig release "$device"
vfiomig exec --via=group "$device" -- sleep 100 &
user=$!
wait_for sh -c "test \"\$(cat /proc/$user/comm)\" = sleep"
status 4 "a device that a process has" vfiomig check "$device"
says "busy: process $user (sleep) has"
status 4 "a device that a process lends" vfiomig check "pid:$user/$device"
says 'busy: the test needs a device that nobody has open'
kill $user
wait $user 2>/dev/null
set_driver "$other" vfio-pci
status 3 "a device without migration" vfiomig check "$other"
says 'its driver vfio-pci has no migration support'

finish
