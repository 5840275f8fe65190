# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# QEMU inside of the guest, as a client of the driver. A script sources this after lib.sh; build/guest/firmware and the
# directory that tests/guest/qemu prints are among its GUEST_FILES.

qemu=$(echo /tests/qemu-*)

# wait_long CMD...: as wait_for, but for five minutes, because two emulations are slow
wait_long() {
	within 3000 "$@" && return
	not_ok "$*" "this has not happened within five minutes: $(tail -n 5 ./*.out ./*.err)"
	finish
}

# start NAME ADDRESS [ARG...]: run QEMU with this device. Its PID is in the file NAME.pid.
start() {
	name=$1 address=$2
	shift 2
	rm -f "$name".*
	mkfifo "$name.in"
	: >"$name.out"
	# QEMU keeps the pipe open for writing, too, so that it never comes to its end.
	"$qemu/lib/ld-linux-x86-64.so.2" --library-path "$qemu/lib" "$qemu/qemu-system-x86_64" \
		-nodefaults -no-user-config -display none -M pc -accel tcg -global apic-common.vapic=off -m 16M \
		-bios /tests/firmware -qmp stdio \
		-device "vfio-pci,host=$address,id=dev0,addr=5,enable-migration=on,migration-events=on" "$@" \
		<>"$name.in" >>"$name.out" 2>"$name.err" &
	echo $! >"$name.pid"
	tell "$name" qmp_capabilities
	tell "$name" migrate-set-capabilities '{"capabilities": [{"capability": "events", "state": true}]}'
}

# tell NAME COMMAND [ARGUMENTS]: give QEMU a command, and leave what it returns in the file "answer"
tell() {
	arguments=${3:-"{}"}
	id=$(wc -l <"$1.out")
	echo "{\"execute\": \"$2\", \"arguments\": $arguments, \"id\": $id}" >"$1.in"
	wait_long grep -q "\"id\": ${id}[,}]" "$1.out"
	grep "\"id\": ${id}[,}]" "$1.out" >answer
	grep -q '"return"' answer || not_ok "QEMU does not $2" "$(cat answer)"
}

# counter NAME NUMBER: one of the numbers that the software in the machine counts (see firmware.S)
counter() {
	tell "$1" human-monitor-command '{"command-line": "xp /3wd 0x1000"}'
	sed -n 's/.*00001000: *\([-0-9 ]*\).*/\1/p' answer | awk "{ print \$$2 }"
}

# has_written NAME NUMBER: the software has written so many pages
# shellcheck disable=SC2317 # wait_long calls it
has_written() {
	[ "$(counter "$1" 2)" -gt "$2" ]
}

# count_of NAME STATUS: how many migrations of this QEMU, to it or from it, have come to this status
count_of() {
	grep -c "\"event\": \"MIGRATION\", \"data\": {\"status\": \"$2\"}" "$1.out"
}

# shellcheck disable=SC2317 # wait_long calls it
has_reached() {
	[ "$(count_of "$1" "$2")" -ge "$3" ]
}

# reaches NAME STATUS [TIMES]: wait for this
reaches() {
	wait_long has_reached "$1" "$2" "${3:-1}"
}

# states NAME: the states in which QEMU has said that the device was
states() {
	sed -n 's/.*"event": "VFIO_MIGRATION".*"device-state": "\([^"]*\)".*/\1/p' "$1.out" | paste -s -d ' '
}

# is_in_order NAME STATE...: the device has come through these states, in this order
# shellcheck disable=SC2317 # wait_long calls it
is_in_order() {
	machine=$1
	shift
	states "$machine" | grep -q "$(printf '.*%s' "$@")"
}
