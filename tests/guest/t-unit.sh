#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The systemd unit, under a service manager: the host's systemd, which is the first process of a PID
# namespace here. Units that are ordered after it find the device held, its normal end is a success,
# and holders end as hold(1) says.
# guest: -m 1M -m 1M -s 480
# kernels: stock
# env: GUEST_FILES='/lib/systemd/systemd /lib/systemd/systemd-[ej]* /lib/systemd/system/systemd-journald*.s* /bin/systemctl /bin/journalctl /bin/systemd-escape packaging/vfiomig-hold@.service.in'

# shellcheck source=tests/guest/lib/lib.sh
. /tests/lib.sh

# Make the files of a minimal distribution.
make_system() {
	mkdir -p /lib/systemd/system /usr/lib
	ln -s /lib/systemd /usr/lib/systemd
	for program in /tests/systemd /tests/systemd-*; do
		[ "$program" = /tests/systemd-escape ] || [ "${program%.*}" != "$program" ] || mv "$program" /lib/systemd/
	done
	mv /tests/*.socket /tests/*.service /lib/systemd/system/
	sed 's|@bindir@|/bin|' /tests/vfiomig-hold@.service.in >/lib/systemd/system/vfiomig-hold@.service
	for target in sysinit basic sockets shutdown multi-user; do
		printf '[Unit]\nDefaultDependencies=no\n' >/lib/systemd/system/$target.target
	done
	cat >>/lib/systemd/system/basic.target <<-END
		Wants=systemd-journald.service
		After=systemd-journald.service
	END
}

if [ "${1-}" != inside ]; then
	make_system
	mkdir -p /sys/fs/cgroup
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	unshare -m -p -f --mount-proc env container=vfiomig PATH="$PATH" /lib/systemd/systemd --system --show-status=no \
		--unit=basic.target >manager.log 2>&1 &
	trap 'sed "s/^/# /" manager.log' EXIT
	wait_for test -S /run/systemd/private
	for process in /proc/[0-9]*; do
		[ "$(readlink "$process/exe")" = /lib/systemd/systemd ] && break
	done
	exec nsenter -t "${process#/proc/}" -m -p sh /tests/t-unit.sh inside
fi
cd /tmp || exit

unit=vfiomig-hold@$device.service

# property UNIT NAME: print the unit's property
property() {
	systemctl show -P "$2" "$1"
}

# is_in STATE UNIT: the unit's ActiveState is STATE
# shellcheck disable=SC2317 # check or wait_for calls it
is_in() {
	[ "$(property "$2" ActiveState)" = "$1" ]
}

# ended UNIT STATE RESULT: the unit ends in this state and with this result
# shellcheck disable=SC2317 # check or wait_for calls it
ended() {
	while is_in deactivating "$1"; do
		sleep 0.1
	done
	is_in "$2" "$1" && [ "$(property "$1" Result)" = "$3" ]
}

# is_free DEV: nobody holds it
# shellcheck disable=SC2317 # check or wait_for calls it
is_free() {
	[ -z "$(holder_of "$1")" ]
}

# journal PRIORITY TEXT: vfiomig has logged such a line with this priority
# shellcheck disable=SC2317 # check or wait_for calls it
journal() {
	journalctl --sync
	journalctl -q -b -t vfiomig -p "$1..$1" -o cat | grep -q "$2"
}

wait_for systemctl -q is-active systemd-journald.service
ok "there is a service manager: $(/lib/systemd/systemd --version | head -n 1)"

# Start and stop
status 0 "start" systemctl start "$unit"
vfiomig state "$device" -v >"$OUT" 2>verbose
check "after the start the device is held, and nobody is at work on it" grep -q 'through its holder$' verbose
check "the unit's main process is the holder" test "$(holder_of "$device")" = "$(property "$unit" MainPID)"
check "systemctl status tells where" test "$(property "$unit" StatusText)" = "Holding $device on /run/vfiomig/$device.sock"
other_unit=vfiomig-hold@$(systemd-escape "$mtty").service
status 0 "another instance" systemctl start "$other_unit"
check "the name of a mediated device is unescaped" vfiomig state "$mtty"
region "$device" 0 0 0x55
status 0 "stop" systemctl stop "$unit"
check "the unit ends as success" ended "$unit" inactive success
check "the device is closed" test "$(holder_of "$device")$(region "$device" 0 0)" = 0
check "the other instance goes on" vfiomig state "$mtty"
check "the other instance's socket is still there" test -S "/run/vfiomig/$mtty.sock"
status 0 "stop the other instance" systemctl stop "$other_unit"
check "the run-time directory stays" test "$(stat -c %a /run/vfiomig)" = 700
check "the journal has the start, as information" journal 6 "^vfiomig: holding $device (ivshmem_vfio_pci) for user 0 on "
check "the journal has the end, as information" journal 6 "^vfiomig: $device is closed now: interrupted by a signal"
for spelling in "/sys/bus/pci/devices/$device" "${device#0000:}"; do
	instance=vfiomig-hold@$(systemd-escape "$spelling").service
	status 0 "start $instance" systemctl start "$instance"
	check "the unit holds the right device" test "$(holder_of "$device")" = "$(property "$instance" MainPID)"
	status 0 "stop it" systemctl stop "$instance"
done

# release
systemctl start "$unit"
status 0 "release, and start again at once" sh -c "vfiomig release $device && systemctl start $unit"
check "the device is held" test "$(holder_of "$device")" = "$(property "$unit" MainPID)"
vfiomig release "$device"
check "after a release the unit ends as success" ended "$unit" inactive success
check "the journal names the process that released the device" journal 5 "^vfiomig: process [0-9]* released $device"

# A unit that is ordered after the holder
cat >/run/systemd/system/user.service <<END
[Unit]
BindsTo=$unit
After=$unit

[Service]
Type=exec
ExecStartPre=/bin/vfiomig state -v $device
ExecStart=/bin/sleep 1000
END
systemctl daemon-reload
status 0 "start a unit that needs the holder" systemctl start user.service
check "that unit finds the device held" sh -c "journalctl --sync; journalctl -q -b -u user.service | grep -q 'through its holder'"
vfiomig release "$device"
wait_for is_in inactive user.service
ok "that unit is stopped when the device is released"

# A command is at work.
systemctl start "$unit"
begin_save "$device"
systemctl stop "$unit" &
stop=$!
wait_for is_in deactivating "$unit"
sleep 0.5
check "stop waits for a command that is at work" is_in deactivating "$unit"
end_save saved
check "the command saves all, and is told that the holder has ended: status 7" test "$? $(wc -c <saved)" = "7 1049064"
wait $stop
check "stop comes to its end" test $? -eq 0
check "after that the unit ends as success" ended "$unit" inactive success

# Failures
vfiomig hold "$device" -q
holder=$(holder_of "$device")
status 1 "start, while another holder has the device" systemctl -q start "$unit"
check "the unit has failed" ended "$unit" failed exit-code
check "the unit has the status of a busy device" test "$(property "$unit" ExecMainStatus)" = 4
check "the journal has the reason, as an error" journal 3 "^vfiomig: hold $device: busy: process $holder holds it already"
vfiomig release "$device"
systemctl start "$unit"
kill -9 "$(property "$unit" MainPID)"
wait_for is_free "$device"
check "after SIGKILL the unit has failed" ended "$unit" failed signal
check "after SIGKILL the unit is not restarted" test "$(property "$unit" NRestarts)" = 0
status 0 "start it again" systemctl start "$unit"
status 0 "stop it" systemctl stop "$unit"

# The device is bound before it is held, as hold(1) shows.
vfiomig unbind "$other" 2>/dev/null || echo >"/sys/bus/pci/devices/$other/driver/unbind"
mkdir -p /run/systemd/system/vfiomig-hold@.service.d
cat >/run/systemd/system/vfiomig-hold@.service.d/bind.conf <<END
[Service]
ExecStartPre=+/bin/vfiomig bind -- %I
END
systemctl daemon-reload
check "the device has no driver" test ! -e "/sys/bus/pci/devices/$other/driver"
status 0 "start a unit that binds the device first" systemctl start "vfiomig-hold@$other"
check "the device is held" vfiomig state "unix:/run/vfiomig/$other.sock"
status 0 "stop it" systemctl stop "vfiomig-hold@$other"

# A holder in the background ends with the unit that started it.
for kill in control-group process; do
	cat >/run/systemd/system/job-$kill.service <<-END
		[Service]
		Type=oneshot
		KillMode=$kill
		ExecStart=/bin/vfiomig hold $device
	END
done
systemctl daemon-reload
status 0 "a job that leaves a holder" systemctl start job-control-group.service
wait_for is_free "$device"
ok "the holder ends with what started it"
status 0 "with KillMode=process" systemctl start job-process.service
sleep 1
check "with KillMode=process the holder does not end" test -n "$(holder_of "$device")"
vfiomig release "$device"

# A container is a PID namespace, among others.
check "a container that leaves a holder" unshare -p -f --mount-proc sh -c "vfiomig hold -q $device && vfiomig state unix:/run/vfiomig/$device.sock"
wait_for is_free "$device"
ok "the holder ends with what started it"
check "the device can be held again" systemctl start "$unit"

finish
