#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Every system call of saves and restores, failed in turn: lib/inject.sh says how. Some of these faults, spread evenly;
# the long variant has all of them.
# guest: -m 1M -s 900
# long: -s 3600
# env: GUEST_FILES=/usr/bin/strace

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/inject.sh
. /tests/inject.sh

if [ "${1-}" = long ]; then
	all_faults 1
else
	all_faults 23
fi

finish
