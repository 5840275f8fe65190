#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# diff: where two states differ, in each format that is known, in images and in raw state.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
top=$PWD
program=$top/${VFIOMIG_BUILD:-build}/vfiomig
cd "$work" || exit

vfiomig() {
	"$program" "$@"
}

stream() {
	perl "$top/tests/host/make-stream.pl" "$@"
}

# lists TEXT: the output has this text, whatever the number of spaces
lists() {
	tr -s ' ' <"$OUT" >"$work/squeezed"
	check "it has: $1" grep -q -F -e "$1" "$work/squeezed"
}

# change FILE OFFSET: another byte there
change() {
	perl -e '
		open my $f, "+<:raw", $ARGV[0] or die;
		seek $f, $ARGV[1], 0;
		read $f, my $byte, 1;
		seek $f, $ARGV[1], 0;
		print $f chr(ord($byte) ^ 0x11)' "$1" "$2"
}

# ---- Each format ------------------------------------------------------------

# where FORMAT OFFSET TEXT: a change there is told so, and nothing else
where() {
	cp "$1" changed
	change changed "$2"
	status 1 "$1: byte $2" vfiomig diff --driver="$1" "$1" changed
	lists "$3"
	check "$1: byte $2: it is the only difference" grep -q -x 'the states differ in 1 place' "$OUT"
	status 1 "$1: byte $2, as an object" vfiomig diff --json --driver="$1" "$1" changed
	check "$1: byte $2: the object has it" jq -e "(.differences | length) == 1 and (.equal | not) and .format == null and
		.a.format == \"$1\" and .differences[0].a_offset <= $2 and .differences[0].a_offset + .differences[0].a_size > $2 and
		.differences[0].a != .differences[0].b and .differences[0].b_offset == .differences[0].a_offset" "$OUT"
}

for format in hisi_acc ivshmem mlx5 mtty qat virtio xe; do
	# shellcheck disable=SC2094 # a name, and not a file that is read
	stream $format >$format
	status 0 "$format: equal" vfiomig diff $format $format
	lists "the states are equal"
	check "$format: no difference" sh -c "! grep DIFFERENCE '$OUT'"
	status 0 "$format: equal, as an object" vfiomig diff --json $format $format
	check "$format: the object" jq -e ".equal and .differences == [] and .a.format == \"$format\" and .b.driver != null and
		.a.header == null and .a_end == \"whole\" and .b_sentence == \"the stream is whole\" and
		.a_bytes == $(stat -c %s $format) and (.types | map(select(.depth == 0) | .a_bytes) | add) == .a_bytes and
		(.types | all(.equal == .a_records and .a_records == .b_records and .different == 0 and .a_only == 0))" "$OUT"
	vfiomig pack -z --chunk-size=64K $format -o $format.image
	status 0 "$format: an image" sh -c "cat $format.image | '$program' diff - $format --driver=$format"
	lists "the states are equal"
	# Whatever byte it is, it is found.
	size=$(stat -c %s $format)
	for at in 0 1 7 9 17 29 31 40 66 83 $((size / 2)) $((size - 9)) $((size - 1)); do
		cp $format changed
		change changed $at
		status 1 "$format: another byte $at" vfiomig diff --driver=$format $format changed
		status 1 "$format: another byte $at, quietly" vfiomig diff -q --driver=$format $format changed
		check "nothing is printed" sh -c "! cat '$OUT' '$ERR' | grep ."
		head -c $at $format >short
		[ "$at" -eq 0 ] || status 1 "$format: $at bytes of it" vfiomig diff --driver=$format short $format
	done
done

