#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Streams that are refused, or accepted, for their contents.
# guest: -m 2M -s 240
# kernels: stock 6.1

craft "$IVSHMEM"
