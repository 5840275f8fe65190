#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Drivers that break one rule each: "vfiomig check" finds that. The modules are those in /tests (see tests/mutants). A test
# by a mutant's own rule is all that is done, except with the argument "all": then the mutants are tested by all rules. With
# the argument "older", the kernel may lack what a rule is about.
# guest: -m 1M
# env: GUEST_FILES="$(tests/mutants/build session/eof-permanent state/unknown precopy/enomsg resume/incomplete)"
# kernels: newest

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

vfiomig check --list --json >rules.json

# load FILE: put this module into the place of the one that it is a mutant of. Its device is $dev.
load() {
	case $1 in
	*.mtty.ko)
		dev=$mtty
		for uuid in $MTTY; do
			[ ! -e "/sys/bus/mdev/devices/$uuid" ] || echo 1 >"/sys/bus/mdev/devices/$uuid/remove"
		done
		[ ! -e /sys/module/mtty ] || rmmod mtty
		insmod "$1" && echo "$dev" >/sys/devices/virtual/mtty/mtty/mdev_supported_types/mtty-2/create
		;;
	*)
		dev=$device
		set_driver "$dev" ''
		[ ! -e /sys/module/ivshmem_vfio_pci ] || rmmod ivshmem_vfio_pci
		insmod "$1" && set_driver "$dev" ivshmem_vfio_pci
		;;
	esac
}

# broken ==: $rule if it is broken by results.json; broken !=: the other rules that are
broken() {
	jq -r --arg rule "$rule" ".rules[] | select(.status == \"fail\" or .status == \"warn\") | select(.id $1 \$rule) | .id" results.json |
		tr '\n' ' ' | sed 's/ $//'
}

# run [OPTION...]: test the device. What it says is in results.json and errors.
run() {
	vfiomig check "$dev" --json --timeout=10 --seed=1 "$@" >results.json 2>errors
}

for module in /tests/*.ko; do
	name=${module##*/}
	name=${name%.*.ko}
	rule=${name%%+*}
	if ! load "$module" 2>errors; then
		not_ok "$name: not loaded" "$(cat errors)"
		continue
	fi
	# What is slow or dangerous is not in a test by all rules.
	# shellcheck disable=SC2016 # it is jq's
	needs=$(jq -r --arg rule "$rule" '.rules[] | select(.id == $rule).needs // ""' rules.json)
	danger=
	case $needs in *danger*) danger=--dangerous ;; esac
	run $danger -t "$rule"
	found=$(broken '==')
	# What crashes, hangs, or makes the kernel complain has failed no condition.
	# shellcheck disable=SC2016 # it is jq's
	expected=$(jq -r --arg rule "$rule" '.rules[] | select(.id == $rule).expected // ""' results.json)
	# shellcheck disable=SC2016 # it is jq's
	reason=$(jq -r --arg rule "$rule" '.rules[] | select(.id == $rule) | .status + ": " + (.reason // "")' results.json)
	also=
	if [ "${1-}" = all ]; then
		run
		also=$(broken '!=')
		ended=$(jq -r '.ended_early // ""' results.json)
		[ -z "$ended" ] || also="$also; then $ended"
	fi
	# But these two are about such complaints.
	case $rule in reset.kernel-log | stop.access) expected='no complaint' ;; esac
	if [ "$found" = "$rule" ] && [ "$expected" ]; then
		ok "$name: $reason${also:+; also: $also}"
	elif [ "${2-}" = older ] && [ "${reason%%:*}" = unsupported ]; then
		ok "$name # SKIP $reason"
	else
		not_ok "$name: not found" "${reason:-$(cat errors)}${also:+; others: $also}"
	fi
done

finish
