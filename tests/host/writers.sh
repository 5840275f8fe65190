#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Everybody writes to the memory of a device while it is saved: boot a guest with a device whose memory is in a file, and write
# to that file. The other writers are in tests/guest/writers.sh. The arguments are the kernel (tests/guest/run -k), and the
# number of saves (tests/guest/tracking.c).
# kernels: stock

cd "$(dirname "$0")/../.." || exit
work=$(mktemp -d "${TMPDIR:-/tmp}/vfiomig-writers.XXXXXX")
scribbler=
# shellcheck disable=SC2317 # the trap reaches it
cleanup() {
	[ -z "$scribbler" ] || kill "$scribbler" 2>/dev/null
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 143' INT TERM HUP

truncate -s 1M "$work/memory"
build/tests/host/scribbler "$work/memory" &
scribbler=$!
export GUEST_QEMU_ARGS="-object memory-backend-file,id=shared,mem-path=$work/memory,size=1M,share=on
	-device ivshmem-plain,memdev=shared,addr=8"
# KVM's modules, of the kernel that has some
GUEST_FILES=$(find "$(tests/guest/kernel "${1-stock}")" -path '*/kvm/*.ko')
export GUEST_FILES
# The kernel must let programs map what a driver has claimed.
export GUEST_BOOT_ARGS=iomem=relaxed
tests/guest/run -k "${1-stock}" -m 1M -s 600 tests/guest/writers.sh "${2-200}"
