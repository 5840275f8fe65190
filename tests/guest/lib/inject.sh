# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# For t-inject.sh: each system call that a save and a restore make fails in turn.
#
# strace lists the calls of a good run. Then there is one run for each call and each errno that makes sense, in which the call
# fails or moves only one byte. The program "inject" makes it fail, and says why strace cannot. After each run:
#
#   - the status is not 0, and there is one line on standard error; or the run succeeded completely all the same, and
#     harmless() knows the reason
#   - no file is left; or, if the call comes after the image has its name, the whole image is left, and the message says so
#   - the device has its former state and contents, or the status is 7
#   - the next command can use the device

# errors_of CALL: print the ways in which the call can fail, nothing if it cannot fail. Fails if the
# call is not known here, or not known to inject.
errors_of() {
	case $1 in
	read | pread64) echo EIO EINTR EAGAIN ENOMEM SHORT ;;
	recvmsg | recvfrom | getdents64 | getrandom) echo EIO EINTR EAGAIN ENOMEM ;;
	write | writev | pwrite64) echo EIO ENOSPC EPIPE EINTR EAGAIN ENOMEM SHORT ;;
	sendto | ftruncate) echo EIO ENOSPC EPIPE EINTR EAGAIN ENOMEM ;;
	fsync | close | rename | renameat | unlink | unlinkat | mkdir | fchmod | bind) echo EIO ENOSPC EINTR ;;
	openat | pipe2 | socket | socketpair | eventfd2 | connect | poll | ioctl) echo EIO EINTR EAGAIN ENOMEM ;;
	clone | clone3 | mmap | mprotect | madvise) echo EAGAIN ENOMEM ;;
	access | readlink | readlinkat | newfstatat | statx | fstat | fstatfs | getcwd | uname) echo EIO ENOMEM ;;
	fcntl | flock | lseek | listen | getsockopt | sched_getaffinity) echo EIO EINTR ENOMEM ;;
	# brk returns the break, and never an error.
	brk) ;;
	# These cannot fail with the arguments that they have here.
	rt_sigaction | rt_sigprocmask | munmap | umask | alarm | futex | rseq | set_robust_list | waitid | getrusage) ;;
	# These never fail.
	exit | exit_group | rt_sigpending | getpid | gettid | getuid | geteuid | rt_sigreturn | restart_syscall) ;;
	# The C library asks the kernel for the time only if it has no clock that can be read without it, as on a slow machine.
	clock_gettime | clock_getres | gettimeofday | time | getcpu) ;;
	*) return 1 ;;
	esac
}

