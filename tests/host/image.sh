#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Images in other programs (zstd, pzstd, xxhsum), and damaged images.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
PATH=$PWD/${VFIOMIG_BUILD:-build}:$PATH
cd "$work" || exit

# make_state SIZE: print noise, zeros and text
make_state() {
	{
		head -c $(($1 / 3)) /dev/urandom
		head -c $(($1 / 3)) /dev/zero
		yes 'the state of a device'
	} | head -c "$1"
}

chunk=$((4 << 20))
for size in 1 $((chunk - 1)) $chunk $((chunk + 1)) $((5 * chunk + 12345)); do
	make_state "$size" >state
	for how in '' -z -z19; do
		if [ "$how" = -z19 ] && [ "$size" -gt $((chunk + 1)) ]; then
			continue
		fi
		name="$size bytes${how:+ $how}"
		# shellcheck disable=SC2086 # perhaps no word
		check "$name: pack" vfiomig pack $how state -o image
		check "$name: zstd -t" zstd -tq image
		check "$name: zstd -dc" sh -c "zstd -dcq image | cmp - state"
		check "$name: pzstd -dc" sh -c "pzstd -dcq image | cmp - state"
		check "$name: unpack" sh -c "vfiomig unpack image | cmp - state"
		check "$name: through pipes" sh -c "cat state | vfiomig pack $how | cat | vfiomig unpack | cmp - state"
		check "$name: inspect --verify" sh -c "vfiomig inspect --verify image | grep -q 'verified: *yes'"
		check "$name: xxhsum" test "$(vfiomig inspect --json image | jq -r .trailer.digest)" = \
			"xxh128:$(xxhsum -q -H2 state | cut -d' ' -f1)"
		check "$name: its size" test "$(vfiomig inspect --json <image | jq .image_bytes)" -eq "$(stat -c %s image)"
	done
done

# Constant state takes four bytes for each 128 KiB, and a frame around each chunk.
head -c 64M /dev/zero | vfiomig pack -o image
check "zeros take no room" test "$(stat -c %s image)" -lt $((64 * 8 * 4 + 16 * 64 + 600))

# Damage is one line on standard error, and status 5.
make_state 10000000 >state
vfiomig pack -z state -o image
size=$(stat -c %s image)

# refused WHAT TEXT: check that the file "bad" is refused with this text
refused() {
	for command in unpack inspect "inspect --verify"; do
		# shellcheck disable=SC2086 # words
		status 5 "$1: $command" vfiomig $command bad
		says "$2"
		status 5 "$1: $command, from a pipe" sh -c "cat bad | vfiomig $command"
	done
	check "$1: unpack -o leaves no file" sh -c "! vfiomig unpack bad -o nothing 2>/dev/null && test ! -e nothing"
}

: >bad
refused "an empty file" "the image is empty"
head -c $((size - 1)) image >bad
refused "without its last byte" "truncated: it ends after 3 chunks"
head -c 1000000 image >bad
refused "half of it" "truncated: it ends after"
{
	cat image
	echo
} >bad
refused "something after it" "something follows its trailer"
cat image image >bad
refused "two of them" "something follows its trailer"
cp state bad
refused "raw state" "not an image of vfiomig; \"vfiomig pack\" makes one of raw state"
zstd -qf state -o bad
refused "a zstd file" "a plain zstd file"
pzstd -qf state -o bad
refused "a pzstd file" "not an image of vfiomig"
sed 's/"compression":"zstd"/"compression":"none"/' image >bad
refused "another header" "its header is not what was written"
sed 's/"frames":3/"frames":4/' image >bad
refused "another trailer" "its trailer is not what was written"

# A flipped bit in the state is found by commands that decode the chunks.
vfiomig pack state -o bad
printf x | dd of=bad bs=1 seek=1000000 conv=notrunc 2>/dev/null
status 5 "a flipped byte" vfiomig inspect --verify bad
says "chunk 0:"
status 5 "a flipped byte: unpack" vfiomig unpack bad -o nothing
check "no file was made" test ! -e nothing

