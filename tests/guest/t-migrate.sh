#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The script for an offline migration in vfiomig(1), from one device to another. Its "ssh" runs the
# command here, after the test has arranged some trouble.
# guest: -m 4M -m 4M -m 1M -s 480
# kernels: stock
# env: GUEST_FILES=man/vfiomig.1

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

from=$device to=$other small=$third

sed -n '/^#!\/bin\/sh/,/^\.Ed/ { /^\.Ed/d; s/\\e/\\/g; p; }' /tests/vfiomig.1 >migrate.sh
check "the page has a script" grep -q '^vfiomig release' migrate.sh
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

# begin <TROUBLE: prepare two devices with different contents, the first one held. Each ssh runs
# TROUBLE.
begin() {
	cat >trouble
	: >ssh.log
	for device in "$from" "$to"; do
		vfiomig release "$device" 2>/dev/null
		fill "$device"
	done
	before=$(memory "$from")
	vfiomig hold -q "$from"
}

# is_back NAME: the source runs again with its former contents, and the destination is not held
is_back() {
	check "$1: the source is RUNNING" test "$(vfiomig state "unix:/run/vfiomig/$from.sock")" = RUNNING
	check "$1: the destination is not held" sh -c "! vfiomig list | grep '^$to .*(holder)'"
	vfiomig release "$from"
	check "$1: the source's memory is the same" test "$(memory "$from")" = "$before"
}

begin <<'END'
END
check "a migration" sh migrate.sh "$from" other "$to"
check "the source was released" sh -c "! vfiomig list | grep '^$from .*(holder)'"
check "the destination is held, and RUNNING" test "$(vfiomig state "unix:/run/vfiomig/$to.sock")" = RUNNING
vfiomig release "$to"
check "the memory is the same" test "$(memory "$to")" = "$before"
check "the source's memory is unchanged" test "$(memory "$from")" = "$before"

begin <<'END'
END
vfiomig hold -q "$to"
check "to a device that is held already: refused" sh -c "! sh migrate.sh $from other $to 2>err"
check "to a device that is held already: the script says so" grep -q "cannot tell that nobody holds $to on other" err
check "to a device that is held already: it still is" test "$(vfiomig state "unix:/run/vfiomig/$to.sock")" = RUNNING
vfiomig release "$to"
is_back "to a device that is held already"

begin <<'END'
END
check "restore fails: the script fails" sh -c "! sh migrate.sh $from other $small 2>err"
check "restore fails: the script says so" grep -q "^migrate.sh: failed; $from goes back to RUNNING" err
is_back "restore fails"

begin <<'END'
END
check "no such host: the script fails" sh -c "! sh migrate.sh $from nowhere $to"
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
check "ssh dies: the script fails" sh -c "! sh migrate.sh $from other $to"
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
check "ssh dies at the end: the script fails" sh -c "! sh migrate.sh $from other $to"
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
check "save is killed: the script fails" sh -c "! sh migrate.sh $from other $to"
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
check "save fails at the end: the script fails" sh -c "! sh migrate.sh $from other $to"
rm bin/vfiomig
is_back "save fails at the end"

begin <<'END'
END
vfiomig release "$from"
check "a source that is not held is refused" sh -c "! sh migrate.sh $from other $to"
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
check "SIGTERM: the script fails" sh -c "! sh -c 'echo \$\$ >script; exec sh migrate.sh $from other $to'"
is_back "SIGTERM"

# The last step fails, before or after it has taken effect.
begin <<'END'
case $* in
*RUNNING*) exit 255 ;;
esac
END
check "the destination does not start: the script fails" sh -c "! sh migrate.sh $from other $to"
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
check "the destination may run: the script fails" sh -c "! sh migrate.sh $from other $to 2>err"
check "the destination may run: the script says so" grep -q "$from stays in STOP" err
check "the destination may run: the source does not" test \
	"$(vfiomig state "unix:/run/vfiomig/$from.sock") $(vfiomig state "unix:/run/vfiomig/$to.sock")" = "STOP RUNNING"

finish