# harmless: succeeds if a run may succeed although this call fails. The image and the device are
# checked in any case.
harmless() {
	case "$call $errno $args" in
	# After a short call another one moves the rest.
	*' SHORT '*) return 0 ;;
	*' EINTR '* | *' EAGAIN '*) case $call in read | pread64 | poll | writev | pwrite64 | sendto | recvmsg | connect) return 0 ;; esac ;;
	esac
	case "$call $args" in
	# A closed descriptor is not needed any more. The image was synced before, and the result of
	# its own close is checked.
	'close '*) ;;
	# Advice, and memory that the C library can get in another way.
	'madvise '* | 'mmap '* | 'mprotect '*) ;;
	# A thread that only waits for a call, or ends it after a signal. The call is made without it.
	'clone3 '*) ;;
	# A process of its own that closes the device last. Without it, vfiomig closes the device itself.
	'pipe2 '* | 'clone '*CLONE_PIDFD*) ;;
	# Random numbers for a name and for hash tables: others will do.
	'getrandom '*) ;;
	# The size of a pipe. How an output was opened; only one of other kinds is reopened or refused.
	'fcntl '*F_SETPIPE_SZ* | 'fcntl '*F_GETFD* | 'fcntl '*F_GETFL*) ;;
	# The question whether a descriptor is a terminal. None is.
	'ioctl '*TCGETS*) ;;
	# Probes of features, and estimates of sizes. Arcs are the same ioctl, but a save that
	# misses one cannot be right.
	'ioctl '*VFIO_DEVICE_FEATURE* | 'ioctl '*VFIO_EEH_PE_OP*) ;;
	# The lock's file: the PID of its owner in it, and its removal, which only the next command
	# would notice.
	'ftruncate '* | 'write '* | 'lseek '* | 'newfstatat '*.lock* | 'newfstatat '*AT_EMPTY_PATH* | 'fstat '* | 'unlink '*.lock*) ;;
	# Details of the header that not every kernel has: the release, the time zone, the driver's
	# version, the bus.
	'uname '* | 'openat '*/etc/localtime* | 'openat '*/module/version* | 'read '*'"0.1\n"'*) ;;
	# The question whether there is a cdev.
	'access '*/dev/vfio/devices/*) ;;
	# The eventfd to which nobody has written, and which is looked at again each second.
	'read (3, '* | 'poll '*'1, 0)'* | 'poll '*'1, 1000'*) ;;
	# The watcher's pause between two looks at the signals that have come.
	'poll '*'1, 100)'*) ;;
	# The wait for the word of the process that is to hold the device. It begins again.
	'poll '*'events=POLLIN}], 2, -1'*) ;;
	# The question whether there is a holder. If it cannot be asked, vfiomig assumes that there
	# is one, and asks again.
	'socket '* | 'connect '* | 'getsockopt '* | 'sendto '* | 'recvmsg '* | 'poll '*'2, 100)'*) ;;
	# The wait for a process that works apart. It begins again until its time is up.
	'poll '*'events=POLLIN}], 2, '[0-9]* | 'poll '*', {fd=-1}], 2, '[0-9]*) ;;
	# The question which device a descriptor belongs to. There are several ways to find out,
	# which look at other devices, too.
	'readlink '*/sys* | 'readlink '*'"/dev/vfio/devices/'* | 'readlinkat '* | 'newfstatat '*/proc/* | 'statx '*/proc/* | 'getdents64 '* | 'access '*/sys/*) $held ;;
	'openat '*/sys/* | 'openat '*/proc/* | 'read '*', 1024)'* | 'read '*', 31)'*) $held ;;
	*) return 1 ;;
	esac
}

# ---- The runs ----

# shellcheck disable=SC2154 # lib.sh sets it
device=$mtty

note() {
	# A process in the background has /dev/null as its standard input, unless it is given
	# another one.
	/tests/strace -f -qq -o calls "$@" <&3 &
	# strace follows the holder that the restore leaves behind, so the holder has to end.
	if [ "$run $held" = 'restore false' ]; then
		wait_for vfiomig release "$device" -q 2>/dev/null
	fi
	wait $!
}

# Run the command, and make one of its calls fail. If $call is empty, note all its calls in the file
# "calls".
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

# The image is written in place, without a rename.
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

# content FILE: save the device's state into FILE, which shows that the device can be used. Prints
# the state in which the device was.
content() {
	vfiomig save "$device" -v --precopy=never --raw -o "$1" 2>content.log || return
	sed -n 's/^vfiomig: \([A-Z_0-9]*\) -> .*/\1/p' content.log | head -n 1
}

is_held() {
	[ -S "/run/vfiomig/$device.sock" ]
}

# prime: put the device into the state that it has before each run
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

# Whatever has failed, there must be no file but the whole image.
check_files() {
	[ "$(ls -A out)" = '' ] && [ "$rc" -ne 0 ] && return
	if [ "$(ls -A out)" != image ]; then
		complain "files are left: $(ls -A out)"
	elif vfiomig unpack out/image -o unpacked 2>/dev/null && cmp -s unpacked whole; then
		[ "$rc" -eq 0 ] || late=$((late + 1))
		# If standard output cannot be synced or closed, the image may be whole, but that is
		# not sure, so the message does not say so.
		case $call in
		fsync | close) said='the image is whole\|: standard output: ' ;;
		*) said='the image is whole' ;;
		esac
		[ "$rc" -eq 0 ] || grep -q "$said" "$ERR" || complain "the message does not say that the image is there"
	elif [ "$rc" -eq 0 ] || [ "$run" != save_z ]; then
		complain "the image is not whole"
	fi
	rm -rf out
	mkdir out
}

check_device() {
	state=$(content now.raw) || complain "the device cannot be used"
	$held && ! grep -q 'through its holder' content.log && complain "its holder has gone"
	where=$home whose=ours.raw
	case $run in
	restore*)
		if [ "$rc" -eq 0 ]; then
			where=RUNNING whose=theirs.raw
		elif grep -q "with the image's state\|and the device has it" "$ERR"; then
			whose=theirs.raw
		fi
		;;
	esac
	if [ "$state" != "$where" ]; then
		[ "$rc" -eq 7 ] || complain "the device is in $state, not in $where"
		prime
	elif ! cmp -s now.raw $whose; then
		[ "$rc" -eq 7 ] || complain "the device's state is not what it was"
		prime
	elif [ $whose != ours.raw ] || [ "$where" != "$home" ] || { is_held && ! $held; }; then
		prime
	fi
}

