#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Save and restore, byte for byte. The long variant has larger devices, too.
# guest: -m 1M -m 1M -m 64M -m 64M -s 600
# long: -m 256M -m 256M
# kernels: stock

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# shellcheck disable=SC2086 # a list
set -- $IVSHMEM
while [ $# -gt 0 ]; do
	from=$1 to=$2
	shift 2
	bytes=$(stat -c %s "/sys/bus/pci/devices/$from/resource2")
	size=$((bytes / 1048576))
	check "$size MiB: fill" sh -c "bar $from fill 1 && bar $to fill 2"
	before=$(bar "$from" digest)

	check "$size MiB: save" sh -c "vfiomig save $from --raw >image"
	check "$size MiB: the save has not changed the memory" test "$(bar "$from" digest)" = "$before"
	check "$size MiB: restore" sh -c "vfiomig restore $to --no-hold --raw <image"
	check "$size MiB: the memory is the same" test "$(bar "$to" digest)" = "$before"
	check "$size MiB: -o" vfiomig save "$to" --raw -o image2
	check "$size MiB: the same device gives the same image" cmp image image2
	check "$size MiB: only the owner can read the image" test "$(stat -c %a image2)" = 600
	rm image image2

	bar "$to" fill 3
	check "$size MiB: through a pipe" sh -c "vfiomig save $from --raw | vfiomig restore $to --no-hold --raw"
	check "$size MiB: the memory is the same again" test "$(bar "$to" digest)" = "$before"
done

# The hashes of PRE_COPY are accounted to the user: 8 bytes for each page of 4096 bytes. Kernels
# without memory cgroups account nothing.
group=/sys/fs/cgroup/user
if mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null && echo +memory >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null; then
	mkdir $group
	check "$size MiB: the device is held" vfiomig hold "$to"
	check "$size MiB: PRE_COPY" sh -c "echo \$\$ >$group/cgroup.procs; exec vfiomig state $to PRE_COPY"
	check "$size MiB: the hashes are accounted" grep -q -x "vmalloc $((bytes / 512))" $group/memory.stat
	check "$size MiB: PRE_COPY ends" vfiomig state "$to" RUNNING
	check "$size MiB: they are freed" within 50 grep -q -x 'vmalloc 0' $group/memory.stat
	check "$size MiB: the device is released" vfiomig release "$to"
fi

# mtty: set the scratch register of the first port, and put bytes into the queue of the second one.
# shellcheck disable=SC2086 # a list
set -- $MTTY
check "mtty: fill" region "$1" 0 7 0x5a
region "$1" 1 4 0x10 # loop-back: what is sent is received
region "$1" 1 0 0x41
vfiomig save "$1" --raw -q >image
vfiomig save "$2" --raw -q >other
check "mtty: two devices are different" sh -c '! cmp -s image other'
check "mtty: -i" vfiomig restore "$2" --no-hold --raw -i image
check "mtty: the scratch register" test "$(region "$2" 0 7)" = 90
vfiomig save "$2" --raw -q >other
check "mtty: the image is the same" cmp image other
vfiomig save "$1" --raw -q >other
check "mtty: the save has not changed the device" cmp image other

finish