where hisi_acc 8 "8 8 match: qp_num = 64 | 81"
where hisi_acc 88 "88 88 registers: qm_eqc_dw[6] ="
where ivshmem 60 "60 60 MEM offset=0: 1 byte"
where mlx5 17 "16 16 STOP_COPY_SIZE: stop_copy_size = 8388608 | 8392960"
where mlx5 5000 "5000 5000 FW_DATA: 1 byte"
where mtty 24 "24 24 ports/port: uart_reg = "
where mtty 53 "53 53 ports/port: 1 byte"
where qat 68 "68 68 setup/CONFIG/svcmap: value = 0x71c | 0x70d"
where qat 4000 "4000 4000 unused: 1 byte"
where virtio 96 "96 96 DEVICE_DATA/PCI_COMMON_CFG selector=0: device_feature_select = 0 | 17"
where virtio 186 "185 185 DEVICE_DATA/VQ_CFG selector=0: queue_size ="
where virtio 233 "233 233 DEVICE_DATA/VQ_CFG selector=1: queue_size ="
where xe 28 "28 28 DESCRIPTOR tile_id=0 gt_id=0 offset=0/DEVICE_DEVID: device = 0xb080 | 0xb091"
where xe 10180 "10180 10180 VRAM tile_id=0 gt_id=0 offset=0: 1 byte"

# A record is different if something in it is.
cp mtty changed
change changed 24
status 1 "in a record" vfiomig diff mtty changed
lists "ports 1 in A, 1 in B: 1 different"
lists "ports/port 2 in A, 2 in B: 1 equal, 1 different"
cp qat changed
change changed 2000
status 1 "in a record of a record" vfiomig diff qat changed
for type in state state/ETRBAR; do
	lists "$type 1 in A, 1 in B: 1 different"
done
lists "setup 1 in A, 1 in B: 1 equal"

# The bytes are dumped, of both states.
cp mlx5 changed
change changed 5000
vfiomig diff mlx5 changed >"$OUT"
check "a dump of A" grep -q -E '^< +5000  [0-9a-f]{2} +\|.\|$' "$OUT"
check "a dump of B" grep -q -E '^> +5000  [0-9a-f]{2} +\|.\|$' "$OUT"
change changed 5015
change changed 6000
status 1 "ranges" vfiomig diff mlx5 changed
lists "5000 5000 FW_DATA: 16 bytes"
lists "6000 6000 FW_DATA: 1 byte"
change changed 5031
status 1 "more than 16 equal bytes end a range" vfiomig diff mlx5 changed
lists "5000 5000 FW_DATA: 32 bytes"
change changed 5031
change changed 5032
status 1 "more than 16 equal bytes end a range" vfiomig diff mlx5 changed
lists "5000 5000 FW_DATA: 16 bytes"
lists "5032 5032 FW_DATA: 1 byte"
cp mlx5 changed
for at in $(seq 1000 100 4000); do
	change changed "$at"
done
status 1 "many ranges" vfiomig diff mlx5 changed
lists "the states differ in 31 places"
check "the first 16 are dumped" test "$(grep -c '^<' "$OUT")" -eq 16

# ---- What is inserted or left out -------------------------------------------

perl -e '
	sub record { my ($tag, $data) = @_; return pack("Q<L<L<", length $data, 0, $tag) . $data }
	sub part { my ($type, $selector, $value) = @_; return pack("S<S<Q<L<", $type, 0, $selector, length $value) . $value }
	sub queue { my ($i, $size) = @_; return part(0x104, $i, pack("S<4Q<3", $size, $i, 1, 0, 1, 2, 3)) }
	sub put { my ($name, $text) = @_; open my $f, ">:raw", $name or die; print $f $text; close $f }
	my @images = map { record(0, chr(65 + $_) x 100000) } 0 .. 9;
	my $size = record(1, pack("Q<", 5));
	put("rounds", join "", $size, @images);
	put("more-rounds", join "", $size, @images[0 .. 3], record(0, "inserted" x 1000), @images[4 .. 9]);
	my @queues = map { queue($_, 256) } 0 .. 3;
	my $status = part(0x103, 0, "\x0f");
	my $count = part(0x102, 18, pack("S<", 4));
	put("queues", record(0, join "", $status, $count, @queues));
	put("more-queues", record(0, join "", $status, $count, $queues[0], queue(1, 512), queue(9, 256), @queues[2, 3]));
	put("fewer-registers", record(0, join "", $status, part(0x102, 20, "\x0f"), @queues));
	put("twice", record(0, join "", $status, $count, @queues) x 2);'
