#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What is printed arrives, or the command fails. A signal ends a command that cannot print, or that waits for the other end of
# a FIFO. A file is not read and written at the same time.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
vfiomig=$PWD/${VFIOMIG_BUILD:-build}/vfiomig
pipes=$PWD/tests/host/pipes.pl
cd "$work" || exit

head -c 300000 /dev/urandom >state
"$vfiomig" pack --chunk-size=64K state -o image
cp image precious

# arrives ARG...: all of what the command prints arrives, however slowly it is read, and nothing that cannot be written counts
arrives() {
	"$vfiomig" "$@" >whole
	for how in nonblock,full full; do
		status 0 "$*: a slow reader, $how" perl "$pipes" 0.1 0 1,$how "$vfiomig" "$@"
		check "$*: all of it arrives, $how" cmp whole "$OUT"
	done
	status 1 "$* >/dev/full" sh -c "exec \"\$@\" >/dev/full" - "$vfiomig" "$@"
	says 'standard output: No space left on device'
	status 1 "$*: the reader has gone" sh -c "{ \"\$@\"; echo \$? >rc; } | true; exit \$(cat rc)" - sh -c "sleep 0.1; exec \"\$@\"" - "$vfiomig" "$@"
	says 'standard output: Broken pipe'
	status 1 "$* >&-" sh -c "exec \"\$@\" >&-" - "$vfiomig" "$@"
}

# ends_by COMMAND...: signals end what nobody reads
ends_by() {
	for signal in 1 2 15; do
		status $((128 + signal)) "$*: nobody reads, signal $signal" perl "$pipes" never $signal 1,full,nonblock "$vfiomig" "$@"
	done
}

arrives --help
arrives --version
arrives save --usage
arrives inspect --json image
arrives inspect --verify image
arrives list --json
ends_by inspect --json image
status 143 "nobody reads a blocking pipe" perl "$pipes" never 15 1,full "$vfiomig" inspect image
status 0 "SIGUSR1 does not end a command that prints" perl "$pipes" 0.5 10 1,full "$vfiomig" inspect image
check "all of it arrives" sh -c "'$vfiomig' inspect image | cmp - $OUT"
status 2 "a message to a full pipe" perl "$pipes" 0.1 0 2,full,nonblock "$vfiomig" info nonsense
check "it arrives" grep -q "^vfiomig: info nonsense: 'nonsense' does not name a device" "$OUT"
status 143 "a message that nobody reads" perl "$pipes" never 15 2,full "$vfiomig" pack state -o fifo/x

# A FIFO without another end
mkfifo fifo
for signal in 1 2 15; do
	status $((128 + signal)) "signal $signal while a FIFO is opened for reading" \
		perl "$pipes" never $signal 1 "$vfiomig" pack fifo
	status $((128 + signal)) "signal $signal while a FIFO is opened for writing" \
		perl "$pipes" never $signal 1 "$vfiomig" pack state -o fifo
	check "there is one message at most" test "$(wc -l <"$ERR")" -le 1
done
for what in "pack state -o fifo" "pack fifo"; do
	# shellcheck disable=SC2086 # words
	status 99 "SIGUSR1 does not end $what" perl "$pipes" never 10 1 "$vfiomig" $what
	says '0 bytes (0 B) copied; waiting for the other end of fifo'
done
# Where standard error is part of the image, SIGUSR1 prints nothing.
for output in - /dev/stderr; do
	"$vfiomig" pack fifo -o $output >both 2>&1 &
	command=$!
	# SIGUSR1 is caught.
	wait_for grep -q '^SigCgt:.*[2367abef]..$' /proc/$command/status
	sleep 0.1
	kill -s USR1 $command
	sleep 0.1
	cat state >fifo
	wait $command
	check "-o $output: SIGUSR1 prints nothing into the image" "$vfiomig" inspect --verify both
done

# The input as the output
check "the image is as it was" cmp image precious
ln image link
ln -s image symlink
for sign in '>>' '1<>'; do
	for command in pack unpack inspect 'inspect --json' 'inspect --verify'; do
		status 2 "$command image ${sign}image" sh -c "exec '$vfiomig' $command image ${sign}image"
		says 'standard output is the input, too'
		status 2 "$command <image ${sign}link" sh -c "exec '$vfiomig' $command <image ${sign}link"
	done
done
status 2 "restore -i image --json >>image" sh -c "exec '$vfiomig' restore vfio0 -i image --json >>image"
for command in pack unpack; do
	for output in image link symlink ./image /dev/fd/7; do
		status 2 "$command image -o $output" sh -c "exec '$vfiomig' $command image -o $output 7>>image"
		says "$output is the input, too; write to another file"
		status 2 "$command <image -o $output" sh -c "exec '$vfiomig' $command -o $output <image 7>>image"
	done
	status 2 "$command <fifo >fifo" sh -c "exec '$vfiomig' $command <>fifo >&0"
done
check "the image is as it was" cmp image precious
status 5 "/dev/null as both" sh -c "exec '$vfiomig' pack </dev/null >/dev/null"
says 'there is no state: the input is empty'

# A file that was longer before
head -c 1000000 /dev/zero >old
status 0 "an image over a longer file" sh -c "exec '$vfiomig' pack state 1<>old"
check "nothing follows the image" "$vfiomig" inspect --verify old
head -c 1000000 /dev/zero >old
status 0 "raw state over a longer file" sh -c "exec '$vfiomig' unpack image 1<>old"
check "nothing follows the state" cmp state old
head -c 1000000 /dev/zero >old
status 0 "an image behind other bytes" sh -c "{ echo 1; exec '$vfiomig' pack state; } 1<>old"
check "it follows them" sh -c "tail -c +3 old | '$vfiomig' inspect --verify"
echo 1 >old
status 0 "an image at the end of a file" sh -c "exec '$vfiomig' pack state >>old"
check "it follows what was there" sh -c "test \$(head -n 1 old) = 1 && tail -c +3 old | '$vfiomig' inspect --verify"

# A block device. Without the right to make one, look whether the host has one.
if ! mknod disk b 7 255 2>/dev/null; then
	ln -s "$(find /dev -type b 2>/dev/null | head -n 1)" disk
fi
for command in pack unpack; do
	status 2 "$command -o a block device" "$vfiomig" $command image -o disk
	says "disk is a block device"
done
if (: >>disk) 2>/dev/null; then
	status 2 "a block device as standard output" sh -c "exec '$vfiomig' pack state >disk"
	says 'standard output is a block device'
fi

finish
