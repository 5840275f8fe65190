# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# For the scripts that run the program "stress". Their arguments are the variant ("long" or none)
# and a seed.

# stress_seconds SHORT LONG [VARIANT [SEED]]: set $seconds and $seed
stress_seconds() {
	seconds=$1 seed=0
	if [ "${3-}" = long ]; then
		seconds=$2
		seed=${4:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
	fi
}

# stress_device [OPTION] DEVICE: the device survives "stress"
stress_device() {
	echo "# stress $* $seconds $seed"
	run_tap stress "$@" "$seconds" "$seed"
	for device; do :; done
	status 0 "$device can be opened" vfiomig state "$device" --wait
	prints RUNNING
}