status 1 "a record more in B" vfiomig diff --driver=mlx5 rounds more-rounds
lists "- 400088 FW_DATA: only in B, 8016 bytes"
lists "FW_DATA 10 in A, 11 in B: 10 equal, 1 only in B"
lists "the states differ in 1 place"
status 1 "a record more in A" vfiomig diff --driver=mlx5 more-rounds rounds
lists "400088 - FW_DATA: only in A, 8016 bytes"
lists "FW_DATA 11 in A, 10 in B: 10 equal, 1 only in A"
lists "the states differ in 1 place"
status 1 "one more, as an object" vfiomig diff --json --driver=mlx5 rounds more-rounds
check "it has no place in A" jq -e '.differences == [{ "kind": "record", "path": "FW_DATA", "b_offset": 400088, "b_size": 8016 }]' "$OUT"
status 1 "a part more, and another one" vfiomig diff queues more-queues
lists "0 0 DEVICE_DATA: record_size = 227 | 275"
lists "DEVICE_DATA/VQ_CFG selector=1: queue_size = 256 | 512"
lists "DEVICE_DATA/VQ_CFG selector=9: only in B, 48 bytes"
lists "the states differ in 3 places"
lists "DEVICE_DATA/VQ_CFG 4 in A, 5 in B: 3 equal, 1 different, 1 only in B"
check "no more is told of parts that are equal" sh -c "! grep STATUS '$OUT'"
status 1 "other registers" vfiomig diff queues fewer-registers
lists "DEVICE_DATA/PCI_COMMON_CFG selector=18: only in A, 18 bytes"
lists "DEVICE_DATA/PCI_COMMON_CFG selector=20: only in B, 17 bytes"
status 1 "a record with others in it" vfiomig diff queues twice
lists "- 243 DEVICE_DATA: only in B, 243 bytes"
lists "the states differ in 7 places"
check "what is in it is not told" test "$(grep -c 'only in B, ' "$OUT")" -eq 1

# The pages of a second pass, before the end
perl -e '
	sub record { my ($type, $at, $data) = @_; return pack("L<L<Q<Q<", $type, 0, $at, length $data) . $data }
	sub put { my ($name, @records) = @_; open my $f, ">:raw", $name or die; print $f pack("a8L<L<Q<L<L<", "ivshmem", 2, 4096, 0, 1, 1), @records,
		record(2, 0, "\0" x 8), record(3, 0, "\0" x 16); close $f }
	my @pages = map { record(1, 64 * $_, pack("Q<", $_) x 8) } 0 .. 39999;
	my @again = map { record(1, 64 * $_, pack("Q<", ~$_) x 8) } 0 .. 29999;
	put("pass", @pages);
	put("passes", @pages, @again);
	put("late", @pages[30000 .. 39999]);
	put("holes", @pages[grep { $_ % 7 } 0 .. 39999]);
	put("others", map { $_ % 5 ? $pages[$_] : record(1, 64 * $_, pack("Q<", 1) x 8) } 0 .. 39999);'
status 1 "30000 records more" vfiomig diff pass passes
lists "MEM 40000 in A, 70000 in B: 40000 equal, 30000 only in B"
lists "END 1 in A, 1 in B: 1 equal"
status 1 "30000 records fewer" vfiomig diff passes pass
lists "MEM 70000 in A, 40000 in B: 40000 equal, 30000 only in A"
status 1 "each seventh one is not there" vfiomig diff pass holes
lists "MEM 40000 in A, 34285 in B: 34285 equal, 5715 only in A"
status 1 "each fifth one is another one" vfiomig diff pass others
lists "MEM 40000 in A, 40000 in B: 32000 equal, 8000 different"

# ---- Formats that are not known, or not the same ----------------------------

