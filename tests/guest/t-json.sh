#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --json: the keys that the pages promise, their types, and whether they describe what the commands
# do. Also the table of list.
# guest: -m 1M -m 1M -s 480
# kernels: cdev
# env: GUEST_FILES=/usr/bin/script

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# has FILTER: jq evaluates FILTER as true for the last output
has() {
	check "$1" test "$(jq "$1" out)" = true
}

# keys KEY...: the object has these keys and no others
keys() {
	check "keys: $*" test "$(jq -r 'keys | join(" ")' out)" = "$(printf '%s\n' "$@" | sort | xargs)"
}

pci='vendor device subsystem_vendor subsystem_device class revision vendor_name device_name class_name'

vfiomig list --json >out
keys devices
has '.devices | length == 4'
has '[.devices[].name] == ([.devices[].name] | sort)'
has ".devices[0].name == \"$device\" and .devices[0].vendor == \"1af4\" and .devices[0].device == \"1110\""
# Debian's releases have different names for the device.
device_name=$(sed -n '/^1af4/,/^[0-9b-f]/s/^\t1110  //p' /usr/share/misc/pci.ids)
check "pci.ids has a name for the device" test -n "$device_name"
has ".devices[0] | .device_name == \"$device_name\" and .vendor_name == \"Red Hat, Inc.\""
has '.devices[0] | .open_by == null and .state == null and has("migration") == false'
has ".devices[2] | .name == \"$mtty\" and .mdev_type == \"mtty-2\" and .bus == \"mdev\""
vfiomig list --probe --json >out
has '.devices[0] | .migration == ["STOP_COPY", "P2P", "PRE_COPY"] and .state == "RUNNING"'
vfiomig list --json | jq '.devices[0]' >out
# shellcheck disable=SC2086 # a list
keys name syspath bus $pci driver group cdev open_by state

vfiomig info "$device" --json >out
# shellcheck disable=SC2086 # a list
keys name syspath bus $pci driver group cdev open_by migration states state expected_bytes features dma_logging
has '.driver == "ivshmem_vfio_pci" and (.group | type) == "number" and .state == "RUNNING"'
has '.expected_bytes >= 1048576 and .features.MIG_DEVICE_STATE == ["get", "set"]'
has '.states | contains(["STOP", "PRE_COPY"])'
# Debian's kernel has no bitmap for DMA logging, so the driver does not offer it there.
if [ "$KERNEL" = stock ]; then
	has '.dma_logging == false and (.features | [.DMA_LOGGING_START, .DMA_LOGGING_STOP, .DMA_LOGGING_REPORT] | all(. == null))'
else
	has '.dma_logging == true'
	has '.features | [.DMA_LOGGING_START, .DMA_LOGGING_STOP, .DMA_LOGGING_REPORT] == [["set"], ["set"], ["get"]]'
fi
vfiomig check "$device" --json -t size.plausible >out 2>/dev/null
keys vfiomig kernel device driver driver_version driver_srcversion migration seed kernel_log rules totals ended_early
has '.kernel_log and .totals.ok == 1 and .ended_early == null and .migration == ["STOP_COPY", "P2P", "PRE_COPY"]'
jq '.rules[0]' out >rule && jq '.totals' out >totals && mv rule out
keys id number level rule status reason expected where last notes states seconds
has '.id == "size.plausible" and .number == "H3" and .level == "should" and .status == "ok" and .reason == null'
has '(.states | type) == "array" and (.seconds | type) == "number" and (.last | type) == "string"'
mv totals out
keys ok unsupported fail warn xfail skip
vfiomig check --list --json >out
keys rules
jq '.rules[0]' out >rule && mv rule out
keys id number level rule needs not_tested

# A feature of a future kernel: make the kernel answer one of the probes.
status 0 "a feature that has no name yet" inject -c ioctl 100 DONE vfiomig info "$device"
cp $OUT out
check "an unknown feature is printed as a number" grep -q -E '^features: .* FEATURE_[2-5][0-9]\((get|set)\)$' out
inject -c ioctl 100 DONE vfiomig info "$device" --json >out
has '[.features | to_entries[] | select(.key | startswith("FEATURE_"))] | length == 1 and (.[0].value | length) == 1'

