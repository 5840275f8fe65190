#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# sets.sh RUNS, in the guest: save two and four devices at one instant, and the same ones one after the other, in turn. Prints
# lines "set HOW COUNT TIME CPU DOWNTIME" and "one HOW COUNT TIME CPU DOWNTIME LONGEST-TIME LONGEST-DOWNTIME" in microseconds,
# and how many processors there are.

set -eu

# save DEV...: print the time that this takes, its processor time, and the downtime
save() {
	rm -f measured
	measure measured sh -c "exec vfiomig save --json --precopy=$how $* >image 2>json"
	rm image
	echo "$(cut -d ' ' -f 1,2 measured) $(gojq '.downtime_seconds * 1000000 | floor' json)"
}

# each DEV...: the same for these devices one after the other
each() {
	for dev; do
		save "$dev"
	done >each
	awk '
		{ time += $1; cpu += $2; down += $3 }
		$1 > most { most = $1 }
		$3 > longest { longest = $3 }
		END { print time, cpu, down, most, longest }' each
}

# tell SIDE FUNCTION DEV...: print its line
tell() {
	side=$1 function=$2
	shift 2
	line=$($function "$@")
	echo "$side $how $# $line"
}

for dev in $IVSHMEM; do
	fill=$((${fill-0} + 1))
	bar "$dev" fill $fill
	# The first run is always slower, so it is not measured.
	vfiomig save -q "$dev" >image
	rm image
done
echo "processors $(nproc)"
for _ in $(seq "$1"); do
	for how in never auto; do
		# shellcheck disable=SC2086 # a list
		set -- $IVSHMEM
		tell set save "$@"
		tell one each "$@"
		tell set save "$1" "$2"
		tell one each "$1" "$2"
	done
done
