#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# precopy.sh RUNS, in the guest: see tests/guest/livesave.c

exec livesave "$IVSHMEM" 1 "$1"
