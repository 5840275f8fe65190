#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The terminal sessions in README.md and in vfiomig-check(1): their commands, run here, print what is shown there, apart
# from numbers (times, processes). With the arguments "print FILE", the script prints the file anew instead; "make readme"
# puts that in place.
# guest: -m 16M -m 16M -s 600
# kernels: stock
# env: GUEST_FILES='README.md man/vfiomig-check.1 build/guest/stock/faulty-ko build/guest/stock/fixed-ko'

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# shellcheck disable=SC2086 # a list
set -- "${1-}" "${2-}" $IVSHMEM
first=$3
yes 'state of a device' | bar "$first" write

# block FILE NAME: print a session that is between two markers, without its indentation
block() {
	sed -n "/<!-- $2 -->/,/<!-- end -->/s/^    //p; /^\.\\\\\" $2\$/,/^\.\\\\\" end\$/{/^\./!p}" "/tests/$1"
}

# record FILE NAME: run the commands of a session, and print what a terminal would show
record() {
	block "$1" "$2" | sed -n 's/^\$ //p' >commands
	while read -r command; do
		printf '$ %s\n' "$command"
		sh -c "$command" 2>&1 </dev/null
	done <commands
}

# ours: the device has our driver, as at first
ours() {
	vfiomig release -q "$first" 2>/dev/null
	[ ! -e /sys/module/my_vfio_pci ] || { vfiomig bind -q -d ivshmem_vfio_pci "$first" && rmmod my_vfio_pci; }
	rm -rf ./*.ko fixed
	cp /tests/faulty-ko/my_vfio_pci.ko .
	cp -r /tests/fixed-ko fixed
}

if [ "$2" != vfiomig-check.1 ]; then
	record README.md session >printed.session
	ours
	record README.md check >printed.check
fi
if [ "$2" != README.md ]; then
	ours
	record vfiomig-check.1 session >printed.page
fi

case $1 in
print)
	[ "$2" = README.md ] || mv printed.page printed.session
	awk '/^(<!-- end -->|\.\\" end)$/ { skip = 0 }
		!skip { print }
		/^(<!-- (session|check) -->|\.\\" session)$/ {
			skip = 1
			page = /^\./
			if (!page)
				print ""
			while ((getline line <("printed." $2)) > 0)
				print (line == "" || page ? "" : "    ") line
			if (!page)
				print ""
		}' "/tests/$2"
	exit
	;;
esac

# same NAME SESSION PRINTED: the commands print what the session shows
same() {
	block "$2" "$3" >shown
	for file in shown "$4"; do
		# The names that the host's list of PCI ids has do not matter either, nor do empty lines, which are not
		# indented in README.md.
		sed '/^$/d; s/\(QEMU \)*Inter-VM shared memory\( device\)*/ivshmem/; s/[0-9][0-9.]*/#/g; s/  */ /g' "$file" >"$file.plain"
	done
	check "$1 has a session" test "$(grep -c '^\$ ' shown)" -gt 2
	check "the session is what the commands print (if not, run make readme)" diff shown.plain "$4.plain"
}
same README README.md session printed.session
same "the part of README for authors" README.md check printed.check
same "vfiomig-check(1)" vfiomig-check.1 session printed.page

finish
