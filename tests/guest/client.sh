#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# QEMU of Debian 13, or of the suite QEMU_SUITE, as the client of the driver: it gives an ivshmem device to a virtual machine
# of its own, and migrates that machine from one device to another and back, while the machine's software writes to the device
# (see firmware.S).
# guest: -m 4M -m 4M -s 1200
# env: GUEST_FILES="build/guest/firmware $(tests/guest/qemu ${QEMU_SUITE-})"

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/qemu.sh
. /tests/qemu.sh

# follow NAME ADDRESS: watch the device of this QEMU from outside
follow() {
	: >"$1.watch"
	vfiomig watch --json "pid:$(cat "$1.pid")/$2" >"$1.watch" 2>"$1.said" &
	echo $! >"$1.watcher"
	wait_long grep -q '"event": "state"' "$1.watch"
}

# followed NAME STATE...: the watch has ended with QEMU, and it has seen these states, which QEMU told of in the same order.
# Of the states that do not last it may have missed some. Its first one was before QEMU told anything.
followed() {
	machine=$1
	shift
	wait "$(cat "$machine.watcher")"
	check "$machine: the watch ends with QEMU" test $? -eq 0
	jq -r 'select(.event == "state").state' "$machine.watch" | tail -n +2 | tr A-Z_ a-z- >seen
	states "$machine" | tr ' ' '\n' >told
	for state; do
		check "$machine: the watch has seen $state" grep -q -x -e "$state" seen
	done
	# shellcheck disable=SC2016 # awk's
	check "$machine: and nothing that QEMU does not tell: $(paste -s -d ' ' seen), of $(paste -s -d ' ' told)" awk '
		NR == FNR { want[++n] = $0; next }
		$0 == want[at + 1] { at++ }
		END { exit at != n }' seen told
}

# memory NAME: write what the machine sees of the device's memory to the file NAME.memory
memory() {
	tell "$1" pmemsave "{\"val\": $((0xe0000000)), \"size\": $((4 << 20)), \"filename\": \"$PWD/$1.memory\"}"
}

# quit NAME: end this QEMU, which has complained of nothing, but for what it says with any driver: 6.12 has no dma-buf of a
# BAR; the kernel cannot map a BAR for DMA while the device does not decode memory; and whoever cancels a migration closes its
# channel, to which QEMU may be writing the device's data, and on which it still waits for the other side.
quit() {
	echo '{"execute": "quit"}' >"$1.in"
	wait "$(cat "$1.pid")"
	closed='no such line'
	[ "$(count_of "$1" cancelled)" -eq 0 ] || closed='failed to save SaveStateEntry.*: -5\|Channel error: Input/output error'
	grep -v -e 'vfio_container_dma_map.*Bad address' -e 'PCI peer-to-peer transactions on BARs are not supported' \
		-e 'VFIO dma-buf not supported in kernel' -e "$closed" "$1.err" >complaints
	check "$1: QEMU has no complaint" sh -c '! grep . complaints'
}

# migrate FROM TO ADDRESS: save the machine FROM, and load it as TO, which gets this device
migrate() {
	from=$1 to=$2 address=$3
	tell "$from" migrate-set-parameters '{"max-bandwidth": 1099511627776, "downtime-limit": 60000}'
	completed=$(count_of "$from" completed)
	tell "$from" migrate "{\"uri\": \"file:$PWD/state\"}"
	reaches "$from" completed $((completed + 1))
	check "$from: the states of the device" is_in_order "$from" pre-copy stop-copy stop
	memory "$from"
	wrong=$(counter "$from" 3)

	fill "$address"
	start "$to" "$address" -S -incoming defer
	tell "$to" migrate-incoming "{\"uri\": \"file:$PWD/state\"}"
	reaches "$to" completed
	memory "$to"
	check "$to: the memory is the same" cmp "$from.memory" "$to.memory"
	quit "$from"
	tell "$to" cont
	check "$to: the device is RUNNING" test "$(vfiomig state "pid:$(cat "$to.pid")/$address")" = RUNNING
	wait_long has_written "$to" $(($(counter "$to" 2) + 2000))
	check "$to: no page is wrong" test "$wrong $(counter "$to" 3)" = '0 0'
	check "$to: the states of the device" is_in_order "$to" resuming running
	rm "$from.memory" "$to.memory"
}

fill "$device"
start a "$device"
wait_long has_written a 1000
check "the machine runs" test "$(counter a 1) $(counter a 3)" = '1 0'
follow a "$device"

# held NAME yes|no: let the migration wait in PRE_COPY for a word of the other side, or not
held() {
	[ "$2" = yes ] && state=true || state=false
	tell "$1" migrate-set-capabilities "{\"capabilities\": [{\"capability\": \"return-path\", \"state\": $state},
		{\"capability\": \"switchover-ack\", \"state\": $state}]}"
}

# This other side takes nothing at first, and then everything, and says nothing.
held a yes
tell a migrate '{"uri": "exec:echo $$ >sink.pid; until test -e drain; do sleep 0.1; done; exec cat 3>&1 >/dev/null"}'
wait_long is_in_order a pre-copy
wait_long grep -q '"initial_bytes": [1-9]' a.watch
: >drain
wait_long grep -q '"dirty_bytes": [1-9]' a.watch
# QEMU may answer only when the other side has ended.
echo '{"execute": "migrate_cancel"}' >a.in
reaches a cancelling
kill "$(cat sink.pid)"
reaches a cancelled
held a no
check "cancelled in PRE_COPY" test "$(states a)" = 'pre-copy running'
wait_long has_written a $(($(counter a 2) + 1000))

migrate a b "$other"
followed a pre-copy running stop
check "a: the watch has asked how much is left" jq -s -e 'any(.initial_bytes > 0) and any(.dirty_bytes > 0) and
	all(.data_fd == null or .data_fd.name == "ivshmem_vfio_mig")' a.watch
migrate b c "$device"
migrate c d "$other"
quit d
dmesg | grep 'ivshmem_vfio_pci.*migration:' >log
check "the driver has refused nothing" test ! -s log
finish
