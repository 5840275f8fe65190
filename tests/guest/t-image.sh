#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images of real devices: the right device, the wrong one, and damage on the way.
# guest: -m 16M -m 16M -m 32M -s 600
# kernels: stock

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

from=$device to=$other bigger=$third

# fill_half ADDRESS: noise in one half of the memory, and zeroes in the other one
fill_half() {
	fill "$1" 8388608
}

fill_half "$from"
before=$(bar "$from" digest)
for how in '' -z '-z -T4' --chunk-size=64K '--chunk-size=32M -z1'; do
	fill_half "$to"
	# shellcheck disable=SC2086 # words
	check "save $how" vfiomig save "$from" $how -o image
	check "zstd -t" zstd -tq image
	check "restore $how" vfiomig restore "$to" --no-hold -i image
	check "the memory is the same" test "$(bar "$to" digest)" = "$before"
	fill_half "$to"
	check "through a pipe $how" sh -c "vfiomig save $from $how | vfiomig restore $to --no-hold"
	check "the memory is the same again" test "$(bar "$to" digest)" = "$before"
done

# What the header says.
vfiomig save "$from" -z -o image
vfiomig inspect --json image >json
check "the image names its device" test "$(jq -r .header.device.name json)" = "$from"
check "its ids" test "$(jq -r '.header.device | .vendor + .device + .driver' json)" = 1af41110ivshmem_vfio_pci
check "its flags" test "$(jq -c .header.migration json)" = '["STOP_COPY","P2P","PRE_COPY"]'
check "its configuration space" test "$(jq -r .header.config json | cut -c1-8)" = f41a1011
check "what was expected" test "$(jq .header.expected_bytes json)" -eq "$(jq .trailer.bytes json)"
check "inspect" sh -c "vfiomig inspect --verify image | grep -q '^device: *$from$'"
vfiomig save "$from" --raw -o raw
check "unpack gives the kernel's bytes" sh -c "vfiomig unpack image | cmp - raw"
check "and so does zstd -dc" sh -c "zstd -dcq image | cmp - raw"
check "pack makes an image that is restored" sh -c "vfiomig pack raw | vfiomig restore $to --no-hold"

vfiomig save "$mtty" -o image-of-mtty
check "mtty: its type" test "$(vfiomig inspect --json image-of-mtty | jq -r .header.device.mdev_type)" = mtty-2
check "mtty: restore" vfiomig restore "$other_mtty" --no-hold -i image-of-mtty

# Another device: refused before it is touched, from a file and from a pipe.
fill_half "$to"
held=$(bar "$to" digest)
status 6 "an image of another device" vfiomig restore "$to" --no-hold -i image-of-mtty
says "the image is of another device: its bus is mdev, this one's is pci"
status 6 "from a pipe" sh -c "cat image-of-mtty | vfiomig restore $to --no-hold"
status 6 "mtty too" vfiomig restore "$mtty" --no-hold -i image
check "the device was not touched" test "$(bar "$to" digest)" = "$held"
status 7 "--force: the driver refuses it" vfiomig restore "$to" --no-hold --force -i image-of-mtty
status 7 "more memory: the driver refuses it" vfiomig restore "$bigger" --no-hold -i image

# Damaged images. From a file: the device is not even touched.
damaged() {
	fill_half "$to"
	held=$(bar "$to" digest)
	status 5 "$1" vfiomig restore "$to" --no-hold -i bad
	says "$2"
	check "$1: the device was not touched" test "$(bar "$to" digest)" = "$held"
	status 5 "$1, from a pipe" sh -c "cat bad | vfiomig restore $to --no-hold"
	check "$1: it works afterwards" vfiomig restore "$to" --no-hold -q -i image
}
size=$(stat -c %s image)
head -c $((size - 1)) image >bad
damaged "truncated" "the image is truncated"
cp image bad
printf x | dd of=bad bs=1 seek=1000000 conv=notrunc 2>/dev/null
damaged "a flipped byte" "the image is damaged"
{
	cat image
	echo
} >bad
damaged "something after the trailer" "something follows its trailer"
cp raw bad
damaged "raw state" "not an image of vfiomig; raw state needs --raw"
zstd -qf raw -o bad
damaged "a zstd file" "a plain zstd file"
: >bad
damaged "an empty file" "the image is empty"

# From a pipe, damage at the end is found when the device is RESUMING: reset.
head -c $((size - 1)) image >bad
status 5 "truncated, from a pipe" sh -c "cat bad | vfiomig restore $to --no-hold"
says 'the device had to be reset (its state is lost) and is now in RUNNING'
status 5 "truncated, not verified" vfiomig restore "$to" --no-hold --no-verify -i bad
says 'the device had to be reset (its state is lost) and is now in RUNNING'
check "it works afterwards" vfiomig restore "$to" --no-hold -q -i image

# The image cannot be kept: a device that was to be left elsewhere comes home.
mkdir small
mount -t tmpfs -o size=256k tmpfs small
status 1 "a full disk, --leave=stop" vfiomig save "$mtty" --leave=stop -o small/x/y
status 1 "a full disk" vfiomig save "$from" --leave=stop -o small/image
says 'No space left on device; the device is back in RUNNING'
check "nothing is left" test -z "$(ls -A small)"

# Whatever of the image cannot be written (its last part is the trailer), cannot be synced or gets no name: the state
# is not saved, so the device comes home.
vfiomig hold "$mtty" -q
for call in writev fsync renameat; do
	n=1
	while
		rc=0
		inject $call $n EIO vfiomig save "$mtty" --leave=stop -q -o new 2>log || rc=$?
		test $rc -ne 99
	do
		check "$call $n fails, --leave=stop: status 1" test $rc -eq 1
		check "the device is RUNNING" test "$(vfiomig state "$mtty")" = RUNNING
		n=$((n + 1))
	done
	check "$call: that is all of them" test $n -gt 1 -a "$(vfiomig state "$mtty")" = STOP
	vfiomig state "$mtty" RUNNING -q >out
done
# An arc home that fails comes after the image, which is kept: it may be all that is left of the state.
n=1 kept=0
while
	rc=0
	rm -f new
	inject ioctl $n EIO vfiomig save "$mtty" -q -o new 2>log || rc=$?
	test $rc -ne 99
do
	if [ $rc -ne 0 ] && [ -e new ]; then
		kept=$((kept + 1))
		check "ioctl $n fails: status 1 or 7" test $rc -eq 1 -o $rc -eq 7
		check "one line says that the image is whole" test "$(grep -c 'the image is whole; the device' log)" = "$(wc -l <log)"
		check "which it is" vfiomig inspect --verify new
	fi
	n=$((n + 1))
done
check "there were such" test $kept -gt 0
vfiomig release "$mtty" -q

# The one thing that is not in the device's stream.
pci-command "$from" >tap 2>&1 || cat tap
check "the command register" test "$(grep -c '^ok' tap)" -eq 6

finish
