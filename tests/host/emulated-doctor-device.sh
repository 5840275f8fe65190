#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# doctor DEV: each line about a device in each of its outcomes; JSON, the terminal, and the exit status.

# Without an argument no_faults is for all devices.
# shellcheck disable=SC2119

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh
# shellcheck source=tests/host/lib/doctor.sh
. "$top/tests/host/lib/doctor.sh"

nobody='setpriv --reuid=65534 --regid=65534 --clear-groups'
functions=/sys/devices/pci0000:00
fit_out
emulate 0000:3b:00.1
one=$device
own=$functions/$one
emulate 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
mdev=$device
# Which are two functions of a group, of which a descriptor does not tell the one from the other
emulate 0000:3b:00.3 group=20
emulate 0000:3b:00.4 group=20

# ---- What it is, and what is in its way -----------------------------------------

finds PASS device.answers "$one answers" '' "$one"
mv $emulated/"$one"/config config
tr '\0-\376' '\377' <config >$emulated/"$one"/config
finds FAIL device.answers "$one does not answer: its configuration space reads as all ones" \
	"it may be without power, or have failed or been removed: see dmesg, and \"lspci -vs $one\"" "$one"
rm $emulated/"$one"/config
finds '????' device.answers "cannot read the configuration space of $one: No such file or directory" \
	"\"lspci -s $one\" tells whether it is still there" "$one"
mkfifo $emulated/"$one"/config
finds FAIL device.answers "busy: the kernel has not read the configuration space of $one within 1 second" \
	'the function may be in a reset: try again, and see dmesg if that does not end' "$one"
rm $emulated/"$one"/config
mv config $emulated/"$one"/config

finds PASS device.iommu 'it is in IOMMU group 7' '' "$one"
finds PASS device.iommu 'it needs no IOMMU of its own' '' "$mdev"
for check in iommu.on iommu.remapping iommu.reserved modules.variants device.answers device.bind device.sriov device.vf-token device.bars; do
	lacks $check "$mdev"
done
finds PASS device.group 'it is alone in IOMMU group 7' '' "$one"
mv /sys/class/vfio/7 /sys/class/vfio/noiommu-7
finds WARN device.iommu 'it has no IOMMU, and VFIO is in its noiommu mode: nothing protects the host from its DMA' \
	'enable the IOMMU: see iommu.on' "$one"
drop='setpriv --bounding-set=-sys_rawio'
finds FAIL device.iommu 'not permitted: a device without an IOMMU (noiommu mode) needs CAP_SYS_RAWIO, which root has not got here (a container needs --cap-add=SYS_RAWIO)' \
	'give the container --cap-add=SYS_RAWIO' "$one"
drop=$nobody
finds FAIL device.iommu 'not permitted: a device without an IOMMU (noiommu mode) needs CAP_SYS_RAWIO' 'run as root' "$one"
drop=
mv /sys/class/vfio/noiommu-7 /sys/class/vfio/7
mv "$own"/iommu_group .
finds FAIL device.iommu 'the device has no IOMMU group' \
	'enable the IOMMU (firmware setup, intel_iommu=on), or do without (enable_unsafe_noiommu_mode of vfio)' "$one"
finds PASS device.group 'it is in no IOMMU group' '' "$one"
mv "$own"/vfio-dev .
finds FAIL device.bind 'it cannot be bound to a VFIO driver without an IOMMU' 'see device.iommu' "$one"
echo Y >$sys/vfio/parameters/enable_unsafe_noiommu_mode
finds WARN device.iommu 'it has no IOMMU, and VFIO is in its noiommu mode: nothing protects the host from its DMA' \
	'enable the IOMMU: see iommu.on' "$one"
echo N >$sys/vfio/parameters/enable_unsafe_noiommu_mode
mv vfio-dev "$own"
mv iommu_group "$own"

finds PASS device.group "IOMMU group 20 is viable: none of its 2 devices has a driver of the host's" '' 0000:3b:00.3
other=$functions/0000:3b:00.4
mv $other/vfio-dev .
driver_is 0000:3b:00.4 e1000e
finds FAIL device.group 'IOMMU group 20 is not viable: 0000:3b:00.4 is in it and bound to e1000e' \
	'run "vfiomig bind --group 0000:3b:00.3", which takes it along' 0000:3b:00.3
finds PASS device.group "IOMMU group 20 is viable: none of its 2 devices has a driver of the host's" '' 0000:3b:00.4
driver_is 0000:3b:00.4 emulated_vfio_pci
mv vfio-dev $other
finds PASS device.reserved 'the firmware has reserved no memory for it' '' "$one"

