#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The program under valgrind, with emulated devices that do what they should, and with some that do not.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

# The holder has a log of its own: valgrind follows a fork.
UNDER="valgrind -q --log-file=$PWD/valgrind.%p --leak-check=full
--errors-for-leak-kinds=definite,indirect,possible --show-leak-kinds=definite,indirect,possible"

# clean NAME: valgrind has had nothing to say, but perhaps of itself (a system call that it does not know)
clean() {
	cat valgrind.* 2>/dev/null | grep -v '^--[0-9]*-- ' >said
	rm -f valgrind.*
	if [ -s said ]; then
		not_ok "$1: valgrind" "$(head -n 60 said)"
	else
		ok "$1: valgrind"
	fi
}

# run STATUS NAME ARG...
run() {
	ends "$1" "$2" vfiomig "$3" "$device" ${4:+"$4"} ${5:+"$5"} ${6:+"$6"}
	clean "$2"
}

emulate 0000:3b:00.1
run 0 "hold" hold
noise "$device"
run 0 "save" save -o image
fault "$device" read errno=EIO at=70000
run 1 "a save that fails" save -o image2
no_faults "$device"
fault "$device" arc STOP-STOP_COPY errno=EIO to=ERROR
run 7 "a save that ends in ERROR" save -o image2 --precopy=never
no_faults "$device"
run 0 "restore" restore -i image
fault "$device" write errno=EINVAL at=70000
run 7 "a restore that is refused" restore -i image
no_faults "$device"
run 0 "release" release
run 0 "restore, with a holder of its own" restore -i image
clean "its holder"
run 0 "release of it" release
check "nobody has it open" test -z "$(openers "$device")"
clean "that holder's end"
ends 0 "list" vfiomig list --json
clean "list"

finish
