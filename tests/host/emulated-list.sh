#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# list and info answer, whatever a driver, a holder or another process does, and what they could not find out is "-".

# Without an argument no_faults is for all devices.
# shellcheck disable=SC2119

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.1
one=$device
emulate 0000:3b:00.2
two=$device
socket=/run/vfiomig/$one.sock

# answers N NAME ARG...: the command ends with N, and long before somebody loses patience
answers() {
	want=$1 name=$2
	shift 2
	ends "$want" "$name" timeout -k 1 10 vfiomig "$@"
}

# line_of DEV: what list has printed about the device, with one blank between the columns. Newer lists of PCI names have
# another name of the device.
line_of() {
	grep "^$1 " "$OUT" | tr -s ' ' | sed 's/QEMU \(Inter-VM shared memory\) device/\1/'
}

# lists DEV LINE: this is what list has printed about the device
lists() {
	check "list prints: $2" test "$(line_of "$1")" = "$2"
}

# value KEY: what info has printed after KEY
value() {
	sed -n "s/^$1: *//p" "$OUT"
}

# query NAME FILTER: jq finds that the output fits
query() {
	check "$1" jq -e "$2" "$OUT"
}

# nobody_has DEV: nobody has the device open
# shellcheck disable=SC2317 # check or wait_for calls it
nobody_has() {
	test -z "$(openers "$1")"
}

# ---- A driver that does not return from a call --------------------------------

# hangs FAULT CALL: the call hangs in the driver
hangs() {
	fault "$one" "$1" hang
	answers 1 "info: $1 hangs" info "$one"
	says "info $one: $2 did not return in time and was given up; \"vfiomig hold $one\" waits as long as it takes"
	check "$1: who and what it is is printed" test "$(value driver)" = emulated_vfio_pci
	check "$1: what did not come is \"-\"" test "$(value 'state size')" = -
	check "$1: nobody has it open any more" nobody_has "$one"
}

hangs open 'open(/dev/vfio/devices/vfio0)'
answers 0 "list --probe: one of two devices hangs" list --probe
says "list: $one: open(/dev/vfio/devices/vfio0) did not return in time"
lists "$one" "$one - - - emulated_vfio_pci"
lists "$two" "$two RUNNING STOP_COPY,P2P,PRE_COPY - emulated_vfio_pci"
fault "$two" bind hang
answers 0 "list --probe --json: both hang" list --probe --json
query "JSON: each has its error" '.devices[0].error + .devices[1].error | contains("open(") and contains("VFIO_DEVICE_BIND_IOMMUFD")'
query "JSON: and nothing else" '.devices | all(.state == null and (has("migration") | not))'
no_faults
fault "$one" migration errno=EIO
answers 0 "list --probe: the migration flags cannot be had" list --probe
says "list: $one: VFIO_DEVICE_FEATURE_MIGRATION: Input/output error"
lists "$one" "$one - - - emulated_vfio_pci"
answers 1 "info: the migration flags cannot be had" info "$one"
check "that is not known, and not none" test "$(value migration)" = -
no_faults
hangs get 'VFIO_DEVICE_FEATURE (GET MIG_DEVICE_STATE)'
check "get: the flags are known" test "$(value migration)" = "STOP_COPY P2P PRE_COPY"
check "get: and the features" test "$(value features)" = "MIGRATION(get) MIG_DEVICE_STATE(get,set) MIG_DATA_SIZE(get)"
answers 1 "info --json: get hangs" info --json "$one"
query "JSON: what came is there, and the rest is null" \
	'.migration == ["STOP_COPY", "P2P", "PRE_COPY"] and .state == null and .expected_bytes == null and .dma_logging == false'
no_faults
fault "$one" bind hang
answers 1 "info --json: bind hangs" info --json "$one"
query "JSON: all is null" '[.migration, .states, .state, .expected_bytes, .features, .dma_logging] | all(. == null)'
no_faults
fault common open-group hang
answers 1 "info --via=group: the group's open hangs" info --via=group "$one"
says "open(/dev/vfio/7) did not return in time"
no_faults
answers 0 "info: nothing hangs any more" info "$one"

# A driver may keep what the last session left, out of which only a reset leads.
emulate 0000:3b:00.5 keeps=1 state=ERROR
answers 0 "info: the last session has left ERROR" info "$device"
check "it was reset" test "$(value state)" = RUNNING