# ---- Its driver ----------------------------------------------------------------------

# The other outcomes need modules: see emulated-doctor.sh.
[ ! "$has_modules" ] || finds PASS device.driver 'emulated_vfio_pci, the driver that fits it best' '' "$one"
finds PASS device.driver emulated_vfio_mdev '' "$mdev"
finds PASS device.bind 'it has a VFIO driver already' '' "$one"
mv "$own"/vfio-dev .
driver_is "$one" e1000e
[ ! "$has_modules" ] || finds FAIL device.driver 'not bound to a VFIO driver (bound to e1000e)' \
	"run \"vfiomig bind $one\", which binds it to emulated_vfio_pci" "$one"
[ ! "$has_modules" ] || finds PASS device.bind "\"vfiomig bind $one\" can bind it to emulated_vfio_pci" '' "$one"
finds '????' device.nodes 'it gets nodes in /dev/vfio with a VFIO driver' 'see device.driver' "$one"
finds '????' device.migration 'what it supports shows when it has a VFIO driver and is open' 'see device.driver' "$one"
finds PASS device.bars "its BARs are its driver's (e1000e)" '' "$one"
drop=$nobody
[ ! "$has_modules" ] || finds FAIL device.bind "not permitted to change the driver of $one" 'run as root' "$one"
drop=
mkdir -p "$own"/net/eth0 /sys/class/net
echo 0x1003 >"$own"/net/eth0/flags
ln -s "$own" "$own"/net/eth0/device
ln -s "$own"/net/eth0 /sys/class/net/eth0
finds FAIL device.bind "$one carries the network interface eth0, which is up" 'take it down (ip link set eth0 down), or use --force' "$one"
rm -r "$own"/net /sys/class/net
driver_is "$one" emulated_vfio_pci
mv vfio-dev "$own"

# ---- SR-IOV -----------------------------------------------------------------------------

finds PASS device.sriov 'it is no function of SR-IOV' '' "$one"
finds PASS device.vf-token 'no VF token is wanted' '' "$one"
token=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
finds FAIL device.vf-token 'no VF token is wanted, because it is neither a virtual nor a physical function of SR-IOV' \
	'do without --vf-token' "$one" --vf-token=$token
echo 8 >"$own"/sriov_totalvfs
echo 2 >"$own"/sriov_numvfs
finds PASS device.sriov 'it is a physical function, with 2 virtual ones' '' "$one"
finds WARN device.vf-token 'not permitted: its virtual functions are in use, and vfio-pci wants their VF token' 'give --vf-token' "$one"
finds PASS device.vf-token 'a VF token is given; the kernel compares it at the open' '' "$one" --vf-token=$token
rm "$own"/sriov_numvfs
finds '????' device.sriov 'it is a physical function; how many virtual ones it has is not told' \
	"\"cat $own/sriov_numvfs\" waits for its driver" "$one"
echo 0 >"$own"/sriov_numvfs
finds PASS device.vf-token 'no VF token is wanted' '' "$one"
kernel_is 6.18.41
finds WARN device.sriov 'it is a physical function, and only virtual ones have variant drivers' "echo N >$own/sriov_numvfs makes virtual ones" "$one"
kernel_is 6.18.40
rm "$own"/sriov_totalvfs "$own"/sriov_numvfs
physical=$functions/0000:3b:00.0
mkdir -p $physical/vfio-dev /sys/bus/pci/drivers/mlx5_core
ln -s /sys/bus/pci/drivers/mlx5_core $physical/driver
ln -s $physical "$own"/physfn
finds PASS device.sriov 'it is a virtual function of 0000:3b:00.0, which has mlx5_core' '' "$one"
finds PASS device.vf-token 'no VF token is wanted' '' "$one"
finds FAIL device.vf-token 'no VF token is wanted, because its physical function 0000:3b:00.0 does not belong to vfio-pci (bound to mlx5_core)' \
	'do without --vf-token' "$one" --vf-token=$token
ln -sfn /sys/bus/pci/drivers/vfio-pci $physical/driver
mkdir $physical/vfio-dev/vfio9
finds WARN device.sriov 'it is a virtual function of 0000:3b:00.0, which has vfio-pci: most variant drivers need its own driver there' \
	'"vfiomig unbind 0000:3b:00.0" gives it back, or modprobe its driver' "$one"
