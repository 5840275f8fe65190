#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Functions of the driver fail, and allocations of the kernel: how the driver and vfiomig handle
# this.
# guest: -m 1M -s 360
# long: -s 1500
# kernels: debug

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# A debug kernel on a busy machine takes longer to open a device than the second for which vfiomig waits
# if it is not told otherwise.
# shellcheck disable=SC2317 # status and check call it, too
vfiomig() {
	case $1 in
	save | restore | state | info | hold | release) command vfiomig "$@" --wait ;;
	*) command vfiomig "$@" ;;
	esac
}

faults=/sys/kernel/debug/fail_function
held=
runs=20
[ "${1-}" != long ] || runs=300

# arm FUNCTION NTH TIMES: from its NTH call on, this function of the driver fails, TIMES times.
# 0xffffffffffffff87 is EREMOTEIO, which nothing else returns.
arm() {
	echo "ivshmem_vfio_$1" >$faults/inject
	echo 0xffffffffffffff87 >"$faults/ivshmem_vfio_$1/retval"
	# A trace of each fault in the log would look like a bug of the kernel.
	echo 0 >$faults/verbose
	echo 100 >$faults/probability
	echo "$2" >$faults/space
	echo "$3" >$faults/times
}

# disarm NAME: check that the faults have happened
disarm() {
	check "$1: the faults have happened" test "$(cat $faults/times)" -eq 0
	echo >$faults/inject
}

# works NAME: the device is RUNNING, can be loaded, and saves what was loaded
works() {
	check "$1: the device is RUNNING" test "$(vfiomig state "$device")" = RUNNING
	check "$1: the device can be restored" vfiomig restore "$device" $no_hold --raw -i image
	check "$1: the device can be saved" vfiomig save "$device" --raw -q -o after
	[ -z "$held" ] || check "$1: the device has its state" cmp image after
}

# save_fails NAME FUNCTION NTH TIMES [OPTION...]
save_fails() {
	title="save${held:+ of a held device}, $1" function=$2 nth=$3 times=$4
	shift 4
	arm "$function" "$nth" "$times"
	status 1 "$title" vfiomig save "$device" -o new "$@"
	says 'Remote I/O error; the device is back in RUNNING'
	disarm "$title"
	check "$title: nothing is left behind" test -z "$(find . -name '*new*')"
	works "$title"
}

# restore_fails NAME FUNCTION NTH TIMES [OPTION...]
restore_fails() {
	title="restore${held:+ of a held device}, $1" function=$2 nth=$3 times=$4
	shift 4
	arm "$function" "$nth" "$times"
	status 7 "$title" vfiomig restore "$device" $no_hold -i packed "$@"
	says 'Remote I/O error; the device was reset (its state is lost) and is now in RUNNING'
	disarm "$title"
	works "$title"
}

# transfers N: the N-th call of hw_load_regs is the restore's, because opening the device may be the
# first one
transfers() {
	save_fails "the stop" hw_mask_irqs 1 1 --precopy=never
	save_fails "the stop after pre-copy" hw_mask_irqs 1 1
	save_fails "the start" migf_begin 1 1 --precopy=never
	save_fails "the start of pre-copy" migf_begin 1 1
	save_fails "the first of the memory" hw_read_memory 1 2 --precopy=never
	save_fails "the middle of the memory" hw_read_memory 8 2 --precopy=never
	save_fails "the last of the memory" hw_read_memory 16 2 --precopy=never
	save_fails "the memory in pre-copy" hw_read_memory 8 2
	save_fails "the registers" hw_save_regs 1 2 --precopy=never
	save_fails "the registers after pre-copy" hw_save_regs 1 2

	# Writes have 256 KiB: pieces 1 to 3 of 64 KiB are complete with the first write, 4 to 7 with the second one, and so
	# on. If a later one of these fails, or the very first one, which comes after the header, the write is a short one, and
	# the next write fails.
	restore_fails "the first of the memory" hw_write_memory 1 2
	restore_fails "the middle of the memory" hw_write_memory 10 2
	restore_fails "the last of the memory" hw_write_memory 16 1
	restore_fails "the registers" hw_load_regs "$1" 1

	title="restore${held:+ of a held device}, the stop"
	arm hw_mask_irqs 1 1
	status 1 "$title" vfiomig restore "$device" $no_hold -i packed
	says 'Remote I/O error; the device is back in RUNNING'
	disarm "$title"
	works "$title"
	title="restore${held:+ of a held device}, the start"
	arm migf_begin 1 1
	status 1 "$title" vfiomig restore "$device" $no_hold -i packed
	says 'Remote I/O error; the device is back in RUNNING'
	disarm "$title"
	works "$title"
}

