#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The conformance test of drivers with faults: each is found, and by the rule that it breaks.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.1

fault "$device" arc STOP-STOP_COPY hang
status 1 "an arc hangs" vfiomig check "$device" --timeout=1 -t session.eof-permanent,size.plausible
prints 'no answer within 1 s: SET_STATE RUNNING -> STOP_COPY'
prints "again:    vfiomig check -v -t session.eof-permanent --timeout=1 $device"
prints 'H3   size.plausible               OK'
/run/bin/vfiomig check "$device" -q -t session.eof-permanent >/dev/null 2>&1 &
check=$!
sleep 0.5
kill $check
wait $check 2>/dev/null
check "a signal ends the test of a driver that hangs: status 143" test $? = 143
no_faults "$device"
check "the device is RUNNING" test "$(vfiomig state "$device")" = RUNNING

fault "$device" reset errno=EIO
status 7 "the device cannot be reset" vfiomig check "$device" -q -t session.eof-permanent
says "check $device: the device cannot be reset: VFIO_DEVICE_RESET fails"
prints 'ended early: the device cannot be reset'
no_faults "$device"

fault "$device" arc STOP-STOP_COPY hang
fault common sigkill skip
ends 7 "a process that cannot be killed ends the test" vfiomig check "$device" --timeout=1 \
	-t feature.argsz,session.eof-permanent,size.plausible
says "check $device: a process hangs in the kernel and cannot be killed: SET_STATE RUNNING -> STOP_COPY"
prints 'A4   feature.argsz                OK'
prints 'a process of the test hangs in the kernel: SET_STATE RUNNING -> STOP_COPY'
prints '2 rules: 1 OK, 0 not supported, 1 FAIL'
no_faults
no_faults "$device"

fault "$device" arc STOP-STOP_COPY signal=SEGV
status 1 "a process of a test that crashes" vfiomig check "$device" -t session.eof-permanent,size.plausible
prints 'the process of the test was killed by SIGSEGV in: SET_STATE RUNNING -> STOP_COPY'
prints 'H3   size.plausible               OK'
no_faults "$device"

fault "$device" open errno=EIO after=1
ends 7 "the device cannot be opened again" vfiomig check "$device" -q -t state.running-first,size.plausible
says "check $device: the device cannot be opened again: "
no_faults "$device"

# A test begins with a device that was reset, and so does whoever comes after the last one.
no_log "$device"
status 0 "several rules" vfiomig check "$device" -t session.eof-permanent,session.one,size.plausible
check "the device is reset before each and after the last" test "$(log_of "$device" | grep -c ' reset: 0')" -ge 4
check "and nothing comes after that" sh -c "$(command -v tail) -n 3 '$emulated/$device/log' | grep -q 'reset: 0'"

status 0 "-v tells where a test has left the device" vfiomig check "$device" -v -t session.eof-permanent
says "vfiomig: check: VFIO_DEVICE_RESET in RUNNING"
says "vfiomig: check: session.eof-permanent"
says "vfiomig: check: VFIO_DEVICE_RESET in STOP_COPY"

# The emulated driver looks at nothing that it loads.
status 1 "bad state is loaded" vfiomig check "$device" --tap -t resume.invalid
prints 'not ok 1 resume.invalid'
status 1 "a warning with --strict" vfiomig check "$device" --tap --strict -t resume.foreign
prints 'not ok 1 resume.foreign'
status 0 "a warning" vfiomig check "$device" --tap -t resume.foreign
prints 'ok 1 resume.foreign'
status 0 "a pattern, without one of its rules" vfiomig check "$device" -t 'size.*' --skip=size.argsz
prints 'H5   size.argsz                   SKIP'

# ---- Which device, and with which seed ---------------------------------------------

