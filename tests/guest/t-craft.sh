#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Streams that are refused, or taken, for what is in them.
# guest: -m 2M -s 240
# kernels: stock cdev 6.1

craft "$IVSHMEM"
