#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# doctor: each line in each of its outcomes, on machines that are made of files.

# Without an argument no_faults is for all devices.
# shellcheck disable=SC2119

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh
# shellcheck source=tests/host/lib/doctor.sh
. "$top/tests/host/lib/doctor.sh"

fit_out
emulate 0000:3b:00.1
one=$device

# ---- A host on which nothing is amiss ------------------------------------------

ends 0 "a host on which nothing is amiss" vfiomig doctor
if [ "$has_modules" ]; then
	check "all lines pass" sh -c "! grep -v -e ^PASS -e '^0 FAIL, 0 WARN, 0 not known, 19 PASS$' '$OUT'"
else
	ok "all lines pass # SKIP no right to mount an overlay"
fi
ends 0 "-q" vfiomig doctor -q
check "prints nothing then" test ! -s "$OUT"
ends 0 "a device with which nothing is amiss" vfiomig doctor --probe "$one"
[ ! "$has_modules" ] || check "all lines pass" sh -c "! grep -v -e ^PASS -e '^0 FAIL, 0 WARN, 0 not known, 33 PASS$' '$OUT'"
check "nothing is changed: the device is not opened without --probe" sh -c "vfiomig doctor $one >/dev/null && test \$(grep -c open $emulated/$one/log) -eq 1"

# ---- kernel.* --------------------------------------------------------------------

finds PASS kernel.version 'Linux 6.18.40' ''
kernel_is 6.1.0-9-amd64
finds WARN kernel.version 'Linux 6.1.0-9-amd64 has no PRE_COPY: a device is stopped as long as its state is read' \
	'boot Linux 6.2 or later, with which some drivers read most of the state before'
finds PASS kernel.hang 'the arc STOP_COPY -> PRE_COPY does not hang this kernel' ''
kernel_is 5.14.0-500.el9
finds PASS kernel.version 'Linux 5.14.0-500.el9, with a VFIO of Linux 6.1 or later' ''
mv /sys/class/vfio-dev /run
finds FAIL kernel.version 'Linux 5.14.0-500.el9 is too old: sysfs shows VFIO'"'"'s devices since Linux 6.1 only' 'boot Linux 6.1 or later'
mv /run/vfio-dev /sys/class
kernel_is custom
finds '????' kernel.version "the kernel's version is not known: it says 'custom'" \
	'find out which it is: Linux 6.1 is the oldest one, and 6.2 has PRE_COPY'
finds '????' kernel.hang 'whether the arc STOP_COPY -> PRE_COPY hangs the kernel is not known' 'Linux 7.2, 6.18.39 and 6.12.96 do not hang'
for release in 6.12.96 6.12.117 6.18.39 7.2.0 7.3; do
	kernel_is $release
	finds PASS kernel.hang 'the arc STOP_COPY -> PRE_COPY does not hang this kernel' ''
done
kernel_is 6.12.0-30-amd64 '#1 SMP PREEMPT_DYNAMIC Debian 6.12.96-1 (2026-07-20)'
finds PASS kernel.hang 'the arc STOP_COPY -> PRE_COPY does not hang this kernel' ''
kernel_is 6.12.0-30-amd64 '#1 SMP PREEMPT_DYNAMIC Debian 6.12.95-1 (2026-07-10)'
hangs='the arc STOP_COPY -> PRE_COPY hangs this kernel for ever; vfiomig refuses it, another program may not'
finds WARN kernel.hang "$hangs" 'boot Linux 6.12.96 or later'
kernel_is 6.18.38
finds WARN kernel.hang "$hangs" 'boot Linux 6.18.39 or later'
for release in 6.2.1 6.6.150 7.1.9; do
	kernel_is $release
	finds '????' kernel.hang 'whether the arc STOP_COPY -> PRE_COPY hangs this kernel for ever cannot be told from its version; vfiomig refuses it, another program may not' \
		'Linux 7.2, 6.18.39 and 6.12.96 do not hang'
done
kernel_is 6.18.40

