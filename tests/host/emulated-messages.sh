#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What goes wrong in the kernel, the exit status that it has, and what is said about it.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.2
idle=$device
emulate 0000:3b:00.1
head -c 100000 /dev/urandom >memory
head -c 100000 /dev/zero >zeros
vfiomig pack memory -o good
vfiomig pack zeros -o zero
vfiomig hold -q "$device"
holder=$(openers "$device")

# Each line has the faults, with a semicolon between them, the exit status, the command, and a part of what it says. DEV is a
# device that is held, and IDLE one that nobody has open. Instead of an event, a fault may be "in STATE": the state in which DEV
# is found; or "common", and a fault that is not of one device.
table() {
	cat <<'END'
open errno=EACCES				|4|state IDLE --via=cdev		|not permitted to open /dev/vfio/devices/vfio0
open errno=EPERM				|4|state IDLE --via=cdev		|not permitted to open /dev/vfio/devices/vfio0
open errno=EPERM				|4|state IDLE --via=cdev		|; "vfiomig doctor IDLE" looks at all that migration needs here
open errno=EACCES				|4|save IDLE -o image --via=cdev	|; "vfiomig doctor IDLE" looks at all that migration needs here
open errno=ENODEV				|3|state IDLE --via=cdev		|; "vfiomig doctor IDLE" looks at all that migration needs here
migration errno=ENOTTY				|3|save IDLE -o image		|; "vfiomig doctor IDLE" looks at all that migration needs here
common status skip				|4|state IDLE --via=group	|; "vfiomig doctor IDLE" looks at all that migration needs here
arc RUNNING_P2P-STOP skip			|1|save DEV -o image --precopy=never	|the device is back in RUNNING; "vfiomig check DEV" tests its driver (its state is lost then)
open errno=ENODEV				|3|state IDLE --via=cdev		|the kernel has no VFIO here: no /dev/vfio/devices/vfio0
open errno=EBUSY				|4|state IDLE			|busy: another process has the device or its group open
open errno=EMFILE				|1|state IDLE			|cannot open /dev/vfio/devices/vfio0: Too many open files
common open-iommufd errno=EACCES		|4|state IDLE --via=cdev		|not permitted to open /dev/iommu
common ioas errno=ENOMEM			|1|state IDLE			|IOMMU_IOAS_ALLOC: Cannot allocate memory
bind errno=EBUSY				|4|state IDLE			|
bind errno=EPERM				|4|state IDLE			|
bind errno=EINVAL				|1|state IDLE			|VFIO_DEVICE_BIND_IOMMUFD: Invalid argument; the device's IOMMU may not
bind errno=ENOMEM				|1|state IDLE			|VFIO_DEVICE_BIND_IOMMUFD: Cannot allocate memory
attach errno=ENOMEM				|1|state IDLE			|VFIO_DEVICE_ATTACH_IOMMUFD_PT: Cannot allocate memory
info errno=EIO					|1|state IDLE			|VFIO_DEVICE_GET_INFO: Input/output error
common open-container errno=EACCES		|4|state IDLE --via=group	|not permitted to open /dev/vfio/vfio
common api-version errno=EIO			|1|state IDLE --via=group	|VFIO_GET_API_VERSION: Input/output error
common api-version skip				|3|state IDLE --via=group	|/dev/vfio/vfio speaks an unknown version of VFIO
common extension errno=EIO			|1|state IDLE --via=group	|VFIO_CHECK_EXTENSION: Input/output error
common extension skip				|3|state IDLE --via=group	|the kernel has no type1 IOMMU; load vfio_iommu_type1
common open-group errno=EACCES			|4|state IDLE --via=group	|not permitted to open /dev/vfio/7
common open-group errno=EBUSY			|4|state IDLE --via=group	|busy: another process has the device or its group open
common status errno=EIO				|1|state IDLE --via=group	|VFIO_GROUP_GET_STATUS: Input/output error
common status skip				|4|state IDLE --via=group	|IOMMU group 7 is not viable
common set-container errno=ENOMEM		|1|state IDLE --via=group	|VFIO_GROUP_SET_CONTAINER: Cannot allocate memory
common set-iommu errno=ENOMEM			|1|state IDLE --via=group	|VFIO_SET_IOMMU: Cannot allocate memory
common device-fd errno=EIO			|1|state IDLE --via=group	|cannot open the device in group 7: Input/output error
migration errno=ENOTTY				|3|state IDLE			|its driver emulated_vfio_pci has no migration support
migration errno=EINVAL				|3|save IDLE -o image		|its driver emulated_vfio_pci has no migration support
migration errno=EIO				|1|restore IDLE -i good		|VFIO_DEVICE_FEATURE_MIGRATION: Input/output error
get errno=EIO					|1|state DEV			|cannot read the state: Input/output error
get errno=EIO					|1|state DEV STOP		|cannot read the state: Input/output error
get errno=EIO					|1|save DEV -o image		|cannot read the state: Input/output error
get errno=EIO					|1|restore DEV -i good		|cannot read the state: Input/output error
get errno=EIO					|0|info DEV			|
get errno=EIO					|0|hold IDLE			|holds it
size errno=EIO					|0|save DEV -o image		|saved 100000 bytes
reset errno=EIO					|1|state DEV --reset		|VFIO_DEVICE_RESET: Input/output error
reset errno=ENOTTY				|1|state DEV --reset		|VFIO_DEVICE_RESET: Inappropriate ioctl for device
in ERROR					|0|state DEV			|
in ERROR					|7|state DEV STOP		|only a reset leads out of ERROR; "vfiomig state DEV --reset" resets it (its state is lost)
in ERROR					|7|save DEV -o image		|the device is in ERROR; only a reset leads out of it; "vfiomig state DEV --reset" resets it (its state is lost)
in ERROR					|7|restore DEV -i good		|the device is in ERROR; only a reset leads out of it
in RESUMING					|1|save DEV -o image		|the device is RESUMING, a restore of it has not ended
in RESUMING					|1|restore DEV -i good		|the device is RESUMING, a restore of it has not ended
in RESUMING;arc RESUMING-STOP errno=EINVAL to=ERROR	|7|state DEV RUNNING	|arc RESUMING -> STOP failed: Invalid argument; the device is left in ERROR, not in RESUMING
in STOP_COPY					|1|save pid:HOLDER/DEV -o image	|the device is in STOP_COPY: its owner may be in the middle
in STOP_COPY					|1|state DEV PRE_COPY		|cannot go from STOP_COPY to PRE_COPY: the protocol has no way
in STOP_COPY					|0|save DEV -o image		|saved 100000 bytes
arc STOP-STOP_COPY nofd				|1|save DEV -o image --precopy=never	|STOP_COPY came without a data_fd; the device is back in RUNNING
arc RUNNING-PRE_COPY nofd			|1|save DEV -o image		|PRE_COPY came without a data_fd; the device is back in RUNNING
arc STOP-RESUMING nofd				|7|restore DEV -i good		|RESUMING came without a data_fd; the device was reset
arc STOP-STOP_COPY errno=EIO			|1|save DEV -o image --precopy=never	|arc STOP -> STOP_COPY failed: Input/output error; the device is back in RUNNING
arc RUNNING-PRE_COPY errno=EIO			|1|save DEV -o image		|arc RUNNING -> PRE_COPY failed: Input/output error; the device is back in RUNNING
arc STOP-STOP_COPY errno=EIO to=ERROR		|7|save DEV -o image --precopy=never	|the device was reset (its state is lost) and is now in RUNNING
arc STOP-STOP_COPY errno=EIO to=ERROR;reset errno=EIO	|7|save DEV -o image --precopy=never	|the device could not be reset and is left in ERROR, not in RUNNING
arc STOP-STOP_COPY errno=EIO to=ERROR;reset skip	|7|save DEV -o image --precopy=never	|in ERROR, not in RUNNING
arc RESUMING-STOP errno=EINVAL to=ERROR		|7|restore DEV -i good		|arc RESUMING -> STOP failed: Invalid argument; the device was reset
arc RESUMING-STOP errno=EINVAL to=STOP		|7|restore DEV -i good		|arc RESUMING -> STOP failed: Invalid argument; the device was reset
arc RESUMING-STOP errno=EINVAL to=STOP;reset errno=EIO	|7|restore DEV -i good	|the device could not be reset and is left in STOP, not in RUNNING
in STOP;arc RESUMING-STOP errno=EINVAL to=STOP;reset errno=EIO	|7|restore DEV -i good	|the device could not be reset and is left in STOP, and may have lost what it had
arc RESUMING-STOP errno=EINVAL			|7|restore DEV -i good		|arc RESUMING -> STOP failed: Invalid argument; the device was reset
arc RUNNING_P2P-STOP errno=EIO times=1	|1|state DEV STOP		|arc RUNNING_P2P -> STOP failed: Input/output error; the device is back in RUNNING
read errno=EIO at=70000				|1|save DEV -o image		|reading the device's state: Input/output error; the device is back in RUNNING
read errno=EIO at=30000				|1|save DEV -o image		|reading the device's state: Input/output error; the device is back in RUNNING
read errno=EIO at=70000;to RUNNING errno=EIO	|7|save DEV -o image		|the device was reset (its state is lost) and is now in
read errno=EINTR times=3			|0|save DEV -o image		|saved 100000 bytes
read errno=EAGAIN at=60000 times=3		|0|save DEV -o image		|saved 100000 bytes
read most=1000					|0|save DEV -o image		|saved 100000 bytes
write errno=EINVAL at=70000			|7|restore DEV -i good		|the device refused its state: Invalid argument; the device was reset
write return=0					|7|restore DEV -i good		|the device refused its state: Input/output error; the device was reset
write errno=EINTR times=3			|0|restore DEV -i good		|restored 100000 bytes
write errno=EAGAIN times=3			|0|restore DEV -i good		|restored 100000 bytes
write most=1000					|0|restore DEV -i good		|restored 100000 bytes
region-read errno=EIO				|0|info DEV			|
region-write errno=EIO				|1|restore DEV -i image2	|cannot write the PCI command register: Input/output error
precopy-info errno=EINVAL			|0|save DEV -o image		|saved 100000 bytes
						|4|hold DEV			|busy: process HOLDER holds it already
						|1|release IDLE			|nobody holds it
						|2|release pid:HOLDER/DEV	|what is released is a holder's device; name the device, or unix:PATH
						|0|exec IDLE -- true		|
						|3|exec DEV -- sh -c "exit 3"	|
						|127|exec DEV -- nothing	|nothing: No such file or directory
						|126|exec DEV -- /etc/passwd	|/etc/passwd: Permission denied
						|127|exec DEV -- ""		|'': No such file or directory
						|1|restore DEV -i ""		|'': No such file or directory
						|1|state unix:good		|good is not a socket
						|1|state unix:/run		|/run is not a socket
						|1|state unix:nothing		|cannot connect to nothing: No such file or directory
						|1|state pid:1/DEV		|process 1 (sh) has not got 0000:3b:00.1 open
						|1|state pid:HOLDER/fd:77	|process HOLDER has no descriptor 77
						|1|state pid:HOLDER/IDLE	|has not got 0000:3b:00.2 open
						|1|state pid:9999999/DEV	|there is no process 9999999
						|1|state 0000:00:00.7		|there is no device 0000:00:00.7
						|4|state DEV --via=group	|its holder, process HOLDER, has opened it through its cdev; release it first
END
}

