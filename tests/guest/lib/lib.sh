# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What the tests that are shell scripts share. They print TAP: one line, "ok" or "not ok", for each
# check. A script looks like this:
#
#   . /tests/lib.sh
#   status 0 "hold" vfiomig hold "$device"
#   says "holds it, on $socket"
#   wait_for test -S "$socket"
#   check "the socket is for its owner only" test "$(stat -c %a "$socket")" = 600
#   status 4 "a second holder is refused" vfiomig hold "$device"
#   finish
#
#   check NAME CMD...        CMD must exit with 0. If it does not, what it printed is shown.
#   status N NAME CMD...     CMD must exit with N. If N is not 0, CMD may print one line on standard
#                            error at most.
#   ends N NAME CMD...       CMD must exit with N, and may print as much as it likes.
#   says TEXT                Standard error of the last status() or ends() must contain TEXT.
#   prints TEXT              The same for standard output.
#   wait_for CMD...          Repeat CMD until it succeeds. If it has not succeeded within a minute, this
#                            is a failure and the script ends.
#   ok NAME, not_ok NAME WHY
#                            Report a check that the script has made by itself.
#   finish                   Print the number of checks, and exit with 1 if one of them failed. Every
#                            script ends with this.
#
# status() and ends() leave the output in the files $OUT and $ERR, and the exit status in $rc. check()
# leaves $OUT and $ERR alone, so that its CMD can look at what the last status() left there.
#
# The second half of this file is for scripts in the guest. tests/host uses the first half.

tests=0
failed=0
OUT=/run/stdout
ERR=/run/stderr

ok() {
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

not_ok() {
	tests=$((tests + 1))
	failed=$((failed + 1))
	echo "not ok $tests - $1"
	echo "$2" | sed 's/^/# /'
}

check() {
	name=$1
	shift
	rc=0
	"$@" >"$OUT.check" 2>&1 || rc=$?
	if [ $rc -eq 0 ]; then
		ok "$name"
	else
		not_ok "$name" "$*: exit status $rc: $(head -c 2000 "$OUT.check")"
	fi
	rm -f "$OUT.check"
}

# exits LINES N NAME CMD...: CMD exits with N; if N is not 0, with LINES lines on standard error at most
exits() {
	lines=$1 want=$2 name=$3
	shift 3
	rc=0
	"$@" >"$OUT" 2>"$ERR" || rc=$?
	if [ $rc -ne "$want" ]; then
		not_ok "$name" "$*: exit status $rc, not $want: $(head -c 2000 "$ERR")"
	elif [ $rc -ne 0 ] && [ "$(wc -l <"$ERR")" -gt "$lines" ]; then
		not_ok "$name" "$*: more than $lines line on standard error: $(head -c 2000 "$ERR")"
	else
		ok "$name"
	fi
}

status() {
	exits 1 "$@"
}

ends() {
	exits 1000000 "$@"
}

# within TENTHS CMD...: CMD succeeds within so many tenths of a second
within() {
	tenths=$1
	shift
	until "$@"; do
		[ "$tenths" -gt 0 ] || return
		tenths=$((tenths - 1))
		sleep 0.1
	done
}

wait_for() {
	within 600 "$@" && return
	not_ok "$*" "this has not happened within a minute"
	finish
}

# contains FILE NAME TEXT
contains() {
	if grep -q -F -e "$3" "$1"; then
		ok "$2"
	else
		not_ok "$2" "$(head -c 2000 "$1")"
	fi
}

says() {
	contains "$ERR" "standard error says: $1" "$1"
}

prints() {
	contains "$OUT" "standard output says: $1" "$1"
}

finish() {
	echo "1..$tests"
	exit $((failed > 0))
}

# ---- In the guest: its devices ----

# $device, $other and $third are ivshmem devices, as many as the script's head asks for. $mtty and
# $other_mtty are the kernel's sample devices.
# shellcheck disable=SC2034 # scripts use them
read -r device other third _ <<END
${IVSHMEM-}
END
# shellcheck disable=SC2034 # scripts use them
read -r mtty other_mtty _ <<END
${MTTY-}
END

# functions_with ID: the addresses of the PCI functions with this device id
functions_with() {
	grep -l "$1" /sys/bus/pci/devices/*/device | cut -d/ -f6
}

# driver_of NAME: the driver of a PCI function or of a mediated device
driver_of() {
	basename "$(readlink /sys/bus/*/devices/"$1"/driver)"
}

# group_of NAME: the number of the IOMMU group
group_of() {
	basename "$(readlink /sys/bus/*/devices/"$1"/iommu_group)"
}

# holder_of NAME: the PID of the holder, nothing if there is none
holder_of() {
	vfiomig list --json | jq -r --arg d "$1" ".devices[] | select(.name == \$d).open_by | select(.holder).pid"
}

# set_driver ADDRESS DRIVER: bind the function to this driver without vfiomig, as an administrator's
# script would. An empty DRIVER leaves the function without one.
set_driver() {
	entry=/sys/bus/pci/devices/$1
	echo "$2" >"$entry/driver_override"
	[ ! -e "$entry/driver" ] || echo "$1" >"$entry/driver/unbind"
	[ -z "$2" ] || echo "$1" >/sys/bus/pci/drivers_probe
}

# fill ADDRESS [SIZE]: fill the memory of an ivshmem device, or its first SIZE bytes, with noise, which is
# different each time
fills=0
fill() {
	fills=$((fills + 1))
	bar "$1" fill $fills ${2:+"$2"}
}

# ---- In the guest: commands ----

# as_nobody COMMAND: run COMMAND in the shell of an ordinary user, who can enter this directory
as_nobody() {
	chmod 755 /tmp .
	su -s /bin/sh nobody -c "$1"
}

# begin_save DEV [OPTION...]: start a save that stays at work until end_save, because nobody reads from its
# pipe. Its PID is in $saver.
begin_save() {
	rm -f pipe
	mkfifo pipe
	vfiomig save "$@" --wait --precopy=never --raw -q >pipe &
	saver=$!
	exec 6<pipe
	wait_for sh -c "vfiomig state '$1' 2>&1 | grep -q 'process $saver'"
}

# end_save FILE: let the save come to its end, with its output in FILE. Returns the exit status of the
# save.
end_save() {
	cat <&6 >"$1"
	exec 6<&-
	wait "$saver"
}

# run_tap CMD...: run a program that prints TAP of its own, and count it as one check
run_tap() {
	if "$@" >tap; then
		ok "$*: $(grep -c '^ok' tap) passed"
	else
		not_ok "$*" "$(grep -v '^ok' tap)"
	fi
	grep '^#' tap
}

# ---- In the guest: a check of many runs ----

what=
# complain TEXT: note that something was wrong with the run that $what describes, whose exit status is in
# $rc and whose standard error is in $ERR
complain() {
	echo "$what: $*; exit status $rc: $(head -c 500 "$ERR")" >>complaints
}

# verdict NAME: report the check, which is good if there were no complaints
verdict() {
	if [ -s complaints ]; then
		not_ok "$1" "$(head -n 60 complaints)"
	else
		ok "$1"
	fi
	rm -f complaints
}
