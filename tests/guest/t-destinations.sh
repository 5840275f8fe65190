#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where an image can be written, and where not. If it cannot, the device comes home, and an existing
# file stays until the new one is whole. t-status.sh tests /dev/full, a full disk, a closed pipe,
# links and a FIFO that is read. In the long variant a reader stops for a minute.
# guest: -m 1M -m 1M -s 480
# kernels: cdev
# long: -s 480

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

stop=4
[ "${1-}" != long ] || stop=60

fill "$device"
fill "$other"
bar "$device" read >memory
vfiomig hold "$device" -q
region "$device" 0 0 0x55

# home STATE: the device is in STATE, with its former contents
home() {
	check "the device is in $1, with its former contents" sh -c "test \$(vfiomig state $device) = $1 &&
		test \$(region $device 0 0) = 85 && region $device 2 | cmp - memory"
}

# kept DIR: the file "image" is unchanged, and no other file is in DIR
kept() {
	check "the file is unchanged" test "$(cat "$1/image") $(ls -A "$1")" = "precious image"
}

# whole FILE
whole() {
	check "the image is whole" vfiomig inspect --verify "$1"
}

# In each state, with and without pre-copy
for state in RUNNING STOP; do
	vfiomig state "$device" "$state" -q >/dev/null
	status 1 "$state: /dev/full" vfiomig save "$device" --raw -o /dev/full
	says "No space left on device; the device is back in $state"
	home "$state"
	status 1 "$state: /dev/full, --leave" vfiomig save "$device" --leave=STOP -z -o /dev/full
	home "$state"
done
vfiomig state "$device" RUNNING -q >/dev/null

# A limit on the size of files (setrlimit, SIGXFSZ)
mkdir dir
echo precious >dir/image
for blocks in 1 1024; do
	status 1 "ulimit -f $blocks" sh -c "ulimit -f $blocks; exec vfiomig save $device -o dir/image"
	says 'writing the image: File too large'
	kept dir
done
home RUNNING
status 1 "ulimit -f 1024, standard output" sh -c "ulimit -f 1024; exec vfiomig save $device >part"
says 'File too large; the device is back in RUNNING'
status 5 "the rest is not an image" vfiomig inspect --verify part

# A file system without room for more bytes, and one without room for more files
mkdir small
mount -t tmpfs -o size=512k tmpfs small
echo precious >small/image
for how in '' --precopy=never -z; do
	# shellcheck disable=SC2086 # perhaps no word
	status 1 "a full file system${how:+, $how}" vfiomig save "$device" $how -o small/image
	says 'No space left on device; the device is back in RUNNING'
	kept small
done
home RUNNING
umount small
mount -t tmpfs -o nr_inodes=2 tmpfs small
echo precious >small/image
status 1 "no room for another file" vfiomig save "$device" -o small/image
says 'No space left on device'
kept small
umount small

# A quota of tmpfs, if the kernel has quotas there
if mount -t tmpfs -o usrquota,usrquota_block_hardlimit=512k tmpfs small 2>/dev/null; then
	echo precious >small/image
		chmod 777 small
	# Quotas do not limit root.
	chown nobody "/dev/vfio/$(group_of "$other")"
	for how in '' --precopy=never; do
		status 1 "a quota${how:+, $how}" as_nobody \
			"XDG_RUNTIME_DIR=$PWD/small exec vfiomig save $other --via=group $how -o small/other"
		says 'Disk quota exceeded; the device is back in RUNNING'
		check "there is no image" test ! -e small/other
	done
	rm -r small/vfiomig
	kept small
	umount small
else
	echo "# this kernel has no quota on tmpfs"
fi

# A file system that cannot be written to
mount -t tmpfs tmpfs small
echo precious >small/image
mount -o remount,ro small
status 1 "a read-only file system" vfiomig save "$device" -o small/image
says 'small/image: Read-only file system'
kept small
umount small
home RUNNING

# Outputs that cannot be opened, and outputs that are open already
mknod block b 7 0
status 2 "a block device" vfiomig save "$device" -o block
says 'block is a block device, whose old contents would follow the new ones; write to a file'
status 1 "an empty name" vfiomig save "$device" -o ''
says "'': No such file or directory"
status 0 "standard error, by name" sh -c "exec vfiomig save $device -q --raw -o /dev/stderr 2>two"
vfiomig save "$device" -q --raw >out
check "standard error has the whole stream" cmp out two
exec 7>seven
status 0 "a descriptor, by number" vfiomig save "$device" -q --raw -o /dev/fd/7
exec 7>&-
check "the descriptor has the whole stream" cmp out seven