finds PASS kernel.vfio 'VFIO is loaded, and 1 device has a VFIO driver' ''
emulate 0000:3b:00.2
finds PASS kernel.vfio 'VFIO is loaded, and 2 devices have VFIO drivers' ''
finds PASS kernel.group 'devices can be opened through groups, with type1' ''
finds PASS kernel.cdev 'devices can be opened through cdevs, with iommufd' ''
finds PASS kernel.debugfs 'the states of open devices can be seen from outside' ''
mv $sys/vfio_iommu_type1 /run
finds PASS kernel.group 'the kernel has no type1 loaded; devices are opened by cdev' ''
mv /run/vfio_iommu_type1 $sys
# iommufd_is HOW: it is "here" or "away", as far as its node and its class tell
iommufd_is() {
	case $1 in
	away) mv /dev/iommu /run && rmdir /sys/class/misc/iommu ;;
	here) mv /run/iommu /dev && mkdir /sys/class/misc/iommu ;;
	esac
}
iommufd_is away
[ ! "$has_modules" ] || finds PASS kernel.cdev 'iommufd, for cdevs, is not loaded; devices are opened by group' ''
for cdev in /sys/class/vfio-dev/*; do
	mv "$cdev/dev" "$cdev/no-dev"
done
iommufd_is here
finds PASS kernel.cdev 'the kernel has no cdevs (VFIO_DEVICE_CDEV); devices are opened by group' ''
mkdir /run/classes
mv /sys/class/vfio-dev/* /run/classes
finds PASS kernel.vfio 'VFIO is loaded; no device has a VFIO driver' ''
finds PASS kernel.cdev 'no device shows yet whether there are cdevs; devices are opened by group' ''
mv $sys/vfio_iommu_type1 /run
finds '????' kernel.cdev 'whether the kernel has cdevs shows when a device has a VFIO driver' '"vfiomig bind DEV" gives a device one'
if [ "$has_modules" ]; then
	finds WARN kernel.group 'vfio_iommu_type1, for groups, is not loaded' 'modprobe vfio_iommu_type1'
	iommufd_is away
	finds WARN kernel.cdev 'iommufd, for cdevs, is not loaded' 'modprobe iommufd'
	modules_are vfio iommufd
	finds WARN kernel.group 'the kernel has no type1, so groups cannot be used' 'cdevs may do: see kernel.cdev'
	modules_are vfio vfio_iommu_type1
	finds WARN kernel.cdev 'the kernel has no cdevs (VFIO_DEVICE_CDEV)' 'groups do as well: see kernel.group'
	modules_are vfio
	finds FAIL kernel.group 'the kernel has neither type1 nor cdevs: no device can be opened' \
		'boot a kernel that was built with VFIO_IOMMU_TYPE1, or IOMMUFD and VFIO_DEVICE_CDEV'
	mv /sys/class/vfio-dev /run
	finds WARN kernel.vfio 'VFIO is not loaded' "\"vfiomig bind DEV\" loads it with the device's driver"
	modules_are other
	finds FAIL kernel.vfio 'the kernel has no VFIO' 'boot a kernel that was built with VFIO, or install the rest of its modules'
	mv /run/vfio-dev /sys/class
	iommufd_is here
fi
iommufd_is away
kernel_is 6.18.41
mv /sys/class/vfio-dev /run
for what in vfio:VFIO group:type1 cdev:iommufd; do
	finds '????' "kernel.${what%:*}" "whether the kernel has ${what#*:} is not known: its modules, or their index, are not here" \
		'see modules.vfio-pci'
done
mv /run/vfio-dev /sys/class
kernel_is 6.18.40
iommufd_is here
mv /run/vfio_iommu_type1 $sys

rmdir /sys/kernel/debug/vfio
mkdir /sys/kernel/debug/other
finds '????' kernel.debugfs 'whether the kernel has VFIO_DEBUGFS shows when a device has a VFIO driver' '"vfiomig bind DEV" gives a device one'
mv /run/classes/* /sys/class/vfio-dev
for cdev in /sys/class/vfio-dev/*; do
	mv "$cdev/no-dev" "$cdev/dev"
done
finds WARN kernel.debugfs 'the kernel has no VFIO_DEBUGFS (Linux 6.8): the state of a device that another process has open is not seen' \
	'"vfiomig state pid:PID/DEV" asks the device itself'
chmod 700 /sys/kernel/debug
drop='setpriv --reuid=65534 --regid=65534 --clear-groups'
finds '????' kernel.debugfs 'only root may look into debugfs' 'run as root'
drop=
rmdir /sys/kernel/debug/other
finds WARN kernel.debugfs 'debugfs is not mounted: the state of a device that another process has open is not seen' \
	'mount -t debugfs debugfs /sys/kernel/debug'
mkdir /sys/kernel/debug/vfio
# shellcheck disable=SC2086 # words
[ ! "$has_modules" ] || modules_are $all

# ---- iommu.* -----------------------------------------------------------------------

finds PASS iommu.on 'the IOMMU is on (dmar0): 2 groups' ''
rmdir /sys/class/iommu/dmar0
finds PASS iommu.on 'the IOMMU is on: 2 groups' ''
for group in /sys/kernel/iommu_groups/*; do
	echo vfio-noiommu >"$group/name"
done
finds FAIL iommu.on 'no IOMMU is on: VFIO takes no PCI device' \
	'enable it in the firmware'"'"'s setup (VT-d, AMD-Vi, SMMU), boot with intel_iommu=on on Intel, and see dmesg | grep -i -e DMAR -e IOMMU'
finds PASS iommu.remapping 'interrupts are remapped' ''
echo '  0:  1  2  IO-APIC  2-edge  timer' | proc_says interrupts
finds '????' iommu.remapping 'whether interrupts can be remapped shows when the IOMMU is on' 'see iommu.on'
echo Y >$sys/vfio/parameters/enable_unsafe_noiommu_mode
finds WARN iommu.on "no IOMMU is on, and VFIO is in its noiommu mode: nothing protects the host from a device's DMA" \
	"enable the IOMMU in the firmware's setup, and boot with intel_iommu=on on Intel"
echo N >$sys/vfio/parameters/enable_unsafe_noiommu_mode
rm /sys/kernel/iommu_groups/*/name
unsafe=parameters/allow_unsafe_interrupts
refused='interrupts are not remapped: VFIO takes no device of this platform'
enable="enable it in the firmware's setup, and boot without intremap=off; or allow it: echo Y >$sys"
finds FAIL iommu.remapping "$refused" "$enable/iommufd/$unsafe"
mv /dev/iommu /run
rmdir /sys/class/misc/iommu
finds FAIL iommu.remapping "$refused" "$enable/vfio_iommu_type1/$unsafe"
permitted='interrupts are not remapped, which allow_unsafe_interrupts permits'
then="enable interrupt remapping in the firmware's setup (VT-d, AMD-Vi), if it is there"
echo Y >$sys/vfio_iommu_type1/$unsafe
finds WARN iommu.remapping "$permitted: a device can send any interrupt" "$then"
mv /run/iommu /dev
mkdir /sys/class/misc/iommu
finds WARN iommu.remapping "$permitted for --via=group only: a device can send any interrupt" "$then"
echo Y >$sys/iommufd/$unsafe
finds WARN iommu.remapping "$permitted: a device can send any interrupt" "$then"
echo N >$sys/vfio_iommu_type1/$unsafe
finds WARN iommu.remapping "$permitted for --via=cdev only: a device can send any interrupt" "$then"
echo N >$sys/iommufd/$unsafe
echo ' 11:  1  2  GICv3  27 Level  arch_timer' | proc_says interrupts
finds '????' iommu.remapping 'this platform does not tell whether it isolates the interrupts of devices; VFIO refuses a device if it does not' \
	'"vfiomig doctor --probe DEV" tries it'
