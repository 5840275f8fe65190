#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The terminal session in README.md: its commands, run here, print what is there, but for numbers (times, processes).
# With the argument "print" it prints the session anew instead; "make readme" puts that into the file.
# guest: -m 16M -m 16M -s 240
# kernels: stock
# env: GUEST_FILES=README.md

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# shellcheck disable=SC2086 # a list
set -- "${1-}" $IVSHMEM
yes 'state of a device' | bar "$2" write

# The block between the markers, as it is indented there
sed -n '/<!-- session -->/,/<!-- end -->/s/^    //p' /tests/README.md >session

sed -n 's/^\$ //p' session >commands
while read -r command; do
	printf '$ %s\n' "$command"
	sh -c "$command" 2>&1 </dev/null
done <commands >printed

if [ "$1" = print ]; then
	cat printed
	exit
fi
for file in session printed; do
	# Nor does it matter what the host's list of names calls the device.
	sed 's/\(QEMU \)*Inter-VM shared memory\( device\)*/ivshmem/; s/[0-9][0-9.]*/#/g; s/  */ /g' $file >$file.plain
done
check "README has a session" test "$(wc -l <commands)" -gt 5
check "it is what the commands print (if not: make readme)" diff session.plain printed.plain

finish
