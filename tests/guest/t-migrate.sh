#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The script for an offline migration in vfiomig(1), of two devices at once. Its "ssh" runs the command here, after the test
# has arranged some trouble.
# guest: -m 2M -m 2M -m 1M -s 480
# kernels: stock
# env: GUEST_FILES=man/vfiomig.1

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

from=$device to=$other small=$third
both="$from=$to $mtty=$other_mtty"

sed -n '/^#!\/bin\/sh/,/^\.Ed/ { /^\.Ed/d; s/\\e/\\/g; p; }' /tests/vfiomig.1 >migrate.sh
check "the page has a script" grep -q 'vfiomig release' migrate.sh
check "sh -n" sh -n migrate.sh

# As with ssh, the words after the host make one command line for the shell at the other end.
mkdir bin
cat >bin/ssh <<'END'
#!/bin/sh
echo "$*" >>ssh.log
test "$1" = other || exit 255
shift
. ./trouble
exec sh -c "$*"
END
chmod +x bin/ssh
PATH=$PWD/bin:$PATH

# memory ADDRESS: print the memory's digest. The device must not be open, because some kernels
# refuse access to it then.
memory() {
	bar "$1" digest
}

# migrate PAIR...: run the script
# shellcheck disable=SC2317 # check calls it
migrate() {
	sh migrate.sh other "$@"
}

# refused PAIR...: the script fails, and the file "err" has what it says
# shellcheck disable=SC2317 # check calls it
refused() {
	! migrate "$@" 2>err
}

# released DEVICE...: none of these has a holder
# shellcheck disable=SC2317 # check calls it
released() {
	for one; do
		[ -z "$(holder_of "$one")" ] || return
	done
}

# held_state DEVICE: the state of a device that is held
held_state() {
	vfiomig state "unix:/run/vfiomig/$1.sock"
}

# begin <TROUBLE: prepare two pairs of devices with different contents, the first of each pair held. Each ssh runs TROUBLE.
begin() {
	cat >trouble
	: >ssh.log
	for one in "$from" "$to" "$mtty" "$other_mtty"; do
		vfiomig release "$one" 2>/dev/null
	done
	fill "$from"
	fill "$to"
	before=$(memory "$from")
	vfiomig hold -q "$from"
	vfiomig hold -q "$mtty"
	# Closing mtty and opening it again leaves it in STOP.
	vfiomig state -q "$mtty" RUNNING
	region "$mtty" 0 7 0x5a >/dev/null
}

# is_back NAME: the sources run again with their former contents, and the destinations are not held
is_back() {
	check "$1: the sources are RUNNING" test "$(held_state "$from") $(held_state "$mtty")" = "RUNNING RUNNING"
	check "$1: the destinations are not held" released "$to" "$other_mtty"
	check "$1: mtty has what it had" test "$(region "$mtty" 0 7)" = 90
	vfiomig release "$from"
	check "$1: the source's memory is the same" test "$(memory "$from")" = "$before"
}

begin <<'END'
END
# shellcheck disable=SC2086 # a list
check "a migration" migrate $both
check "the sources were released" released "$from" "$mtty"
check "the destinations are held, and RUNNING" test "$(held_state "$to") $(held_state "$other_mtty")" = "RUNNING RUNNING"
check "one stream" test "$(grep -c 'vfiomig restore' ssh.log)" -eq 1
check "mtty's state is there" test "$(region "$other_mtty" 0 7)" = 90
vfiomig release "$to"
check "the memory is the same" test "$(memory "$to")" = "$before"
check "the source's memory is unchanged" test "$(memory "$from")" = "$before"

begin <<'END'
END
check "one device" migrate "$from=$to"
check "one device: the source was released" released "$from"
check "one device: the destination is held, and RUNNING" test "$(held_state "$to")" = RUNNING
vfiomig release "$to"
check "one device: the memory is the same" test "$(memory "$to")" = "$before"

begin <<'END'
END
vfiomig hold -q "$to"
# shellcheck disable=SC2086 # a list
check "to a device that is held already: refused" refused $both
check "to a device that is held already: the script says so" grep -q "cannot tell that nobody holds the devices on other" err
check "to a device that is held already: it still is" test "$(held_state "$to")" = RUNNING
vfiomig release "$to"
is_back "to a device that is held already"

begin <<'END'
END
check "restore fails: the script fails" refused "$from=$small" "$mtty=$other_mtty"
check "restore fails: the script says so" grep -q "^migrate.sh: failed; the sources go back to RUNNING" err
is_back "restore fails"

begin <<'END'
END
check "no such host: the script fails" sh -c "! sh migrate.sh nowhere $both"
is_back "no such host"

# The restore gets a truncated image.
begin <<'END'
case $* in
*restore*)
	head -c 1000000 | sh -c "$*"
	kill -KILL $$
	;;
esac
END
# shellcheck disable=SC2086 # a list
check "ssh dies: the script fails" refused $both
is_back "ssh dies"

# The restore succeeds, but its status is lost.
begin <<'END'
case $* in
*restore*)
	sh -c "$*"
	kill -KILL $$
	;;
esac
END
# shellcheck disable=SC2086 # a list
check "ssh dies at the end: the script fails" refused $both
is_back "ssh dies at the end"

# The device's lock has the PID of the save.
begin <<END
case \$* in
*restore*)
	{
		head -c 1000000
		kill -KILL \$(cat /run/vfiomig/$from.lock)
		cat
	} | sh -c "\$*"
	exit
	;;
esac
END
# shellcheck disable=SC2086 # a list
check "save is killed: the script fails" refused $both
is_back "save is killed"

# The save fails although its image is whole and restored: only its status shows that.
begin <<'END'
END
cat >bin/vfiomig <<'END'
#!/bin/sh
/bin/vfiomig "$@"
status=$?
[ "$1" = save ] && exit 7
exit $status
END
chmod +x bin/vfiomig
# shellcheck disable=SC2086 # a list
check "save fails at the end: the script fails" refused $both
rm bin/vfiomig
is_back "save fails at the end"

begin <<'END'
END
vfiomig release "$from"
# shellcheck disable=SC2086 # a list
check "a source that is not held is refused" refused $both
check "a source that is not held is refused before anything is done" test ! -s ssh.log
check "it was not opened" test "$(memory "$from")" = "$before"

# A signal comes when the destination has the state but does not run yet.
begin <<'END'
case $* in
*restore*)
	sh -c "$*"
	status=$?
	kill -TERM $(cat script)
	exit $status
	;;
esac
END
check "SIGTERM: the script fails" sh -c "! sh -c 'echo \$\$ >script; exec sh migrate.sh other $both'"
is_back "SIGTERM"

# The last step fails, before or after it has taken effect.
begin <<'END'
case $* in
*RUNNING*) exit 255 ;;
esac
END
# shellcheck disable=SC2086 # a list
check "the destination does not start: the script fails" refused $both
is_back "the destination does not start"

begin <<'END'
case $* in
*RUNNING*)
	sh -c "$*"
	exit 255
	;;
*release*) exit 255 ;;
esac
END
# shellcheck disable=SC2086 # a list
check "the destination may run: the script fails" refused $both
check "the destination may run: the script says so" grep -q "the sources stay in STOP" err
check "the destination may run: the sources do not" test "$(held_state "$from") $(held_state "$mtty")" = "STOP STOP"
check "the destination may run: it does" test "$(held_state "$to") $(held_state "$other_mtty")" = "RUNNING RUNNING"

finish