echo '  0:  1  2  IR-IO-APIC  2-edge  timer' | proc_says interrupts
mkdir /sys/class/iommu/dmar0

finds PASS iommu.reserved 'the firmware has reserved no memory for a device' ''
echo '0x00000000fee00000 0x00000000feefffff msi' >/sys/kernel/iommu_groups/7/reserved_regions
finds PASS iommu.reserved 'the firmware has reserved no memory for a device' ''
echo '0x000000008e000000 0x000000008fffffff direct' >>/sys/kernel/iommu_groups/7/reserved_regions
vendor='ask the platform'"'"'s vendor, if one of them is to be migrated; reserved_regions in /sys/kernel/iommu_groups/N tells which memory'
finds WARN iommu.reserved 'the firmware has reserved memory for the devices of IOMMU group 7: VFIO refuses these' "$vendor"
for group in 8 20 21 22 100; do
	mkdir -p /sys/kernel/iommu_groups/$group
	cp /sys/kernel/iommu_groups/7/reserved_regions /sys/kernel/iommu_groups/$group/
done
finds WARN iommu.reserved 'the firmware has reserved memory for the devices of the IOMMU groups 7, 8, 20, 21, ...: VFIO refuses these' "$vendor"
finds FAIL device.reserved 'not permitted: the firmware has reserved the memory 0x8e000000 to 0x8fffffff for the device or its group (RMRR, IVMD; see /sys/devices/pci0000:00/0000:3b:00.1/iommu_group/reserved_regions and the kernel'"'"'s log)' \
	"ask the platform's vendor" "$one"
