#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The commands with emulated devices that do what they should: the emulation itself is right.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

# same ADDRESS FILE: the file is what the device's memory has
# shellcheck disable=SC2317 # check calls it
same() {
	cmp "$emulated/$1/memory" "$2"
}

# held_and_released NAME OPTION...: the device is held, saved, restored and released
held_and_released() {
	name=$1
	shift
	status 0 "$name: hold" vfiomig hold "$@" "$device"
	says "process $(openers "$device") holds it"
	status 0 "$name: state" vfiomig state "$device"
	prints RUNNING
	noise "$device"
	status 0 "$name: save" vfiomig save "$device" -o image
	cp "$emulated/$device/memory" memory
	check "$name: it is what the device had" sh -c "vfiomig unpack image | cmp - memory"
	status 0 "$name: a reset" vfiomig state --reset "$device" STOP
	check "$name: the memory is gone" cmp -n 100 "$emulated/$device/memory" /dev/zero
	check "$name: the device is stopped" test "$(state_of "$device")" = STOP
	status 0 "$name: restore" vfiomig restore "$device" -i image
	check "$name: it has its memory back" same "$device" memory
	check "$name: and runs" test "$(state_of "$device")" = RUNNING
	status 0 "$name: pid:" vfiomig state "pid:$(openers "$device")/$device"
	status 4 "$name: it is busy" env XDG_RUNTIME_DIR=/run vfiomig hold "$device"
	status 0 "$name: release" vfiomig release "$device"
	check "$name: nobody has it open" test -z "$(openers "$device")"
}

for flags in 1 3 5 7; do
	emulate 0000:3b:00.1 flags=$flags
	for via in cdev group; do
		held_and_released "flags $flags, $via" --via=$via
	done
	no_devices
done
emulate 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
held_and_released "a mediated device"
no_devices

# What nobody holds is closed at the end.
emulate 0000:3b:00.1
closed='closed now, which on most devices ends its state'
status 0 "state" vfiomig state "$device" STOP
says "nobody holds it, so it is $closed; \"vfiomig hold $device\" keeps it open"
status 0 "save --leave" vfiomig save "$device" --leave=STOP -o image
says "the device is in STOP and $closed"
status 0 "save" vfiomig save "$device" -o image
check "a new session would be in RUNNING, too" sh -c "! grep closed '$ERR'"
for state in '' RUNNING; do
	status 0 "state $state" vfiomig state "$device" $state
	check "nothing is said" test ! -s "$ERR"
done
vfiomig hold -q "$device"
status 0 "state, of a device that is held" vfiomig state "$device" STOP
check "nothing is said" test ! -s "$ERR"
status 0 "save, of a device that is held" vfiomig save "$device" -o image
check "nobody closes it" sh -c "! grep closed '$ERR'"
vfiomig state "$device" RUNNING

# Of a save that failed, pre-copy did not converge.
fault "$device" read errno=EIO
ends 1 "a save that fails" vfiomig save "$device" -o image --json
check "pre-copy did not converge" test "$(jq .converged "$OUT")" = false
no_faults "$device"
status 0 "a save" vfiomig save "$device" -o image --json
check "pre-copy converged" test "$(jq .converged "$OUT")" = true
end_holder "$device"
no_devices

# A holder that does not take its device back: what was done to the device is done all the same.
emulate 0000:3b:00.1
vfiomig hold -q "$device"
noise "$device"
cp "$emulated/$device/memory" memory
vfiomig save -q "$device" -o image
noise "$device"
"$top/build/tests/host/unwilling" /run/unwilling "/run/vfiomig/$device.sock" &
unwilling=$!
wait_for test -e /run/unwilling
status 1 "restore, and the holder does not take the device back" vfiomig restore --json unix:/run/unwilling -i image
says "its holder did not take it back: Input/output error; all of the state was restored, and the device has it"
check "JSON: the state is loaded" jq -e '.loaded and .complete == false and .state == null' "$OUT"
check "the device has it" same "$device" memory
status 1 "save, and the holder does not take the device back" vfiomig save unix:/run/unwilling -o image
says "its holder did not take it back: Input/output error; the image is whole"
kill $unwilling
fault "$device" arc RESUMING-STOP errno=EINVAL to=ERROR
status 7 "a restore that ends in ERROR" vfiomig restore --json "$device" -i image
no_faults "$device"
check "JSON: the states that the device went through, with ERROR" jq -e '.reset and
	.path == ["RUNNING", "RUNNING_P2P", "STOP", "RESUMING", "ERROR", "RUNNING"]' "$OUT"
end_holder "$device"

# A function that does not answer is not opened: the kernel would wait for it for a minute or more.
cp "$emulated/$device/config" config
head -c 256 /dev/zero | tr '\0' '\377' >"$emulated/$device/config"
no_log "$device"
for name in hold state info save 'restore -i image'; do
	# shellcheck disable=SC2086 # words
	status 1 "$name, of a function that does not answer" vfiomig $name "$device"
	says "$device does not answer: its configuration space reads as all ones"
done
status 0 "list --probe, of a function that does not answer" vfiomig list --probe
says "does not answer: its configuration space reads as all ones"
check "nobody has opened it" sh -c "! grep -q open '$emulated/$device/log'"
# While somebody resets a function, the kernel keeps those waiting who read its configuration space.
rm "$emulated/$device/config"
mkfifo "$emulated/$device/config"
status 4 "hold, while the function is reset" vfiomig hold "$device"
says "busy: the kernel has not read the configuration space of $device within 1 second; the function may be in a reset"
status 143 "hold, while the function is reset: SIGTERM" timeout --preserve-status 0.3 vfiomig hold "$device"
rm "$emulated/$device/config"
cp config "$emulated/$device/config"
no_devices

emulate 0000:3b:00.1
emulate 0000:3b:00.2
status 0 "list" vfiomig list
check "two devices" test "$(wc -l <"$OUT")" -eq 3
vfiomig hold -q 0000:3b:00.1
check "who has it open" test "$(vfiomig list --json | jq '.devices[0].open_by.pid')" = "$(openers 0000:3b:00.1)"
check "and nobody the other one" test "$(vfiomig list --json | jq '.devices[1].open_by')" = null
end_holder 0000:3b:00.1
no_devices

# ---- A device that dies while it is open ------------------------------------------

# The driver does not come back from closing the device, and no signal reaches it there.
emulate 0000:3b:00.1
fault "$device" close slow=1000
for word in state 'save -o image'; do
	# shellcheck disable=SC2086 # words
	/run/bin/vfiomig $word "$device" >/dev/null 2>log &
	wait_for grep -qF "${word%% *} $device: still waiting for the kernel, which is closing $device" log
	kill $!
	wait $!
	check "$word: a signal ends it: status 143" test $? = 143
	check "$word: what goes on is said" grep -qF "${word%% *} $device: interrupted by a signal while the kernel was closing $device, which it goes on with in process" log
done
no_faults "$device"
status 0 "a device that is closed" vfiomig state "$device"

finish
