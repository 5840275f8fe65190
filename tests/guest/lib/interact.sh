#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# interact.sh "ROWS COLUMNS" SCRIPT [ARG...]: run SCRIPT, unless it is empty, and then a shell, on the terminal that is
# standard input. init runs this for "tests/guest/run -i".

# shellcheck disable=SC2086 # two words
set -- $1 "$@"
# A terminal that does not know its size has 0 0.
[ "$1" -eq 0 ] || stty rows "$1" columns "$2"
shift 3

if [ -n "$1" ]; then
	script=$1
	shift
	# Ctrl-C ends SCRIPT, and not this shell.
	trap : INT
	sh "/tests/$script" "$@"
	echo "$script: exit status $?"
	trap - INT
fi
export PS1="guest-$KERNEL:\\w# "
exec sh -i
