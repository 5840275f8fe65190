#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/guest/run -i: a shell in the guest, on a terminal that script(1) makes. A FIFO types.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
# shellcheck disable=SC2317 # the trap reaches it
cleanup() {
	[ -z "$terminal" ] || kill "$terminal" 2>/dev/null
	rm -rf "$OUT" "$ERR" "$work"
}
terminal=
trap cleanup EXIT
mkfifo "$work/keys"

size='rows 33 cols 99'
# start ARG...: run -i ARG... on a terminal of this size, typed to through descriptor 3
start() {
	: >"$work/screen"
	cat >"$work/session" <<-END
		stty $size
		stty -g >$work/before
		tests/guest/run -m 1M -i $*
		status=\$?
		stty -g >$work/after
		exit \$status
	END
	TERM=vt100 script -qefc "sh $work/session" "$work/screen" <"$work/keys" >/dev/null 2>&1 &
	terminal=$!
	exec 3>"$work/keys"
	# A guest that boots beside much other work takes longer than the minute of wait_for.
	within 2400 on_screen 'guest-stock:~# ' || {
		not_ok "the prompt" "$(tail -n 20 "$work/screen")"
		finish
	}
}

# ended STATUS: the machine has ended with this status, and the terminal has its modes back
ended() {
	rc=0
	wait "$terminal" || rc=$?
	terminal=
	exec 3>&-
	check "the exit status is $1" test $rc -eq "$1"
	check "the terminal has its modes back" cmp "$work/before" "$work/after"
}

# keys FORMAT: type what printf makes of this
keys() {
	# shellcheck disable=SC2059
	printf "$1" >&3
}

# on_screen TEXT: the screen has this text in a line
# shellcheck disable=SC2317 # wait_for calls it
on_screen() {
	tr -d '\r' <"$work/screen" | grep -q -F -e "$1"
}

start
ok "there is a prompt"
# The screen also has the typed lines. So each of them is written such that it does not contain the text of its output.
# shellcheck disable=SC2016 # the guest's shell expands them
keys 'echo "user $(id -u), $KERNEL, $IVSHMEM, $TERM, $(pwd), $(ls | wc -l) files"\n'
wait_for on_screen 'user 0, stock, 0000:00:10.0, vt100, /tmp, 0 files'
ok "the shell is root's, and has the script's variables"
# shellcheck disable=SC2016
keys 'echo "$(tty) has $(stty size)"\n'
wait_for on_screen '/dev/ttyS1 has 33 99'
ok "the terminal has the size of the host's"
keys 'echo abd\033[Dc\n'
wait_for on_screen abcd
ok "lines can be edited"
# shellcheck disable=SC2016
keys 'echo "sleeping in $((40 + 2))"; sleep 1000\n'
wait_for on_screen 'sleeping in 42'
# shellcheck disable=SC2016
keys '\003echo "then $?"\n'
wait_for on_screen 'then 130'
ok "Ctrl-C interrupts the guest's program"
keys 'exit 7\n'
ended 7

cat >"$work/first.sh" <<'END'
echo "first: $# arguments, $2"
touch here
sleep 1000 &
echo $! >leftover
exit 3
END
size='rows 0 cols 0'
start "$work/first.sh" a "'b  c'"
check "a script runs first" on_screen "first: 2 arguments, b  c"
check "its exit status is told" on_screen "first.sh: exit status 3"
check "a terminal without a size is no error" sh -c "! grep -q '^stty:' '$work/screen'"
# shellcheck disable=SC2016
keys 'kill -0 $(cat leftover) && echo "$(ls) $((40 + 2))"\n'
wait_for on_screen 'leftover 42'
check "the shell comes to where the script was, and to what it has left running" on_screen here
keys '\035x'
ended 125
check "Ctrl-] x ends the machine" on_screen 'QEMU: Terminated'

ends 124 "-s limits its time" script -qec "tests/guest/run -m 1M -i -s 1" /dev/null
check "it says so" grep -q -F 'run: the shell did not end within 1 seconds' "$OUT"
ends 125 "not without a terminal" tests/guest/run -i </dev/null
says 'run: -i: standard input and output are not a terminal'
ends 125 "nor without a script, but for -i" tests/guest/run
says 'usage: tests/guest/run'

finish
