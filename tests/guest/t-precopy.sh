#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# PRE_COPY on both devices: the rules in the text of the uAPI, and that no write is lost.
# guest: -m 1M -m 1M -m 16M -s 600
# kernels: newest

# shellcheck disable=SC2086 # three words
set -- $IVSHMEM
failed=0
precopy "$1" ivshmem || failed=1
precopy "${MTTY%% *}" || failed=1
tracking "$3" || failed=1
tracking "$1" "$2" 242 || failed=1
exit $failed