rm /sys/kernel/iommu_groups/*/reserved_regions

# ---- modules.* ------------------------------------------------------------------------

finds PASS modules.vfio-pci 'vfio-pci is loaded' ''
rmdir /sys/bus/pci/drivers/vfio-pci
kernel_is 6.18.41
finds '????' modules.vfio-pci 'whether the kernel has vfio-pci is not known: its modules, or their index, are not here' \
	'install the modules of this kernel and run "depmod -a"; in a container, show it /lib/modules'
finds '????' modules.variants "the variant drivers are not known: the kernel's modules.alias cannot be read: No such file or directory" \
	'see modules.vfio-pci'
finds '????' modules.fit 'which functions a variant driver fits is not known, as the drivers are not' 'see modules.variants'
kernel_is 6.18.40
if [ "$has_modules" ]; then
	finds PASS modules.vfio-pci 'vfio-pci is not loaded; "vfiomig bind" loads it' ''
	finds PASS modules.variants 'this kernel has emulated_vfio_pci' ''
	finds PASS modules.fit '0000:3b:00.1 has emulated_vfio_pci, 0000:3b:00.2 has emulated_vfio_pci' ''
	modules_are other
	finds WARN modules.vfio-pci 'the kernel has no vfio-pci, which takes functions without a better driver' "install the rest of the kernel's modules"
	finds WARN modules.variants 'this kernel has no variant driver with an alias, and vfio-pci cannot migrate' \
		"install the rest of the kernel's modules or the vendor's driver, run \"depmod -a\", or bind with -d"
	finds WARN modules.fit 'no variant driver fits one of the 2 PCI functions of this host' \
		'most fit virtual functions only: echo N >sriov_numvfs makes some; a driver without an alias is bound with -d'
	modules_are 'vfio-pci=vfio_pci:v*d*sv*sd*bc*sc*i*' better_vfio_pci="$alias"
	finds PASS modules.variants 'this kernel has better_vfio_pci' ''
	finds PASS modules.fit '0000:3b:00.1, now of emulated_vfio_pci can have better_vfio_pci, 0000:3b:00.2, now of emulated_vfio_pci can have better_vfio_pci' ''
	finds WARN device.driver 'its driver is emulated_vfio_pci, and better_vfio_pci fits better' "\"vfiomig bind $one\" binds it to better_vfio_pci" "$one"
	driver_is "$one" vfio-pci
	finds FAIL device.driver 'its driver vfio-pci has no migration support' "run \"vfiomig bind $one\", which binds it to better_vfio_pci" "$one"
	driver_is "$one" better_vfio_pci
	finds PASS device.driver 'better_vfio_pci, the driver that fits it best' '' "$one"
	# A module that is a part of the kernel
	modules_are other
	printf 'built_vfio_pci.alias=%s\0built_vfio_pci.license=GPL\0' "$alias" >>"$modules/modules.builtin.modinfo"
	finds PASS modules.variants 'this kernel has built_vfio_pci' ''
	# shellcheck disable=SC2046 # words
	modules_are $(seq -f 'variant_number_%g_vfio_pci=vfio_pci:v00001234d*' 30)
	check "a list that is too long ends with dots" sh -c "vfiomig doctor | grep -q '^PASS  modules.variants  *this kernel has variant_.*, \.\.\.$'"
	# shellcheck disable=SC2086 # words
	modules_are $all
fi
driver_is "$one" vfio-pci
kernel_is 6.18.41
finds FAIL device.driver 'its driver vfio-pci has no migration support' 'a variant driver for the device is needed' "$one"
driver_is "$one" emulated_vfio_pci
finds PASS device.driver emulated_vfio_pci '' "$one"
kernel_is 6.18.40

# ---- limits.*, run.directory ------------------------------------------------------------

finds PASS limits.memlock 'locked memory has no limit for this user' ''
drop='setpriv --bounding-set=-ipc_lock prlimit --memlock=65536:65536'
finds WARN limits.memlock 'locked memory is limited to 64 KiB, which does for vfiomig; a VMM of this user locks all memory of its guest' \
	'ulimit -l unlimited, LimitMEMLOCK=infinity in a unit, or memlock in limits.conf(5)'
drop='prlimit --memlock=unlimited:unlimited setpriv --bounding-set=-ipc_lock'
if $drop true 2>/dev/null; then
	finds PASS limits.memlock 'locked memory has no limit for this user' ''
fi
drop='prlimit --nofile=64:64'
finds PASS limits.files 'a process may have 64 files open' ''
drop='prlimit --nofile=63:63'
finds WARN limits.files 'a process may have 63 files open, which may be too few' 'ulimit -n 1024, or LimitNOFILE=1024 in a unit'
drop='prlimit --nofile=15:15'
finds FAIL limits.files 'a process may have 15 files open, with which commands fail, and other lines here may be wrong' \
	'ulimit -n 1024, or LimitNOFILE=1024 in a unit'
drop=

finds PASS run.directory /run/vfiomig ''
rm -rf /run/vfiomig
finds PASS run.directory '/run/vfiomig will be made when it is needed' ''
check "it was not made" test ! -e /run/vfiomig
: >/run/vfiomig
finds FAIL run.directory '/run/vfiomig is not a directory (a link to one is none either)' 'remove it'
rm /run/vfiomig
mkdir /run/vfiomig
chmod 777 /run/vfiomig
finds FAIL run.directory "others may write to /run/vfiomig, so what is in it cannot be trusted" 'remove it'
check "its mode is what it was" test "$(stat -c %a /run/vfiomig)" = 777
chown 65534 /run/vfiomig
finds FAIL run.directory "/run/vfiomig belongs to user 65534, so what is in it cannot be trusted" 'remove it'
rm -r /run/vfiomig
mkdir -m 700 /run/vfiomig
nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
# Without a directory, commands work that need none.
without='hold, bind, pid:, fd: and restore without --no-hold need it, other commands do not'
drop="env XDG_RUNTIME_DIR=/run/session $nobody"
finds WARN run.directory "cannot make /run/session/vfiomig: No such file or directory: $without" \
	'set XDG_RUNTIME_DIR to a directory of yours that is there'
mkdir /run/session
finds WARN run.directory "cannot make /run/session/vfiomig: Permission denied: $without" \
	'set XDG_RUNTIME_DIR to a directory of yours that is there'
drop="env -u XDG_RUNTIME_DIR $nobody"
finds WARN run.directory "cannot make /run/user/65534/vfiomig: No such file or directory: $without" 'set XDG_RUNTIME_DIR'
drop="env XDG_RUNTIME_DIR=session $nobody"
finds WARN run.directory "cannot make /run/user/65534/vfiomig: No such file or directory: $without" \
	'XDG_RUNTIME_DIR does not count, because it is a relative path: set it to an absolute one'
# shellcheck disable=SC2317 # status calls it
nowhere() {
	env XDG_RUNTIME_DIR=session setpriv --reuid=65534 --regid=65534 --clear-groups vfiomig "$@"
}
chmod 777 .
chmod 666 "$emulated/$one"/*
status 0 "without a directory: save" nowhere save -q "$one" -o image
status 0 "without a directory: restore --no-hold" nowhere restore -q --no-hold "$one" -i image
status 1 "without a directory: restore" nowhere restore -q "$one" -i image
says 'cannot make /run/user/65534/vfiomig: No such file or directory; XDG_RUNTIME_DIR does not count'
status 1 "without a directory: hold" nowhere hold -q "$one"
says 'XDG_RUNTIME_DIR does not count, because it is a relative path: set it to an absolute one'
# shellcheck disable=SC2016 # the inner shell's
status 1 "without a directory: fd:" nowhere exec "$one" -- sh -c 'vfiomig state "fd:$VFIOMIG_DEVICE_FD"'
says 'nowhere to lock it: cannot make /run/user/65534/vfiomig'
rm -f image
mount -t tmpfs -o ro none /run/session
drop="env XDG_RUNTIME_DIR=/run/session $nobody"
finds WARN run.directory "cannot make /run/session/vfiomig: Read-only file system: $without" \
	'set XDG_RUNTIME_DIR to a directory of yours that is there'
umount /run/session
: >/run/session/vfiomig
finds FAIL run.directory '/run/session/vfiomig is not a directory (a link to one is none either)' 'remove it'
rm /run/session/vfiomig
chown 65534 /run/session
finds PASS run.directory '/run/session/vfiomig will be made when it is needed' ''
drop=

# ---- process.* ------------------------------------------------------------------------------

scope() {
	echo "$1" | proc_says sys/kernel/yama/ptrace_scope
}
finds PASS process.ptrace '"pid:" can borrow the devices of all processes' ''
finds PASS process.visible 'who has a device open is seen, whoever it is' ''
drop=$nobody
finds WARN process.ptrace 'no "pid:": that needs CAP_SYS_PTRACE' \
	'run as root, or set kernel.yama.ptrace_scope to 0 for processes of the same user'
finds WARN process.visible 'who has a device open is seen only if it is this user' 'run as root'
scope 0
finds PASS process.ptrace "\"pid:\" can borrow the devices of this user's processes" ''
drop='setpriv --bounding-set=-sys_ptrace'
finds WARN process.ptrace 'no "pid:": that needs CAP_SYS_PTRACE' 'a container needs --cap-add=SYS_PTRACE'
drop=
scope 3
finds WARN process.ptrace 'no "pid:": kernel.yama.ptrace_scope is 3, which forbids it to everybody' \
	'set kernel.yama.ptrace_scope to 1 in /etc/sysctl.d, and boot again'
scope 1
rm "$emulated/common/pidns"
finds WARN process.visible 'who has a device open is seen only if it is in this container' "run outside of the container, or give it the host's PIDs"
echo 'pid:[4026531836]' >"$emulated/common/pidns"
# filter ERRNO: a filter of system calls, in which pidfd_getfd(2) fails so; 0 lets it through
cat >filter <<'FILTER'
my ($errno, @command) = @ARGV;
my $prctl = `uname -m` =~ /x86_64/ ? 157 : 167;
my $end = $errno ? 0x00050000 | $errno : 0x7fff0000;
my $code = pack("SCCL" x 4, 0x20, 0, 0, 0, 0x15, 0, 1, 438, 0x06, 0, 0, $end, 0x06, 0, 0, 0x7fff0000);
syscall($prctl, 38, 1, 0, 0, 0) == 0 or die;
syscall($prctl, 22, 2, pack("Sx6P", 4, $code), 0, 0) == 0 or die "$!";
exec @command;
FILTER
chmod 644 filter
drop='perl filter 0'
finds '????' process.ptrace 'whether "pid:" works is not known: this process has a seccomp filter' '"vfiomig state pid:PID/DEV" tries it'
drop='perl filter 38'
finds WARN process.ptrace 'no "pid:": the kernel has no pidfd_getfd(2), or a seccomp filter hides it' \
	'boot Linux 5.6 or later, or run outside of the container'
drop='perl filter 22'
finds '????' process.ptrace 'whether "pid:" works is not known: pidfd_getfd(2): Invalid argument' '"vfiomig state pid:PID/DEV" tries it'
drop=

# ---- nodes.* ------------------------------------------------------------------------------------

for node in vfio/vfio:group iommu:cdev; do
	path=/dev/${node%:*} check=nodes.${node#*:}
	finds PASS "$check" "this user may open $path" ''
	chmod 600 "$path"
	drop=$nobody
	access="run as root, or give this user access: setfacl -m u:USER:rw $path"
	finds WARN "$check" "this user may not open $path" "$access"
	[ "$path" = /dev/iommu ] && other=/dev/vfio/vfio || other=/dev/iommu
	chmod 600 "$other"
	finds FAIL "$check" "this user may not open $path" "$access"
	drop=
	chmod 666 "$path" "$other"
	mv "$path" /run/node
	finds WARN "$check" "the kernel has ${path##*/}, and there is no node $path" "start udev, or in a container give it the node (--device=$path)"
	rmdir "/sys/class/misc/${path##*/}"
	finds PASS "$check" "there is no $path, and nothing needs it now" ''
	mv "$other" /run/other
	mkdir "/sys/class/misc/${path##*/}"
	finds FAIL "$check" "the kernel has ${path##*/}, and there is no node $path" "start udev, or in a container give it the node (--device=$path)"
	mv /run/other "$other"
	mv /run/node "$path"
done
mv /dev/vfio/vfio /dev/iommu /run
rmdir /sys/class/misc/vfio /sys/class/misc/iommu
finds '????' nodes.group '/dev/vfio/vfio is not there before VFIO is loaded' 'see kernel.vfio'
mv /run/vfio /dev/vfio
mv /run/iommu /dev
mkdir /sys/class/misc/vfio /sys/class/misc/iommu

finish