finds FAIL device.vf-token 'not permitted: its physical function 0000:3b:00.0 belongs to vfio-pci, which wants a VF token' \
	'give --vf-token with the UUID that 0000:3b:00.0 was opened with' "$one"
finds PASS device.vf-token 'a VF token is given; the kernel compares it at the open' '' "$one" --vf-token=$token
rm $physical/driver
finds WARN device.sriov 'it is a virtual function of 0000:3b:00.0, which has no driver: most variant drivers need its own driver there' \
	'"vfiomig unbind 0000:3b:00.0" gives it back, or modprobe its driver' "$one"
rm -r "$own"/physfn $physical

# ---- Its nodes -----------------------------------------------------------------------------

finds PASS device.nodes 'this user may open /dev/vfio/devices/vfio0' '' "$one"
finds PASS device.nodes 'this user may open /dev/vfio/7' '' "$one" --via=group
drop=$nobody
chmod 600 /dev/vfio/devices/vfio0
finds PASS device.nodes 'this user may open /dev/vfio/7' '' "$one"
access='run as root, or give this user access to it'
finds FAIL device.nodes 'not permitted to open /dev/vfio/devices/vfio0' "$access" "$one" --via=cdev
chmod 600 /dev/vfio/7
finds FAIL device.nodes 'not permitted to open /dev/vfio/devices/vfio0' "$access" "$one"
finds FAIL device.nodes 'not permitted to open /dev/vfio/7' "$access" "$one" --via=group
drop=
chmod 666 /dev/vfio/7 /dev/vfio/devices/vfio0
mv /dev/vfio/devices/vfio0 /dev/vfio/7 .
finds FAIL device.nodes 'the kernel has registered /dev/vfio/devices/vfio0, and there is no such node' \
	'start udev, or in a container give it the node (--device=/dev/vfio/devices/vfio0)' "$one"
mv vfio0 /dev/vfio/devices
mv 7 /dev/vfio

# ---- Who has it open, and its state -----------------------------------------------------------

finds PASS device.users 'nobody has it open' '' "$one"
finds PASS device.bars 'nobody has claimed its BARs' '' "$one"
finds PASS device.state 'nobody is seen to have it open, so it has no state' '' "$one"
drop=$nobody
finds '????' device.users 'nobody is seen to have it open, and this user does not see everybody' 'run as root, outside of containers' "$one"
drop=
proc_says iomem <<IOMEM
fe000000-fe0fffff : PCI Bus 0000:3b
  fe000000-fe000fff : $one
    fe000000-fe0000ff : efifb
IOMEM
finds FAIL device.bars "busy: 'efifb' has claimed a BAR of it, as /proc/iomem shows" \
	'boot without the driver that has claimed it (console: video=efifb:off)' "$one"
# A holder that has ended without removing its socket, so that debugfs is asked, which does not return
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Type => SOCK_SEQPACKET, Local => $ARGV[0], Listen => 1) or die' "/run/vfiomig/$one.sock"
mkdir -p "/sys/kernel/debug/vfio/$one/migration"
mkfifo "/sys/kernel/debug/vfio/$one/migration/state"
finds '????' device.users 'not all could be found out about who has it open: it took too long' 'try again' "$one"
rm -r "/run/vfiomig/$one.sock" "/sys/kernel/debug/vfio/$one"
vfiomig hold -q "$one"
holder=$(openers "$one")
finds PASS device.users "process $holder holds it, and lends it" '' "$one"
finds PASS device.bars 'its BARs are of who has it open' '' "$one"
for state in RUNNING STOP RUNNING_P2P; do
	echo $state >"$emulated/$one/state"
	finds PASS device.state "it is in $state" '' "$one"
done
for state in STOP_COPY PRE_COPY PRE_COPY_P2P; do
	echo $state >"$emulated/$one/state"
	finds WARN device.state "it is in $state: somebody is saving it" \
		'wait for who does; if nobody does any more, "vfiomig state 0000:3b:00.1 RUNNING"' "$one"
done
echo RESUMING >"$emulated/$one/state"
finds WARN device.state 'it is in RESUMING: somebody is loading a state into it' \
	'wait for who does; if nobody does any more, only a reset leads out of it' "$one"
