# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# For t-signals.sh: signals at many moments of saves and restores. The program ends by them, the
# device is home, or the message says that its state is lost, and what has the image's name is what had it before or
# all of the image. After SIGKILL the device is usable at once, and there may be a temporary file, but nothing else.

# shellcheck disable=SC2034,SC2154 # lib.sh sets $device and $other, and uses $what

# moment N: some time in which a command begins, works, and ends; always the same for the same number
moment() {
	echo $((span * ($1 * 618 % 1000) / 1000))
}

# check_ending SIGNAL: by the signal, told in a line; or it was through before that came; or had hardly begun
check_ending() {
	case $rc in
	0) through=$((through + 1)) ;;
	$((128 + $1)))
		if [ -s "$ERR" ]; then
			midway=$((midway + 1))
			[ "$(wc -l <"$ERR")" -eq 1 ] || complain "not one line"
		fi
		;;
	*) complain "another status" ;;
	esac
}

# check_image: what was there before, or all of the image
check_image() {
	if [ "$(cat out/image)" != precious ] && ! vfiomig inspect --verify out/image >/dev/null 2>&1; then
		complain "an image that is not whole"
	fi
}

# check_home DEV STATE MEMORY: the device can be used, is in this state, and has this memory
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
	verdict "signal $1, $((2 * $2)) saves, held: $3 ($midway were met midway, $through were through)"
}

# What restores write to: held, in STOP, with a memory that is not the image's.
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
	verdict "signal $1, $((2 * $2)) restores ($midway were met midway, $through were through)"
}

# harmless SIGNAL COUNT: signals that end nothing, once the program has begun
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
				complain "it did not go on"
			else
				through=$((through + 1))
				[ $command = restore ] || check_image
				check_home "$3" RUNNING memory
			fi
			rm -rf out && mkdir out
		done
	done
	verdict "signal $1, $((2 * $2)) commands go on ($early had not begun yet)"
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
		*) complain "another status" ;;
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
		# What a restore has left behind
		[ "$2" = yes ] || vfiomig release "$device" --wait -q 2>/dev/null
	done
	verdict "SIGKILL, $1 commands, held: $2 ($through were through, $left temporary files were left)"
}

# all COUNT KILLS
all_signals() {
	fill "$device"
	bar "$device" read >memory
	head -c 1048576 /dev/zero >zero
	vfiomig save "$device" -q -o image
	bar "$other" write <zero
	vfiomig save "$other" -q --raw --precopy=never -o zero.raw
	mkdir out
	# As long as one takes here, and somewhat longer
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
