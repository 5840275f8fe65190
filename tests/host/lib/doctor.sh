# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# What the tests of doctor share, after emulate.sh, which sets $emulated.
# shellcheck disable=SC2154

drop='' # what goes before the program: setpriv(1) with other rights

# finds VERDICT CHECK WHAT ADVICE [ARG...]: doctor says just that; the exit status is 1 if a line is FAIL, and 0 otherwise.
# Of all lines that it prints, those that pass have no advice, and all others have some.
finds() {
	verdict=$1 check=$2 what=$3 advice=$4
	shift 4
	# shellcheck disable=SC2086 # words
	$drop ${drop:+/run/bin/}vfiomig doctor "$@" >"$OUT" 2>"$ERR"
	rc=$?
	grep -q '^FAIL' "$OUT" && wanted=1 || wanted=0
	line=$(grep "^....  $check " "$OUT")
	if [ "$line" != "$verdict  $(printf '%-18s' "$check")  $what${advice:+ -> $advice}" ]; then
		not_ok "$verdict $check: $what" "$line: $(cat "$ERR")"
	elif [ $rc -ne "$wanted" ]; then
		not_ok "$verdict $check: $what" "exit status $rc, not $wanted: $(cat "$ERR")"
	elif grep '^\(PASS\|WARN\|FAIL\|????\)  ' "$OUT" | sed 's/STOP_COPY -> //' |
		grep -v -e '^PASS  [^>]*$' -e '^[^P].* -> .' >"$OUT.bad"; then
		not_ok "$verdict $check: $what" "another line without advice, or with too much: $(cat "$OUT.bad")"
	else
		ok "$verdict $check: $what"
	fi
}

# lacks CHECK [ARG...]: doctor has no such line
lacks() {
	check=$1
	shift
	vfiomig doctor "$@" >"$OUT" 2>"$ERR"
	check "no $check for ${*:-the host}" sh -c "! grep -q '^....  $check ' '$OUT'"
}

# query NAME FILTER: jq finds that the output fits
query() {
	check "$1" jq -e "$2" "$OUT"
}

sys=/sys/module
alias='vfio_pci:v00001AF4d00001110sv*sd*bc*sc*i*'
all="vfio vfio_iommu_type1 iommufd vfio-pci emulated_vfio_pci=$alias"

# fit_out: what a host has on which nothing is amiss, but for devices
fit_out() {
	if [ ! -e /proc/sys/kernel/yama/ptrace_scope ]; then
		# A kernel without it: another file of /proc/sys cannot be had.
		mkdir -p /run/sys/kernel/yama
		: >/run/sys/kernel/yama/ptrace_scope
		mount --bind /run/sys /proc/sys
	fi
	kernel_is 6.18.40
	for module in vfio_iommu_type1 iommufd; do
		mkdir -p $sys/$module/parameters
		echo N >$sys/$module/parameters/allow_unsafe_interrupts
	done
	mkdir -p $sys/vfio/parameters /sys/class/misc/vfio /sys/class/misc/iommu /sys/class/iommu/dmar0 /sys/kernel/debug/vfio \
		/sys/bus/pci/drivers/vfio-pci
	echo N >$sys/vfio/parameters/enable_unsafe_noiommu_mode
	echo 'pid:[4026531836]' >"$emulated/common/pidns"
	echo '  0:  1  2  IR-IO-APIC  2-edge  timer' | proc_says interrupts
	echo 1 | proc_says sys/kernel/yama/ptrace_scope
	echo 'fe000000-fe000fff : PCI Bus 0000:3b' | proc_says iomem
	mkdir -m 700 /run/vfiomig
	# Without an overlay there are no modules, and what they bring about is not tested.
	# shellcheck disable=SC2086 # words
	# shellcheck disable=SC2034 # for the scripts
	modules_are $all && has_modules=yes || has_modules=
}
