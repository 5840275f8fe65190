#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# See lib/signals.sh; long-signals.sh has more of it.
# guest: -m 1M -m 1M -s 400

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/signals.sh
. /tests/signals.sh

all_signals 4 30

finish