# Which of two devices of a group a descriptor is, only the driver can tell.
emulate 0000:3b:00.3 group=20
emulate 0000:3b:00.4 group=20
status 0 "hold --via=group" vfiomig hold --via=group 0000:3b:00.3
holder=$(openers 0000:3b:00.3)
fd=$(find "/proc/$holder/fd" -lname "*$emulated/*/device" | sed 's|.*/||')
answers 0 "info pid:PID/fd:N" info "pid:$holder/fd:$fd"
fault 0000:3b:00.3 info hang
answers 1 "info pid:PID/fd:N: the driver hangs" info "pid:$holder/fd:$fd"
says "cannot tell which device it is: VFIO_DEVICE_GET_INFO does not return"
no_faults
vfiomig release -q 0000:3b:00.3

# ---- A device that another command works on -----------------------------------

vfiomig hold -q "$one"
fault "$one" set times=1 run="touch began; sleep 1"
vfiomig state "$one" STOP >/dev/null &
wait_for test -e began
answers 0 "info --wait waits for another command" info --wait "$one"
check "and then has its state" test "$(value state)" = STOP
wait
no_faults

# ---- A holder that is stopped ---------------------------------------------------

holder=$(openers "$one")
kill -STOP "$holder"
silent="busy: the holder on $socket, process $holder (vfiomig-hold), does not answer; it is stopped, and \"kill -CONT $holder\" lets it go on"
answers 0 "list: a holder is stopped" list
says "list: $one: $silent"
lists "$one" "$one emulated_vfio_pci - $holder (silent holder) 7 vfio0 Inter-VM shared memory [1af4:1110]"
lists "$two" "$two emulated_vfio_pci - - 8 vfio1 Inter-VM shared memory [1af4:1110]"
answers 0 "list --json: a holder is stopped" list --json
query "JSON: nobody says whether it is the holder" \
	".devices[0].open_by | .pid == $holder and .command == \"vfiomig-hold\" and .holder == null and (.error | startswith(\"busy: \"))"
query "JSON: nobody has the other one" '.devices[1].open_by == null'
answers 0 "list --probe: a holder is stopped" list --probe
lists "$one" "$one - - $holder (silent holder) emulated_vfio_pci"
lists "$two" "$two RUNNING STOP_COPY,P2P,PRE_COPY - emulated_vfio_pci"
answers 4 "info --wait: a holder is stopped" info --wait "$one"
says "info $one: $silent"
check "who has it is printed" test "$(value 'open by')" = "$holder (silent holder)"
check "the state is not known" test "$(value state)" = -
answers 4 "info --json: a holder is stopped" info --json "$one"
query "JSON: the same as list's" ".open_by.pid == $holder and .open_by.holder == null and .state == null"
for words in "info unix:$socket" "state unix:$socket" "state $one" "release $one"; do
	# shellcheck disable=SC2086 # words
	answers 4 "$words: a holder is stopped" $words
	says "$words: $silent"
done
kill -CONT "$holder"
answers 0 "info: the holder goes on" info "$one"

# ---- debugfs ------------------------------------------------------------------------

mkdir -p /sys/kernel/debug/vfio/"$one"/migration
mkfifo /sys/kernel/debug/vfio/"$one"/migration/state
answers 0 "list: the holder tells what debugfs does not" list
lists "$one" "$one emulated_vfio_pci STOP $holder (holder) 7 vfio0 Inter-VM shared memory [1af4:1110]"
vfiomig release -q "$one"
sleep 1000 <>/dev/vfio/devices/vfio0 &
stranger=$!
answers 0 "list: debugfs does not return" list
lists "$one" "$one emulated_vfio_pci - $stranger (sleep) 7 vfio0 Inter-VM shared memory [1af4:1110]"
says "list: $one: not all could be found out about who has it open: it took too long"
answers 0 "list --json: debugfs does not return" list --json
query "JSON: why it is not known" '.devices[0] | .state == null and .use_error == "it took too long"'
rm -r /sys/kernel/debug

# ---- Many descriptors ---------------------------------------------------------------

# shellcheck disable=SC3045 # dash has it
ulimit -n "$(ulimit -H -n)"
# shellcheck disable=SC2016 # perl's
perl -e 'open my $d, "+<", "/dev/vfio/devices/vfio1"; open $f[$_], "<", "/dev/null" or last for 1 .. 20000; kill STOP => $$' &
many=$!
wait_for grep -q '(perl) T' /proc/$many/stat
answers 0 "list: a process has $(find /proc/$many/fd -type l | wc -l) descriptors" list
lists "$two" "$two emulated_vfio_pci - $many (perl) 8 vfio1 Inter-VM shared memory [1af4:1110]"
kill -KILL $many $stranger
wait $many $stranger 2>/dev/null

