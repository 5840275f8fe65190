# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# For t-inject.sh: every system call that a save and a restore make, failed in turn.
#
# The calls of a good run are counted with strace; then there is one run for each of them and for each errno that makes
# sense, in which it fails, or moves one byte only ("inject", in the guest's PATH, says why that is not strace). After each:
#
#   - the status is not 0, and there is one line on stderr; or the run succeeded all the same, in every respect, and
#     harmless() knows why
#   - no file is left; or the whole image, for what fails after it has its name, which is then said
#   - the device is in the state that it was in, with what was in it, or the status is 7
#   - the next command finds the device usable

# errors_of CALL: the ways to fail it, nothing for what cannot fail
errors_of() {
	case $1 in
	read | pread64) echo EIO EINTR EAGAIN ENOMEM SHORT ;;
	recvmsg | getdents64 | getrandom) echo EIO EINTR EAGAIN ENOMEM ;;
	write | writev | pwrite64) echo EIO ENOSPC EPIPE EINTR EAGAIN ENOMEM SHORT ;;
	sendto | ftruncate) echo EIO ENOSPC EPIPE EINTR EAGAIN ENOMEM ;;
	fsync | close | rename | renameat | unlink | unlinkat | mkdir | fchmod | bind) echo EIO ENOSPC EINTR ;;
	openat | socket | eventfd2 | connect | poll | ioctl) echo EIO EINTR EAGAIN ENOMEM ;;
	clone | clone3 | mmap | mprotect | madvise) echo EAGAIN ENOMEM ;;
	access | readlink | readlinkat | newfstatat | fstat | fstatfs | getcwd | uname) echo EIO ENOMEM ;;
	fcntl | flock | lseek | listen | getsockopt | sched_getaffinity) echo EIO EINTR ENOMEM ;;
	# It returns where the break is, and never an error.
	brk) ;;
	# Not with the arguments that they are given here.
	rt_sigaction | rt_sigprocmask | munmap | umask | alarm | futex | rseq | set_robust_list) ;;
	# Never.
	exit | exit_group | getpid | gettid | getuid | geteuid | rt_sigreturn | restart_syscall) ;;
	*) return 1 ;;
	esac
}