# Each allocation fails in turn: there is a message then, and no object that lacks something.
n=1 wrong=
while
	rm -f reached
	NOMEMORY=$n NOMEMORY_REACHED=reached LD_PRELOAD=$(command -v nomemory) vfiomig info "$device" --json >out 2>err
	rc=$?
	[ -e reached ]
do
	if [ $rc -ne 1 ] || [ -s out ] ||
		! grep -q -x "vfiomig: info $device: cannot print the JSON object: out of memory" err; then
		wrong="$wrong $n"
	fi
	n=$((n + 1))
done
check "an allocation that fails is told, $n of them" test "$n" -gt 50
check "all of them (not:$wrong)" test -z "$wrong"

vfiomig state "$device" --json >out
keys device arcs reset state
vfiomig state "$device" STOP --json >out
has '[.arcs[] | .from + ">" + .to] == ["RUNNING>RUNNING_P2P", "RUNNING_P2P>STOP"] and (.arcs[0].ns | type) == "number"'
vfiomig state "$device" ERROR --json >out 2>/dev/null
has '.error | contains("ERROR is never a target")'
save='device complete bytes seconds bytes_per_second path before state reset output precopy precopy_bytes rounds converged downtime_seconds doubtful'
status 0 "save" vfiomig save "$device" -o image --json
cp "$OUT" out
check "standard error is empty" test ! -s "$ERR"
# shellcheck disable=SC2086 # a list
keys $save
has '.path == ["RUNNING", "PRE_COPY", "PRE_COPY_P2P", "STOP_COPY", "STOP", "RUNNING_P2P", "RUNNING"]'
has '.complete and .bytes > 1048576 and .precopy_bytes < .bytes and .output == "image" and .state == "RUNNING"'
has '.seconds > 0 and .downtime_seconds > 0 and .bytes_per_second > 0'
vfiomig save "$device" --json --precopy=never >image 2>out
has '.output == null and .precopy == false and .rounds == 0'
has '.path == ["RUNNING", "RUNNING_P2P", "STOP", "STOP_COPY", "STOP", "RUNNING_P2P", "RUNNING"]'
check "the image is whole" vfiomig inspect --verify image
vfiomig save "$device" --json >/dev/full 2>err
tail -n +2 err >out
# shellcheck disable=SC2086 # a list
keys $save error
has '.complete == false and .state == "RUNNING" and (.error | contains("No space left"))'

restore='device complete bytes seconds bytes_per_second path before state reset input loaded holder'
vfiomig restore "$other" --json -i image >out
# shellcheck disable=SC2086 # a list
keys $restore
has '.path == ["RUNNING", "RUNNING_P2P", "STOP", "RESUMING", "STOP", "RUNNING_P2P", "RUNNING"] and .input == "image"'
check "restore and list name the same holder" test "$(jq .holder out)" = "$(vfiomig list --json | jq ".devices[1].open_by.pid")"
has '.holder > 0'
vfiomig list --json >out
has '.devices[1].open_by | .holder and .command == "vfiomig-hold"'
has '.devices[1].state == "RUNNING"'
vfiomig restore "$other" --json -i - <image >out
has '.complete and .input == null'
head -c 30000 image | vfiomig restore "$other" --json >out 2>/dev/null
# shellcheck disable=SC2086 # a list
keys $restore error
has '.complete == false and .reset and .holder == null'

