#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Data transfer sessions on both devices if both support migration.
# guest: -m 1M -s 600
# kernels: stock 6.1 newest

failed=0
session "$IVSHMEM" ivshmem || failed=1
[ "$KERNEL" = 6.1 ] || session "${MTTY%% *}" || failed=1
exit $failed
