#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# bind and unbind: their JSON object, and a kernel that does not answer. What they do with a real kernel is in
# guest/t-bind.sh.

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
functions=/sys/devices/pci0000:00

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

# ---- A kernel that does not answer ------------------------------------------------

# Reading the configuration space waits as long as the function is reset.
driver=$(readlink $functions/"$one"/driver)
rm $functions/"$one"/config
mkfifo $functions/"$one"/config
mv $functions/"$one"/vfio-dev vfio-dev
status 4 "bind of a function in a reset" timeout 10 vfiomig bind "$one"
says "bind $one: busy: the kernel has not read the configuration space of $one within 1 second; the function may be in a reset"
status 143 "a signal ends the wait" timeout --preserve-status -s TERM 0.3 vfiomig bind "$one"
rm $functions/"$one"/config
ln -s "$emulated/$one/config" $functions/"$one"/config
mv vfio-dev $functions/"$one"/vfio-dev

# The group is not opened as long as somebody opens one of its devices.
fault common open-group slow=4 times=1
status 4 "unbind while somebody opens a device of the group" timeout 10 vfiomig unbind "$one"
says "unbind $one: busy: the kernel has not opened /dev/vfio/20 within 1 second; another process may be opening a device of the group"
check "it is still bound" test "$(readlink $functions/"$one"/driver)" = "$driver"
no_faults common

# ---- A module that does not come ----------------------------------------------------

mkdir -p /run/modprobe.d
mkfifo gate
cat >/run/modprobe.d/test.conf <<'END'
install slow_vfio_pci cat /run/test/gate
install quick_vfio_pci mkdir /sys/bus/pci/drivers/quick_vfio_pci
install bad_vfio_pci false
END
# is_running COMMAND, is_over COMMAND: there is a process of this command, or none
# shellcheck disable=SC2317 # check calls it
is_running() {
	grep -qsx "$1" /proc/[0-9]*/comm
}
# shellcheck disable=SC2317 # wait_for calls it
is_over() {
	! is_running "$1"
}
/run/bin/vfiomig bind -d slow_vfio_pci "$one" 2>log &
binder=$!
wait_for grep -qF "bind $one: still waiting for the kernel, which is loading the module slow_vfio_pci" log
kill $binder
wait $binder
check "a signal ends the wait for a module: status 143" test $? = 143
check "and it is said what goes on" grep -qF "bind $one: interrupted by a signal while the kernel was loading the module slow_vfio_pci, which it goes on with" log
check "the module is still being loaded" is_running cat
check "it is still bound" test "$(readlink $functions/"$one"/driver)" = "$driver"
echo >gate
wait_for is_over cat
ends 1 "a module that comes" vfiomig bind -v -d quick_vfio_pci "$one"
says "loaded quick_vfio_pci"
status 1 "a module that cannot be loaded" vfiomig bind -d bad_vfio_pci "$one"
says "cannot load the module bad_vfio_pci"

finish
