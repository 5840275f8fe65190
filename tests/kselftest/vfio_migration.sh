#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Test whether VFIO devices and their drivers keep the rules of the migration protocol, with "vfiomig check". The devices
# are reset again and again, and lose their state. So only those are tested that somebody names: as arguments, which
# KSELFTEST_VFIO_MIGRATION_SH_ARGS can have, or in VFIO_MIGRATION_DEVICES.
#
# The output is KTAP: a test for each device, which has a test for each rule.

ksft_skip=4

vfiomig=${VFIOMIG:-vfiomig}
# shellcheck disable=SC2086 # words
[ $# -gt 0 ] || set -- ${VFIO_MIGRATION_DEVICES-}

skip_all() {
	echo "1..0 # SKIP $1"
	exit $ksft_skip
}

# check DEVICE: test a device, with the output of a subtest. Returns vfiomig's status.
check() {
	# shellcheck disable=SC2086 # words
	rc=$({
		{
			"$vfiomig" check --tap ${VFIO_MIGRATION_ARGS-} "$1" 2>&1
			echo $? >&3
		} | sed -u '/^vfiomig: /s/^/# /; s/^/  /' >&4
	} 3>&1)
	return "$rc"
}

echo "KTAP version 1"
[ $# -gt 0 ] || skip_all "no device is named: KSELFTEST_VFIO_MIGRATION_SH_ARGS=DEVICE, or VFIO_MIGRATION_DEVICES=DEVICE"
command -v "$vfiomig" >/dev/null || skip_all "there is no program $vfiomig; VFIOMIG can name it"
[ -e /dev/vfio ] || skip_all "the kernel has no VFIO"

exec 4>&1
echo "1..$#"
number=0 passed=0 failed=0 skipped=0
for device; do
	number=$((number + 1))
	check "$device"
	case $? in
	0)
		passed=$((passed + 1))
		echo "ok $number $device"
		;;
	3)
		skipped=$((skipped + 1))
		echo "ok $number $device # SKIP it has no driver with migration support"
		;;
	4)
		skipped=$((skipped + 1))
		echo "ok $number $device # SKIP somebody else has it, or it may not be opened"
		;;
	*)
		failed=$((failed + 1))
		echo "not ok $number $device"
		;;
	esac
done
echo "# Totals: pass:$passed fail:$failed xfail:0 xpass:0 skip:$skipped error:0"

[ $failed -eq 0 ] || exit 1
[ $passed -gt 0 ] || exit $ksft_skip
