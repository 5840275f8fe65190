#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# restore and save of devices whose streams have a known format: a state that is cut off, or of another device.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

stream() {
	perl "$top/tests/host/make-stream.pl" "$@"
}

# driven_by DRIVER [ADDRESS]: emulate a device that has this driver
driven_by() {
	address=${2-0000:3b:00.1}
	emulate "$address" flags=1 lenient=1 keeps=1
	for sys in /sys/bus/*/devices/"$address"; do
		sys=$(readlink -f "$sys")
	done
	mkdir -p "/sys/bus/pci/drivers/$1"
	ln -sfn "/sys/bus/pci/drivers/$1" "$sys/driver"
}

# untouched NAME: nothing has happened to the device since no_log
untouched() {
	check "$1: the device was not touched" sh -c "! grep -e ' arc ' -e ' reset' '$emulated/$device/log'"
}

# gives FILE: what the driver gives at the next save
gives() {
	cp "$1" "$emulated/$device/memory"
	stat -c %s "$1" >"$emulated/$device/size"
}

for driver in hisi_acc_vfio_pci ivshmem_vfio_pci mlx5_vfio_pci mtty qat_vfio_pci virtio_vfio_pci xe-vfio-pci; do
	format=${driver%[_-]vfio?pci}
	driven_by $driver
	echo 0xa251 >"$sys/device"
	stream "$format" >good
	head -c -1 good >short
	no_log "$device"
	status 5 "$format: cut off" vfiomig restore --no-hold "$device" --raw -i short
	says "the state is cut off: the stream of $format ends"
	says '; "vfiomig inspect --records" shows it'
	untouched "$format: cut off"
	vfiomig pack short -o image
	status 5 "$format: cut off, in an image" vfiomig restore --no-hold "$device" -i image
	says "the state is cut off: the stream of $format ends"
	untouched "$format: cut off, in an image"
	for how in '--raw <short' '<image'; do
		status 5 "$format: $how, through a pipe" sh -c "cat ${how#*<} | vfiomig restore --no-hold $device ${how%<*}"
		says 'the device was reset (its state is lost) and is now in RUNNING'
		check "$format: RESUMING was left by a reset" sh -c "grep -q ' reset' '$emulated/$device/log' &&
			! grep -q 'arc RESUMING-' '$emulated/$device/log'"
		no_log "$device"
	done
	status 5 "$format: not looked at before" vfiomig restore --no-hold --no-verify "$device" --raw -i short
	says 'the device was reset'
	status 0 "$format: --force" vfiomig restore --no-hold --force "$device" --raw -i short
	check "$format: the device has it" cmp short "$emulated/$device/memory"
	status 0 "$format: whole" vfiomig restore --no-hold "$device" --raw -i good
	check "$format: the device has it" cmp good "$emulated/$device/memory"
	status 0 "$format: whole, through a pipe" sh -c "cat good | vfiomig restore --no-hold $device --raw"
	head -c 5000 /dev/urandom | tr '\0-\377' '\200' >noise
	status 0 "$format: an unknown format is the driver's to refuse" vfiomig restore --no-hold "$device" --raw -i noise

	gives good
	status 0 "$format: save" vfiomig save "$device" -o image
	check "$format: no warning" sh -c "! grep 'may not load' '$ERR'"
	status 0 "$format: what the driver gives is the same" sh -c "vfiomig save $device --raw | vfiomig diff image -"
	status 0 "$format: save --json" vfiomig save --json "$device" -o image
	check "nothing is doubtful" jq -e '.complete and has("doubtful") and .doubtful == null' "$OUT"
	gives short
	status 0 "$format: save of half a record" vfiomig save "$device" -o image
	says 'the state may not load: what the driver gave ends'
	check "$format: the image is whole" vfiomig inspect --verify image
	status 0 "$format: raw" vfiomig save "$device" --raw -o raw
	says 'the state may not load: what the driver gave ends'
	status 0 "$format: -q does not hide it" vfiomig save -q "$device" -o image
	says 'the state may not load: what the driver gave ends'
	check "$format: but all else" test "$(wc -l <"$ERR")" -eq 1
	status 0 "$format: save --json" vfiomig save -q --json "$device" -o image
	check "what is doubtful" jq -e '.complete and (.doubtful | startswith("what the driver gave ends"))' "$OUT"
	# shellcheck disable=SC2016 # the inner shell's
	check "$format: the message does not go into the image" sh -c 'vfiomig save -q "$1" >mixed 2>&1 && vfiomig inspect --verify mixed' sh "$device"
	no_devices
done

# Who reads the stream has the last word: a record follows the last one.
driven_by xe-vfio-pci
{
	stream xe
	echo more
} >long
gives long
status 0 "save, with something after the end" vfiomig save "$device" -o image
says 'what the driver gave goes on for 5 bytes after its end'
status 0 "restore of it" vfiomig restore --no-hold "$device" -i image

# A signal has interrupted a read, and the driver has thrown away what it had: no record is cut off.
stream xe >good
{
	head -c 30 good
	tail -c +41 good
} >holed
gives holed
status 0 "save, with bytes missing in the middle" vfiomig save "$device" -o image
says 'the state may not load: what the driver gave has something that is no record'

# ---- Whose state it is ------------------------------------------------------

# belongs NAME STREAM TEXT: the stream is refused before the device is touched, and TEXT says why
belongs() {
	no_log "$device"
	status 6 "$1" vfiomig restore --no-hold "$device" --raw -i "$2"
	says "the state is of another device: $3"
	status 6 "$1, through a pipe" sh -c "cat $2 | vfiomig restore --no-hold $device --raw"
	vfiomig pack "$2" -o image
	status 6 "$1, in an image" vfiomig restore --no-hold "$device" -i image
	untouched "$1"
	status 0 "$1, --force" vfiomig restore --no-hold --force "$device" --raw -i "$2"
}

stream xe 1000 device=b081 >other
stream xe 1000 >good
status 0 "xe: without a physical function nobody can be asked" vfiomig restore --no-hold "$device" --raw -i other
mkdir "$sys/physfn"
echo 0xb080 >"$sys/physfn/device"
echo 0x04 >"$sys/physfn/revision"
belongs "xe: another device" other "its device is 0xb081, this one's is 0xb080"
stream xe 1000 revision=5 >other
belongs "xe: another revision" other "its revision is 0x5, this one's is 0x4"
status 0 "xe: the right one" vfiomig restore --no-hold "$device" --raw -i good
no_devices

driven_by hisi_acc_vfio_pci
echo 0xa251 >"$sys/device"
stream hisi_acc 0 device=a256 >other
belongs "hisi_acc: another device" other "its dev_id is 0xa256, this one's is 0xa251"
no_devices

driven_by ivshmem_vfio_pci
stream ivshmem >good
truncate -s 1M "$sys/resource2"
belongs "ivshmem: less memory" good "its memory_size is 12288, this one's is 1048576"
truncate -s 12288 "$sys/resource2"
status 0 "ivshmem: the right size" vfiomig restore --no-hold "$device" --raw -i good
stream ivshmem 10000 revision=2 >other
belongs "ivshmem: another revision" other "its revision is 0x2, this one's is 0x1"
no_devices

driven_by qat_vfio_pci
stream qat 0 svcmap=492 >dc
stream qat 0 svcmap=71c >asym-sym
status 0 "qat: without a physical function nobody can be asked" vfiomig restore --no-hold "$device" --raw -i dc
mkdir -p "$sys/physfn/qat"
echo 'sym;asym' >"$sys/physfn/qat/cfg_services"
belongs "qat: other services" dc "its services are dc, this one's are asym;sym; see qat/cfg_services of the physical function"
status 0 "qat: the right ones" vfiomig restore --no-hold "$device" --raw -i asym-sym
for services in dc dcc; do
	echo $services >"$sys/physfn/qat/cfg_services"
	belongs "qat: $services" asym-sym "its services are asym;sym, this one's are dc"
	status 0 "qat: $services, the right ones" vfiomig restore --no-hold "$device" --raw -i dc
done
echo 'dc;decomp' >"$sys/physfn/qat/cfg_services"
status 0 "qat: services that nobody knows" vfiomig restore --no-hold "$device" --raw -i asym-sym
echo sym >"$sys/physfn/qat/cfg_services"
stream qat 0 svcmap=2d >decomp
status 0 "qat: a map with services that nobody knows" vfiomig restore --no-hold "$device" --raw -i decomp
no_devices

driven_by mtty 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
type=$(dirname "$sys")/mdev_supported_types/mtty-2
mkdir -p "$type"
ln -sfn "$type" "$sys/mdev_type"
stream mtty 0 ports=1 >other
stream mtty >good
belongs "mtty: another number of ports" other "its nr_ports is 1, this one's is 2"
status 0 "mtty: the right one" vfiomig restore --no-hold "$device" --raw -i good

finish