head -c 1000000 /dev/urandom | tr '\0-\377' '\200' >noise
cp noise other
printf 'x' | dd of=other bs=1 seek=500000 conv=notrunc 2>/dev/null
status 1 "an unknown format" vfiomig diff noise other
lists "500000 500000 unknown: 1 byte"
head -c 999000 noise >short
status 1 "it goes on" vfiomig diff noise short
lists "999000 999000 unknown: 1000 bytes only in A"
status 1 "it goes on in B" vfiomig diff short noise
lists "999000 999000 unknown: 1000 bytes only in B"
status 1 "other formats" vfiomig diff xe qat
lists "their formats are not the same: they were compared byte by byte"
lists "A xe: 20380 bytes (19.9 KiB), xe"
lists "B qat: 4096 bytes (4.0 KiB), qat"
head -c 100 mlx5 >short
status 1 "the stream is cut off" vfiomig diff --driver=mlx5 mlx5 short
lists "100 100 FW_DATA: 9940 bytes only in A"
lists "10040 - FW_DATA: only in A, 1016 bytes"
lists "ends in the middle of record 2 (FW_DATA, 76 of 10016 bytes)"
status 0 "the same, cut off" vfiomig diff --driver=mlx5 short short
status 1 "cut off, as an object" vfiomig diff --json --driver=mlx5 mlx5 short
check "a record that is cut off is as long as what is there of it" jq -e '.a_bytes == 11056 and .b_bytes == 100 and
	(.types | map(.a_bytes) | add) == .a_bytes and (.types | map(.b_bytes) | add) == .b_bytes' "$OUT"
status 1 "only one has a record that is cut off" sh -c "head -c 24 mlx5 | '$program' diff --json --driver=mlx5 - short"
check "it is as long as what is there of it" jq -e '.differences == [{ kind: "record", path: "FW_DATA", b_offset: 24, b_size: 76 }]' "$OUT"
head -c 2000 qat >short
status 1 "cut off, with records in records" vfiomig diff --json --driver=qat qat short
check "records in records: what is there" jq -e '[.types[] | select(.depth == 0)] | map(.b_bytes) | add == 2000' "$OUT"

# ---- Images -----------------------------------------------------------------

vfiomig pack xe -o a
vfiomig pack -z xe -o b
status 0 "images" vfiomig diff a b
lists 'header: compression = none | zstd'
lists "the states are equal"
status 0 "images, as objects" vfiomig diff --json a b
check "their headers" jq -e '.a.header.compression == "none" and .b.header.compression == "zstd"' "$OUT"
status 0 "an image, quietly" vfiomig diff -s a b
check "nothing is printed" sh -c "! cat '$OUT' '$ERR' | grep ."
status 1 "an object, quietly" vfiomig diff -q --json mtty qat
check "it is all there" jq -e '.differences != [] and .equal == false' "$OUT"
status 0 "pipes" sh -c "mkfifo fifo; cat a >fifo & '$program' diff fifo - <b"
printf x | dd of=b bs=1 seek=5000 conv=notrunc 2>/dev/null
status 5 "a damaged image" vfiomig diff a b
says "vfiomig: diff: B: the image is damaged: chunk 0"
# The frames of one image, and the trailer of another one: each of them is good.
cp xe changed
change changed 5000
vfiomig pack changed -o c
perl -0777 -e '
	my ($frames, $trailer) = map { open my $f, "<:raw", $_ or die; <$f> } @ARGV;
	my ($end, $begin) = map { rindex($_, "\x5b\x2a\x4d\x18") - 12 } $frames, $trailer;
	print substr($frames, 0, $end), substr($trailer, $begin)' c a >mixed
status 5 "the trailer of another image" vfiomig diff mixed xe
says "vfiomig: diff: A: the image is damaged: its chunks are not those that were written"
status 5 "the same, both" vfiomig diff mixed changed
head -c -10 a >short
status 5 "an image without its end" vfiomig diff short xe
says "vfiomig: diff: A: the image is truncated"
says "; the 20380 bytes before that are equal"
status 5 "the same, as an object" vfiomig diff --json short xe
check "what is printed is an object" jq -e '(.error | test("A: the image is truncated")) and .differences == [] and
	(.types | map(select(.depth == 0) | .a_bytes) | add) == 20380 and (has("equal") | not)' "$OUT"

