#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The terminal session in README.md: its commands, run here, print what README.md shows, apart from
# numbers (times, processes). With the argument "print", the script prints the session anew instead;
# "make readme" puts that into the file.
# guest: -m 16M -m 16M -s 240
# kernels: stock
# env: GUEST_FILES=README.md

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# shellcheck disable=SC2086 # a list
set -- "${1-}" $IVSHMEM
yes 'state of a device' | bar "$2" write

# The block between the markers, without its indentation
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
	# The names that the host's list of PCI ids has do not matter either.
	sed 's/\(QEMU \)*Inter-VM shared memory\( device\)*/ivshmem/; s/[0-9][0-9.]*/#/g; s/  */ /g' $file >$file.plain
done
check "README has a session" test "$(wc -l <commands)" -gt 5
check "the session is what the commands print (if not, run make readme)" diff session.plain printed.plain

finish
