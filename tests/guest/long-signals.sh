#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# See lib/signals.sh; t-signals.sh has less of it.
# guest: -m 1M -m 1M -s 1500

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/signals.sh
. /tests/signals.sh

all_signals 25 200

finish
