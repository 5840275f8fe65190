#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Without root: what a user can do who may open the device's nodes. And what root does in
# directories that others may write to.
# guest: -m 1M -m 1M -s 240

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

session=/run/user/65534

# as_user COMMAND: run COMMAND in an ordinary user's shell, in the user's run-time directory
as_user() {
	as_nobody "XDG_RUNTIME_DIR=$session; export XDG_RUNTIME_DIR; cd $session; $1"
}

mkdir -p $session
chown nobody $session
chmod 700 $session
fill "$device"
bar "$device" read >memory

status 4 "without access to the nodes" as_user "exec vfiomig info $device"
says 'not permitted to open /dev/'
status 0 "list works without access to the nodes" as_user "vfiomig list"
status 0 "list --probe says what it may not open" sh -c "su -s /bin/sh nobody -c \"vfiomig list --probe --json\" 2>log; head -n 1 log >&2"
says "$device: not permitted to open /dev/"
check "list --probe --json says so, too" test "$(jq '[.devices[] | select(.error | startswith("not permitted to open"))] | length == 4' $OUT)" = true
for d in "$device" "$other"; do
	chown nobody "/dev/vfio/$(group_of "$d")"
	if [ -e /dev/iommu ]; then
		chown nobody "/dev/vfio/devices/$(ls "/sys/bus/pci/devices/$d/vfio-dev")" /dev/iommu
	fi
done

status 0 "info" as_user "vfiomig info $device"
status 0 "state" as_user "vfiomig state $device STOP"
status 0 "save" as_user "umask 0; vfiomig save $device -o image"
check "only the owner can read the image, whatever the umask" test "$(stat -c '%a %U' $session/image)" = "600 nobody"
status 0 "save, umask 777" as_user "umask 0777; vfiomig save $device -o image"
check "the owner can read the image" test "$(stat -c '%a %U' $session/image)" = "600 nobody"
status 0 "save into a directory that cannot be read" as_user "mkdir -m 300 blind; vfiomig save $device -o blind/image"
check "the image is in that directory" test "$(stat -c '%a %U' $session/blind/image)" = "600 nobody"
status 0 "hold" as_user "vfiomig hold $device"
says "holds it, on $session/vfiomig/$device.sock"
check "the run-time directory is for its owner only" test "$(stat -c '%a %U' $session/vfiomig)" = "700 nobody"
check "the socket is for its owner only" test "$(stat -c '%a %U' "$session/vfiomig/$device.sock")" = "600 nobody"
status 0 "other commands use the holder" as_user "vfiomig state $device STOP"
check "the state is kept between commands" test "$(as_user "vfiomig state $device")" = STOP
status 0 "restore" as_user "vfiomig restore $other -i image"
check "the restored device has the memory" sh -c "vfiomig state unix:$session/vfiomig/$other.sock && region unix:$session/vfiomig/$other.sock 2 | cmp - memory"
check "list shows the holders" test "$(as_user "vfiomig list" | grep -c '(holder)')" -eq 2
holder=$(as_user "vfiomig list --json" | jq '.devices[0].open_by.pid')
check "the holder is the user's" test "$(stat -c %U "/proc/$holder")" = nobody
check "root may use the holder" test "$(vfiomig state "unix:$session/vfiomig/$device.sock")" = STOP
status 4 "by the device's name root is told who has it" vfiomig state "$device"
says "busy: process $holder (vfiomig-hold) has the device or its group open"
status 0 "release" as_user "vfiomig release $device && vfiomig release $other"
status 0 "exec" as_user "vfiomig exec $device -- vfiomig state 'fd:{device}'"
check "the directory is empty" test -z "$(ls -A $session/vfiomig)"
status 4 "bind needs root" as_user "vfiomig bind $device --driver vfio-pci"

# An image in a directory that everybody may write to
mkdir -m 1777 shared
echo precious >precious
as_user "ln -s $PWD/precious $PWD/shared/link; mkfifo -m 666 $PWD/shared/fifo; echo mine >$PWD/shared/file"
as_user "ln -s $PWD $PWD/shared/dirlink"
ln -s shared/link tolink
ln -s shared/fifo tofifo
status 4 "another user's link is not followed" vfiomig save "$device" -o shared/link
says 'shared/link: Permission denied'
check "the link's target is unchanged" test "$(cat precious)" = precious
status 4 "an image is not written to another user's FIFO" timeout 10 vfiomig save "$device" -o shared/fifo
for path in shared/dirlink/precious shared/dirlink/new tolink tofifo; do
	status 4 "an image is not written by way of $path" timeout 10 vfiomig save "$device" -o $path
	says "$path: Permission denied"
done
check "nothing was written" test "$(cat precious)" = precious -a ! -e new
status 0 "another user's file is replaced" vfiomig save "$device" -q -o shared/file
check "the new file belongs to root" test "$(stat -c '%a %U' shared/file)" = "600 root"
ln -s "$PWD/precious" shared/own
status 0 "one's own link is followed" vfiomig save "$device" -q -o shared/own
check "the link's target is the image" sh -c "cmp precious shared/file || vfiomig inspect --verify precious"
check "there are no temporary files" test -z "$(find . -name '.vfiomig.*')"

# A command's descriptors are not inherited.
begin_save "$device"
wait_for sh -c "test \$(find /proc/$saver/fd -type l | wc -l) -gt 8"
sleep 0.5
open=0
for fd in "/proc/$saver/fdinfo"/*; do
	case ${fd##*/} in
	0 | 1 | 2) continue ;;
	esac
	flags=$(sed -n 's/^flags:[^0-9]*//p' "$fd")
	# O_CLOEXEC
	if [ $((0$flags & 02000000)) -eq 0 ]; then
		not_ok "descriptor ${fd##*/} is close-on-exec" "$(readlink "/proc/$saver/fd/${fd##*/}"): $flags"
		open=$((open + 1))
	fi
done
check "all descriptors are close-on-exec" test $open -eq 0
end_save /dev/null
# shellcheck disable=SC2016 # the inner shell's
vfiomig exec "$device" --via=group -- sh -c 'for fd in /proc/$$/fd/*; do readlink $fd; done' 9</dev/null >handed
check "exec hands down the device's descriptors and those that it was given" test "$(grep -v -e '^/dev/null$' -e /run/output -e /handed handed |
	sed 's/[0-9]*$//' | sort | xargs)" = "/dev/vfio/ /dev/vfio/vfio anon_inode:[vfio-device]"

finish
