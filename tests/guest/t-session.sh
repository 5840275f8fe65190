#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Data transfer sessions on both devices.
# guest: -m 1M -s 300

failed=0
session "$IVSHMEM" ivshmem || failed=1
session "${MTTY%% *}" || failed=1
exit $failed