mkdir -p "/sys/bus/pci/devices/$device/driver/module"
echo 1.2.3 >"/sys/bus/pci/devices/$device/driver/module/version"
echo 0123456789ABCDEF >"/sys/bus/pci/devices/$device/driver/module/srcversion"
status 0 "a module with a version" vfiomig check "$device" -t size.plausible
prints "driver:     emulated_vfio_pci, version 1.2.3, srcversion 0123456789ABCDEF"
status 0 "the same as KTAP" vfiomig check "$device" --tap -t size.plausible
prints "# kernel log cannot be read, only the taint is watched"
prints "# device $device, driver emulated_vfio_pci version 1.2.3 srcversion 0123456789ABCDEF, migration STOP_COPY P2P PRE_COPY"
rm -r "/sys/bus/pci/devices/$device/driver/module"

vfiomig check "$device" --json -q -t session.eof-permanent,size.plausible >json 2>said
check "-q leaves nothing out of JSON" test "$(jq '.rules | length' json)" = 2
vfiomig check "$device" --tap -q -t session.eof-permanent,size.plausible >tap 2>>said
check "nor out of KTAP" test "$(grep -c '^ok' tap)" = 2
check "but the message that the state is lost" test ! -s said

for seed in 7 7 8; do
	vfiomig check "$device" -v --seed=$seed -t state.random-walk >walk 2>&1
	check "the seed $seed is printed" grep -q "^seed: *$seed\$" walk
	grep 'SET_STATE\|VFIO_DEVICE_RESET' walk >walk.$seed.new
	[ ! -e walk.$seed ] || check "the same seed makes the same walk" cmp walk.$seed walk.$seed.new
	mv walk.$seed.new walk.$seed
done
check "another seed makes another walk" sh -c "! cmp walk.7 walk.8"
fault "$device" set STOP_COPY errno=EIO after=3
status 1 "a walk that fails" vfiomig check "$device" --seed=9 -t state.random-walk
prints "again:    vfiomig check -v -t state.random-walk --seed=9 $device"
status 1 "the same with --dangerous, which goes on in ERROR" vfiomig check "$device" --dangerous --via=cdev --seed=9 -t state.random-walk
prints "again:    vfiomig check -v -t state.random-walk --dangerous --seed=9 --via=cdev $device"
no_faults "$device"

# ---- What is not tested ------------------------------------------------------------

status 0 "what hangs kernels, what takes long, what needs more" vfiomig check "$device" -t 'state.no-*' -t 'session.l*' -g stop
prints "it can hang or taint a kernel that is not mended; --dangerous tests it"
prints "it takes long; -g slow tests it"
prints "it needs a device that does DMA on request"
prints "it needs a second device"
prints "C2   stop.set-irqs                OK (Not Supported)"
status 0 "what hangs kernels, by its name" vfiomig check "$device" -t state.no-way-back
prints "B13  state.no-way-back            SKIP"
status 0 "with --dangerous" vfiomig check "$device" --dangerous -t state.no-way-back
prints "B13  state.no-way-back            OK"
status 0 "what takes long, by its name" vfiomig check "$device" -t state.concurrent-set
prints "B21  state.concurrent-set         OK"

sleep 1000 <>/dev/vfio/devices/vfio0 &
fault "$device" open errno=EBUSY
status 4 "a device that a process has" vfiomig check "$device"
says "busy: process $! (sleep) has the device or its group open"
kill $!
no_faults "$device"
echo 1000000000000000 >"$emulated/$device/data_size"
status 0 "a state for which there is no room" vfiomig check "$device" -t resume.round-trip
prints "there is no room for a state of 1000000000000000 bytes; TMPDIR names another place"
rm "$emulated/$device/data_size"

# ---- What a person reads -----------------------------------------------------------

status 1 "in a pipe" vfiomig check "$device" -q -t resume.invalid,resume.foreign
prints '       rule:     "inconsistent, or otherwise invalid" data must fail the SET_STATE ioctl (must)'
prints "FAIL:  resume.invalid"
prints "WARN:  resume.foreign"
script -qec "stty cols 60; TERM=xterm vfiomig check $device -q -t resume.invalid,resume.foreign" screen </dev/null >/dev/null
tr -d '\r' <screen | sed 's/\x1b\[[0-9]*m//g' >plain
check "on a terminal, the lines fit" sh -c "! grep -v -e again: -e '^Script ' -e 'state is lost' plain | grep '.\{61\}'"
check "FAIL is red" grep -q "$(printf 'resume.invalid  *\033\[31mFAIL\033\[0m')" screen
check "a command is in one line" grep -q "again:    vfiomig check -v -t resume.invalid $device\$" plain

