#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Random streams that nobody would send: into the driver's RESUMING, into that of the kernel's
# sample device, and through vfiomig. The long variant has 20,000 streams for the driver; a second
# argument is its seed.
# guest: -m 1M -s 400
# long: -s 1500
# env: GUEST_QEMU_ARGS='-object memory-backend-ram,id=tiny,size=16K,share=on -device ivshmem-plain,memdev=tiny,addr=9 -object memory-backend-ram,id=small,size=256K,share=on -device ivshmem-plain,memdev=small,addr=a'
# kernels: stock debug

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

tiny=0000:00:09.0
small=0000:00:0a.0
set_driver $tiny ivshmem_vfio_pci
set_driver $small ivshmem_vfio_pci

if [ "${1-}" = long ]; then
	of_tiny=15000 of_small=4500 of_large=500 of_mtty=20000 of_tool=100
	seed=${2:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
else
	of_tiny=500 of_small=100 of_large=10 of_mtty=300 of_tool=5
	seed=0
fi
echo "# from seed $seed"

run_tap hostile $tiny $of_tiny "$seed"
run_tap hostile $small $of_small "$seed"
run_tap hostile "$device" $of_large "$seed"
run_tap hostile --blind "$mtty" $of_mtty "$seed"

# vfiomig loads such a stream, or says in one line why not. Afterwards the device works as before.
vfiomig save $tiny --raw -q -o image-of-tiny
vfiomig save "$mtty" --raw -q -o image-of-mtty
n=0 refused=0
while [ $n -lt $of_tool ]; do
	for device in $tiny "$mtty"; do
		blind=--blind image=image-of-mtty
		[ "$device" = "$mtty" ] || blind='' image=image-of-tiny
		hostile --print $blind "$device" 1 $((seed + n)) >stream
		rc=0
		# The driver is to be tested, not the check before it.
		vfiomig restore "$device" --no-hold --force --raw -i stream >$OUT 2>$ERR || rc=$?
		case $rc in
		0) ;;
		# An empty stream is refused before the device is touched.
		5) [ ! -s stream ] || not_ok "seed $((seed + n)) of $device: vfiomig says that it is damaged" "$(cat $ERR)" ;;
		7) refused=$((refused + 1)) ;;
		*) not_ok "seed $((seed + n)) of $device: exit status $rc" "$(cat $ERR)" ;;
		esac
		[ "$(wc -l <$ERR)" -le 1 ] || not_ok "seed $((seed + n)) of $device: more than one line" "$(cat $ERR)"
		vfiomig restore "$device" --no-hold --raw -q -i $image ||
			not_ok "seed $((seed + n)) of $device: the device does not work as before" "$(cat $ERR)"
	done
	n=$((n + 1))
done
ok "vfiomig restore of $((2 * n)) such streams: $refused refused"
echo "# vfiomig restore: $((2 * n)), of which $refused refused"

finish