# Several devices: one object, with one for each
vfiomig save "$device" "$other" -o set --json >out
keys devices complete bytes seconds bytes_per_second reset output precopy precopy_bytes rounds converged downtime_seconds
has '.complete and .output == "set" and .precopy and .reset == false and .downtime_seconds > 0'
has '.bytes == ([.devices[].bytes] | add) and .precopy_bytes == ([.devices[].precopy_bytes] | add)'
has ".devices | [.[].device] == [\"$device\", \"$other\"] and all(.complete and .state == \"RUNNING\")"
jq '.devices[1]' out >one && mv one out
# shellcheck disable=SC2086 # a list
keys $save
vfiomig save "$device" "$other" --json >/dev/full 2>err
tail -n +2 err >out
keys devices error complete bytes seconds bytes_per_second reset output precopy precopy_bytes rounds converged downtime_seconds
has '.complete == false and (.error | contains("No space left")) and all(.devices[]; .state == "RUNNING" and has("error") == false)'
vfiomig release "$other"
vfiomig restore "$device" "$other" --json -i set >out
keys devices complete bytes seconds bytes_per_second reset input loaded
has '.complete and .loaded and .input == "set" and .bytes == ([.devices[].bytes] | add)'
has '[.devices[].holder] | length == 2 and all(. > 0)'
jq '.devices[1]' out >one && mv one out
# shellcheck disable=SC2086 # a list
keys $restore
has ".device == \"$other\" and .loaded and .state == \"RUNNING\" and .input == \"set\""
head -c 30000 set | vfiomig restore "$device" "$other" --json >out 2>/dev/null
keys devices error complete bytes seconds bytes_per_second reset input loaded
has '.complete == false and .reset and .loaded == false and all(.devices[]; .complete == false and .loaded == false)'
vfiomig release "$device"

vfiomig inspect --json image >out
keys header trailer image_bytes verified
vfiomig pack --force a=image b=image | vfiomig inspect --json >out
keys header trailer device_trailers image_bytes verified
has '(.device_trailers | length) == 2'
# A name can have any bytes. Bytes that are not UTF-8 must not break the object.
name=$(printf 'x\303')
vfiomig save "$device" -o "$name" --json >out
has '.output == "x\ufffd"'

name=$(printf 'x\360\237\230\200')
vfiomig save "$device" -o "$name" --json >out
has '.output == "x\ud83d\ude00"'

# The table
vfiomig list >table
check "columns line up" test "$(cut -c "1-$(head -n 1 table | sed 's/STATE.*//' | wc -c)" table | grep -v -c ' .$')" -eq 0
check "no blanks at the end of a line" sh -c "! grep -q ' \$' table"
check "no colour in a pipe" sh -c "! grep -q \$(printf '\\033') table"
check "names from pci.ids" grep -q -F "$device_name [1af4:1110]" table

# list --probe: each device is opened
vfiomig list --probe >table
check "the table has the migration flags" grep -q "^$device  *RUNNING  *STOP_COPY,P2P,PRE_COPY " table
check "each device was opened" test "$(vfiomig list --probe -v 2>&1 >table | grep -c ': opened')" -eq 4
begin_save "$device" --via=group
vfiomig list --probe >table
check "a device in use is not opened" grep -q "^$device  *[-A-Z_]*  *-  *[0-9]* (vfiomig) " table
vfiomig list --probe --json >out
has '.devices[0] | .migration == null and .open_by.command == "vfiomig"'
end_save /dev/null

# A terminal, if the kernel has pseudo-terminals
mkdir -p /dev/pts
if mount -t devpts devpts /dev/pts; then
	# on_terminal [VARIABLE=VALUE]...: print what list writes to a terminal of 60 columns
	on_terminal() {
		env "$@" script -q -c 'stty cols 60; vfiomig list' /dev/null </dev/null | tr -d '\r'
	}
	escape=$(printf '\033')
	on_terminal TERM=xterm >shown
	check "a terminal gets a bold heading" grep -q "^$escape\[1mDEVICE.*$escape\[0m\$" shown
	on_terminal TERM=xterm NO_COLOR=1 >shown
	check "NO_COLOR: no escape sequences" sh -c "grep -q '^DEVICE' shown && ! grep -q '$escape' shown"
	check "lines fit into the terminal" test "$(wc -L <shown)" -le 60
	on_terminal TERM=dumb >shown
	check "a dumb terminal gets no escape sequences" sh -c "! grep -q '$escape' shown"
	on_terminal TERM=dumb COLUMNS=50 >shown
	check "lines fit into COLUMNS" test "$(wc -L <shown)" -le 50
	on_terminal TERM=dumb COLUMNS=80 >shown
	check "whole columns at 80: $(head -n 1 shown)" grep -q -E '(OPEN BY|GROUP)$' shown
fi

vfiomig release "$other"
finish