# ---- What the device keeps ---------------------------------------------------------

# Opening the device as the library does would hide these.
for state in STOP RESUMING ERROR; do
	echo $state >"$emulated/$device/keeps"
	status 0 "a device that is in $state when it is opened again" vfiomig check "$device" -t reset.close
	prints "the device is in $state instead of RUNNING"
done
echo RESUMING >"$emulated/$device/keeps"
status 0 "the same after a process was killed" vfiomig check "$device" -t resume.killed
prints "the device is in RESUMING instead of RUNNING"
rm "$emulated/$device/keeps"

# ---- Several at once ---------------------------------------------------------------

head -c 2000000 /dev/urandom >"$emulated/$device/factory"
echo 1 >"$emulated/$device/noisy"
status 0 "two readers of a good driver" vfiomig check --strict "$device" -t session.two-readers
echo 1 >"$emulated/$device/unlocked"
status 0 "two readers that get the same bytes" vfiomig check "$device" -t session.two-readers
prints "D15  session.two-readers          WARN"
prints "what two threads have read is not each byte of the stream once"
rm "$emulated/$device/unlocked" "$emulated/$device/noisy"
fault "$device" set STOP_COPY errno=EIO after=5
status 0 "a SET that fails beside another" vfiomig check "$device" -t state.concurrent-set
prints "beside another SET_STATE gives EIO"
no_faults "$device"

# ---- What is left behind -----------------------------------------------------------

# meminfo KB: what /proc/meminfo says when the kernel uses this much more than at first
cat >/run/meminfo.sh <<-'END'
	used=$(($(cat /run/used) + $1))
	echo $used >/run/used
	echo "MemTotal: 4000000 kB
	MemFree: $((2000000 - used)) kB
	MemAvailable: 2000000 kB
	Active: 100000 kB
	Inactive: 100000 kB
	Slab: 200000 kB
	SReclaimable: 100000 kB
	Hugetlb: ${2:-0} kB" >/run/meminfo
END
sed -i "s/MemAvailable: 2000000/MemAvailable: \$((2000000 - used))/" /run/meminfo.sh
echo 0 >/run/used
sh /run/meminfo.sh 0
mount --bind /run/meminfo /proc/meminfo
fault "$device" to STOP_COPY run=sh /run/meminfo.sh 1000
status 0 "sessions that leave pages" vfiomig check "$device" -t session.leak
prints "sessions the kernel uses"
status 0 "cycles that leave pages" vfiomig check "$device" -t reset.leak
prints "cycles the kernel uses"
no_faults "$device"
# 500 cycles of this are less than what a busy machine takes at times.
fault "$device" to STOP_COPY run=sh /run/meminfo.sh 100
status 0 "sessions that leave a few pages" vfiomig check "$device" -t session.leak
prints "sessions the kernel uses"
no_faults "$device"
fault "$device" to STOP_COPY "run=sh /run/meminfo.sh 1000 \$((\$(cat /run/used) + 1000))"
status 0 "others make huge pages" vfiomig check --strict "$device" -t session.leak
no_faults "$device"
# It is seen at once, and not when there is no memory left.
fault "$device" write run=sh /run/meminfo.sh 100000
status 0 "what is no stream is kept" vfiomig check "$device" -t resume.garbage
prints "bytes of what is no stream, after 1048576 bytes of it"
no_faults "$device"
umount /proc/meminfo

# ---- The kernel's log ----------------------------------------------------------------

