#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Several devices at one instant: ivshmem and mtty in one set. The order of the arcs is that of the drivers' own messages
# in the kernel's log. The long variant also has larger devices, opened in both ways, and more moments of SIGKILL.
# guest: -m 1M -m 4M -m 1M -m 4M -s 600
# long: -m 16M -m 64M -m 256M -s 3000
# kernels: cdev

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

for module in ivshmem_vfio_pci mtty; do
	echo "module $module +p" >/sys/kernel/debug/dynamic_debug/control || exit
done

variant=${1-} kills=10
[ "$variant" != long ] || kills=100
# shellcheck disable=SC2086 # a list
set -- $IVSHMEM
small=$1 large=$2 other_small=$3 other_large=$4
shift 4
more=$*
all="$small $large $mtty"
there="$small=$other_small $large=$other_large $mtty=$other_mtty"

# The states as the drivers print them
STOP=1 RUNNING=2 STOP_COPY=3 RESUMING=4 RUNNING_P2P=5

# arcs: the arcs since the log was cleared: "DEVICE FROM TO"
arcs_logged() {
	dmesg -c | sed -n 's/.* \([^ ]*\): [a-z_]*: \([0-7]\) -> \([0-7]\)$/\1 \2 \3/p' >arcs
}

# before STATE OTHER: each of the devices has begun an arc into STATE before any has into OTHER
# shellcheck disable=SC2317 # check calls it
before() {
	awk -v state="$1" -v other="$2" -v count=3 '
		$3 == state && !seen[$1]++ { n++ }
		$3 == other && n && n < count { exit 1 }
		$3 == other && n == count { found = 1 }
		END { if (!found) exit 1 }' arcs
}

# since STATE: leave only what follows the last arc into STATE
since() {
	awk -v state="$1" '{ line[NR] = $0 } $3 == state { last = NR } END { for (i = last + 1; i <= NR; i++) print line[i] }' \
		arcs >rest
	mv rest arcs
}

way_up() {
	since "$1"
	check "$2: all are in STOP before any is in RUNNING_P2P" before $STOP $RUNNING_P2P
	check "$2: and there before any runs" before $RUNNING_P2P $RUNNING
}

# are STATE DEVICE...: all are in this state
# shellcheck disable=SC2317 # check calls it
are() {
	wanted=$1
	shift
	for one; do
		[ "$(vfiomig state "$one")" = "$wanted" ] || return
	done
}

# same: the other devices have what these had
# shellcheck disable=SC2317 # check calls it
same() {
	[ "$(bar "$other_small" digest)" = "$(cat digest-small)" ] && [ "$(bar "$other_large" digest)" = "$(cat digest-large)" ] &&
		[ "$(region "$other_mtty" 0 7)" = 90 ]
}

fill "$small"
fill "$large"
bar "$small" digest >digest-small
bar "$large" digest >digest-large
for one in $all; do
	check "hold $one" vfiomig hold "$one"
done
check "mtty has something of its own" region "$mtty" 0 7 0x5a

for precopy in auto never; do
	dmesg -c >/dev/null
	# shellcheck disable=SC2086 # a list
	status 0 "$precopy: save" vfiomig save --precopy=$precopy $all -o set-$precopy
	arcs_logged
	# In PRE_COPY_P2P a device is as quiet as in RUNNING_P2P.
	sed 's/ 7$/ 5/' arcs >calm
	mv calm arcs
	check "$precopy: all are in their P2P states before any is in STOP_COPY" before $RUNNING_P2P $STOP_COPY
	check "$precopy: all are in STOP_COPY before any runs" before $STOP_COPY $RUNNING
	way_up $STOP_COPY "$precopy"
	# shellcheck disable=SC2086 # a list
	check "$precopy: they run" are RUNNING $all
	check "$precopy: zstd takes the image" zstd -qt set-$precopy
	status 0 "$precopy: verify" vfiomig inspect --verify set-$precopy

	fill "$other_small"
	fill "$other_large"
	dmesg -c >/dev/null
	# shellcheck disable=SC2086 # a list
	status 0 "$precopy: restore" sh -c "cat set-$precopy | vfiomig restore $there"
	arcs_logged
	check "$precopy: all are in RESUMING before any leaves it" before $RESUMING $RUNNING
	way_up $RESUMING "$precopy: restore"
	check "$precopy: byte for byte" same
	for one in "$other_small" "$other_large" "$other_mtty"; do
		check "$precopy: $one has a holder" test -n "$(holder_of "$one")"
		vfiomig -q release "$one"
	done
done