echo ERROR >"$emulated/$one/state"
finds FAIL device.state 'it is in ERROR' 'only a reset leads out of it: "vfiomig state 0000:3b:00.1 --reset", or its owner' "$one"
echo RUNNING >"$emulated/$one/state"
finds PASS device.migration 'STOP_COPY P2P PRE_COPY' '' "$one" --probe
finds PASS device.users "process $holder (vfiomig-hold) has it, and lends it" '' "pid:$holder/$one"
finds FAIL device.users "process 1 (sh) has not got it open" "process $holder (vfiomig-hold) has it: \"pid:$holder/$one\"" "pid:1/$one"
finds '????' device.state 'its state is not seen' "\"vfiomig state pid:1/$one\" asks it, or see kernel.debugfs" "pid:1/$one"
finds PASS process.ptrace "descriptors of process $holder can be borrowed" '' "pid:$holder/$one"
finds PASS device.users 'it was named by who has it open' '' "unix:/run/vfiomig/$one.sock"
drop=$nobody
finds FAIL process.ptrace "not permitted to take descriptors of process $holder: that needs CAP_SYS_PTRACE" 'run as root' "pid:$holder/$one"
drop=
kill -STOP "$holder"
finds FAIL device.users "busy: the holder on /run/vfiomig/$one.sock, process $holder (vfiomig-hold), does not answer" "it is stopped, and \"kill -CONT $holder\" lets it go on" "$one"
finds '????' device.state 'its state is not seen' 'see device.users, and kernel.debugfs' "$one"
finds '????' device.migration 'its holder does not answer' 'see device.users' "$one" --probe
kill -CONT "$holder"
vfiomig release -q "$one"
# Who has the device open, and is no holder: whether it can be borrowed from there
# opener COMMAND...: have a process that has its descriptor 7 so; its PID is in $stranger
opener() {
	rm -f ready
	sh -c "$* touch ready; exec sleep 1000" &
	stranger=$!
	wait_for test -e ready
	wait_for grep -q sleep "/proc/$stranger/comm"
}
opener 'exec 7<>/dev/vfio/devices/vfio0;'
unbound='its cdev open, and has not bound it to an iommufd yet'
await='wait until that process uses the device, or have it close the node'
finds WARN device.users "busy: process $stranger (sleep) has $unbound" "$await" "$one"
finds '????' device.state 'its state is not seen' "$await" "$one"
finds '????' device.migration "what it supports was not asked: process $stranger (sleep) has it" "$await" "$one" --probe
finds FAIL device.users "process $stranger (sleep) has $unbound" 'wait until that process uses the device' "pid:$stranger/$one"
status 4 "which the other commands say, too" vfiomig state "pid:$stranger/$one"
says "process $stranger has not bound the device to an iommufd yet"
status 4 "watch, too" vfiomig watch "$one"
says "process $stranger has not bound the device to an iommufd yet"
kill $stranger
opener 'exec 7<>/dev/vfio/devices/vfio0 8<>/dev/iommu;'
borrow="\"pid:$stranger/$one\" borrows it from there"
finds WARN device.users "busy: process $stranger (sleep) has the device or its group open" "$borrow" "$one"
finds '????' device.state 'its state is not seen' "\"vfiomig state pid:$stranger/$one\" asks it" "$one"
finds '????' device.migration "what it supports was not asked: process $stranger (sleep) has it" \
	"\"vfiomig doctor --probe pid:$stranger/$one\" asks it" "$one" --probe
kill $stranger
opener 'exec 7<>/dev/vfio/7;'
finds WARN device.users "busy: process $stranger (sleep) has its group open, and not the device" "$await" "$one"
finds FAIL device.users "process $stranger (sleep) has its group open, and not the device" 'wait until that process uses the device' "pid:$stranger/$one"
kill $stranger
finds FAIL device.users "process 1 (sh) has not got it open" '"vfiomig list" shows who has which device open' "pid:1/$one"