kernel_log
kmsg=$emulated/common/kmsg
fault "$device" arc STOP-STOP_COPY "run=echo '4,1,1,-;WARNING: CPU: 0 PID: 1 at it' >>$kmsg"
status 1 "the kernel complains" vfiomig check "$device" -t session.eof-permanent
prints "the kernel complains: WARNING: CPU: 0 PID: 1 at it"
no_faults "$device"
# This test does not sleep, so check does when it has ended.
fault common sleep "run=echo '4,1,1,-;WARNING: too late' >>$kmsg"
status 1 "the kernel complains when the test has ended" vfiomig check "$device" -t session.eof-permanent
prints "the kernel complains: WARNING: too late"
no_faults
some=session.eof-permanent,precopy.initial-bytes,size.plausible
: >"$kmsg"
status 0 "the kernel does not complain" vfiomig check "$device" --strict -t $some
check "its log says what was tested" test "$(sed -n 's/^14,1,1,-;vfiomig check: //p' "$kmsg" | tr '\n' ,)" = "$some,"
fault "$device" precopy-info "run=echo '4,1,1,-;WARNING: at it' >>$kmsg"
status 1 "it may be about the test before" vfiomig check "$device" -t $some
prints "FAIL:  precopy.initial-bytes"
prints "it can be late, and about a test before this: session.eof-permanent"
some=feature.argsz,state.no-spontaneous-change,precopy.initial-bytes
status 1 "what has ended more than a second before is not the cause" vfiomig check "$device" -t $some
check "so it is not named" grep -q 'about a test before this: state.no-spontaneous-change$' "$OUT"
status 1 "there is no test before" vfiomig check "$device" -t precopy.initial-bytes,size.plausible
check "so it is about this rule" sh -c "! grep 'can be late' '$OUT'"
no_faults "$device"
fault "$device" precopy-info "run=cp $OUT /run/told"
status 0 "a result is told when the next test begins" vfiomig check "$device" -t session.eof-permanent,precopy.initial-bytes
check "and not later" grep -q 'session.eof-permanent  *OK' /run/told
no_faults "$device"
fault "$device" arc STOP-STOP_COPY "run=echo 512 >/run/sys-kernel-tainted"
echo 1 | proc_says sys/kernel/tainted
chmod 666 /run/sys-kernel-tainted
status 1 "the kernel becomes tainted, and says nothing" vfiomig check "$device" -t session.eof-permanent
prints "the kernel complains: it is tainted now"
umount /proc/sys/kernel/tainted
no_faults "$device"
echo "4,1,1,-;WARNING: $(seq -s, 600)" >long
fault "$device" arc STOP-STOP_COPY "run=cat /run/test/long >>$kmsg"
status 1 "it is too long for the report" vfiomig check "$device" -t session.eof-permanent
prints "the kernel complains: WARNING: 1,2,3"
prints "WARNING: 1,2,3,4,5,6"
no_faults "$device"
fault "$device" arc STOP-STOP_COPY "run=echo EPIPE >>$kmsg; echo '6,2,2,-;a line' >>$kmsg"
status 1 "the kernel's log was overwritten" vfiomig check "$device" --strict -t session.eof-permanent
prints "the kernel has logged so much that not all of it could be read"
no_faults "$device"

# ---- Known failures --------------------------------------------------------------------

echo 6.12.1 >"$emulated/common/release"
driver_is "$device" mtty
echo 0 >"$emulated/$device/end"
status 0 "what is known of mtty" vfiomig check "$device" --strict -t precopy.enomsg
prints "E9   precopy.enomsg               XFAIL"
prints "known: samples/vfio-mdev/mtty.c"
fault "$device" arc RUNNING-PRE_COPY "run=echo '4,1,1,-;WARNING: CPU: 0' >>$kmsg"
status 1 "a complaint of the kernel is not known of it" vfiomig check "$device" -t precopy.enomsg
prints "the kernel complains: WARNING: CPU: 0"
no_faults "$device"
fault "$device" arc RUNNING-PRE_COPY hang
status 1 "neither is a call that hangs" vfiomig check "$device" --timeout=1 -t precopy.enomsg
prints "no answer within 1 s: SET_STATE RUNNING -> PRE_COPY"
no_faults "$device"
fault "$device" reset errno=EIO after=1
ends 7 "nor a device that does not come back" vfiomig check "$device" -t precopy.enomsg
prints "E9   precopy.enomsg               FAIL"
no_faults "$device"
echo EAGAIN >"$emulated/$device/end"
status 1 "nor another errno" vfiomig check "$device" --strict -t precopy.enomsg
prints "E9   precopy.enomsg               WARN"
echo 7.4.0 >"$emulated/common/release"
echo 0 >"$emulated/$device/end"
status 1 "nor the same of another kernel" vfiomig check "$device" --strict -t precopy.enomsg
rm "$emulated/$device/end" "$emulated/common/release"
driver_is "$device" emulated_vfio_pci

