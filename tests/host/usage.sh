#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The command line without a device: a usage error is one line and status 2, and help goes to standard output.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
vfiomig=${VFIOMIG_BUILD:-build}/vfiomig

status 0 "--version" "$vfiomig" --version
check "--version prints name and version" sh -c "$vfiomig --version | grep -q '^vfiomig [0-9.]*$'"

# usage ARG...: check that this is a usage error
usage() {
	status 2 "$(printf 'vfiomig %.60s' "$*" | tr -c '[:print:]' '?')" "$vfiomig" "$@" </dev/null
}

usage
says 'which command?'
usage frobnicate
says "there is no command 'frobnicate'"
usage --frobnicate
usage list extra
says "'extra': list takes no argument"
for command in info state watch save restore pack unpack inspect diff check doctor hold release exec bind unbind; do
	usage $command --raw --frobnicate
	status 0 "$command --help" "$vfiomig" $command --help
	status 0 "$command --usage" "$vfiomig" $command --usage
done
status 0 "a command's --version" "$vfiomig" info --version
prints "$("$vfiomig" --version)"
if [ ! -e /sys/class/vfio-dev ]; then
	status 0 "a host without devices" "$vfiomig" list
	says 'no device has a VFIO driver'
fi
for command in info state watch check hold release; do
	usage $command
	says 'which device? "vfiomig list" shows them'
	usage $command x y z
done
for command in save restore; do
	usage $command --raw
	usage $command --raw x y
	says "'y' is one argument too many"
	usage $command --raw x --leave=NOWHERE
	says "'NOWHERE' is not a state; they are RUNNING"
	usage $command --raw --leave
	usage $command x -T many
	says "-T is a number from 0 to 512, not 'many'"
	usage $command x --progress=sometimes
	says "--progress is auto, always or never, not 'sometimes'"
	usage $command x --via=usb
	says "--via is auto, cdev or group, not 'usb'"
done
for command in bind unbind; do
	usage $command
	says 'which device? "lspci -D" shows the PCI functions'
	usage $command x y
	says "'y' is one argument too many"
	usage $command x --driver
done
usage unbind x --force
usage state x NOWHERE
says "'NOWHERE' is not a state"
usage doctor --probe
says '--probe is about a device: which one?'
usage doctor x y
says "'y' is one argument too many"
status 0 "check --list" "$vfiomig" check --list
prints 'D1   session.eof-permanent (must)'
status 0 "check --list -g" "$vfiomig" check --list -g size,dma --skip=H2
check "it has these groups" test "$(sed -n 's/^  \([A-Z]\)[0-9].*/\1/p' "$OUT" | uniq | tr -d '\n')" = HI
check "it leaves out what --skip names" sh -c "! grep size.harmless '$OUT'"
status 0 "check --list -t --json" "$vfiomig" check --list --json -t D1
check "it has one rule" test "$(grep -c '"id":' "$OUT")" = 1
usage check x -t session.eof
says "there is no rule 'session.eof'"
usage check x -t session.eof-permanet
says "there is no rule 'session.eof-permanet'; did you mean session.eof-permanent?"
usage check x -g sessions
says "there is no group 'sessions'; --list shows them"
usage check x -t "$(printf 'D1,%.0s' $(seq 65))"
says "'D1' is one name too many"
usage check x --json --tap
says '--tap and --json exclude each other'
usage check x --seed=x
says "--seed is a number, not 'x'"
usage check x --timeout=0
says "--timeout is a number from 1 to 86400, not '0'"
usage exec
usage exec x
says 'which command? as in "vfiomig exec DEV -- CMD"'
for name in fd: fd:x fd:-1 fd:99999999999 pid: pid:1 pid:1/ pid:x/y pid:0/x pid:1/fd:x; do
	usage info "$name"
done
usage info x --wait=-1
says '--wait is a number from 0'
usage info x --wait=soon
usage info ''
says "'' does not name a device"
usage info /etc/passwd
usage save --raw /dev/null
for downtime in 0 -1 x 1.5 99999999999; do
	usage save x --raw --downtime=$downtime
	says "--downtime is a number from 1 to 2147483647, not '$downtime'"
done
usage save x --raw --precopy=perhaps
says "--precopy is auto or never, not 'perhaps'"
usage save x --raw -z
says 'use one of --raw and -z'
for level in 0 20 x 3x -1 99999999999999999999; do
	usage save x -z$level
	says '-z is a number from 1 to 19'
done
for size in 0 4 4X 64M 1K 999999999999999999999999 4MB -4M; do
	usage pack --chunk-size=$size /dev/null -o /dev/null
	says "--chunk-size is a size from 64K to 32M, not '$size'"
done
usage pack a b
usage unpack a b
usage inspect a b
usage diff a
usage diff a b c

# A message is one line, whatever it quotes, and has no control characters for the terminal.
escape=$(printf '\033[2J')
newline=$(printf 'a\nb')
for word in "$escape" "$newline" "--$newline" "$(printf '\302\233')"; do
	usage "$word"
	usage info "$word"
	usage info a "$word"
	usage state a "$word"
done
usage info "$(head -c 5000 /dev/zero | tr '\0' x)"
check "a long name makes no long line" test "$(wc -c <"$ERR")" -lt 1000

# If a standard descriptor is closed, no other file may get its number.
status 1 "list without standard output" sh -c "exec $vfiomig --help >&-"
status 2 "without any" sh -c "exec $vfiomig info x <&- >&- 2>&-"
head -c 100000 /dev/urandom >"$work/state"
status 0 "pack without standard error" sh -c "exec $vfiomig pack $work/state -o $work/image 2>&-"
check "its image is good" sh -c "$vfiomig unpack $work/image | cmp - $work/state"

# A terminal is neither a source nor a destination of an image.
status 2 "save to a terminal" script -qec "$vfiomig save --raw 0000:00:00.0" /dev/null
check "it says so" sh -c "script -qec '$vfiomig save --raw 0000:00:00.0' /dev/null | grep -q 'an image is not for a terminal'"
check "restore from a terminal" sh -c "script -qec '$vfiomig restore --raw 0000:00:00.0' /dev/null | grep -q 'does not come from a terminal'"

# Scripts expect a decimal point, even in a locale with a decimal comma.
localedef -i de_DE -f UTF-8 "$work/de_DE.UTF-8"
check "no decimal comma" sh -c "LOCPATH=$work LC_ALL=de_DE.UTF-8 $vfiomig inspect $work/image | grep -q '[0-9][.][0-9] KiB'"

# Output that cannot be written is an error.
status 1 "--help to a full disk" sh -c "exec $vfiomig --help >/dev/full"
says 'standard output: No space left on device'

# In the journal each line begins with its level. JOURNAL_STREAM says whether standard error is the journal.
: >"$work/log"
stream=$(stat -c %d:%i "$work/log")
JOURNAL_STREAM=$stream "$vfiomig" info nonsense 2>"$work/log"
check "an error in the journal" grep -q "^<3>vfiomig: info nonsense: 'nonsense' does not name a device" "$work/log"
for other in 0:0 "${stream#*:}" nonsense ''; do
	JOURNAL_STREAM=$other "$vfiomig" info nonsense 2>"$work/log"
	check "JOURNAL_STREAM='$other': it is not the journal" grep -q "^vfiomig: info nonsense: " "$work/log"
done

finish
