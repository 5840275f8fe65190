# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Tests of the whole program with devices that are emulated: in milliseconds, without a kernel's VFIO, and with
# faults where a test wants them. A script looks like this:
#
#   cd "$(dirname "$0")/../.." || exit
#   . tests/guest/lib/lib.sh
#   . tests/host/lib/emulate.sh
#   emulate 0000:3b:00.1                                # $device is now 0000:3b:00.1, and vfio0
#   status 0 "hold" vfiomig hold "$device"
#   noise "$device"                                     # fill its memory
#   fault "$device" arc STOP-STOP_COPY errno=EIO to=ERROR
#   status 7 "an arc that fails" vfiomig save "$device" -o image
#   no_faults "$device"
#   finish
#
# Sourcing this file starts the script again in name spaces of its own: /dev, /sys and /run are the test's, only its
# own processes are in /proc, and all of them are killed when the script ends. The script is in the directory
# /run/test, $top is the source directory, and $OUT and $ERR are set. Without the right to make name spaces the
# script is skipped.
#
#   vfiomig ARG...           is the program with the emulated devices. It is in PATH, for timeout(1) and setsid(1)
#                            too. VFIOMIG_BUILD is the build to be tested (check-asan). What is in $UNDER goes before
#                            it: UNDER="valgrind -q".
#   emulate ADDRESS [SETTING=VALUE...]
#                            make a device: a PCI function, or a mediated device if ADDRESS is a UUID
#   no_devices               remove all of them; end holders first
#   fault ADDRESS EVENT [DETAIL] WORD...
#                            add a fault; the first one that fits an event happens. ADDRESS "common" is for what
#                            is not one device's own
#   no_faults [ADDRESS]      remove all faults of the device (or of all, and the common ones)
#   noise ADDRESS [SIZE]     fill the device's memory, or its first SIZE bytes, with noise
#   state_of ADDRESS         print the device's state, without asking vfiomig
#   log_of ADDRESS           print what has happened: "PID open", "PID arc STOP-STOP_COPY", "PID reset: 0"...
#   no_log ADDRESS           forget it
#   kernel_log               make a /dev/kmsg, whose records are the lines of $emulated/common/kmsg: "4,1,1,-;TEXT", or
#                            "EPIPE" for some that were overwritten
#   kernel_is RELEASE [VERSION]
#                            what uname(2) says of the kernel
#   modules_are NAME[=ALIAS]...
#                            the kernel's modules are these, and depmod(8) has indexed them. In /lib/modules of the
#                            test's own, which needs an overlay: fails if there cannot be one
#   proc_says FILE           the file in /proc has the contents of standard input, for all processes
#   driver_is ADDRESS NAME   let the device's driver have this name
#   openers ADDRESS          print the PIDs of the processes that have the device open
#   said_state               print the state in which the last message says that the device is
#   end_holder ADDRESS       kill the holder, if there is one, and wait for its end
#
# A device's files are in $emulated/ADDRESS, and a test may read and write all of them at any time:
#
#   state       RUNNING, ERROR...; to write it is what another owner of the device, or a fault, would do
#   session     a number; data_fds of other sessions fail with ENODEV
#   memory      what is saved and restored, byte by byte. Opening the device and resetting it fills it with zeros
#   incoming    what was written to the data_fd in RESUMING. The arc to STOP copies it to memory
#   config      the PCI configuration space, 256 bytes
#   log         see log_of
#   flags       VFIO_MIGRATION_*: 1 STOP_COPY, 2 P2P, 4 PRE_COPY (default 7; 0 is a device without migration support)
#   size        of memory (default 100000). Set it through emulate only
#   group       the number of the IOMMU group (default: one of its own, 7 and up)
#   lenient     1: a state of another size loads as well (default: EINVAL, and ERROR)
#   keeps       1: opening the device does not reset it; a state: unless the device is in another one
#   noisy       1: a device that was reset or opened has the contents of the file factory, not zeros
#   initial     the bytes that can be read in PRE_COPY (default: half of them)
#   end         what read() returns after them: ENOMSG (the default), EAGAIN, 0...
#   unlocked    1: two reads of the data_fd at a time give the same bytes, and then some are left out
#   logging     1: there is DMA logging, which logs nothing (default: none)
#   low_power   1: it can be brought to low power; 2: and what is read of its state there is wrong
#   asleep      1: it is in low power
#   irq         the index of its only interrupt, which cannot be enabled (default: it has none)
#   ranges      the most ranges of DMA that it takes (default: a page full of them)
#   data_name   what the driver calls its data_fds (default: [vfio-migration])
#   initial_bytes, dirty_bytes, data_size
#               what VFIO_MIG_GET_PRECOPY_INFO and MIG_DATA_SIZE say, if it is not the truth
#
# In $emulated/common, "release" and "version" are what uname(2) says of the kernel, "pagesize" is the size of its
# pages, and "pidns" the name of the processes' PID namespace.
#
# These are the events, with their details in brackets:
#
#   open                     open() of the cdev
#   close                    the last close() of a cdev that is bound
#   bind, attach, info, region, size, migration, reset, precopy-info
#                            the ioctls BIND_IOMMUFD, ATTACH_IOMMUFD_PT, GET_INFO, GET_REGION_INFO, the features
#                            MIG_DATA_SIZE and MIGRATION, RESET, MIG_GET_PRECOPY_INFO
#   get, set [STATE]         the feature MIG_DEVICE_STATE; set comes before the first arc, and before the state is
#                            looked at
#   arc [FROM-TO]            one arc, as in RUNNING-RUNNING_P2P; without a detail any arc
#   to [STATE]               an arc into this state
#   read, write              of a data_fd
#   region-read, region-write
#                            pread() and pwrite() of the device
#   Of "common": open-group, open-container, open-iommufd, ioas, api-version, extension, status, set-container,
#   set-iommu, device-fd, sleep, which is each poll() of nothing, and sigkill, which is each kill() with SIGKILL; with
#   skip, the process does not end
#
# and these the words:
#
#   errno=EIO                the call fails and does nothing (an arc with to=: it was done, but fails)
#   to=STATE                 (arc, to) the device goes there instead; without errno= the call returns 0
#   skip                     the call returns 0, and does nothing; status says that the group is not viable, extension
#                            that there is no type1 IOMMU, and api-version 1
#   sleep=SECONDS, hang      the call sleeps so long, or for ever. Signals interrupt it: EINTR
#   slow=SECONDS             the call sleeps, and no signal interrupts it
#   signal=TERM              the caller's process group gets this signal during the call. Run the program with setsid!
#   run=COMMAND LINE         the shell runs this before the call; the last word of a fault. Must end with 0
#   fd, nofd                 (arc) there is a data_fd with an arc that has none, and the other way round
#   return=N                 (read, write) returns N, and does nothing
#   extra=N                  (read, write) returns N more than was done
#   most=N                   (read, write) moves at most N bytes
#   at=N                     (read, write) happens at this position of the stream
#   after=N, times=N         not the first N times; only N times