# The image, its summary and the messages go to different files. If they cannot, the save is refused
# before the device is touched.
together='the image and the messages would go to the same file; send standard error elsewhere, or use -q'
# separate NAME COMMAND: COMMAND writes the image to the file "one" and a summary to standard error
separate() {
	: >one
	status 0 "$1" sh -c "$2"
	cp $ERR log
	check "$1: the summary is on standard error" test "$(jq .complete log)" = true
	whole one
}
separate "--json -o /dev/stdout" "exec vfiomig save $device --json -o /dev/stdout >one"
separate "--json -o /proc/self/fd/1" "exec vfiomig save $device --json -o /proc/self/fd/1 >one"
separate "--json -o FILE >FILE" "exec vfiomig save $device --json -o one >one"
separate "--json -o /dev/fd/7 7>FILE >>FILE" "exec vfiomig save $device --json -o /dev/fd/7 7>one >>one"
separate "--json, standard output" "exec vfiomig save $device --json >one"
status 0 "--json -o /dev/null" vfiomig save "$device" --json -o /dev/null
cp $OUT log
check "the summary is on standard output" test "$(jq .complete log)" = true
for options in '' -qv '-q --progress=always'; do
	status 2 "$options >FILE 2>&1" sh -c "vfiomig save $device $options >one 2>&1; rc=\$?; cat one >&2; exit \$rc"
	says "$together"
	status 2 "$options -o /dev/stderr" sh -c "vfiomig save $device $options -o /dev/stderr 2>one; rc=\$?; cat one >&2; exit \$rc"
	says "$together"
	status 2 "$options 2>&1 | cat" sh -c "{ vfiomig save $device $options; echo \$? >rc; } 2>&1 | cat >&2; exit \$(cat rc)"
	says "$together"
done
status 2 "-q --json >FILE 2>&1" sh -c "vfiomig save $device -q --json >one 2>&1; rc=\$?; cat one >&2; exit \$rc"
says "$together"
status 0 "-q 2>&1 | cat" sh -c "vfiomig save $device -q 2>&1 | cat >one"
whole one
status 0 "-q --json -o /dev/stderr" sh -c "exec vfiomig save $device -q --json -o /dev/stderr 2>one"
cp $OUT log
check "the summary is on standard output" test "$(jq .complete log)" = true
whole one
home RUNNING

# A failure after the image has its name
echo precious >dir/image
status 1 "a directory that cannot be synced" inject fsync 2 EIO vfiomig save "$device" -o dir/image
says 'dir/image: Input/output error; the image is whole and has its name, but may not survive a power failure; the device is back in RUNNING'
whole dir/image
status 1 "a directory that cannot be synced, --json" inject fsync 2 EIO vfiomig save "$device" --leave=STOP --json -o dir/image
cp $OUT log
check "the summary says so" test "$(jq '(.complete | not) and (.error | contains("has its name")) and .state == "RUNNING"' log)" = true
echo precious >dir/image
status 1 "a file that cannot be synced" inject fsync 1 EIO vfiomig save "$device" -o dir/image
check "the message does not say that the image has its name" sh -c "! grep -q 'has its name' $ERR"
kept dir
home RUNNING

# A directory, with and without a slash at the end
status 1 "a directory" vfiomig save "$device" -o dir
says 'dir: Is a directory'
status 1 "a directory with a slash" vfiomig save "$device" -o dir/
says 'dir/: Is a directory'
status 1 "a file as a directory" vfiomig save "$device" -o dir/image/image
says 'dir/image/image: Not a directory'
kept dir

# A reader that goes away, at once and in the middle. The pipe has room for nearly all of the rest.
for bytes in 0 1 100; do
	status 1 "a reader that takes $bytes bytes" sh -c "{ vfiomig save $device --raw; echo \$? >rc; } |
		head -c $bytes >/dev/null; exit \$(cat rc)"
	says 'Broken pipe; the device is back in RUNNING'
done
mkfifo fifo
head -c 1000 fifo >/dev/null &
status 1 "a FIFO whose reader goes away" vfiomig save "$device" -o fifo
says 'Broken pipe; the device is back in RUNNING'
wait
home RUNNING
# "vfiomig save DEV | ssh host vfiomig restore DEV", when the connection ends
status 1 "an ssh that dies" sh -c "exec 4>&2 2>/dev/null
	{ vfiomig save $device --leave=STOP --raw 2>&4; echo \$? >rc; } |
	timeout -s KILL 0.5 sh -c 'head -c 50; exec sleep 10' >/dev/null; exit \$(cat rc)"
says 'the device is back in RUNNING'
status 5 "the restore at the other end of that connection" sh -c "vfiomig save $device -q | head -c 500000 | vfiomig restore $other --no-hold"
says 'the image is truncated'

# While a reader stops, the device waits, and nothing is lost.
for how in auto never; do
	vfiomig save "$device" -q --precopy=$how --raw -o fast
	vfiomig save "$device" -q --precopy=$how --raw | {
		sleep $stop
		cat
	} >slow
	check "a reader that stops, --precopy=$how" cmp fast slow
done
home RUNNING
# Nobody reads the FIFO. A signal ends the wait for a reader.
timeout -s INT 1 vfiomig save "$device" -o fifo 2>log
check "a signal ends the wait for a FIFO's reader" test $? -eq 130
home RUNNING

# An existing file
vfiomig save "$device" -q -o dir/image
whole dir/image
check "an existing file is replaced by one with mode 600" test "$(stat -c %a dir/image)" = 600
echo precious >dir/image
exec 8<dir/image
vfiomig save "$device" -q -o dir/image
check "a process that has the former file open keeps it" test "$(cat <&8)" = precious
exec 8<&-
whole dir/image

finish
