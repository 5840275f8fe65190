#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Streams that a device must refuse. After each, the status is 7, there is one line, the device is
# reset and works as before.
# guest: -m 1M -m 2M -s 600
# kernels: stock cdev 6.1

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

bigger=$other

fill "$device"
vfiomig save "$device" --raw -q -o image
vfiomig save "$bigger" --raw -q -o image-of-bigger
[ "$KERNEL" = 6.1 ] || vfiomig save "$mtty" --raw -q -o image-of-mtty
size=$(stat -c %s image)

# refused WHAT IMAGE DEVICE GOOD-IMAGE: DEVICE refuses IMAGE, and accepts GOOD-IMAGE afterwards
refused() {
	status 7 "$1: refused" vfiomig restore "$3" --no-hold --raw -i "$2"
	says 'the device had to be reset (its state is lost) and is now in RUNNING'
	check "$1: a good image is restored afterwards" vfiomig restore "$3" --no-hold --raw -i "$4"
	vfiomig save "$3" --raw -q -o after
	check "$1: the device has the good image's state" cmp after "$4"
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
for field in \
	"0 magic" "8 version" "12 granule" "16 memory size" "24 reserved in the header" \
	"32 record type" "36 reserved in the record" "40 offset" "44 far offset" "48 length" "52 huge length" \
	"56 first byte of memory" "500000 byte of memory" \
	"$regs type of the registers" "$((regs + 16)) length of the registers" "$((regs + 24)) interrupt mask" \
	"$end type of the end" "$((end + 16)) length of the end" "$((end + 24)) total length" "$((end + 32)) digest"; do
	flip "${field%% *}"
	refused "flipped bit in ${field#* }" bad "$device" image
done

for length in 1 31 32 55 56 57 4096 $((size / 2)) "$regs" $((regs + 24)) "$end" $((size - 1)); do
	head -c "$length" image >bad
	refused "truncated to $length bytes" bad "$device" image
done

{
	cat image
	echo x
} >bad
refused "extended by two bytes" bad "$device" image
cat image image >bad
refused "twice" bad "$device" image
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
