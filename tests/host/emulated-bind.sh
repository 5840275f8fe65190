#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bind and unbind: their JSON object. What they do with a real kernel is in guest/t-bind.sh.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/emulate.sh
. tests/host/lib/emulate.sh

emulate 0000:3b:00.1 group=20
one=$device
emulate 0000:3b:00.2 group=20
two=$device
mkdir -p /sys/bus/pci/drivers/vfio-pci

# query NAME FILTER: jq finds that the output fits
query() {
	check "$1" jq -e "$2" "$OUT"
}

# function_is NAME KEYS: print what the object says of a function that was not mentioned otherwise
function_is() {
	echo "{ name: \"$1\", before: \"emulated_vfio_pci\", kernel_chooses: false, lost: null } + $2"
}

# ---- JSON ------------------------------------------------------------------------

left="$(function_is "$one" '{ after: "emulated_vfio_pci", changed: false }')"
status 0 "bind --json" vfiomig bind --json "$one"
query "nothing was to be done" ". == { device: \"$one\", dry_run: false, functions: [ $left ] }"
status 0 "bind --group --json -n" vfiomig bind --group --json -n -d vfio-pci 3b:00.1
query "both functions are told" ". == { device: \"3b:00.1\", dry_run: true, functions: [
	$(function_is "$one" '{ after: "vfio-pci", changed: true }'),
	$(function_is "$two" '{ after: "vfio-pci", changed: true }') ] }"
status 0 "unbind -n --json" vfiomig unbind -n --json "$two"
query "the kernel would choose" ".functions == [ $(function_is "$two" '{ after: null, changed: true, kernel_chooses: true }') ]"
: >"/run/vfiomig/bound/$two"
status 0 "unbind -n --json, it had no driver" vfiomig unbind -n --json "$two"
query "and has none then" ".functions == [ $(function_is "$two" '{ after: null, changed: true }') ]"
echo "driver gone" >"/run/vfiomig/bound/$two"
status 0 "unbind -n --json, the former driver is lost" vfiomig unbind -n --json "$two"
query "and told" ".functions == [ $(function_is "$two" '{ after: null, changed: true, kernel_chooses: true, lost: "gone" }') ]"
says "$two had the driver gone, which the kernel has no more"
rm "/run/vfiomig/bound/$two"

for words in "bind 0000:00:00.7" "unbind 0000:00:00.7" "bind -d nosuch $one" "bind -d ../x $one"; do
	# shellcheck disable=SC2086 # words
	ends "$(case $words in *..*) echo 2 ;; *) echo 1 ;; esac)" "$words --json" vfiomig $words --json
	check "one line says why" test "$(wc -l <"$ERR")" -eq 1
	check "nothing is printed" test ! -s "$OUT"
done
vfiomig hold -q "$one"
for words in "bind -d vfio-pci" unbind; do
	# shellcheck disable=SC2086 # words
	status 4 "$words --json of a device that is held" vfiomig $words --json "$one"
	check "nothing is printed" test ! -s "$OUT"
done
vfiomig release -q "$one"
status 1 "--json to a full disk" sh -c "vfiomig bind --json $one >/dev/full"
says "standard output: No space left on device"
status 0 "--json -q" vfiomig bind --json -q "$one"
query "-q is about messages" ".functions | length == 1"

finish
