#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# inspect --records: the streams of all formats that are known, as they are, cut, damaged, and in images.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
PATH=$PWD/${VFIOMIG_BUILD:-build}:$PATH
stream() {
	perl "$make" "$@"
}
make=$PWD/tests/host/make-stream.pl
cd "$work" || exit

# lists TEXT: the last command's output has this line, whatever the spaces
lists() {
	tr -s ' ' <"$OUT" >lines
	contains lines "it lists: $1" "$1"
}

for format in hisi_acc ivshmem mlx5 mtty qat virtio xe; do
	# shellcheck disable=SC2094 # a format and a file
	stream "$format" >$format
	status 0 "$format" vfiomig inspect --records --driver=$format $format
	lists "format $format"
	lists "end whole"
	status 0 "$format: nobody says whose it is" vfiomig inspect --records $format
	lists "format $format"
	status 0 "$format: from a pipe" sh -c "cat $format | vfiomig inspect --records --json"
	check "$format: an object" jq -e '.end == "whole" and .format == "'$format'" and .bytes == '"$(stat -c %s $format)" "$OUT"
	# The outermost records are the whole stream. What qat does not use is opaque.
	# shellcheck disable=SC2016 # the $r is jq's
	check "$format: the records follow each other" jq -e '[.records[] | select(.depth == 0)] as $r |
		([$r[].size] | add) == .bytes and ([range(1; $r | length) | $r[.].offset == $r[. - 1].offset + $r[. - 1].size] | all)' "$OUT"
	# Fields and records are inside of the record before them.
	check "$format: the summary is that of the records" jq -e '(.types | map(.records) | add) ==
		([.records[] | select(.depth == 0 and .type == "record")] | length) + ([.records[] | select(.depth == 0 and .type == "opaque")] | length)' "$OUT"
	cp "$OUT" whole
	vfiomig pack -z --chunk-size=64K $format -o image
	status 0 "$format: an image" vfiomig inspect --records --json --driver=$format image
	check "$format: the same" cmp whole "$OUT"
	status 0 "$format: an image from a pipe" sh -c "cat image | vfiomig inspect --records --json"
	check "$format: the same" cmp whole "$OUT"
	head -c -1 $format >short
	status 5 "$format: cut" vfiomig inspect --records --driver=$format short
	says "vfiomig: inspect: the stream ends"
	lists "end cut"
	head -c 30 /dev/urandom | tr '\0-\377' '\200' >noise
	status 0 "$format: noise is opaque" vfiomig inspect --records --driver=$format noise
	lists "0 30 opaque unknown"
	lists "end unknown: the stream is of an unknown format"
done

# A record in five bytes: who does not read the list need not wait for the end of the state.
printf '\005\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0abcde' >many
for _ in $(seq 21); do
	cat many many >twice
	mv twice many
done
# shellcheck disable=SC2016 # the inner shell's
status 1 "nobody reads the list" sh -c '(vfiomig inspect --records --driver=mlx5 -; echo $? >rc; wc -c >left) <many | head -n 3 >/dev/null; exit $(cat rc)'
says "vfiomig: standard output: Broken pipe"
check "one line says so" test "$(wc -l <"$ERR")" -eq 1
check "most of the state was not read" test "$(cat left)" -gt 10000000

status 0 "mlx5" vfiomig inspect --records mlx5
lists "0 24 record STOP_COPY_SIZE"
lists "16 8 u64 stop_copy_size = 8388608"
lists "24 10016 record FW_DATA"
lists "FW_DATA 2 records, 11032 bytes"
status 0 "virtio" vfiomig inspect --records virtio
lists "16 32 record DEV_FEATURES"
lists "u64 features[0] = 0x130000000"
lists "u16 queue_size = 256"
lists "u16 queue_notif_config_data ="
# A register each, as devices give them: with its own name, if there is a register of that size at this offset
perl -e '
	sub part { my ($offset, $value) = @_; return pack("S<S<Q<L<", 0x102, 0, $offset, length $value) . $value }
	my $parts = part(18, pack("S<", 7)) . part(52, pack("L<", 0x1234)) . part(19, pack("S<", 1)) . part(0, pack("L<", 5));
	print pack("Q<L<L<", length $parts, 0, 0) . $parts' >registers