# harmless: whether a run may succeed all the same. That the image or the device is then what it should be is checked in
# any case.
harmless() {
	case "$call $errno $args" in
	# It is made again, for the rest.
	*' SHORT '*) return 0 ;;
	*' EINTR '* | *' EAGAIN '*) case $call in read | pread64 | poll | writev | pwrite64 | sendto | recvmsg | connect) return 0 ;; esac ;;
	esac
	case "$call $args" in
	# What is closed is not needed any more; the image was written with fsync before, and its own close is looked at.
	'close '*) ;;
	# Advice; and memory that the C library finds elsewhere.
	'madvise '* | 'mmap '* | 'mprotect '*) ;;
	# Random numbers for a name and for hash tables, which can be others.
	'getrandom '*) ;;
	# How large a pipe is.
	'fcntl '*F_SETPIPE_SZ* | 'fcntl '*F_GETFD*) ;;
	# What is asked of a descriptor that no terminal is.
	'ioctl '*TCGETS*) ;;
	# Probes, and estimates of sizes: the arcs are the same ioctl, but a save without one of them would not be right.
	'ioctl '*VFIO_DEVICE_FEATURE* | 'ioctl '*VFIO_EEH_PE_OP*) ;;
	# The lock's file: the name of who has it in it, and that it goes away, which only the next one sees.
	'ftruncate '* | 'write '* | 'lseek '* | 'newfstatat '*.lock* | 'newfstatat '*AT_EMPTY_PATH* | 'fstat '* | 'unlink '*.lock*) ;;
	# Details of the header that not every kernel has: its release, the time zone, the driver's version, the bus.
	'uname '* | 'openat '*/etc/localtime* | 'openat '*/module/version* | 'read '*'"0.1\n"'*) ;;
	# Whether there is a cdev.
	'access '*/dev/vfio/devices/*) ;;
	# The eventfd that nobody has written to, and whether anybody has.
	'read (3, '* | 'poll '*'1, 0)'* | 'poll '*'1, 0 <'*) ;;
	# Is there a holder? One that cannot be asked is taken for one, and is asked once more.
	'socket '* | 'connect '* | 'getsockopt '* | 'sendto '* | 'recvmsg '* | 'poll '*'2, 100)'*) ;;
	# Which device a descriptor is of is looked for in more than one way, and among devices that are others.
	'readlink '*/sys* | 'readlink '*'"/dev/vfio/devices/'* | 'readlinkat '* | 'newfstatat '*/proc/* | 'getdents64 '* | 'access '*/sys/*) $held ;;
	'openat '*/sys/* | 'openat '*/proc/* | 'read '*', 1024)'* | 'read '*', 31)'*) $held ;;
	*) return 1 ;;
	esac
}

# ---- The runs ----

# shellcheck disable=SC2154 # lib.sh sets it
device=$mtty

note() {
	# What is in the background has no other standard input than what it is given.
	/tests/strace -f -qq -o calls "$@" <&3 &
	# It follows a holder that is left behind, to its end.
	if [ "$run $held" = 'restore false' ]; then
		wait_for vfiomig release "$device" -q 2>/dev/null
	fi
	wait $!
}

# The command that is failed in one place; without one, all of its calls are noted in the file "calls".
call=
after() {
	if [ -n "$call" ]; then
		timeout 30 inject "$call" "$nth" "$errno" "$@"
	else
		note "$@" 3<&0
	fi
}

run_save() {
	after vfiomig save "$device" -q -T 1 -o out/image
}

# As it is, not by a rename
run_save_z() {
	after vfiomig save "$device" -q -T 1 -z >out/image
}

run_restore() {
	after vfiomig restore "$device" -q -T 1 -i theirs
}

run_restore_pipe() {
	# shellcheck disable=SC2002 # a pipe is what it is to be
	cat theirs | after vfiomig restore "$device" -q -T 1 --no-hold
}

# ---- What is left of the device ----

# content FILE: the device's state, which shows that the device can be used; prints RUNNING and so on, where it was
content() {
	vfiomig save "$device" -v --precopy=never --raw -o "$1" 2>content.log || return
	sed -n 's/^vfiomig: \([A-Z_0-9]*\) -> .*/\1/p' content.log | head -n 1
}

is_held() {
	[ -S "/run/vfiomig/$device.sock" ]
}

# prime: the device as it is before each run
prime() {
	if $held; then
		is_held || vfiomig hold "$device" -q
	elif is_held; then
		vfiomig release "$device" --wait
	fi
	vfiomig state "$device" --reset -q >/dev/null
	vfiomig restore "$device" --no-hold --raw -q --leave="$home" -i ours.raw
}

# ---- The judgement ----

# Only the whole image may be there, whatever has failed since.
check_files() {
	[ "$(ls -A out)" = '' ] && [ "$rc" -ne 0 ] && return
	if [ "$(ls -A out)" != image ]; then
		complain "files are left: $(ls -A out)"
	elif vfiomig unpack out/image -o unpacked 2>/dev/null && cmp -s unpacked whole; then
		[ "$rc" -eq 0 ] || late=$((late + 1))
		# Standard output that cannot be synced or closed may be whole here, but that is no promise.
		case $call in
		fsync | close) said='the image is whole\|: standard output: ' ;;
		*) said='the image is whole' ;;
		esac
		[ "$rc" -eq 0 ] || grep -q "$said" "$ERR" || complain "that the image is there is not said"
	elif [ "$rc" -eq 0 ] || [ "$run" != save_z ]; then
		complain "an image that is not whole"
	fi
	rm -rf out
	mkdir out
}

