#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# All operations on a device at once, by many threads, on processors that really run at the same
# time. t-stress-decode.sh has the operations that must be left out here. The long variant takes
# three minutes; a second argument is its seed.
# guest: -m 1M -s 120
# long: -s 200
# kernels: debug
# env: GUEST_ACCEL=tcg,thread=multi

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/stress.sh
. /tests/stress.sh

stress_seconds 12 180 "$@"
stress_device --still "$device"

finish
