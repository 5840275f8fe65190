#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Streams that a device must refuse, also those that vfiomig refuses without --force. After each, the status is 7, there is
# one line, the device is reset and works as before.
# guest: -m 1M -m 2M -s 600
# kernels: stock

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

bigger=$other

fill "$device"
vfiomig save "$device" --raw -q -o image
vfiomig save "$bigger" --raw -q -o image-of-bigger
[ "$KERNEL" = 6.1 ] || vfiomig save "$mtty" --raw -q -o image-of-mtty
size=$(stat -c %s image)

# refused WHAT IMAGE DEVICE GOOD-IMAGE: DEVICE refuses IMAGE, and accepts GOOD-IMAGE afterwards. The driver logs
# ten lines of each device in five seconds at most, and of a refusal two at most. So each refusal waits for the end of
# the last one's share of that time.
refused() {
	wait
	sleep 1.25 &
	status 7 "$1: refused" vfiomig restore "$3" --no-hold --force --raw -i "$2"
	says 'the device was reset (its state is lost) and is now in RUNNING'
	check "$1: a good image is restored afterwards" vfiomig restore "$3" --no-hold --raw -i "$4"
	vfiomig save "$3" --raw -q -o after
	check "$1: the device has the good image's state" cmp after "$4"
}

# logged TEXT: the kernel's log said so a moment ago
logged() {
	dmesg | tail -n 4 >log
	contains log "the kernel's log says: $1" "migration: stream refused at byte $1"
}

# flip OFFSET: make "bad", a copy of the image with one bit changed
flip() {
	cp image bad
	byte=$(dd if=image bs=1 skip="$1" count=1 2>/dev/null | od -An -tu1)
	# shellcheck disable=SC2059 # the format is the byte
	printf "\\$(printf %o $((byte ^ 4)))" | dd of=bad bs=1 seek="$1" conv=notrunc 2>/dev/null
}

# The stream: header (32 bytes), records (24 bytes and data): memory, registers (8), end (16).
end=$((size - 40))
regs=$((end - 32))
bad_memory="32: a record has"
digest="$((end + 24)): the digest in the end record is wrong"
while read -r offset field <&3; do
	what=${field%%;*}
	flip "$((offset))"
	refused "flipped bit in $what" bad "$device" image
	logged "${field#*; }"
done 3<<END
0 magic; 0: not the state of an ivshmem device
8 version; 0: its version is 6, and this driver reads 1 to 2
12 granule; 0: its granule is 4100 bytes, not 4096
16 memory size; 0: its memory has 1048580 bytes, and this one's 1048576
24 vectors; 0: its device has 4 vectors, and this one 0
28 revision; 0: its device has revision 5, and this one 1
32 record type; 32: a record of type 5
36 reserved in the record; 32: a reserved field is not zero
40 offset; $bad_memory 65536 bytes of memory at 4
44 far offset; $bad_memory 65536 bytes of memory at 17179869184
48 length; $bad_memory 65540 bytes of memory at 0
52 huge length; $bad_memory 17179934720 bytes of memory at 0
56 first byte of memory; $digest
500000 byte of memory; $digest
$regs type of the registers; $regs: a record of type 6
$((regs + 16)) length of the registers; $regs: a bad record of the registers
$((regs + 24)) interrupt mask; $digest
$end type of the end; $end: a record of type 7
$((end + 16)) length of the end; $end: a bad end record
$((end + 24)) total length; $((end + 24)): the end record counts
$((end + 32)) digest; $digest
END

for length in $((size - 1)) 1 31 32 55 56 57 4096 $((size / 2)) "$regs" $((regs + 24)) "$end"; do
	head -c "$length" image >bad
	refused "truncated to $length bytes" bad "$device" image
	[ "$length" -lt $((size - 1)) ] || logged "$((size - 16)): it ends 15 bytes into the end record"
done

{
	cat image
	echo x
} >bad
refused "extended by two bytes" bad "$device" image
cat image image >bad
refused "twice" bad "$device" image
logged "$size: data after the end record"
refused "of a device with more memory" image-of-bigger "$device" image
refused "of a device with less memory" image "$bigger" image-of-bigger
# The memory is missing, but everything after it is there.
{
	head -c 32 image
	tail -c 72 image
} >bad
refused "without memory" bad "$device" image

# mtty of Linux 6.1 does not support migration.
[ "$KERNEL" != 6.1 ] || finish

refused "of another kind of device" image-of-mtty "$device" image
refused "mtty: of another kind of device" image "$mtty" image-of-mtty
head -c 95 image-of-mtty >bad
refused "mtty: truncated" bad "$mtty" image-of-mtty
{
	cat image-of-mtty
	echo
} >bad
refused "mtty: extended" bad "$mtty" image-of-mtty
{
	printf x
	tail -c +2 image-of-mtty
} >bad
refused "mtty: corrupted" bad "$mtty" image-of-mtty

finish