# ---- A device that works ---------------------------------------------------------------

status 0 "it works again, in PRE_COPY, and loaded" vfiomig check --strict --dangerous "$device" \
	-t stop.running-works,precopy.runs,resume.live,stop.access
# The config space is read by 16 calls.
fault "$device" region-read errno=EIO after=33
status 1 "a region that cannot be read in PRE_COPY" vfiomig check "$device" -t precopy.runs
prints "a read of the region 0 in PRE_COPY gives EIO, and did not before"
status 0 "a region that cannot be read after a session" vfiomig check "$device" -t stop.running-works
prints "WARN"
status 0 "nor when it was loaded" vfiomig check "$device" -t resume.live
prints "WARN"
status 0 "a stopped device may refuse that" vfiomig check "$device" --dangerous -t stop.access
no_faults "$device"
fault "$device" region-read "run=echo '4,1,1,-;BUG: unable to handle page fault' >>$kmsg"
status 1 "but the kernel may not complain" vfiomig check "$device" --dangerous -t stop.access
prints "the kernel complains: BUG: unable to handle page fault"
no_faults "$device"

# An interrupt that VFIO has, and check cannot enable, hides nothing.
emulate 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
echo 3 >"$emulated/$device/irq"
status 0 "a device with an interrupt of another kind works again" vfiomig check "$device" -t stop.running-works
prints 'C10  stop.running-works           OK'
device=0000:3b:00.1

# ---- Low power -----------------------------------------------------------------------------

status 0 "there is none" vfiomig check --strict "$device" --dangerous -t reset.power
prints "G9   reset.power                  OK (Not Supported)"
echo 1 >"$emulated/$device/low_power"
head -c 100000 /dev/urandom >"$emulated/$device/factory"
echo 1 >"$emulated/$device/noisy"
status 0 "a state that is saved in low power" vfiomig check --strict "$device" --dangerous -t reset.power
check "the device is awake" test "$(cat "$emulated/$device/asleep")" = 0
echo 2 >"$emulated/$device/low_power"
status 0 "a state that is another one in low power" vfiomig check "$device" --dangerous -t reset.power
prints "the stream of the device in low power, of 100000 bytes, is not the one of the device before, of 100000 bytes"
# Each of two streams before that is two reads.
fault "$device" read return=2000000 after=4
status 0 "a test that ends in low power" vfiomig check "$device" --dangerous -t reset.power
prints "read() of 1048576 bytes returns 2000000"
check "the device is awake" test "$(cat "$emulated/$device/asleep")" = 0
no_faults "$device"
rm "$emulated/$device/low_power" "$emulated/$device/noisy"

# ---- DMA logging, with large pages ---------------------------------------------------------

echo 1 >"$emulated/$device/logging"
for size in 4096 65536; do
	echo $size >"$emulated/common/pagesize"
	status 0 "DMA logging with pages of $size bytes" vfiomig check --strict "$device" -g dma
	echo $((size / 16 - 1)) >"$emulated/$device/ranges"
	status 1 "one range too few with pages of $size bytes" vfiomig check "$device" -t dma.ranges
	prints "DMA_LOGGING_START of $((size / 16)) ranges gives E2BIG"
	rm "$emulated/$device/ranges"
