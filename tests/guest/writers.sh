#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A device to whose memory others write, too. tests/host/writers.sh runs this, with the options that it needs.

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

shared=0000:00:08.0
set_driver $shared ivshmem_vfio_pci
modprobe irqbypass
for module in ccp kvm kvm-amd; do
	[ ! -e /tests/$module.ko ] || insmod /tests/$module.ko
done
[ -e /dev/kvm ] || echo "# there is no /dev/kvm here"
tracking $shared "$device" "$1" /sys/bus/pci/devices/$shared/resource2