if [ -z "${EMULATED-}" ]; then
	top=$PWD
	# A process that is not root is root in a name space of its own.
	[ "$(id -u)" -eq 0 ] && user='' || user='--user --map-root-user'
	# shellcheck disable=SC2086 # words
	if ! unshare $user --mount --pid --fork --mount-proc sh -c 'mount -t tmpfs sys /sys' 2>/dev/null; then
		echo "ok 1 # SKIP no right to make name spaces"
		echo "1..1"
		exit
	fi
	# The first process of the name space waits for orphans.
	# The script has changed the directory, so that $0 may not lead to it.
	case $0 in
	/*) script=$0 ;;
	*) script=$top/tests/host/${0##*/} ;;
	esac
	# shellcheck disable=SC2086,SC2093,SC2016 # words; the end; the inner shell's
	EMULATED=1 exec unshare $user --mount --pid --fork --kill-child --mount-proc \
		sh -c 'sh "$@"; exit $?' sh "$script" "$@"
fi

top=$PWD
emulated=/run/emulated

# make_machine: mount an empty /dev, /sys and /run
make_machine() {
	mount -t tmpfs -o mode=755 run /run
	mkdir /run/dev
	mount --rbind /dev /run/dev
	mount -t tmpfs -o mode=755 dev /dev
	for node in null zero full random urandom tty; do
		: >/dev/$node
		mount --bind /run/dev/$node /dev/$node
	done
	for dir in shm pts; do
		mkdir /dev/$dir
		mount --bind /run/dev/$dir /dev/$dir
	done
	umount -l /run/dev
	ln -s pts/ptmx /dev/ptmx
	ln -s /proc/self/fd /dev/fd
	ln -s /proc/self/fd/0 /dev/stdin
	ln -s /proc/self/fd/1 /dev/stdout
	ln -s /proc/self/fd/2 /dev/stderr
	mount -t tmpfs -o mode=755 sys /sys
	mkdir /run/test /run/bin /run/build
	# The directory of the state is for all users, like the kernel.
	mkdir -m 1777 "$emulated"
	umask 022
	make_bus
}

