#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The driver and the headers of Debian's newer kernels, which want a newer Debian: tests/headers, in a root of it. Only
# root can make that.

cd "$(dirname "$0")/../.." || exit
if [ "$(id -u)" -ne 0 ]; then
	echo 'ok 1 - the headers of newer kernels # SKIP only root can make the root file system for them'
	echo '1..1'
	exit
fi
exec tests/fresh trixie tests/headers