done
rm "$emulated/common/pagesize"

# ---- debugfs -------------------------------------------------------------------------------

mkdir -p "/sys/kernel/debug/vfio/$device/migration"
ln -s "$emulated/$device/state" "/sys/kernel/debug/vfio/$device/migration/state"
status 0 "debugfs that tells no flags" vfiomig check --strict "$device" -t reset.debugfs
printf 'stop-copy\np2p\npre-copy\ndirty-tracking\n' >"/sys/kernel/debug/vfio/$device/migration/features"
status 0 "debugfs that tells the flags" vfiomig check --strict "$device" -t reset.debugfs
prints "G5   reset.debugfs                OK"
printf 'stop-copy\npre-copy\n' >"/sys/kernel/debug/vfio/$device/migration/features"
status 0 "debugfs that tells other flags" vfiomig check "$device" -t reset.debugfs
prints "debugfs says that the flags are 0x5 in STOP, and MIGRATION 0x7"
rm -r /sys/kernel/debug

# ---- What is in the stream -----------------------------------------------------------------

status 0 "a format that is not known" vfiomig check --strict "$device" -t session.no-foreign-memory
prints "the format of this driver's streams is not known"
no_devices

# stream FORMAT: write a stream of the format, and what is on standard input. A device of this driver has it as its state.
stream() {
	{ perl "$top/tests/host/make-stream.pl" "${1%_vfio_pci}" && cat; } >stream
	emulate 0000:3b:00.1 "size=$(wc -c <stream)"
	driver_is "$device" "$1"
	cp stream "$emulated/$device/factory"
	echo 1 >"$emulated/$device/noisy"
}

stream mtty </dev/null
status 0 "a stream that is all used" vfiomig check --strict "$device" -t session.no-foreign-memory
prints "D20  session.no-foreign-memory    OK"
no_devices
printf '\0\1' | stream mtty
status 0 "a stream with something behind it" vfiomig check "$device" -t session.no-foreign-memory
prints "the stream has the byte 0x1 at $(($(wc -c <stream) - 1)), which is beyond the end"
no_devices
stream qat_vfio_pci </dev/null
status 0 "a stream with reserved fields" vfiomig check "$device" -t session.no-foreign-memory
prints ", which is reserved0"
no_devices

# ---- A large state -----------------------------------------------------------------------

# Nothing is missed behind the first 8 MiB.
emulate 0000:3b:00.3 size=$((40 << 20)) initial=$((40 << 20))
fault "$device" read at=30000000 errno=ENOMSG
status 0 "a read that has nothing after 30 MB" vfiomig check "$device" -t precopy.info-true
prints "initial_bytes and 0 dirty_bytes are left, and read() gives ENOMSG"
no_faults "$device"
no_devices
# A stream has an end. This one has 80 MiB, and is said to have 1000 bytes.
emulate 0000:3b:00.3 size=$((80 << 20))
echo 1000 >"$emulated/$device/data_size"
status 1 "a stream that does not end" vfiomig check "$device" -t session.eof-permanent
prints "the stream in STOP_COPY has not ended after"
# What no state can have is not known.
echo $((1 << 62)) >"$emulated/$device/data_size"
status 0 "a size that no state has" vfiomig check "$device" -t session.eof-permanent
no_devices
# What is kept does not grow with the state: neither of the emulated device, whose state is a hole, nor of the test.
emulate 0000:3b:00.2 size=$((4 << 30)) initial=$((4 << 30))
if ldd /run/build/vfiomig | grep -q 'lib[at]san'; then
	ok "a state of 4 GiB # SKIP a sanitizer takes terabytes of addresses"
else
	# shellcheck disable=SC2016 # the inner shell's
	status 0 "a state of 4 GiB within 64 MiB" sh -c 'ulimit -v 65536 && exec vfiomig check --strict "$1" -t "$2"' - \
		"$device" session.eof-permanent,precopy.initial-decrease
	prints "E7   precopy.initial-decrease     OK"
fi

finish
