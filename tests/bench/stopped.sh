#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# stopped.sh RUNS, in the guest: print for how many microseconds a device is stopped whose image nobody takes for seconds, after
# an "a"; and in turn, after a "b", for how many by a program that reads the state and does nothing with it, and after a "c",
# by one that keeps it in memory.

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

fill "$device"
for _ in $(seq "$1"); do
	{
		vfiomig save --precopy=never --json "$device" 2>json
		echo $? >rc
	} | { sleep 5 && cat >/dev/null; }
	if [ "$(cat rc)" -ne 0 ] || ! bareloop "$device" 2>us >/dev/null || ! bareloop "$device" 192 2>kept; then
		cat json us kept >&2
		exit 1
	fi
	echo "a $(jq '.downtime_seconds * 1000000 | floor' json)"
	echo "b $(cat us)"
	echo "c $(cat kept)"
done
