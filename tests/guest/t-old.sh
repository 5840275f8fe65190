#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# An old kernel: its VFIO has neither PRE_COPY nor MIG_DATA_SIZE nor a device cdev, and its mtty
# does not support migration.
# guest: -m 1M -m 1M -s 240
# kernels: 6.1

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

status 0 "info" vfiomig info "$device"
prints 'migration:  STOP_COPY P2P'
prints 'states:     STOP RUNNING STOP_COPY RESUMING RUNNING_P2P'
prints 'state size: unknown (no MIG_DATA_SIZE)'
for state in PRE_COPY PRE_COPY_P2P; do
	status 1 "state $state" vfiomig state "$device" $state
	says "cannot go from RUNNING to $state: the device does not support it"
done

# Without PRE_COPY a save stops the device at once.
fill "$device"
bar "$device" read >memory
status 0 "save" vfiomig save "$device" -v -o image
says 'RUNNING_P2P -> STOP '
check "the save does not use PRE_COPY" sh -c "! grep PRE_COPY $ERR"
check "the image has the device's flags" test "$(vfiomig inspect --json image | jq -c .header.migration)" = '["STOP_COPY","P2P"]'
status 0 "restore" vfiomig restore "$other" --no-hold -i image
check "the memory is the same" sh -c "bar $other read | cmp - memory"

status 0 "--via=group" vfiomig save "$device" -q --via=group -o image
status 3 "--via=cdev" vfiomig save "$device" --via=cdev -o image
says 'go through its group'

status 0 "list has a device without migration" vfiomig list
prints "$mtty"
for command in info state 'save -o x' 'restore --force -i image'; do
	# shellcheck disable=SC2086 # words
	status 3 "a device without migration: $command" vfiomig $command "$mtty"
	says 'its driver mtty has no migration support; a newer version of it may have'
done
check "there is no image" test ! -e x

finish
