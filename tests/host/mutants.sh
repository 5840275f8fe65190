#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The mutants of tests/mutants: each patch applies to the sources of today, and each rule of "vfiomig check" that is tested has
# a mutant, or a reason why it has none.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

check "shim.patch applies" tests/mutants/build --sources "$work/src"
for patch in tests/mutants/*/*.patch; do
	rule=$(echo "${patch#tests/mutants/}" | sed 's/\.patch$//; s/+.*//; s|/|.|')
	echo "$rule" >>"$work/mutants"
	kind=$(tests/mutants/kind "$patch")
	said=$(patch --dry-run -p1 -F1 -d "$work/src/$kind" <"$patch") ||
		echo "$patch does not apply: $said" >>"$work/stale"
done
check "each mutant applies" sh -c "! cat '$work/stale'"

build/vfiomig check --list --json >"$work/list"
jq -r '.rules[] | select(.not_tested == null) | .id' "$work/list" | sort >"$work/tested"
jq -r '.rules[] | select(.not_tested == null and .level != "info") | .id' "$work/list" | sort >"$work/judged"
sed '/^#/d; s/ .*//' tests/mutants/none | sort >"$work/none"
sort -u "$work/mutants" "$work/none" >"$work/known"
check "each must and each should that is tested has a mutant, or a reason in tests/mutants/none" \
	sh -c "! comm -23 '$work/judged' '$work/known' | grep ."
check "each mutant is one of a rule that is tested" sh -c "! comm -13 '$work/tested' '$work/known' | grep ."
check "what has a mutant has no reason" sh -c "sort -u '$work/mutants' | comm -12 - '$work/none' | { ! grep .; }"
check "a reason is more than a word" sh -c "! sed '/^#/d' tests/mutants/none | grep -v '^[^ ]* .* '"

# ---- What tests/mutants/run says of a guest --------------------------------------------------

# A tree in which the guest is a script. It is booted $boots times, dies at the mutant $dies with $status, and does not find the
# mutant $hides.
tree=$work/tree
mkdir -p "$tree/tests/guest" "$tree/tests/mutants/size"
cp tests/mutants/run "$tree/tests/mutants"
for name in plausible argsz no-set; do
	cp "tests/mutants/size/$name.patch" "$tree/tests/mutants/size"
done
cat >"$tree/tests/mutants/build" <<'END'
#!/bin/sh
for mutant; do
	echo "$PWD/build/mutants/$KERNEL/$(echo "$mutant" | tr / .).ivshmem_vfio_pci.ko"
done
END
cat >"$tree/tests/guest/kernel" <<'END'
#!/bin/sh
echo 7.3
END
cat >"$tree/tests/guest/run" <<'END'
#!/bin/sh
[ "$(cat boots)" -lt "$boots" ] || exit 1
echo $(($(cat boots) + 1)) >boots
echo "guest: init begins" >"$GUEST_CONSOLE"
for module in $GUEST_FILES; do
	name=${module##*/}
	name=${name%.*.ko}
	case $name in
	$dies) exit "$status" ;;
	$hides) echo "not ok 1 - $name: not found" ;;
	*) echo "ok 1 - $name: fail: a reason; also: size.each-state" ;;
	esac
done
END
chmod +x "$tree"/tests/*/*

# mutants STATUS NAME [VARIABLE=VALUE...]: test the mutants of the tree
mutants() {
	want=$1 name=$2
	shift 2
	echo 0 >"$tree/boots"
	env -u KERNEL GUESTS=1 boots=9 dies=none hides=none status=1 "$@" "$tree/tests/mutants/run" >"$OUT" 2>"$ERR"
	check "$name" test $? -eq "$want"
}

mutants 0 "all mutants are found"
prints "size.plausible               fail       size.each-state"
prints "3 of 3 mutants were found by the rule that they break"
mutants 1 "a mutant is not found" hides=size.no-set
prints "size.no-set                  NO"
prints "2 of 3 mutants were found by the rule that they break"
mutants 1 "a guest dies" dies=size.no-set
prints "not ok - size.no-set: the guest died"
prints "size.plausible               fail"
mutants 1 "a guest does not end" dies=size.no-set status=124
prints "not ok - size.no-set: the guest did not end in time"
mutants 1 "no guest was booted" boots=0
says "run: no guest was booted for these 3 mutants: size.argsz size.no-set size.plausible"
says "run: 3 mutants have no result: see build/mutants/7.3/guest.* and console.*"
prints "0 of 3 mutants were found by the rule that they break"
mutants 1 "a guest is not booted again after one that died" boots=1 dies=size.argsz
prints "not ok - size.argsz: the guest died"
says "run: no guest was booted for these 2 mutants: size.no-set size.plausible"
"$tree/tests/mutants/run" 'nothing.*' >"$OUT" 2>"$ERR"
check "no mutant has such a name" test $? -eq 2
says "run: no mutant matches nothing.*"

finish
