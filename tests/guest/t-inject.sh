#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each system call of saves and restores fails in turn, see lib/inject.sh. This runs a part of these
# faults, spread evenly; the long variant runs all of them. Only the way to the device differs between
# the kernels, so a smaller part is enough on stock.
# guest: -m 1M -s 900
# long: -s 3600
# env: GUEST_FILES=/usr/bin/strace

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/inject.sh
. /tests/inject.sh

if [ "${1-}" = long ]; then
	all_faults 1
elif [ "$KERNEL" = stock ]; then
	all_faults 389
else
	all_faults 197
fi

finish