# What comes before the damage is compared, and nothing after it.
cp rounds changed
change changed 200055
change changed 800055
for name in rounds changed more-rounds; do
	vfiomig pack -q --chunk-size=64K $name -o $name.damaged
	printf x | dd of=$name.damaged bs=1 seek=400500 conv=notrunc 2>/dev/null
done
before="; the 589824 bytes before that"
status 5 "damage, and equal up to there" vfiomig diff --driver=mlx5 rounds rounds.damaged
says "vfiomig: diff: B: the image is damaged: chunk 9"
says "$before are equal"
lists "FW_DATA 6 in A, 6 in B: 6 equal"
check "nothing is said of what comes behind it" sh -c "! grep -e 'only in' -e 'the states' -e DIFFERENCE '$OUT'"
status 5 "damage, and equal up to there, quietly" vfiomig diff -q --driver=mlx5 rounds rounds.damaged
for pair in 'rounds changed.damaged B' 'changed.damaged rounds A' 'changed rounds.damaged B'; do
	# shellcheck disable=SC2086 # words
	set -- $pair
	status 5 "a difference before the damage: $1 $2" vfiomig diff --driver=mlx5 "$1" "$2"
	says "$3: the image is damaged: chunk 9"
	says "$before differ in 1 place"
	lists "200055 200055 FW_DATA: 1 byte"
	lists "FW_DATA 6 in A, 6 in B: 5 equal, 1 different"
	check "the one after it is not told" test "$(grep -c '1 byte$' "$OUT")" -eq 1
	status 1 "-q ends at the first difference, before the damage: $1 $2" vfiomig diff -q --driver=mlx5 "$1" "$2"
done
status 5 "a record more in B, and damage in A" vfiomig diff --driver=mlx5 rounds.damaged more-rounds
says "$before differ in 1 place"
lists "- 400088 FW_DATA: only in B, 8016 bytes"
lists "FW_DATA 6 in A, 7 in B: 6 equal, 1 only in B"
status 5 "a record more, and damage behind it" vfiomig diff --driver=mlx5 more-rounds.damaged rounds
lists "400088 - FW_DATA: only in A, 8016 bytes"
says "A: the image is damaged: chunk 9"
says "$before differ in 1 place"
# What is left before the damage may be further on in the other state than is looked at.
vfiomig pack -q --chunk-size=64K late -o late.damaged
printf x | dd of=late.damaged bs=1 seek=440000 conv=notrunc 2>/dev/null
for pair in 'late.damaged pass' 'pass late.damaged'; do
	# shellcheck disable=SC2086 # words
	set -- $pair
	status 5 "damage, and what is before it comes late: $1 $2" vfiomig diff "$1" "$2"
	says ": the image is damaged: chunk 6"
	says "; the 32 bytes before that are equal"
	check "nobody knows that only one has it" sh -c "! grep 'only in' '$OUT'"
done
status 5 "damage in both" vfiomig diff --driver=mlx5 rounds.damaged changed.damaged
says "A: the image is damaged: chunk 9"
lists "200055 200055 FW_DATA: 1 byte"
status 5 "damage, and another format" vfiomig diff --driver=mlx5 xe rounds.damaged
says "$before differ in 9 places"
head -c 1000000 /dev/urandom | tr '\200' '\0' >random
cp random other
printf '\200' | dd of=other bs=1 seek=500000 conv=notrunc 2>/dev/null
vfiomig pack -q --chunk-size=64K other -o other.damaged
printf yyyy | dd of=other.damaged bs=1 seek=700500 conv=notrunc 2>/dev/null
status 5 "damage, byte by byte" vfiomig diff random other.damaged
says "; the 655360 bytes before that differ in 1 place"
lists "500000 500000 unknown: 1 byte"
check "the bytes behind it are not told" sh -c "! grep 'only in' '$OUT'"
status 5 "an empty one" sh -c ": | '$program' diff xe -"
says "vfiomig: diff: B: there is no state: the input is empty"
status 5 "an empty one, as an object" sh -c ": | '$program' diff --json xe -"
check "the object says so" jq -e '.error | test("the input is empty")' "$OUT"
zstd -q xe -o xe.zst
status 5 "a zstd file" vfiomig diff xe.zst xe
says 'A: this is a zstd file, not raw state; "zstd -dc" extracts it'

