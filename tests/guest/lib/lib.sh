# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# For the scripts that run in the guest: ". /tests/lib.sh", checks, "finish". The output is TAP.

tests=0
failed=0
OUT=/run/stdout
ERR=/run/stderr

ok() {
	tests=$((tests + 1))
	echo "ok $tests - $1"
}

# not_ok NAME WHY
not_ok() {
	tests=$((tests + 1))
	failed=$((failed + 1))
	echo "not ok $tests - $1"
	echo "$2" | sed 's/^/# /'
}

# check NAME CMD...: CMD exits with 0; what it prints is shown if it does not
check() {
	name=$1
	shift
	rc=0
	"$@" >$OUT 2>$ERR || rc=$?
	if [ $rc -eq 0 ]; then
		ok "$name"
	else
		not_ok "$name" "$(
			echo "$*: exit status $rc"
			cat $OUT $ERR | head -c 2000
		)"
	fi
}

# status N NAME CMD...: CMD exits with exactly N, and an error is one line. Its output is in $OUT and $ERR afterwards.
status() {
	want=$1
	name=$2
	shift 2
	rc=0
	"$@" >$OUT 2>$ERR || rc=$?
	if [ $rc -ne "$want" ]; then
		not_ok "$name" "$(
			echo "$*: exit status $rc, not $want"
			head -c 2000 $ERR
		)"
	elif [ $rc -ne 0 ] && [ "$(wc -l <$ERR)" -gt 1 ]; then
		not_ok "$name" "$(
			echo "$*: more than one line on stderr"
			head -c 2000 $ERR
		)"
	else
		ok "$name"
	fi
}

# says TEXT: what the last status() has left on stderr, with this in it
says() {
	if grep -q -F -e "$1" $ERR; then
		ok "it says: $1"
	else
		not_ok "it says: $1" "$(head -c 2000 $ERR)"
	fi
}

# prints TEXT: the same for stdout
prints() {
	if grep -q -F -e "$1" $OUT; then
		ok "it prints: $1"
	else
		not_ok "it prints: $1" "$(head -c 2000 $OUT)"
	fi
}

finish() {
	echo "1..$tests"
	exit $((failed > 0))
}
