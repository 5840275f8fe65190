#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# list.sh RUNS: in trees of /sys and /proc of our own, which have 256 functions, and ten processes with 5,000 descriptors each,
# list the devices, ask for one, and start the program. Prints the lines of "measure", with a letter for each before them.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

set -e

for slot in $(seq 0 31); do
	for function in $(seq 0 7); do
		emulate "$(printf '0000:3b:%02x.%d' "$slot" "$function")" size=4096
	done
done

prlimit --pid $$ --nofile=6000
mkfifo /run/opened
for _ in $(seq 10); do
	perl -e 'for (1 .. 5000) { open my $file, "<", "/dev/null" or die $!; push @files, $file }
		print "opened\n"; close STDOUT; sleep' >/run/opened &
done
test "$(grep -c opened /run/opened)" -eq 10

# measured SIDE ARG...: measure what vfiomig takes with these arguments
measured() {
	side=$1
	shift
	for _ in $(seq "$runs"); do
		LD_PRELOAD=$preload "$top/build/tests/bench/measure" "/run/$side" /run/build/vfiomig "$@" >/run/output
	done
	sed "s/^/$side /" "/run/$side"
}

runs=$1
measured a list
test "$(grep -c 0000:3b: /run/output)" -eq 256
measured b info "$device"
measured c --version
