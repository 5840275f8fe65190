#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# How tests/guest/run and tests/check treat a machine that dies: if a signal kills QEMU, that is not the guest's failure. A
# script stands in for QEMU, because the real one cannot be made to die at a given moment.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# Each boot runs one line of the file "plan".
mkdir "$work/bin"
cat >"$work/bin/qemu-system-x86_64" <<END
#!/bin/sh
for word; do
	case \$word in
	file,id=*,path=*)
		id=\${word#file,id=}
		eval "\${id%%,*}=\\\${word#*,path=}"
		;;
	esac
done
echo boot >>"$work/boots"
eval "\$(sed -n "\$(wc -l <"$work/boots")p" "$work/plan")"
END
chmod 755 "$work/bin/qemu-system-x86_64"
PATH=$work/bin:$PATH

# shellcheck disable=SC2016 # the script expands them
begin='echo "guest: init begins" >"$console"; echo "ok 1 - before" >"$output"'
# shellcheck disable=SC2016
through='echo "guest: init begins" >"$console"; echo "ok 1 - once" >"$output"; echo "exit 0" >"$verdict"'

# plan LINE...
plan() {
	printf '%s\n' "$@" >"$work/plan"
	rm -f "$work/boots"
}

boots() {
	check "$1 of them" test "$(wc -l <"$work/boots")" -eq "$1"
}

echo true >"$work/script"
# shellcheck disable=SC2317 # status calls it
run() {
	tests/guest/run -m 1M "$@" "$work/script"
}

plan "$begin; kill -SEGV \$\$" "$through"
status 0 "QEMU dies once" run
says '# run: QEMU died of SIGSEGV; boot 2'
boots 2

plan 'kill -ABRT $$' "$begin; kill -KILL \$\$" "$through"
status 0 "QEMU dies twice" run
says '# run: QEMU died of SIGABRT; boot 2'
says '# run: QEMU died of SIGKILL; boot 3'
boots 3

plan "$begin; kill -SEGV \$\$" "$begin; kill -SEGV \$\$" "$begin; kill -BUS \$\$" "$through"
ends 125 "QEMU dies three times: that is a failure" run
says 'run: QEMU died of SIGBUS, three times'
boots 3

# shellcheck disable=SC2016
plan "$begin; echo 'BUG: of ours' >>\"\$console\"; kill -SEGV \$\$" "$through"
ends 125 "a kernel that had warned of a fault before is not excused" run
says "run: the guest's kernel warned of a fault"
boots 1

# shellcheck disable=SC2016
plan "$begin; echo 'exit 3' >\"\$verdict\"; kill -SEGV \$\$" "$through"
ends 3 "nor is a script that was through" run
boots 1

plan true "$through"
status 0 "the kernel dies when it boots" run
says '# run: the kernel died when it booted; boot 2'
boots 2

plan 'echo "no such device" >&2; exit 1' "$through"
ends 125 "a QEMU that does not take its arguments is not asked again" run
says 'no such device'
boots 1

plan "$begin; exit 1" "$through"
ends 125 "nor a machine that ends by itself" run
says 'run: the guest did not get to the end'
boots 1

plan "$begin; exec sleep 60" "$through"
ends 124 "nor one that does not end" run -s 1
boots 1

# The output of a machine that died does not count.
plan "$begin; kill -SEGV \$\$" "$through"
ends 0 "tests/check goes on" tests/check guest/t-boot
prints 'guest/t-boot: QEMU died of SIGSEGV; boot 2'
prints 'guests booted again that had died without fault of their own: 1'
prints 'the longest: guest/t-boot '
prints 'guest/t-boot: 1 passed ('

finish
