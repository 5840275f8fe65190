#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Some of the faults of long-inject.sh, spread evenly: see lib/inject.sh.
# guest: -m 1M -s 400
# env: GUEST_FILES=/usr/bin/strace
# kernels: stock

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/inject.sh
. /tests/inject.sh

all_faults 11

finish