# A set that is cut, or whose devices are swapped
# shellcheck disable=SC2086 # a list
status 5 "a set that is cut" sh -c "head -c 3000000 set-never | vfiomig restore $there"
says "$other_large was reset (its state is lost) and is now in RUNNING"
says "$other_mtty was reset (its state is lost) and is now in RUNNING"
check "nobody holds them" test -z "$(holder_of "$other_small")$(holder_of "$other_large")$(holder_of "$other_mtty")"
dmesg -c >/dev/null
head -c 3000000 set-never >cut.set
# shellcheck disable=SC2086 # a list
status 5 "a file that is cut" vfiomig restore $there -i cut.set
arcs_logged
check "nothing was touched" test ! -s arcs
status 6 "swapped" vfiomig restore "$small=$other_large" "$large=$other_small" "$mtty=$other_mtty" -i set-never
says "restore $other_large: the state is of another device"
status 6 "another kind" vfiomig restore "$small=$other_mtty" "$large=$other_large" "$mtty=$other_small" -i set-never
arcs_logged
check "nothing was touched" test ! -s arcs
status 2 "too few" vfiomig restore "$small=$other_small" -i set-never
# shellcheck disable=SC2086 # a list
status 2 "twice" vfiomig save $all "$small" -o twice

# killed WHAT COMMAND...: kill the command at so many moments of the time that it takes. The holders bring the devices
# back.
killed() {
	what=$1
	shift
	start=$(cut -d ' ' -f 1 /proc/uptime)
	for n in 1 2 3; do
		status 0 "a $what that nobody kills" "$@"
	done
	span=$(awk -v from="$start" '{ print int(($1 - from) / 3 * 1000000 * 1.1) }' /proc/uptime)
	midway=0
	for n in $(seq $kills); do
		moment=$((span * n / kills))
		rc=0
		interrupt 9 $moment "$@" >/dev/null 2>&1 || rc=$?
		[ $rc -ne 137 ] || midway=$((midway + 1))
		# What a killed save has begun to write
		rm -f .vfiomig.*
		# shellcheck disable=SC2086 # a list
		check "a $what that is killed after $moment us: all run" within 100 are RUNNING $all
	done
	echo "# $what: up to $span us, $midway of $kills were killed"
	check "a $what: some are killed" test $midway -gt 0
}

# have SET: the devices have the states that are in this set
have() {
	# shellcheck disable=SC2086 # a list
	status 0 "save" vfiomig save --precopy=never $all -o after
	for one in $all; do
		vfiomig unpack --device="$one" "$1" >before.raw
		vfiomig unpack --device="$one" after >after.raw
		check "$one has its state" cmp before.raw after.raw
	done
}

# shellcheck disable=SC2086 # a list
killed save vfiomig save -q $all -o killed.set
have set-never
# shellcheck disable=SC2086 # a list
killed restore vfiomig restore -q $all -i set-never
# shellcheck disable=SC2086 # a list
status 0 "a restore after that" vfiomig restore -q $all -i set-never
have set-never
for one in $all; do
	vfiomig -q release "$one"
done
rm -f ./*.set set-* ./*.raw after

# digests FILE: what the memory of each device is, but of the mtty
digests() {
	for one in $sized; do
		bar "$one" digest
	done >"$1"
}

# From 1 MiB to 256 MiB
sizes() {
	for one in $set; do
		check "$via: hold $one" vfiomig hold --via="$via" "$one"
	done
	for precopy in auto never; do
		for one in $sized; do
			fill "$one"
		done
		region "$mtty" 0 7 0x5a
		digests saved
		# shellcheck disable=SC2086 # a list
		status 0 "$via, $precopy: save" vfiomig save --precopy=$precopy $set -o sizes
		echo "# $via, $precopy: $(tail -n 1 "$ERR")"
		digests kept
		check "$via, $precopy: they have what they had" cmp saved kept
		status 0 "$via, $precopy: verify" vfiomig inspect --verify sizes
		for one in $sized; do
			fill "$one"
		done
		region "$mtty" 0 7 0xa5
		# shellcheck disable=SC2086 # a list
		status 0 "$via, $precopy: restore" sh -c "cat sizes | vfiomig restore $set"
		digests restored
		check "$via, $precopy: byte for byte" cmp saved restored
		check "$via, $precopy: and the mtty" test "$(region "$mtty" 0 7)" = 90
		# shellcheck disable=SC2086 # a list
		check "$via, $precopy: they run" are RUNNING $set
		rm sizes
	done
	for one in $set; do
		vfiomig -q release "$one"
	done
}

if [ "$variant" = long ]; then
	sized="$small $large $more" set="$sized $mtty"
	for via in cdev group; do
		sizes
	done
fi
finish