# ---- Trouble is not 1 -------------------------------------------------------

status 2 "no such file" vfiomig diff xe nowhere
says "vfiomig: diff: nowhere: No such file or directory"
status 2 "a directory" vfiomig diff . xe
says "Is a directory"
status 2 "a full disk" sh -c "exec '$program' diff xe qat >/dev/full"
says "vfiomig: standard output: No space left on device"
status 2 "a full disk, equal" sh -c "exec '$program' diff xe xe >/dev/full"
status 2 "a full disk, --help" sh -c "exec '$program' diff --help >/dev/full"
ends 5 "a full disk, and damage" sh -c "exec '$program' diff xe mixed >/dev/full"
says "vfiomig: standard output: No space left on device"
# shellcheck disable=SC2016 # the inner shell's
status 2 "nobody reads it" sh -c '("$0" diff pass passes; echo $? >rc) | head -n 3 >/dev/null; exit $(cat rc)' "$program"
says "vfiomig: standard output: Broken pipe"
status 2 "one file" vfiomig diff xe
says 'which two states? as in "vfiomig diff A B"; - is standard input'
status 2 "three files" vfiomig diff xe xe qat
says "'qat' is one argument too many"
status 2 "standard input twice" vfiomig diff - -
says "only one of the two can be standard input"
status 2 "one pipe twice" sh -c "cat xe | '$program' diff - /dev/stdin"
says "- and /dev/stdin are the same stream, which can be read only once"
status 2 "/dev/null twice" vfiomig diff /dev/null /dev/null
says "/dev/null and /dev/null are the same stream, which can be read only once"
status 2 "a driver that nobody knows" vfiomig diff --driver=e1000 xe xe
says "the format of 'e1000' is not known"
status 2 "a device" vfiomig diff 0000:3b:00.1 xe
says 'there is no such file; for the device: "vfiomig save 0000:3b:00.1"'
status 2 "misspelt" vfiomig compare a b
says 'diff A B'

# ---- Signals ----------------------------------------------------------------

pipes=$top/tests/host/pipes.pl
rm -f fifo
mkfifo fifo
for signal in 2 15; do
	status $((128 + signal)) "signal $signal while a FIFO is opened" perl "$pipes" never $signal 1 "$program" diff xe fifo
	status $((128 + signal)) "signal $signal while a pipe is read" \
		perl "$pipes" never $signal 2 sh -c "exec '$program' diff --json xe - <>fifo >object"
	check "the object says so" jq -e '.error | test("interrupted")' object
	status $((128 + signal)) "signal $signal, a full disk" \
		perl "$pipes" never $signal 2 sh -c "exec '$program' diff --json xe - <>fifo >/dev/full"
	status $((128 + signal)) "signal $signal, nobody reads it" perl "$pipes" never $signal 1,full "$program" diff pass passes
done
status 99 "SIGUSR1 ends nothing" perl "$pipes" never 10 1 sh -c "exec '$program' diff xe - <>fifo"
says "copied"

# ---- Long streams -----------------------------------------------------------

# In bounded memory, also if they differ from the first byte on. The sanitizers take more.
if [ -z "${VFIOMIG_BUILD-}" ]; then
	status 1 "in 300 MB" sh -c "ulimit -d 300000; head -c 400M /dev/zero | '$program' diff --driver=mlx5 pass - -q"
	zeros="head -c 400M /dev/zero | perl -e '\$/ = \\4194288; while (<STDIN>) { print pack(\"Q<L<L<\", length, 0, 0), \$_ }'"
	status 1 "records, in 300 MB" sh -c "ulimit -d 300000; { head -c 24 mlx5; $zeros; } | '$program' diff --driver=mlx5 rounds - >/dev/null"
	status 0 "a long record, in 300 MB" sh -c "mkfifo long; head -c 400M /dev/zero >long & ulimit -d 300000
		head -c 400M /dev/zero | '$program' diff - long >/dev/null"
fi

finish