# arrange FAULTS: the devices will have these faults
arrange() {
	echo RUNNING >"$emulated/$device/state"
	echo RUNNING >"$emulated/$idle/state"
	cp memory "$emulated/$device/memory"
	while [ -n "$1" ]; do
		one=${1%%;*}
		case $one in
		'common '*) fault common "${one#common }" ;;
		'in '*) echo "${one#in }" >"$emulated/$device/state" ;;
		*) fault "$device" "$one" && fault "$idle" "$one" ;;
		esac
		[ "$one" = "$1" ] && break
		set -- "${1#*;}"
	done
}

table | sed 's/	*|/|/g; s/	*$//' >rows
# An image with a configuration space
vfiomig save "$device" -q -o image2
while IFS='|' read -r faults want command sentence; do
	command=$(echo "$command" | sed "s/\\bDEV\\b/$device/; s/\\bIDLE\\b/$idle/; s/\\bHOLDER\\b/$holder/")
	sentence=$(echo "$sentence" | sed "s/\\bDEV\\b/$device/; s/\\bIDLE\\b/$idle/; s/\\bHOLDER\\b/$holder/")
	arrange "$faults"
	name="${faults:-no fault}: ${command%%|*}"
	eval "set -- $command"
	rc=0
	vfiomig "$@" >"$OUT" 2>"$ERR" </dev/null || rc=$?
	no_faults "$device"
	no_faults "$idle"
	no_faults common
	state=$(state_of "$device")
	said=$(said_state)
	if [ $rc -ne "$want" ]; then
		not_ok "$name" "exit status $rc, not $want: $(cat "$ERR")"
	elif ! grep -q -F -e "$sentence" "$ERR" && [ -n "$sentence" ]; then
		not_ok "$name" "it does not say '$sentence': $(cat "$ERR")"
	elif [ $rc -ne 0 ] && [ "$(wc -l <"$ERR")" -gt 1 ]; then
		not_ok "$name" "more than one line: $(cat "$ERR")"
	elif [ -n "$said" ] && [ "$said" != "$state" ]; then
		not_ok "$name" "the device is in $state: $(cat "$ERR")"
	else
		ok "$name"
	fi
	[ ! -e "/run/vfiomig/$idle.sock" ] || end_holder "$idle"
done <rows

# Root may list the descriptors of a process of its own, but not look at them.
end_holder "$device"
vfiomig hold -q "$device"
holder=$(openers "$device")
status 4 "root without CAP_SYS_PTRACE" setpriv --bounding-set=-sys_ptrace vfiomig state "pid:$holder/$device"
says "not permitted to take descriptors of process $holder: that needs CAP_SYS_PTRACE, which root has not got here"

# ---- Who may be migrating it -----------------------------------------------------

sleep 1000 <>/dev/vfio/devices/vfio0 &
fault "$idle" open errno=EBUSY
status 4 "somebody else has it open" vfiomig save "$idle" -o image
says "busy: process $! (sleep) has the device or its group open; \"vfiomig watch $idle\" follows its migration"
kill $!
status 4 "who it is is not known" vfiomig save "$idle" -o image
says "busy: another process has the device or its group open"
check "so there is nothing to be watched" sh -c "! grep -q watch '$ERR'"
no_faults

finish
