#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images of real devices: restored into the right device, into a wrong one, and after damage.
# guest: -m 4M -m 4M -m 8M -s 600
# kernels: stock

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

from=$device to=$other bigger=$third

# fill_half ADDRESS: put noise into one half of the memory, and zeroes into the other one
fill_half() {
	fill "$1" 2097152
}

fill_half "$from"
before=$(bar "$from" digest)
for how in '' -z '--chunk-size=256K -z -T4' --chunk-size=64K '--chunk-size=32M -z1'; do
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

# The header
vfiomig save "$from" -z -o image
vfiomig inspect --json image >json
check "the image names its device" test "$(jq -r .header.device.name json)" = "$from"
check "the image has the device's ids" test "$(jq -r '.header.device | .vendor + .device + .driver' json)" = 1af41110ivshmem_vfio_pci
check "the image has the migration flags" test "$(jq -c .header.migration json)" = '["STOP_COPY","P2P","PRE_COPY"]'
check "the image has the configuration space" test "$(jq -r .header.config json | cut -c1-8)" = f41a1011
check "the expected size was right" test "$(jq .header.expected_bytes json)" -eq "$(jq .trailer.bytes json)"
check "inspect" sh -c "vfiomig inspect --verify image | grep -q '^device: *$from$'"
vfiomig save "$from" --raw -o raw
check "unpack gives the kernel's bytes" sh -c "vfiomig unpack image | cmp - raw"
check "zstd -dc gives the kernel's bytes" sh -c "zstd -dcq image | cmp - raw"
check "pack makes an image that is restored" sh -c "vfiomig pack raw | vfiomig restore $to --no-hold"

vfiomig save "$mtty" -o image-of-mtty
check "mtty: the image has the type" test "$(vfiomig inspect --json image-of-mtty | jq -r .header.device.mdev_type)" = mtty-2
check "mtty: restore" vfiomig restore "$other_mtty" --no-hold -i image-of-mtty

# An image of another device is refused before the device is touched, from a file and from a pipe.
fill_half "$to"
held=$(bar "$to" digest)
status 6 "an image of another device" vfiomig restore "$to" --no-hold -i image-of-mtty
says "the image is of another device: its bus is mdev, this one's is pci"
status 6 "from a pipe" sh -c "cat image-of-mtty | vfiomig restore $to --no-hold"
status 6 "mtty: an image of another device" vfiomig restore "$mtty" --no-hold -i image
check "the device was not touched" test "$(bar "$to" digest)" = "$held"
status 7 "--force: the driver refuses it" vfiomig restore "$to" --no-hold --force -i image-of-mtty
status 6 "more memory" vfiomig restore "$bigger" --no-hold -i image
says "the state is of another device: its memory_size is"
status 7 "more memory, --force: the driver refuses it" vfiomig restore "$bigger" --no-hold --force -i image

# damaged NAME TEXT: the image "bad" is refused with TEXT. From a file, it is refused before the
# device is touched.
damaged() {
	fill_half "$to"
	held=$(bar "$to" digest)
	status 5 "$1" vfiomig restore "$to" --no-hold -i bad
	says "$2"
	check "$1: the device was not touched" test "$(bar "$to" digest)" = "$held"
	status 5 "$1, from a pipe" sh -c "cat bad | vfiomig restore $to --no-hold"
	check "$1: a good image can be restored afterwards" vfiomig restore "$to" --no-hold -q -i image
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
damaged "raw state" "not an image of vfiomig; \"vfiomig pack\" makes one of raw state"
zstd -qf raw -o bad
damaged "a zstd file" "a plain zstd file"
: >bad
damaged "an empty file" "the image is empty"

# From a pipe, damage at the end is found while the device is RESUMING, so the device is reset.
head -c $((size - 1)) image >bad
status 5 "truncated, from a pipe" sh -c "cat bad | vfiomig restore $to --no-hold"
says 'the device was reset (its state is lost) and is now in RUNNING'
status 5 "truncated, not verified" vfiomig restore "$to" --no-hold --no-verify -i bad
says 'the device was reset (its state is lost) and is now in RUNNING'
check "a good image can be restored afterwards" vfiomig restore "$to" --no-hold -q -i image

# The image cannot be written: the device comes home, although --leave names another state.
mkdir small
mount -t tmpfs -o size=256k tmpfs small
status 1 "a full disk, --leave=stop" vfiomig save "$mtty" --leave=stop -o small/x/y
status 1 "a full disk" vfiomig save "$from" --leave=stop -o small/image
says 'No space left on device; the device is back in RUNNING'
check "nothing is left" test -z "$(ls -A small)"

# Whichever part of the image cannot be written (the last part is the trailer), and if the image
# cannot be synced or gets no name, the state is not saved. So the device comes home.
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
	check "$call: each call has failed once" test $n -gt 1 -a "$(vfiomig state "$mtty")" = STOP
	vfiomig state "$mtty" RUNNING -q >out
done
# If an arc fails on the way home, the image is complete already. It is kept, because it may be all
# that is left of the state.
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
		check "the image is whole" vfiomig inspect --verify new
	fi
	n=$((n + 1))
done
check "some of the failed ioctls came after the image" test $kept -gt 0
vfiomig release "$mtty" -q

# The command register is not in the device's stream.
pci-command "$from" >tap 2>&1 || cat tap
check "the command register" test "$(grep -c '^ok' tap)" -eq 6

finish