status 0 "registers of virtio" vfiomig inspect --records registers
lists "u16 num_queues = 7"
lists "u32 queue_used_hi = 0x1234"
lists "u32 device_feature_select = 5"
check "no other register is named" test "$(grep -c -E ' u(16|32) +(num_queues|queue_used_hi|device_feature_select) ' "$OUT")" -eq 3 -a \
	"$(grep -c 'record .* PCI_COMMON_CFG' "$OUT")" -eq 4 -a "$(grep -c 'selector =' "$OUT")" -eq 4
status 0 "xe" vfiomig inspect --records xe
lists "28 4 u32 device = 0xb080"
lists "record TRAILER"
status 0 "qat" vfiomig inspect --records qat
lists "0 90 record setup"
lists "48 4 u32 value = 0x1f"
lists "opaque unused"
status 0 "mtty" vfiomig inspect --records mtty
lists "16 4 u32 nr_ports = 2"
status 0 "mtty, the bytes" vfiomig inspect --records --json mtty
check "bytes are digits" jq -e '[.records[] | select(.name == "uart_reg")][0].value | test("^[0-9a-f]{16}$")' "$OUT"

head -c 100 mlx5 >short
status 5 "in the middle of a record" vfiomig inspect --records --driver=mlx5 short
says "the stream ends in the middle of record 2 (FW_DATA, 76 of 10016 bytes)"
status 5 "the same as an object" vfiomig inspect --records --json --driver=mlx5 short
check "it says so" jq -e '.end == "cut" and (.sentence | test("in the middle of record 2"))' "$OUT"
{
	cat xe
	echo more
} >long
status 5 "something after the end" vfiomig inspect --records long
says "the stream goes on for 5 bytes after its end"
lists "5 opaque beyond the end"

# Damaged images, and what is no state
vfiomig pack --chunk-size=64K xe -o image
printf x | dd of=image bs=1 seek=15000 conv=notrunc 2>/dev/null
status 5 "a damaged image" vfiomig inspect --records image
says "chunk 0"
stream mlx5 200000 >large
vfiomig pack --chunk-size=64K large -o image
printf x | dd of=image bs=1 seek=150000 conv=notrunc 2>/dev/null
status 5 "a damaged image, after some records" vfiomig inspect --records --json image
check "what is printed is an object" jq -e '.error | test("chunk 2")' "$OUT"
status 5 "nothing" sh -c ": | vfiomig inspect --records"
says "there is no state: the input is empty"
status 5 "nothing, as an object" sh -c ": | vfiomig inspect --records --json"
check "the object says so" jq -e '.error | test("the input is empty")' "$OUT"
zstd -q xe -o xe.zst
status 5 "a zstd file" vfiomig inspect --records xe.zst
says "zstd -dc"

status 2 "a driver that nobody knows" vfiomig inspect --records --driver=e1000 xe
says "the format of 'e1000' is not known, only those of qat ivshmem hisi_acc mtty xe virtio mlx5"
status 2 "a driver without records" vfiomig inspect --driver=xe xe
says "--driver goes with --records"
status 2 "both ways to look" vfiomig inspect --records --verify xe
says "--records checks all of an image; leave out --verify"
status 0 "the name of the driver" vfiomig inspect --records --driver=xe-vfio-pci xe
status 0 "with '_' for '-'" vfiomig inspect --records --driver=xe_vfio_pci xe
for called in xen xe_ xe-foo mlx5_foo mlx5_vfio_pci_ mtty_vfio_pci ''; do
	status 2 "another name: '$called'" vfiomig inspect --records --driver="$called" xe
	says "the format of '$called' is not known, only those of qat ivshmem hisi_acc mtty xe virtio mlx5"
done

# An unknown number of unknown types takes no memory.
{
	head -c 24 mlx5
	perl -e 'print pack("Q<L<L<a3", 3, 1, 100 + $_, "abc") for 1 .. 49999'
} >types
status 0 "50000 types" vfiomig inspect --records --json --driver=mlx5 types
check "the summary is short" jq -e '(.types | length) == 16 and .types[15].name == "others" and (.types | map(.records) | add) == 50000' "$OUT"

# A stream of many records, in bounded memory. The sanitizers take more.
if [ -z "${VFIOMIG_BUILD-}" ]; then
	head -c 400M /dev/zero | perl -e '$/ = \4194288; while (<STDIN>) { print pack("Q<L<L<", length, 0, 0), $_ }' >big
	check "in 300 MB" sh -c "ulimit -d 300000; exec vfiomig inspect --records --driver=mlx5 big >/dev/null"
fi

finish
