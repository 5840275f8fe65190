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

# check NAME CMD...: CMD exits with 0; what it prints is shown if it does not. $OUT and $ERR stay as they are, so that CMD
# can look at what the last status() has left there.
check() {
	name=$1
	shift
	rc=0
	"$@" >"$OUT.check" 2>&1 || rc=$?
	if [ $rc -eq 0 ]; then
		ok "$name"
	else
		not_ok "$name" "$(
			echo "$*: exit status $rc"
			head -c 2000 "$OUT.check"
		)"
	fi
	rm -f "$OUT.check"
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

# ends N NAME CMD...: as status(), but what it says may have more lines
ends() {
	want=$1
	name=$2
	shift 2
	rc=0
	"$@" >"$OUT" 2>"$ERR" || rc=$?
	if [ $rc -eq "$want" ]; then
		ok "$name"
	else
		not_ok "$name" "$*: exit status $rc, not $want: $(head -c 2000 "$ERR")"
	fi
}

# wait_for CMD...: until it succeeds; if it has not in a minute, that is a failure and the end of the script
wait_for() {
	tries=0
	until "$@"; do
		tries=$((tries + 1))
		if [ $tries -gt 600 ]; then
			not_ok "$*" "it has not come to that in a minute"
			finish
		fi
		sleep 0.1
	done
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