check_device() {
	state=$(content now.raw) || complain "the device cannot be used"
	$held && ! grep -q 'through its holder' content.log && complain "its holder has gone"
	where=$home what=ours.raw
	case $run in
	restore*)
		if [ "$rc" -eq 0 ]; then
			where=RUNNING what=theirs.raw
		elif grep -q "with the image's state" "$ERR"; then
			what=theirs.raw
		fi
		;;
	esac
	if [ "$state" != "$where" ]; then
		[ "$rc" -eq 7 ] || complain "the device is in $state, not in $where"
		prime
	elif ! cmp -s now.raw $what; then
		[ "$rc" -eq 7 ] || complain "the device's state is not what it was"
		prime
	elif [ $what != ours.raw ] || [ "$where" != "$home" ] || { is_held && ! $held; }; then
		prime
	fi
}

# judge: what a run has come to
judge() {
	# There were fewer of these calls this time, or not two bytes to move: it has gone through.
	if [ "$rc" -eq 99 ]; then
		rm -f out/image
		prime
		return
	fi
	tried=$((tried + 1))
	case $rc in
	0)
		harmless || complain "it was not noticed"
		unnoticed=$((unnoticed + 1))
		;;
	[1-7])
		if [ "$(wc -l <"$ERR")" -ne 1 ] || ! grep -q '^vfiomig: ' "$ERR"; then
			complain "not one line of an error"
		fi
		[ "$rc" -ne 7 ] || lost=$((lost + 1))
		;;
	124 | 143) complain "it hangs" && killall -9 vfiomig ;;
	*) complain "it died" ;;
	esac
	case $run in
	save*) check_files ;;
	esac
	check_device
}

# ---- All of them ----

# faults: "CALL N ERRNO ARGUMENTS", a line for each, from what strace has noted. What comes before the first call of
# vfiomig's own is the dynamic linker's; what a child calls is the holder's, which has nobody to tell it to.
faults() {
	awk '
		NR == FNR && /clone(\(| resumed)/ && !/CLONE_THREAD/ { child[$NF] = 1 }
		NR == FNR || $1 in child { next }
		/\.gcda"/ { exit } # what tests/coverage counts with, at the end
		{ sub(/^[0-9]+ +/, "") }
		/^fcntl\(0, F_GETFD/ { begun = 1 }
		begun && /^[a-z0-9_]+\(/ {
			name = $0
			sub(/\(.*/, "", name)
			print name, ++count[name], substr($0, length(name) + 1)
		}' calls calls | sort -k 1,1 -k 2,2n | while read -r name n arguments; do
		if ! errors=$(errors_of "$name"); then
			echo "$name 0 unknown"
			continue
		fi
		for error in $errors; do
			echo "$name $n $error $arguments"
		done
	done
}

# try RUN HELD HOME SHARE: every SHARE-th of all faults
try() {
	run=$1 held=$2 home=$3 share=$4
	tried=0 unnoticed=0 lost=0 late=0
	rm -rf out complaints
	mkdir out
	touch complaints
	prime
	call=
	check "$run, held: $held" "run_$run"
	[ ! -e out/image ] || vfiomig unpack out/image -o whole
	rm -f out/image
	faults >all-faults
	prime
	while read -r call nth errno args; do
		what="$call $nth $errno, $args"
		if [ "$nth" -eq 0 ]; then
			rc=
			complain "whether this call can fail is not known"
			continue
		fi
		rc=0
		"run_$run" >"$OUT" 2>"$ERR" </dev/null || rc=$?
		judge
	done <<-EOF
		$(awk "NR % $share == 0 || \$2 == 0" all-faults)
	EOF
	name="$run${held:+, held: $held}: of $(wc -l <all-faults) faults $tried tried and survived"
	name="$name; $unnoticed without harm, $lost with status 7, $late after the image had its name"
	verdict "$name"
	total=$((${total:-0} + tried))
}

# all SHARE
all_faults() {
	region "$device" 0 7 0x5a
	vfiomig save "$device" -q --precopy=never --raw -o theirs.raw
	vfiomig save "$device" -q -o theirs
	region "$device" 0 7 0xa5
	region "$device" 1 4 0x10
	region "$device" 1 0 0x41
	vfiomig save "$device" -q --precopy=never --raw -o ours.raw
	try save false RUNNING "$1"
	try save_z true RUNNING "$1"
	try restore_pipe false STOP "$1"
	try restore true STOP "$1"
	try restore false RUNNING "$1"
	echo "# $total faults tried"
}