# make_bus: sysfs and /dev without devices
make_bus() {
	mkdir -p /dev/vfio/devices /sys/bus/pci/devices /sys/bus/pci/drivers /sys/bus/mdev/devices /sys/bus/mdev/drivers \
		/sys/class/vfio /sys/class/vfio-dev /sys/dev/char /sys/devices /sys/kernel/iommu_groups
	stands_for /dev/vfio/vfio 3 0
	stands_for /dev/iommu 4 0
	mkdir -m 1777 "$emulated/common"
	devices=0
}

# stands_for FILE KIND NUMBER: make a file that stands for a node. tests/host/emulate/ has the same numbers.
stands_for() {
	truncate -s $(((0x5646 << 44) | ($2 << 40) | ($3 << 32))) "$1"
	chmod 666 "$1"
}

# make_program: make the program "vfiomig" in /run/bin
make_program() {
	build=$top/${VFIOMIG_BUILD:-build}
	# All users can get there.
	cp -L "$build/vfiomig" "$build"/libvfiomig.so.[0-9]* "$top/build/tests/host/emulate.so" /run/build/
	# The runtime of a sanitizer has to come first.
	runtime=$(ldd "$build/vfiomig" | sed -n 's/.*=> \(.*lib[at]san[^ ]*\) .*/\1/p')
	preload="${runtime:+$runtime }/run/build/emulate.so"
	cat >/run/bin/vfiomig <<-END
		#!/bin/sh
		export LD_PRELOAD="$preload"
		exec \$UNDER /run/build/vfiomig "\$@"
	END
	chmod 755 /run/bin/vfiomig
	PATH=/run/bin:$PATH
}

# The same without a shell in between
vfiomig() {
	LD_PRELOAD=$preload $UNDER /run/build/vfiomig "$@"
}

# little_endian NUMBER BYTES: print a number in little endian, for printf
little_endian() {
	value=$(($1)) rest=$2
	while [ "$rest" -gt 0 ]; do
		printf '\\%03o' $((value & 255))
		value=$((value >> 8)) rest=$((rest - 1))
	done
}

# make_config FILE: make a configuration space: vendor, device, command, status, revision, class, header, subsystem
make_config() {
	# shellcheck disable=SC2059 # octal numbers
	printf "$(little_endian 0x1af4 2)$(little_endian 0x1110 2)\0\0\020\0\001\0\0\005\0\0\0\0" >"$1"
	truncate -s 44 "$1"
	# shellcheck disable=SC2059 # octal numbers
	printf "$(little_endian 0x1af4 2)$(little_endian 0x1100 2)" >>"$1"
	truncate -s 256 "$1"
}