# ---- Devices that are being taken from VFIO ----------------------------------------

# Reading their driver_override waits in the kernel. One after the other, these would take 15 seconds.
n=0
while [ $n -lt 30 ]; do
	leaving=0000:40:$(printf '%02x' $n).0
	dir=/sys/devices/pci0000:00/$leaving
	mkdir -p "$dir" /sys/kernel/iommu_groups/$((100 + n))/devices /sys/class/vfio/$((100 + n))
	ln -s /sys/bus/pci "$dir/subsystem"
	ln -s /sys/kernel/iommu_groups/$((100 + n)) "$dir/iommu_group"
	ln -s "$dir" /sys/kernel/iommu_groups/$((100 + n))/devices/
	mkfifo "$dir/driver_override"
	n=$((n + 1))
done
answers 0 "list: 30 devices are being taken from VFIO" list
check "all of them are listed, and the others" test "$(wc -l <"$OUT")" -eq 36
lists 0000:40:1d.0 "0000:40:1d.0 - - - 129 - -"
no_devices

# ---- hold and release -----------------------------------------------------------------

emulate 0000:3b:00.1
status 0 "hold --json" vfiomig hold --json "$device"
holder=$(openers "$device")
query "JSON of hold" ". == { device: \"$device\", holder: $holder, socket: \"$socket\" }"
rm "$socket"
for words in '' --json; do
	# shellcheck disable=SC2086 # words
	status 4 "release $words: the holder's socket is gone" vfiomig release $words "$device"
	says "release $device: process $holder of user 0 holds it, but its socket $socket is gone; \"kill $holder\" ends it, which closes the device"
	check "release $words: nothing is printed" test ! -s "$OUT"
done
kill "$holder"
wait_for is_gone "$holder"
status 0 "hold" vfiomig hold "$device"
status 0 "release --json" vfiomig release --json "$device"
query "JSON of release" "keys == [\"device\", \"holder\"] and .device == \"$device\" and .holder > 1"
check "the device is closed" nobody_has "$device"
# What the other user makes is not root's already.
emulate 0000:3b:00.2
mkdir -m 700 /run/user
chown 65534:65534 /run/user
# shellcheck disable=SC2016 # the inner shell's
status 0 "a holder of another user" setpriv --reuid=65534 --regid=65534 --clear-groups env XDG_RUNTIME_DIR=/run/user vfiomig hold "$device"
holder=$(openers "$device")
status 4 "release of another user's holder" vfiomig release "$device"
says "release $device: process $holder of user 65534 holds it, on /run/user/vfiomig/$device.sock; name that socket: unix:/run/user/vfiomig/$device.sock"
status 0 "release of the socket that it has named" vfiomig release "unix:/run/user/vfiomig/$device.sock"
# A holder in a container, whose socket is in other mounts, and where it is process 1
# shellcheck disable=SC2016 # the inner shell's
unshare --mount --net --pid --fork --kill-child --mount-proc sh -c \
	'mount -t tmpfs -o mode=700 run /run/vfiomig && exec vfiomig hold --foreground "$1"' sh "$device" 2>/dev/null &
wait_for sh -c "[ \"\$(find /proc/[0-9]*/root/run/vfiomig/$device.sock -prune 2>/dev/null | wc -l)\" -gt 0 ]"
holder=$(openers "$device")
inside=/proc/$holder/root/run/vfiomig/$device.sock
status 4 "release of a container's holder" vfiomig release "$device"
says "release $device: process $holder of user 0 holds it, on $inside; name that socket: unix:$inside"
status 0 "release of the socket that it has named" vfiomig release --json "unix:$inside"
query "the holder's number is ours" ".holder == $holder"
sleep 1000 <>/dev/vfio/devices/vfio1 &
status 1 "release of a device that no holder has" vfiomig release "$device"
says "nobody holds it, but process $! (sleep) has the device or its group open"
kill $!
device=0000:3b:00.1
setsid vfiomig hold --foreground --json "$device" >json 2>log &
foreground=$!
wait_for test -s json
check "hold --foreground --json" jq -e ".holder == $(openers "$device") and .socket == \"$socket\"" json
status 0 "release" vfiomig release "$device"
wait $foreground
check "the holder in the foreground ends with 0" test $? = 0
check "and says nothing else than that" sh -c "tail -n 1 log | grep -qx 'vfiomig: $device is closed now' && test \$(wc -l <log) = 3"

finish