# A command that is at work on it, by itself or with the device of a holder
# at_work: begin a save that waits. Its PID is in $saver.
at_work() {
	rm -f go begun
	mkfifo go
	fault "$one" to STOP_COPY run="touch /run/test/begun; read -r _ </run/test/go"
	env vfiomig save -q "$one" -o saved &
	saver=$!
	wait_for test -e begun
}
wait_here="wait for that command (--wait); \"vfiomig watch $one\" follows it"
at_work
finds WARN device.users "busy: process $saver (vfiomig) has it open, and is at work on it" "$wait_here" "$one"
finds '????' device.state 'its state is not seen' "\"vfiomig watch $one\" follows it, or see kernel.debugfs" "$one"
finds '????' device.migration "what it supports was not asked: process $saver (vfiomig) has it" "$wait_here" "$one" --probe
finds WARN device.users "busy: process $saver (vfiomig) is at work on it" "wait for it (--wait); \"vfiomig watch $one\" follows it" "pid:$saver/$one"
# Its lock is in the directory of another user, or it was killed, and another process has its number.
mv "/run/vfiomig/$one.lock" lock
finds WARN device.users "busy: process $saver (vfiomig) has it open, and is at work on it" "$wait_here" "$one"
finds WARN device.users "busy: process $saver (vfiomig) has it open, and is at work on it" "$wait_here" "pid:$saver/$one"
mv lock "/run/vfiomig/$one.lock"
echo >go
wait $saver
no_faults
vfiomig hold -q "$one"
holder=$(openers "$one")
at_work
finds WARN device.users "busy: process $saver (vfiomig) is at work on it" "wait for it (--wait); \"vfiomig watch $one\" follows it" "$one"
echo >go
wait $saver
no_faults
echo $$ >"/run/vfiomig/$one.lock"
finds PASS device.users "process $holder holds it, and lends it" '' "$one"
rm "/run/vfiomig/$one.lock"
finds FAIL process.ptrace 'there is no process 4000000' '"vfiomig list" shows which processes have devices open' "pid:4000000/$one"
finds FAIL device.users 'there is no process 4000000' "process $holder (vfiomig-hold) has it: \"pid:$holder/$one\"" "pid:4000000/$one"
drop=$nobody
finds '????' device.users "process $holder (vfiomig-hold) is not seen to have it open" \
	"\"vfiomig doctor --probe pid:$holder/$one\" asks it" "pid:$holder/$one"
drop=
vfiomig release -q "$one"
vfiomig hold -q --via=group 0000:3b:00.3
holder=$(openers 0000:3b:00.3)
finds WARN device.users "busy: process $holder (vfiomig-hold) has the device or its group open" "\"pid:$holder/0000:3b:00.4\" borrows it from there" 0000:3b:00.4
# Its descriptor can be of either.
fd=$(find "/proc/$holder/fd" -lname "*$emulated/*/device" | sed 's|.*/||')
driver_is 0000:3b:00.4 another_vfio_pci
finds '????' device.group "it is not known which device of sysfs pid:$holder/fd:$fd is" 'name it by its address, or its UUID' "pid:$holder/fd:$fd"
finds '????' device.driver 'which driver it has is not known' 'name it by its address, or its UUID' "pid:$holder/fd:$fd"
driver_is 0000:3b:00.4 emulated_vfio_pci
vfiomig release -q 0000:3b:00.3
vfiomig hold -q --via=cdev 0000:3b:00.3
holder=$(openers 0000:3b:00.3)
finds WARN device.users "busy: process $holder (vfiomig-hold) has 0000:3b:00.3 open, which is in the same IOMMU group 20" \
	'only one process at a time can have the devices of a group: wait until it has closed that one' 0000:3b:00.4
vfiomig release -q 0000:3b:00.3
# Somebody is taking it from its driver: reading its driver_override waits.
mv "$own"/vfio-dev "$own"/driver .
mv "$own"/driver_override override
mkfifo "$own"/driver_override
finds FAIL device.users "busy: somebody is giving $one to a driver or taking it from one, and the kernel has not done that yet" \
	'wait for that; if it does not end, see dmesg: the driver hangs' "$one"
rm "$own"/driver_override
mv override "$own"/driver_override
mv vfio-dev driver "$own"

# ---- A live update ---------------------------------------------------------------------------------

finds PASS device.live-update 'no live update has it: the kernel has none; a kexec resets it' '' "$one"
mkdir /sys/class/misc/liveupdate
echo '0000000000000000 t vfio_pci_core_init [vfio_pci_core]' | proc_says kallsyms
finds PASS device.live-update 'no live update has it: VFIO of this kernel takes no part in them; a kexec resets it' '' "$one"
echo '0000000000000000 t vfio_pci_liveupdate_init [vfio_pci]' | proc_says kallsyms
finds PASS device.live-update 'no live update has it: nobody has a session of one' '' "$one"
drop=$nobody
finds '????' device.live-update 'whether a live update has it is not known: this user does not see everybody' 'run as root, outside of containers' "$one"
drop=
stands_for "$emulated/update" 8 0
tail -f /dev/null <"$emulated/update" &
finds '????' device.live-update "process $! (tail) has a session of a live update, and the kernel does not tell which devices are in it" \
	'ask that process; a device in a session stays open until the session ends' "$one"
