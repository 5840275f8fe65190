#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tests/kselftest, and the output of "vfiomig check --tap" as others read it: prove(1), and the kernel's own tools.

cd "$(dirname "$0")/../.." || exit
# The kernel's tools, which are found before the script is started again
: "${KERNEL_TESTING:=$(tests/guest/kernel stock)/testing}"
export KERNEL_TESTING
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

selftests=tools/testing/selftests
kselftest=$top/tests/kselftest/vfio_migration.sh

emulate 0000:3b:00.1 size=1000
good=$device
emulate 0000:3b:00.2 flags=0
plain=$device

# ---- The script ------------------------------------------------------------------

status 4 "no device: skipped" "$kselftest"
prints "1..0 # SKIP no device is named"
status 4 "no vfiomig: skipped" env VFIOMIG=/run/nothing "$kselftest" "$good"
prints "1..0 # SKIP there is no program /run/nothing"
status 4 "a device without migration support: skipped" "$kselftest" "$plain"
prints "ok 1 $plain # SKIP it has no driver with migration support"
status 0 "a device that keeps the rules" env VFIO_MIGRATION_ARGS="-t session.*" "$kselftest" "$good"
prints "ok 1 $good"
prints "  ok 1 session.eof-permanent"
status 0 "devices in a variable" env VFIO_MIGRATION_ARGS="-t size.*" VFIO_MIGRATION_DEVICES="$plain $good" "$kselftest"
prints "ok 2 $good"
prints "# Totals: pass:1 fail:0 xfail:0 xpass:0 skip:1 error:0"
status 1 "a device that breaks one" env VFIO_MIGRATION_ARGS="-t resume.invalid" "$kselftest" "$good"
prints "  not ok 1 resume.invalid"
prints "not ok 1 $good"
vfiomig hold -q "$good"
status 4 "a device that somebody has: skipped" "$kselftest" "$good"
prints "ok 1 $good # SKIP somebody else has it"
end_holder "$good"

# ---- Who reads it ------------------------------------------------------------------

# kunit FILE: what the kernel's parser counts
kunit() {
	python3 "$KERNEL_TESTING/tools/testing/kunit/kunit.py" parse "$PWD/$1" >kunit 2>&1
	grep -a -o 'Ran [0-9]* tests: .*' kunit | tail -n 1
}

# What waits by itself is left out.
quick="--skip=state.no-spontaneous-change,state.arc-times,stop.no-interrupts,session.signals"
# shellcheck disable=SC2086 # words
vfiomig check "$good" --tap $quick >tap 2>/dev/null
broken=$(grep -c '^not ok' tap)
skipped=$(grep -c '^ok.*# SKIP' tap)
passed=$(($(grep -c '^ok' tap) - skipped))
check "some rules pass, are broken, are not tested" test "$passed" -gt 80 -a "$broken" -gt 1 -a "$skipped" -gt 10
check "some are doubtful, too" grep -q '^# WARN' tap
ends 1 "prove counts the failures" prove -e cat tap
prints "Failed $broken/$((passed + broken + skipped)) subtests"
check "kunit counts all of them" test "$(kunit tap)" = \
	"Ran $((passed + broken + skipped)) tests: passed: $passed, failed: $broken, skipped: $skipped"
check "kunit finds no error in it" sh -c "! grep -a ERROR kunit"
vfiomig check "$good" --tap --strict -t resume.foreign >tap 2>/dev/null
check "with --strict a warning is a failure for kunit" test "$(kunit tap)" = "Ran 1 tests: failed: 1"
ends 1 "and for prove" prove -e cat tap
vfiomig check "$good" --tap -t resume.foreign >tap 2>/dev/null
check "without it, it is none for kunit" test "$(kunit tap)" = "Ran 1 tests: passed: 1"
status 0 "nor for prove" prove -e cat tap
VFIO_MIGRATION_ARGS="-t resume.invalid,size.*" "$kselftest" "$good" "$plain" >tap 2>/dev/null
check "kunit reads the output of the script" test "$(kunit tap)" = "Ran 8 tests: passed: 6, failed: 1, skipped: 1"

# ---- In a kernel tree ------------------------------------------------------------------

cp -r "$KERNEL_TESTING" tree
cp -r "$top/tests/kselftest" "tree/$selftests/vfio_migration"

# in_tree: run it as the kernel's documentation says
# shellcheck disable=SC2317 # status calls it
in_tree() {
	make -s -C "tree/$selftests/vfio_migration" run_tests
}

status 0 "the kernel's make runs it, without a device" in_tree
prints "ok 1 selftests: vfio_migration: vfio_migration.sh # SKIP"
prints "timeout set to 600"
export KSELFTEST_VFIO_MIGRATION_SH_ARGS="$good" VFIO_MIGRATION_ARGS='-t size.*'
status 0 "with a device" in_tree
prints "#   ok 1 size.each-state"
check "it passes" grep -q '^ok 1 selftests: vfio_migration: vfio_migration.sh$' "$OUT"
export VFIO_MIGRATION_ARGS='-t resume.invalid'
status 0 "with a device that breaks a rule" in_tree
prints "not ok 1 selftests: vfio_migration: vfio_migration.sh # exit=1"

finish