# Metadata with control characters for the terminal.
evil=$(printf '{"format":1,"compression":"none","chunk_size":65536,"tool":"\\u001b[2J\\u009b2J\\n","device":{"name":"\\u0007","driver":"a\\u202eb"}}')
# frame TEXT MAGIC: print a size frame and a header or trailer with this text
frame() {
	text="$1
xxh64:$(printf %s "$1" | xxhsum -q -H1 | cut -d' ' -f1)
"
	length=$((${#text}))
	printf 'P*M\030\004\000\000\000%b' "$(printf '\\0%o\\0%o\\0\\0' $(((length + 8) & 255)) $(((length + 8) >> 8)))"
	printf '%b*M\030%b%s' "$2" "$(printf '\\0%o\\0%o\\0\\0' $((length & 255)) $((length >> 8)))" "$text"
}
# x: print a chunk with the state "x"
x() {
	printf 'P*M\030\004\000\000\000\021\000\000\000\050\265\057\375\244\001\000\000\000\013\000\000x\043\021\004\203'
}
{
	frame "$evil" Z
	x
	frame '{"bytes":1,"frames":1,"digest":"xxh128:5c7401c0ec22eeeeeaf06c6480b2cd11","bytes\u0000":9,"a\\\\u0000":"\u0000"}' '['
} >bad
check "a zero byte does not end a key" sh -c "vfiomig inspect bad | grep -q '^state: *1 bytes'"
check "an image by hand is one" vfiomig inspect --verify bad
check "its metadata is escaped" sh -c "! vfiomig inspect bad | grep -q '[^[:print:]]'"
check "its metadata is escaped in JSON" sh -c "! vfiomig inspect --json bad | grep -q '[^[:print:]]'"
check "and still there" test "$(vfiomig inspect --json bad | jq -r .header.tool | od -An -tx1 | tr -d ' \n')" = \
	1b5b324ac29b324a0a0a

# An image has some state.
{
	frame '{"format":1,"compression":"none","chunk_size":65536}' Z
	frame '{"bytes":0,"frames":0,"digest":"xxh128:99aa06d3014798d86001c324468d497f"}' '['
} >bad
refused "an image of nothing" "the image has no state in it"
echo precious >kept
status 5 "pack of nothing" sh -c ": | vfiomig pack -o kept"
says "there is no state: the input is empty"
check "the old file is still there" grep -q precious kept
status 5 "pack of nothing, to standard output" sh -c ": | vfiomig pack >kept"
check "nothing was written" test ! -s kept

# An image is not raw state, and neither is what was compressed.
vfiomig pack state -o image
zstd -qf state -o state.zst
for file in image state.zst; do
	rm -f nothing
	status 5 "pack $file" vfiomig pack $file -o nothing
	says "not raw state"
	status 5 "pack $file, from a pipe" sh -c "cat $file | vfiomig pack -o nothing"
	check "pack $file: no file was made" test ! -e nothing
	check "pack --force $file" sh -c "vfiomig pack --force $file | vfiomig unpack | cmp - $file"
done

# Memory is bounded, whatever the image says and however many threads there are to be. The sanitizers take more.
if [ -z "${VFIOMIG_BUILD-}" ]; then
	head -c 400M /dev/zero | vfiomig pack --chunk-size=32M -o big
	for command in "vfiomig inspect --verify -T 512 big" "vfiomig unpack -T 512 big -o /dev/null" \
		"vfiomig pack -T 512 -z9 --chunk-size=32M state -o /dev/null"; do
		check "in 300 MB: $command" sh -c "ulimit -d 300000; exec $command >/dev/null"
	done
fi

# Progress
check "--progress=always" sh -c "vfiomig pack --progress=always state -o image 2>&1 | od -c | grep -q MiB ||
	{ sleep 1; cat state; } | vfiomig pack --progress=always -o image 2>&1 | od -c | grep -q 'B'"
check "no progress where nobody looks" sh -c "test -z \"\$(vfiomig pack state -o image 2>&1)\""
mkfifo fifo
{
	cat state
	sleep 2
} >fifo &
vfiomig pack -o image <fifo 2>usr1 &
sleep 1
kill -USR1 $!
wait
check "SIGUSR1 prints a line" grep -q '^8388608 bytes (8.0 MiB) copied, .* s, .*/s$' usr1

mkfifo stalled
{
	exec 9<stalled
	until [ -e seen ]; do sleep 0.1; done
} &
vfiomig pack state >stalled 2>usr1 &
sleep 1
kill -USR1 $!
wait_for grep -q ' bytes .* copied' usr1
ok "SIGUSR1 prints a line while nothing moves"
touch seen
wait

# A failing output ends the command, even while it waits for its input.
check "a full disk is told at once" sh -c "{ cat state; exec sleep 20; } | timeout 10 vfiomig pack -o /dev/full 2>err;
	grep -q 'No space left' err"

# A descriptor that is already open is written to at its present offset.
for name in /dev/fd/3 /proc/self/fd/3; do
	head -c 20000000 /dev/urandom >old
	vfiomig pack state -o $name 3>>old
	tail -c +20000001 old >new
	check "-o $name appends to what is open for it" vfiomig inspect --verify new
done
{
	echo head
	vfiomig pack state -o /dev/stdout
	echo tail
} >out
check "-o /dev/stdout" sh -c "head -n 1 out | grep -q head && tail -n 1 out | grep -q tail"

# Messages do not get into an image. The save is refused before it looks for its device, which does not exist.
together='the image and the messages would go to the same file; send standard error elsewhere, or use -q'
for command in "save 0000:ff:1f.7" "save 0000:ff:1f.7 -qv" "save 0000:ff:1f.7 -q --progress=always" \
	"pack state --progress=always"; do
	status 2 "$command >FILE 2>&1" sh -c "vfiomig $command >both 2>&1; rc=\$?; cat both >&2; exit \$rc"
	says "$together"
	status 2 "$command 2>&1 | cat" sh -c "{ vfiomig $command; echo \$? >rc; } 2>&1 | cat >&2; exit \$(cat rc)"
	says "$together"
	status 2 "$command -o /dev/stderr 2>FILE" sh -c "vfiomig $command -o /dev/stderr 2>both; rc=\$?; cat both >&2; exit \$rc"
	says "$together"
done
: >both
status 2 "save -q --json -o FILE >FILE 2>FILE" sh -c "exec vfiomig save 0000:ff:1f.7 -q --json -o both >>both 2>>both"
check "it says why in that file" grep -q -F -e "$together" both
for options in '' -v; do
	check "pack $options has nothing to say" sh -c "vfiomig pack state $options 2>&1 | vfiomig unpack | cmp - state"
done
check "/dev/null takes both" vfiomig pack --progress=always state -o /dev/null 2>/dev/null
vfiomig pack stalled >usr1 2>&1 &
{
	cat state
	sleep 1
	kill -USR1 $!
	sleep 1
} >stalled
wait
check "SIGUSR1 says nothing in an image" sh -c "vfiomig unpack usr1 | cmp - state"

# The directory cannot be synced, but the image already has its name.
status 1 "a directory that cannot be synced" env ASAN_OPTIONS=detect_leaks=0 strace -o calls -e trace=fsync \
	-e inject=fsync:error=EIO:when=2 vfiomig pack state -o late
says 'late: Input/output error; the image is whole and has its name, but may not survive a power failure'
check "it is whole" vfiomig inspect --verify late

# What a name does not lead to
status 1 "a file, named as a directory" vfiomig pack state -o late/
says 'late/: Not a directory'
status 1 "a directory that is not there" vfiomig pack state -o late2/
says 'late2/: Is a directory'
ln -s late/ slash
status 1 "a link that names a file as a directory" vfiomig pack state -o slash
says 'slash: Not a directory'
rm slash
for words in "pack ''" "unpack ''" "inspect ''" "pack state -o ''"; do
	status 1 "$words: an empty name" sh -c "vfiomig $words"
	says "${words%% *}: '': No such file or directory"
done
status 2 "diff '' state: an empty name" vfiomig diff '' state
says "diff: '': No such file or directory"

# The mode does not depend on the umask.
for mask in 0 022 0777; do
	check "umask $mask" sh -c "umask $mask; vfiomig pack state -o masked"
	check "the image is its owner's, to read and write" test "$(stat -c %a masked)" = 600
	rm -f masked
done

# The user's own links stay links, wherever they lead.
mkdir home
ln -s home dirlink
ln -s dirlink/../link2 link
ln -s "$work/home/image" link2
: >home/image
status 0 "links to links" vfiomig pack state -o link
check "they are there still" test -L link -a -L link2 -a -L dirlink
check "what they lead to is the image" vfiomig inspect --verify home/image
status 0 "a new file behind a link to a directory" vfiomig pack state -o dirlink/new
check "is an image" vfiomig inspect --verify home/new
rm home/new
ln -s home/new dangling
status 1 "a link to nothing" vfiomig pack state -o dangling
says 'dangling: No such file or directory'
ln -s loop loop
status 1 "a link to itself" vfiomig pack state -o loop
says 'loop: Too many levels of symbolic links'
ln -s /proc/self/fd/3 through
check "a link to a descriptor" sh -c "{ vfiomig pack state -o through 3>&1 >&2 | cat; } >new && vfiomig inspect --verify new"

# race N: create a stranger's link after the N-th system call with the file's name
race() {
	rm -f sticky/x
	: >calls
	# The leak detector does not work under strace.
	ASAN_OPTIONS=detect_leaks=0 strace -o calls -P sticky/x -P x -e inject=all:delay_enter=300000 \
		vfiomig pack small -o sticky/x 2>/dev/null &
	while kill -0 $! 2>/dev/null && [ "$(wc -l <calls)" -lt "$1" ]; do
		sleep 0.02
	done
	$stranger ln -s "$work/precious" sticky/x 2>/dev/null
	wait $! || true
}

# Links and FIFOs of other users, in a directory like /tmp
stranger='setpriv --reuid=65534 --regid=65534 --clear-groups'
if [ "$(id -u)" -eq 0 ]; then
	chmod 711 .
	mkdir -m 1777 sticky
	echo precious >precious
	echo small >small
	$stranger ln -s "$work/precious" sticky/link
	$stranger ln -s "$work/home" sticky/dirlink
	$stranger mkfifo -m 666 sticky/fifo
	ln -s sticky/link tolink
	ln -s sticky/dirlink/image2 todirlink
	ln -s sticky/fifo tofifo
	for path in sticky/link sticky/dirlink/image2 sticky/dirlink/../precious sticky/fifo \
		tolink todirlink tofifo sticky/../tolink; do
		status 4 "a stranger's: $path" timeout 10 vfiomig pack small -o $path
		says "$path: Permission denied"
	done
	check "nothing was written" test "$(tr -d "\0" <precious) $(ls home)" = "precious image"
	ln -s "$work/home/image2" sticky/own
	: >home/image2
	status 0 "one's own link in such a directory" vfiomig pack small -o sticky/own
	check "leads to the image" vfiomig inspect --verify home/image2
	mkdir -m 1777 owned
	chown 65534 owned
	$stranger ln -s "$work/home/image2" owned/link
	status 0 "a link of the directory's owner" vfiomig pack small -o owned/link

	moments=1
	while race $moments && [ "$(wc -l <calls)" -gt $moments ]; do
		moments=$((moments + 1))
	done
	check "strace has seen what to race with" test $moments -gt 1
	check "a link that appears meanwhile is not followed" test "$(tr -d "\0" <precious)" = precious
	check "no temporary files" test -z "$(find . -name '.vfiomig.*')"

	mkdir -m 333 blind
	chown 65534 blind
	# The other user may not be allowed to enter the directory of the checkout.
	program=$(command -v vfiomig)
	mkdir -m 755 program
	cp "$program" "${program%/*}/libvfiomig.so.0" program/
	# shellcheck disable=SC2086 # words
	status 0 "a directory that can be written to, not read" $stranger program/vfiomig pack small -o blind/image
	check "has the image" vfiomig inspect --verify blind/image
else
	echo "# not root: no strangers"
fi

# A signal before the first byte leaves no file.
mkdir empty
exec 8<>stalled
timeout -s INT 1 vfiomig pack -o empty/x <&8
exec 8<&-
check "SIGINT before the first byte leaves nothing" test -z "$(ls -A empty)"

# The same for an alarm that the parent has set.
exec 8<>stalled
timeout 20 perl -e 'alarm 1; exec @ARGV' vfiomig pack -o empty/x <&8 2>err
check "SIGALRM ends it" test $? -eq 142
exec 8<&-
check "SIGALRM is told" grep -q 'interrupted by a signal' err
check "SIGALRM leaves nothing" test -z "$(ls -A empty)"

# A slow reader and a slow writer do no harm.
check "a slow reader" sh -c "vfiomig unpack image | { sleep 1; cmp - state; }"
check "a slow writer" sh -c "{ head -c 5000000 state; sleep 1; tail -c +5000001 state; } | vfiomig pack | vfiomig unpack | cmp - state"

finish