kill $!
wait $! 2>/dev/null
rmdir /sys/class/misc/liveupdate

# ---- With the device open ------------------------------------------------------------------------------

echo | proc_says iomem
finds '????' device.migration 'what it supports shows only when it is open' '--probe opens it, which resets it if nobody has it open' "$one"
finds PASS device.migration 'STOP_COPY P2P PRE_COPY' '' "$one" --probe
echo 1 >"$emulated/$one/flags"
finds PASS device.migration 'STOP_COPY; without PRE_COPY it is stopped as long as it is read' '' "$one" --probe
echo 0 >"$emulated/$one/flags"
finds FAIL device.migration 'its driver emulated_vfio_pci has no migration support' 'a variant driver for the device is needed' "$one" --probe
echo 7 >"$emulated/$one/flags"
fault "$one" bind errno=EPERM
finds FAIL device.migration "IOMMU group 7 is not viable: the kernel itself uses it, or a process that cannot be seen from here does" \
	'see the other lines about it, and dmesg' "$one" --probe
no_faults
fault "$one" migration errno=EIO
finds '????' device.migration 'VFIO_DEVICE_FEATURE_MIGRATION: Input/output error' 'see the other lines about it, and dmesg' "$one" --probe
no_faults

# ---- JSON, the terminal, and the exit status ------------------------------------------------------------

ends 0 "--json" vfiomig doctor --json
query "the object" "keys == [\"checks\", \"device\", \"kernel\", \"totals\", \"vfiomig\"] and .device == null and .kernel == \"6.18.40\""
query "each check" '.checks | all(keys == ["advice", "check", "status", "what"])'
query "they are counted" '(.totals | add) == (.checks | length) and .totals.fail == 0'
echo ERROR >"$emulated/$one/state"
chmod 777 /run/vfiomig
ends 1 "--json with a failure" vfiomig doctor --json "$one"
query "the device" ".device == \"$one\" and .totals.fail == 1"
query "the failure" '[.checks[] | select(.status == "fail")] == [{ check: "run.directory", status: "fail",
	what: "others may write to /run/vfiomig, so what is in it cannot be trusted", advice: "remove it" }]'
query "what passes has no advice" '.checks | all(.status != "pass" or .advice == null)'
query "what is not known" '.checks[] | select(.check == "device.migration").status == "unknown"'
ends 1 "--json -q" vfiomig doctor --json -q "$one"
query "has only what does not pass" '[.checks[].status] | unique == ["fail", "unknown"]'
query "counts everything" '.totals.pass > 10 and .totals.fail == 1'
ends 1 "-q" vfiomig doctor -q "$one"
check "prints what does not pass" test "$(cut -c1-4 "$OUT" | sort -u | xargs)" = '???? FAIL'
ends 1 "the last line" vfiomig doctor "$one"
check "names the failures" sh -c "tail -n 1 '$OUT' | grep -q '^1 FAIL (run.directory), '"
chmod 700 /run/vfiomig
# shellcheck disable=SC2016 # the inner shell's
check "on a terminal the lines are not longer than it" sh -c 'script -qc "stty cols 80; vfiomig doctor 0000:3b:00.1" /dev/null |
	sed "s/\x1b\[[0-9;]*m//g" | tr -d "\r" >screen && test "$(wc -L <screen)" -le 80 && grep -q "^      -> --probe opens it" screen'
# shellcheck disable=SC2016 # the inner shell's
check "NO_COLOR" sh -c '! NO_COLOR=1 script -qc "vfiomig doctor" /dev/null | grep -q "$(printf "\033")"'
status 2 "--probe without a device" vfiomig doctor --probe
says '--probe is about a device: which one?'
status 2 "two devices" vfiomig doctor "$one" "$mdev"
status 1 "no such device" vfiomig doctor 0000:00:00.7
status 2 "an empty name" vfiomig doctor ''
status 2 "a token that is no UUID" vfiomig doctor "$one" --vf-token=x
status 1 "a full disk" sh -c "vfiomig doctor >/dev/full"
says "standard output: No space left on device"
fault "$one" open hang
finds FAIL device.migration "open(/dev/vfio/devices/vfio0) did not return in time and was given up" "\"vfiomig hold $one\" waits as long as it takes" "$one" --probe
status 143 "a signal ends it" timeout --preserve-status -s TERM 1 vfiomig doctor "$one" --probe
no_faults

finish