# make_function DIRECTORY: the files that a PCI function has in sysfs
make_function() {
	echo 0x1af4 >"$1/vendor"
	echo 0x1110 >"$1/device"
	echo 0x1af4 >"$1/subsystem_vendor"
	echo 0x1100 >"$1/subsystem_device"
	echo 0x050000 >"$1/class"
	echo 0x01 >"$1/revision"
	echo 'pci:v00001AF4d00001110sv00001AF4sd00001100bc05sc00i00' >"$1/modalias"
	echo '(null)' >"$1/driver_override"
	{
		echo '0x00000000fe000000 0x00000000fe000fff 0x0000000000040200'
		for _ in 1 2 3 4 5 6; do
			echo '0x0000000000000000 0x0000000000000000 0x0000000000000000'
		done
	} >"$1/resource"
	ln -s "$emulated/$2/config" "$1/config"
}

# make_sysfs ADDRESS CDEV GROUP: the device in sysfs
make_sysfs() {
	case $1 in
	*:*) bus=pci driver=emulated_vfio_pci parent=/sys/devices/pci0000:00 ;;
	*) bus=mdev driver=emulated_vfio_mdev parent=/sys/devices/virtual/emulated ;;
	esac
	dir=$parent/$1
	mkdir -p "$dir/vfio-dev/$2" "/sys/bus/$bus/drivers/$driver" "/sys/kernel/iommu_groups/$3/devices" "/sys/class/vfio/$3"
	ln -s "/sys/bus/$bus" "$dir/subsystem"
	ln -s "/sys/bus/$bus/drivers/$driver" "$dir/driver"
	ln -s "$dir" "/sys/bus/$bus/drivers/$driver/$1"
	ln -s "$dir" "/sys/bus/$bus/devices/$1"
	ln -s "/sys/kernel/iommu_groups/$3" "$dir/iommu_group"
	ln -s "$dir" "/sys/kernel/iommu_groups/$3/devices/$1"
	ln -s /sys/class/vfio-dev "$dir/vfio-dev/$2/subsystem"
	ln -s "$dir" "$dir/vfio-dev/$2/device"
	echo "511:${2#vfio}" >"$dir/vfio-dev/$2/dev"
	ln -s "$dir/vfio-dev/$2" "/sys/class/vfio-dev/$2"
	ln -s "$dir/vfio-dev/$2" "/sys/dev/char/511:${2#vfio}"
	if [ $bus = pci ]; then
		make_function "$dir" "$1"
	else
		mkdir -p "$parent/mdev_supported_types/emulated-1"
		ln -s "$parent/mdev_supported_types/emulated-1" "$dir/mdev_type"
	fi
	# Devices can share a group.
	[ ! -e "/sys/class/vfio/$3/dev" ] || return 0
	echo "510:$3" >"/sys/class/vfio/$3/dev"
	ln -s /sys/class/vfio "/sys/class/vfio/$3/subsystem"
	ln -s "/sys/class/vfio/$3" "/sys/dev/char/510:$3"
	stands_for "/dev/vfio/$3" 2 "$3"
}