# judge: check what a run has left behind
judge() {
	# There were fewer of these calls this time, or the call does not move two bytes. So nothing
	# has failed.
	if [ "$rc" -eq 99 ]; then
		rm -f out/image
		prime
		return
	fi
	tried=$((tried + 1))
	case $rc in
	0)
		harmless || complain "the failure was not noticed"
		unnoticed=$((unnoticed + 1))
		;;
	[1-7])
		if [ "$(wc -l <"$ERR")" -ne 1 ] || ! grep -q '^vfiomig: ' "$ERR"; then
			complain "standard error is not one line of an error"
		fi
		[ "$rc" -ne 7 ] || lost=$((lost + 1))
		;;
	124 | 143) complain "the command hangs" && killall -9 vfiomig ;;
	*) complain "the command was killed by a signal" ;;
	esac
	case $run in
	save*) check_files ;;
	esac
	check_device
}

# ---- All of them ----

# joined: print what strace has noted, with each call in one line. A call during which another thread makes one is noted in two.
joined() {
	awk '
		/ <unfinished \.\.\.>$/ { sub(/ <unfinished \.\.\.>$/, ""); line[++n] = $0; begun[$1] = n; next }
		$2 == "<..." && $1 in begun {
			at = begun[$1]
			delete begun[$1]
			sub(/^[0-9]+ +<\.\.\. [a-z0-9_]+ resumed>/, "")
			line[at] = line[at] $0
			next
		}
		{ line[++n] = $0 }
		END { for (i = 1; i <= n; i++) print line[i] }' calls
}

# faults: print a line "CALL N ERRNO ARGUMENTS" for each fault, from what strace has noted. Calls
# before the first one of vfiomig itself are the dynamic linker's. Calls of a child are the
# holder's, which has nobody to report an error to.
faults() {
	joined >whole-calls
	awk '
		NR == FNR && /clone\(/ && !/CLONE_THREAD/ { child[$NF] = 1 }
		NR == FNR || $1 in child { next }
		/\.gcda"/ { exit } # what tests/coverage counts with, at the end
		{ sub(/^[0-9]+ +/, "") }
		/^fcntl\(0, F_GETFD/ { begun = 1 }
		begun && /^[a-z0-9_]+\(/ {
			name = $0
			sub(/\(.*/, "", name)
			if (name == "read" && /, 8\) += /)
				next # of an eventfd, which inject does not count
			print name, ++count[name], substr($0, length(name) + 1)
		}' whole-calls whole-calls | sort -k 1,1 -k 2,2n >noted
	last=
	while read -r name n arguments; do
		if [ "$name" != "$last" ]; then
			last=$name known=true
			errors=$(errors_of "$name") || known=false
			# inject ends with 99, for no call is the 0th one; with 98 if it does not know the call.
			[ -z "$errors" ] || inject "$name" 0 EIO true 2>/dev/null || [ $? -eq 99 ] || known=false
		fi
		if ! $known; then
			echo "$name 0 unknown"
			continue
		fi
		for error in $errors; do
			echo "$name $n $error $arguments"
		done
	done <noted
}

# try RUN HELD HOME SHARE: make every SHARE-th fault happen
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
		# shellcheck disable=SC2034 # complain() prints it
		what="$call $nth $errno, $args"
		if [ "$nth" -eq 0 ]; then
			rc=
			complain "errors_of does not know this call"
			continue
		fi
		rc=0
		"run_$run" >"$OUT" 2>"$ERR" </dev/null || rc=$?
		judge
	done <<-EOF
		$(awk "NR % $share == 0 || \$2 == 0" all-faults)
	EOF
	name="$run${held:+, held: $held}: $tried of $(wc -l <all-faults) faults tried"
	name="$name; $unnoticed were harmless, $lost ended with status 7, $late came after the image had its name"
	verdict "$name"
	total=$((${total:-0} + tried))
}

# all_faults SHARE: try SHARE for each kind of run
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
