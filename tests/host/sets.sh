#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images of several devices: what pack makes, what unpack, inspect and diff make of it, other programs, and damage.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
PATH=$PWD/${VFIOMIG_BUILD:-build}:$PATH
top=$PWD
cd "$work" || exit

{
	head -c 300000 /dev/urandom
	head -c 500000 /dev/zero
} >noise
seq 50000 >text
printf x >one
names='0000:3b:00.1 b c'

# state NAME: print the file with the state of this device
state() {
	case $1 in
	b) echo text ;;
	c) echo one ;;
	*) echo noise ;;
	esac
}

# stdout_of zstd is the chunks of all devices in the order of the file, and that order is any.
for how in '' -z --chunk-size=64K '-z19 --chunk-size=64K' --chunk-size=32M; do
	# shellcheck disable=SC2086 # words
	check "pack $how" vfiomig pack $how -o set 0000:3b:00.1=noise b=text c=one
	check "zstd -t" zstd -tq set
	check "zstd -dc has all bytes" test "$(zstd -dcq set | wc -c)" -eq "$(cat noise text one | wc -c)"
	check "pzstd -dc has the same" sh -c 'pzstd -dcq set >all && zstd -dcq set | cmp - all'
	check "inspect --verify" vfiomig inspect --verify set
	check "through a pipe" sh -c 'cat set | vfiomig inspect --verify --json | jq -e .verified >/dev/null'
	for who in $names; do
		check "unpack --device=$who" sh -c "vfiomig unpack --device=$who set | cmp - $(state "$who")"
		check "from a pipe, to a file" sh -c \
			"cat set | vfiomig unpack --device=$who -o out && cmp out $(state "$who")"
		check "reading it by the page" sh -c "'$top/tests/host/read-image.pl' set $who | cmp - $(state "$who")"
	done
done

check "states from pipes" sh -c '
	mkfifo fifo
	cat text >fifo &
	cat noise | vfiomig pack a=- b=fifo | vfiomig unpack --device=b | cmp - text'
check "a single argument is a file, whatever its name" sh -c 'cp text a=b && vfiomig pack a=b | vfiomig unpack | cmp - text'

vfiomig pack --chunk-size=64K -o set 0000:3b:00.1=noise b=text c=one
vfiomig inspect set >"$OUT"
prints 'set:         3 devices'
prints 'device:      0000:3b:00.1'
prints 'state:       288894 bytes (282 KiB)'
check "the keys of inspect --json" test "$(vfiomig inspect --json set | jq -c 'keys')" = \
	'["device_trailers","header","image_bytes","trailer","verified"]'
check "those of the header" test "$(vfiomig inspect --json set | jq -c '.header.devices[0]|keys')" = \
	'["expected_bytes","name"]'
check "those of a device's trailer" test "$(vfiomig inspect --json set | jq -c '.device_trailers[2]')" = \
	"{\"device\":2,\"bytes\":1,\"frames\":1,\"digest\":\"xxh128:$(xxh128sum <one | cut -d' ' -f1)\"}"
check "those of the set's" test "$(vfiomig inspect --json set | jq -c '.trailer|keys')" = \
	'["bytes","devices","frames","metadata_digest"]'
check "large chunks are made smaller" test "$(vfiomig pack --chunk-size=32M a=one b=one c=one | vfiomig inspect --json |
	jq .header.chunk_size)" -eq 8388608

# Which device?
status 2 "unpack of a set" vfiomig unpack set
says 'the image is of 3 devices; choose one by --device=NAME: 0000:3b:00.1, b and c'
status 2 "a device that is not in it" vfiomig unpack --device=d set
says 'the image has no device d: it is of 0000:3b:00.1, b and c'
status 2 "inspect --records of a set" vfiomig inspect --records set
says 'choose one by --device=NAME'
check "inspect --records of one" sh -c 'vfiomig inspect --records --device=b set | grep -q 288894'
vfiomig pack text -o image
status 2 "an image without a name" vfiomig unpack --device=b image
says 'the image has no device b: it is of one, and has no name of it'
status 2 "inspect --device alone" vfiomig inspect --device=b set
says '--device goes with --records'

# Names and arguments
status 2 "a name twice" vfiomig pack a=one a=text
says 'two devices have the name a'
status 2 "a name that is none" vfiomig pack a=one "$(printf 'b\033')=text"
says "the name of a device in an image has from 1 to 255 printable bytes, unlike 'b"
status 2 "a long name that is none" vfiomig pack a=one "$(printf '%01000d' 0)=text"
says 'has from 1 to 255 printable bytes'
status 2 "no name" vfiomig pack a=one =text
says "'=text' is not NAME=FILE"
status 2 "no file" vfiomig pack a=one b=
says "'b=' is not NAME=FILE"
status 2 "an argument too many" vfiomig pack one text
says "'text' is one argument too many; to write to it: -o text"
status 2 "standard input twice" vfiomig pack a=- b=-
says 'only one of the states can be standard input'
status 2 "the output is one of the states" vfiomig pack a=one b=text -o text
says 'the output is one of the states'
check "which is what it was" test "$(wc -c <text)" -eq 288894
status 2 "a pipe twice" sh -c 'exec 3<>fifo && vfiomig pack a=fifo b=text c=fifo'
says 'a=fifo and c=fifo are the same stream, which can be read only once'
status 2 "standard input by two names" sh -c 'cat text | vfiomig pack a=- b=/dev/stdin'
says 'a=- and b=/dev/stdin are the same stream'
check "a file twice" sh -c 'vfiomig pack a=text b=text | vfiomig unpack --device=b | cmp - text'
status 1 "a file that is not there" vfiomig pack a=one b=missing
: >empty
status 5 "an empty state" vfiomig pack a=one b=empty
says 'b: there is no state'
# shellcheck disable=SC2046 # words
status 2 "too many devices" vfiomig pack $(seq -f '%g=one' 65)
says 'a set is of at most 64 devices'
# shellcheck disable=SC2046 # words
check "as many as there may be" sh -c "vfiomig pack $(seq -s' ' -f '%g=one' 64) | vfiomig inspect --verify"
# shellcheck disable=SC2046 # words
vfiomig pack -o set64 $(seq -f '0000:%02g:00.0=one' 64)
status 2 "more names than a message has room for" vfiomig unpack set64
says '0000:20:00.0 and 44 more'

