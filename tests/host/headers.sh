#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The driver and the headers of Debian's newer kernels, which want a newer Debian: tests/headers, in a root of it.

cd "$(dirname "$0")/../.." || exit
if [ "$(id -u)" -eq 0 ]; then
	exec tests/fresh trixie tests/headers
else
	exec sudo tests/fresh trixie tests/headers
fi
