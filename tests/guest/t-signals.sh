#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Signals at many moments of saves and restores, see lib/signals.sh. The long variant has more of
# them.
# guest: -m 1M -m 1M -s 900
# long: -s 3000
# kernels: stock

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/signals.sh
. /tests/signals.sh

if [ "${1-}" = long ]; then
	all_signals 25 200
else
	all_signals 1 9
fi

finish