# diff: device by device
vfiomig pack -z -o other 0000:3b:00.1=noise b=text c=one
status 0 "equal sets" vfiomig diff set other
prints 'device b:'
cat one >>one2 && printf y >>one2
vfiomig pack -o other b=text 0000:3b:00.1=noise c=one2
status 1 "a device differs" vfiomig diff set other
prints 'the states differ in 1 place'
status 1 "quietly" vfiomig diff -q set other
check "which prints nothing" test ! -s "$OUT"
status 0 "one device of both" vfiomig diff --device=b set other
status 1 "the other one" vfiomig diff --device=c set other
status 0 "one device from a pipe" sh -c 'cat other | vfiomig diff --device=b set -'
status 2 "sets from a pipe" sh -c 'cat other | vfiomig diff set -'
says 'choose one by --device=NAME'
vfiomig pack -o other b=text d=one
status 1 "other devices" vfiomig diff set other
prints 'device d: only in B'
prints 'device c: only in A'
check "as JSON" test "$(vfiomig diff --json set other | jq -c '[.equal, (.devices[] | .name, .only, .states.equal)]')" = \
	'[false,"0000:3b:00.1","a",null,"b",null,true,"c","a",null,"d","b",null]'
# shellcheck disable=SC2016 # the inner shell's
check "damage as JSON" sh -c 'head -c 300000 set >bad
	test "$(vfiomig diff --json set bad 2>err | jq -c "[.equal, .error, .devices[-1].states.error]")" = \
		"$(sed "s/^vfiomig: diff: //" err | jq -Rc "[null, ., .]")"'
status 0 "a device and its state" vfiomig diff --device=b set text
status 0 "a state and its device" vfiomig diff --device=b text set
for pair in 'set text' 'text set' 'image other'; do
	# shellcheck disable=SC2086 # words
	status 2 "which device of a set, of $pair" vfiomig diff $pair
	says 'choose one by --device=NAME'
done
head -c 100 set >bad
for pair in 'bad text' 'text bad' 'bad set' 'set bad'; do
	# shellcheck disable=SC2086 # words
	status 5 "no whole header, of $pair" vfiomig diff $pair
	says 'the image is truncated'
done

# diff does not decode the devices that it does not compare.
vfiomig pack --chunk-size=64K -o set a=text b=one
# shellcheck disable=SC2016 # perl's
check "a chunk of a is damaged" perl -0777 -pe 'substr($_, 5000, 1) ^= "\x04"' -i set
status 0 "diff of b" vfiomig diff --device=b set one
status 5 "diff of a" vfiomig diff --device=a set text
status 5 "inspect --records of b" vfiomig inspect --records --device=b set
status 5 "unpack of b" vfiomig unpack --device=b set
status 5 "inspect --verify" vfiomig inspect --verify set

# Damage is one line on standard error, and status 5, wherever it is.
vfiomig pack -o set a=one b=one
size=$(stat -c %s set)
# each HOW COMMAND: damage the set at each seventh of its bytes in turn, and print where the command does not refuse it.
# unit/set does it at all of them.
each() {
	perl -e '
		my ($how, $command) = @ARGV;
		open(my $in, "<:raw", "set") or die;
		my $image = do { local $/; <$in> };
		for (my $at = 1; $at < length($image); $at += 7) {
			my $bad = $how eq "cut" ? substr($image, 0, $at) : $image;
			substr($bad, $at, 1) ^= "\x04" if $how ne "cut";
			open(my $out, ">:raw", "bad") or die;
			print $out $bad;
			close($out);
			my $status = system("$command bad >/dev/null 2>err") >> 8;
			my @lines = split(/^/, `cat err`);
			print "$at: $status, @lines\n" if $status != 5 || @lines != 1;
		}' "$@"
}

check "an image that is cut anywhere is refused" test -z "$(each cut 'vfiomig inspect')"
check "an image with a bit flipped anywhere is refused" test -z "$(each flip 'vfiomig unpack --device=b')"
for at in 10 25 $((size / 2)) $((size - 300)) $((size - 100)) $((size - 2)); do
	perl -0777 -pe "substr(\$_, $at, 1) ^= \"\\x04\"" set >bad
	check "the page's reader finds a bit flipped at $at" sh -c "! '$top/tests/host/read-image.pl' bad a >/dev/null 2>&1"
done

finish
