# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# For t-signals.sh: signals at many moments of saves and restores. A signal ends the program.
# Afterwards the device is home, or the message says that its state is lost, and the image's name
# belongs to the former file or to the whole image. After SIGKILL the device can be used at once,
# and at most a temporary file is left.

# shellcheck disable=SC2034,SC2154 # lib.sh sets $device and $other, and uses $what

# moment N: print a time within which a command begins, works and ends, in microseconds. It is the
# same for the same N.
moment() {
	echo $((span * ($1 * 618 % 1000) / 1000))
}

# check_ending SIGNAL: the signal has ended the command, which says so in a line; or the command was
# complete before the signal came; or it had hardly begun
check_ending() {
	case $rc in
	0) through=$((through + 1)) ;;
	$((128 + $1)))
		if [ -s "$ERR" ]; then
			midway=$((midway + 1))
			[ "$(wc -l <"$ERR")" -eq 1 ] || complain "standard error is not one line"
		fi
		;;
	*) complain "the exit status is wrong" ;;
	esac
}

# check_image: the file is the former one, or the whole image
check_image() {
	if [ "$(cat out/image)" != precious ] && ! vfiomig inspect --verify out/image >/dev/null 2>&1; then
		complain "the image is not whole"
	fi
}

# check_home DEV STATE MEMORY: the device can be used, is in STATE, and has the memory that is in
# the file MEMORY
check_home() {
	state=$(vfiomig state "$1" 2>state.log) || complain "the device cannot be used: $(cat state.log)"
	[ "$state" = "$2" ] || complain "the device is in $state, not in $2"
	[ -z "$3" ] || region "$1" 2 | cmp -s - "$3" || complain "the device's memory is not what it was"
}

# during_saves SIGNAL COUNT HELD
during_saves() {
	through=0 midway=0
	for n in $(seq "$2"); do
		for how in auto never; do
			what="save --precopy=$how, $(moment "$n") us"
			echo precious >out/image
			rc=0
			interrupt "$1" "$(moment "$n")" vfiomig save "$device" -q --precopy=$how -o out/image >"$OUT" 2>"$ERR" || rc=$?
			check_ending "$1"
			[ "$(ls -A out)" = image ] || [ ! -s "$ERR" ] || complain "files are left: $(ls -A out)"
			check_image
			check_home "$device" RUNNING memory
			rm -rf out && mkdir out
		done
	done
	verdict "signal $1, $((2 * $2)) saves, held: $3 ($midway were interrupted, $through were complete)"
}

# Put the device to which restores write into STOP, held, with a memory that is not the image's.
prime_other() {
	vfiomig state "$other" --reset STOP -q >/dev/null
	vfiomig restore "$other" -q --raw --leave=STOP -i zero.raw
}

# during_restores SIGNAL COUNT
during_restores() {
	through=0 midway=0
	for n in $(seq "$2"); do
		for from in file pipe; do
			what="restore from a $from, $(moment "$n") us"
			prime_other
			rc=0
			if [ $from = file ]; then
				interrupt "$1" "$(moment "$n")" vfiomig restore "$other" -q -i image >"$OUT" 2>"$ERR" || rc=$?
			else
				{
					head -c 300000 image
					usleep 30000
					tail -c +300001 image
				} 2>/dev/null | interrupt "$1" "$(moment "$n")" vfiomig restore "$other" -q >"$OUT" 2>"$ERR" || rc=$?
			fi
			check_ending "$1"
			if [ $rc -eq 0 ]; then
				check_home "$other" RUNNING memory
			elif grep -q 'its state is lost' "$ERR"; then
				check_home "$other" STOP ''
			elif grep -q "with the image's state" "$ERR"; then
				check_home "$other" STOP memory
			else
				check_home "$other" STOP zero
			fi
		done
	done
	verdict "signal $1, $((2 * $2)) restores ($midway were interrupted, $through were complete)"
}

# harmless SIGNAL COUNT: the signal ends no command that has begun
harmless() {
	through=0 early=0
	for n in $(seq "$2"); do
		for command in save restore; do
			what="$command, $(moment "$n") us"
			rm -f out/image
			prime_other
			rc=0
			case $command in
			save) set -- "$1" "$2" "$device" -o out/image ;;
			*) set -- "$1" "$2" "$other" -i image ;;
			esac
			interrupt "$1" "$(moment "$n")" vfiomig $command "$3" "$4" "$5" -q >"$OUT" 2>"$ERR" || rc=$?
			if [ $rc -eq $((128 + $1)) ] && [ ! -s "$ERR" ]; then
				early=$((early + 1))
			elif [ $rc -ne 0 ]; then
				complain "the command did not go on"
			else
				through=$((through + 1))
				[ $command = restore ] || check_image
				check_home "$3" RUNNING memory
			fi
			rm -rf out && mkdir out
		done
	done
	verdict "signal $1, $((2 * $2)) commands go on ($early had not begun)"
}

# killed COUNT HELD
killed() {
	through=0 left=0
	for n in $(seq "$1"); do
		what="kill $n"
		echo precious >out/image
		case $((n % 3)) in
		0) set -- "$1" "$2" save "$device" -o out/image ;;
		1) set -- "$1" "$2" save "$device" --precopy=never -z -o out/image ;;
		2) set -- "$1" "$2" restore "$device" -i image ;;
		esac
		rc=0
		interrupt 9 "$(moment "$n")" vfiomig "$3" "$4" -q "$5" "$6" >"$OUT" 2>"$ERR" || rc=$?
		case $rc in
		0) through=$((through + 1)) ;;
		137) ;;
		*) complain "the exit status is wrong" ;;
		esac
		check_home "$device" RUNNING memory
		check_image
		for file in out/.??*; do
			case $file in
			out/.vfiomig.??????) left=$((left + 1)) ;;
			'out/.??*') ;;
			*) complain "a file is left: $file" ;;
			esac
		done
		rm -rf out && mkdir out
		# A restore leaves a holder behind.
		[ "$2" = yes ] || vfiomig release "$device" --wait -q 2>/dev/null
	done
	verdict "SIGKILL, $1 commands, held: $2 ($through were complete, $left temporary files were left)"
}

# all_signals COUNT KILLS
all_signals() {
	fill "$device"
	bar "$device" read >memory
	head -c 1048576 /dev/zero >zero
	vfiomig save "$device" -q -o image
	bar "$other" write <zero
	vfiomig save "$other" -q --raw --precopy=never -o zero.raw
	mkdir out
	# Measure how long a save takes here, and add a bit.
	start=$(cut -d ' ' -f 1 /proc/uptime)
	for n in 1 2 3 4; do
		vfiomig save "$device" -q -o out/image
	done
	span=$(awk -v from="$start" '{ print int(($1 - from) / 4 * 1000000 * 1.2) }' /proc/uptime)
	echo "# a save takes up to $span us"

	vfiomig hold "$other" -q
	during_saves 14 "$1" no
	for signal in 2 15 1; do
		during_saves $signal "$1" no
		during_restores $signal "$1"
	done
	# SIGPIPE, SIGUSR1, SIGTSTP and then SIGCONT
	for signal in 13 10 20; do
		harmless $signal "$1"
	done
	killed "$2" no
	vfiomig hold "$device" -q
	for signal in 2 15 1; do
		during_saves $signal "$1" yes
	done
	killed "$2" yes
}