run_tap faults "$device"
run_tap allocs "$device"

fill "$device"
vfiomig save "$device" --raw -q -o changed
fill "$device"
vfiomig save "$device" --raw -q -o image
vfiomig pack -o packed image

no_hold=--no-hold
transfers 2

arm hw_map 1 1
status 1 "a device that cannot be opened" vfiomig save "$device" -o new
says 'Remote I/O error'
disarm "a device that cannot be opened"

check "the device is held" vfiomig hold "$device"
held=yes
no_hold=
check "the held device gets its state" vfiomig restore "$device" --raw -i image
transfers 1

# starved CMD...: run CMD while one of its allocations fails, at random. It may fail before CMD is
# vfiomig.
starved() {
	echo 1 >/sys/kernel/debug/failslab/times
	(
		echo 1 >/proc/self/make-it-fail
		exec "$@"
	) >$OUT 2>$ERR
	rc=$?
	hits=$((hits + 1 - $(cat /sys/kernel/debug/failslab/times)))
	case $rc in
	0 | 1 | 3 | 4) [ "$(wc -l <$ERR)" -le 1 ] && return ;;
	7 | 126 | 127 | 137 | 139) return ;;
	# The kernel has no memory to see that it is a program, and then the shell takes it for a script.
	2) grep -a -q '^/bin/vfiomig: line [0-9]*: ' $ERR && return ;;
	esac
	not_ok "$*: exit status $rc" "$(cat $ERR)"
}

for knob in failslab fail_page_alloc; do
	echo N >/sys/kernel/debug/$knob/ignore-gfp-wait
	echo Y >/sys/kernel/debug/$knob/task-filter
	echo 0 >/sys/kernel/debug/$knob/verbose
done
hits=0 failures=0 run=0
while [ $run -lt $runs ]; do
	run=$((run + 1))
	echo $((run % 3 + 1)) >/sys/kernel/debug/failslab/probability
	rm -f new
	starved vfiomig save "$device" --raw -q -o new
	[ $rc -eq 0 ] || failures=$((failures + 1))
	if [ $rc -eq 0 ]; then
		cmp -s image new || not_ok "a save that failed silently" "run $run"
	elif [ -n "$(find . -name '*new*')" ]; then
		not_ok "a save that failed and left something behind" "$(cat $ERR)"
	fi
	starved vfiomig restore "$device" -q -i packed
	[ $rc -eq 0 ] || failures=$((failures + 1))
	echo 0 >/sys/kernel/debug/failslab/probability
	now=$(vfiomig state "$device")
	[ "$now" = RUNNING ] || not_ok "the device is in $now" "$(cat $ERR)"
	vfiomig restore "$device" -q --raw -i image || not_ok "it cannot be restored" "run $run"
done
echo "# $hits allocations of vfiomig failed; $failures of $((2 * runs)) commands did"
works "after $hits allocations that failed"

# A read that fails after it has got data is a short read.
arm hw_read_memory 8 1
status 0 "save of a held device, one piece at the second attempt" vfiomig save "$device" --raw --precopy=never -o new
disarm "one piece at the second attempt"
check "the image is whole" cmp image new

# The same for a write.
check "the device has another state" vfiomig restore "$device" --raw -i changed
arm hw_write_memory 10 1
status 0 "restore of a held device, one piece at the second attempt" vfiomig restore "$device" --raw -i image
disarm "restore, one piece at the second attempt"
vfiomig save "$device" --raw -q -o new
check "the device has the image's state" cmp image new

# Neither the registers can be loaded, nor the device reset.
arm hw_load_regs 1 2
status 7 "a restore that ends in RESUMING" vfiomig restore "$device" -i packed
says 'the device could not be reset and is left in RESUMING, not in RUNNING'
disarm "a restore that ends in RESUMING"
check "state prints it" test "$(vfiomig state "$device")" = RESUMING
check "info works in RESUMING" vfiomig info "$device"
status 1 "in RESUMING: save" vfiomig save "$device" -o other
check "in RESUMING: no image" test ! -e other
arm hw_load_regs 1 1
status 1 "a reset that fails" vfiomig state "$device" --reset
disarm "a reset that fails"
check "a reset that fails leaves the device in RESUMING" test "$(vfiomig state "$device")" = RESUMING
check "state --reset leads out of RESUMING" test "$(vfiomig state "$device" --reset)" = RUNNING
works "after RESUMING"

arm hw_load_regs 1 2
status 7 "RESUMING once more" vfiomig restore "$device" -i packed
disarm "RESUMING once more"
status 0 "the device can be released" vfiomig release "$device"
held=
no_hold=--no-hold
works "in the next session"

finish
