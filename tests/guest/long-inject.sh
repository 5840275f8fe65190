#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# All of the faults: see lib/inject.sh.
# guest: -m 1M -s 3600
# env: GUEST_FILES=/usr/bin/strace

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh
# shellcheck source=tests/guest/lib/inject.sh
. /tests/inject.sh

all_faults 1

finish