emulate() {
	device=$1
	shift
	dir=$emulated/$device
	mkdir -m 1777 "$dir"
	ln -s "$device" "$emulated/vfio$devices"
	echo "$device" >"$dir/name"
	echo 7 >"$dir/flags"
	echo 100000 >"$dir/size"
	echo $((7 + devices)) >"$dir/group"
	echo RUNNING >"$dir/state"
	case $device in
	*:*) make_config "$dir/config" ;;
	*) echo 0 >"$dir/pci" ;;
	esac
	for word; do
		echo "${word#*=}" >"$dir/${word%%=*}"
	done
	truncate -s "$(cat "$dir/size")" "$dir/memory"
	truncate -s 4096 "$dir/bar"
	stands_for "$dir/device" 5 $devices
	stands_for /dev/vfio/devices/vfio$devices 1 $devices
	chmod 666 "$dir"/*
	make_sysfs "$device" vfio$devices "$(cat "$dir/group")"
	devices=$((devices + 1))
}

kernel_log() {
	: >"$emulated/common/kmsg"
	chmod 666 "$emulated/common/kmsg"
	stands_for /dev/kmsg 7 0
}

kernel_is() {
	echo "$1" >"$emulated/common/release"
	echo "${2-}" >"$emulated/common/version"
}

modules_are() {
	lib=$(readlink -f /lib)
	if [ ! -e /run/lib ]; then
		mkdir /run/lib /run/lib-work
		mount -t overlay overlay -o "lowerdir=$lib,upperdir=/run/lib,workdir=/run/lib-work" "$lib" 2>/dev/null || return
	fi
	modules=$lib/modules/$(cat "$emulated/common/release")
	rm -rf "$lib/modules"
	mkdir -p "$modules"
	for module; do
		printf 'const char a[] __attribute__((section(".modinfo"))) = "%s";' "$(echo "$module" | sed -n 's/[^=]*=/alias=/p')" |
			gcc -x c -c - -o "$modules/${module%%=*}.ko" || return
	done
	PATH=$PATH:/usr/sbin:/sbin depmod "${modules##*/}" 2>/dev/null
}

proc_says() {
	cat >"/run/$(echo "$1" | tr / -)"
	umount "/proc/$1" 2>/dev/null
	mount --bind "/run/$(echo "$1" | tr / -)" "/proc/$1"
}

driver_is() {
	entry=$(find /sys/devices -name "$1")
	drivers=$(readlink -f "$entry/subsystem")/drivers
	mkdir -p "$drivers/$2"
	ln -sfn "$drivers/$2" "$entry/driver"
}

no_devices() {
	rm -rf /sys/bus /sys/class /sys/dev /sys/devices /sys/kernel /dev/vfio /dev/iommu "${emulated:?}"/*
	make_bus
}

fault() {
	target=$1
	shift
	echo "$*" >>"$emulated/$target/faults"
	rm -f "$emulated/$target/counts"
}

no_faults() {
	if [ $# -gt 0 ]; then
		rm -f "$emulated/$1/faults" "$emulated/$1/counts"
	else
		rm -f "$emulated"/*/faults "$emulated"/*/counts
	fi
}

noise() {
	head -c "${2:-$(cat "$emulated/$1/size")}" /dev/urandom | dd of="$emulated/$1/memory" bs=1M conv=notrunc status=none
}

state_of() {
	cat "$emulated/$1/state"
}

log_of() {
	cat "$emulated/$1/log"
}

no_log() {
	: >"$emulated/$1/log"
}

said_state() {
	sed -n 's/.*\(the device is\|is now\|back\|stays\|left\) in \([A-Z_0-9]*\).*/\2/p' "$ERR" | tail -n 1
}

# is_gone PID
is_gone() {
	! kill -0 "$1" 2>/dev/null
}

end_holder() {
	for pid in $(openers "$1"); do
		kill -KILL "$pid"
		wait_for is_gone "$pid"
	done
	rm -f "/run/vfiomig/$1.sock"
}

# openers ADDRESS: print the processes that have the device open. In a chroot, what another name space of mounts has open has
# a path from the real root on.
openers() {
	# shellcheck disable=SC2012 # a link's target
	for cdev in "$emulated"/vfio*; do
		if [ "$(readlink "$cdev")" = "$1" ]; then
			find /proc/[0-9]*/fd \( -lname "*/dev/vfio/devices/${cdev##*/}" -o -lname "*$emulated/$1/device" -o \
				-lname "*$emulated/${cdev##*/}/device" \) 2>/dev/null | cut -d/ -f3 | sort -un
		fi
	done
}

make_machine
make_program
# shellcheck disable=SC2034 # lib.sh uses them
OUT=/run/stdout ERR=/run/stderr
export UNDER="${UNDER-}"
cd /run/test || exit
