#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What people type: it does what they mean, or they are told the one thing to type instead. And nothing that they type reaches
# a terminal as anything but printable text.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
# shellcheck source=tests/host/lib/printable.sh
. tests/host/lib/printable.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
vfiomig=$PWD/${VFIOMIG_BUILD:-build}/vfiomig
cd "$work" || exit

# like A B: the two command lines do the same
like() {
	# shellcheck disable=SC2086 # words
	"$vfiomig" $2 >"$OUT" 2>"$ERR" </dev/null
	want=$?
	# shellcheck disable=SC2086 # words
	"$vfiomig" $1 >out 2>err </dev/null
	check "\"$1\" is \"$2\"" sh -c "test $? = $want && cmp out $OUT && cmp err $ERR"
}

for help in help 'help help' -h '-?'; do
	like "$help" --help
done
for help in 'help save' 'save help' 'save -h' '--help save' '-h save'; do
	like "$help" 'save --help'
done
like '--usage save' 'save --usage'
like 'help exec' 'exec --help'
echo state >help
status 0 "a file that is called help" "$vfiomig" pack help -o help.img
check "\"pack help\" packs it" sh -c "'$vfiomig' pack help | '$vfiomig' unpack | cmp - help"
mv help.img help
for command in unpack inspect; do
	like "$command help" "$command ./help"
done
rm help
like version --version
like usage --usage
like '-v list' 'list -v'
like '-q --json list' 'list -q --json'
like '--wait=5 info vfio0' 'info --wait=5 vfio0'
like '-v exec vfio0 -- true list' 'exec -v vfio0 -- true list'

dev=0000:3b:00.1
for wait in '--wait 5' '--wai 5' '--wait=5'; do
	for command in info state hold release bind unbind 'exec --via group'; do
		case $command in
		exec*) cmd='-- true' ;;
		*) cmd= ;;
		esac
		like "$command $wait $dev $cmd" "$command $dev $cmd"
	done
	like "save $dev $wait -o image" "save $dev -o image"
	like "restore $dev $wait -i /dev/null" "restore $dev -i /dev/null"
done
for options in '-z 5' '-qz 5' '--compress 5' '--precopy never' '--precopy auto'; do
	like "save $dev $options --raw -o image" "save $dev $(echo "$options" | sed 's/\(--[a-z]*\) /\1=/; s/z /z/') --raw -o image"
done
status 2 "a level that is none" "$vfiomig" save -z 25 $dev -o image
says "-z is a number from 1 to 19, not '25'"
echo state >./5
status 2 "pack -z 5, a level or a file" "$vfiomig" pack -z 5
says 'the value of -z is in the same word, as in -z5; for a file: ./5'
status 0 "pack -z5" "$vfiomig" pack -z5 ./5 -o image
status 0 "pack 5" "$vfiomig" pack 5 -o image
like "state STOP $dev" "state $dev STOP"
like "state stop $dev" "state $dev STOP"
for state in stop-copy Stop_Copy stopcopy 'STOP-COPY' VFIO_DEVICE_STATE_STOP_COPY vfio_device_state_stop_copy; do
	like "state $dev $state" "state $dev STOP_COPY"
	like "save $dev -o image --leave $state" "save $dev -o image --leave=STOP_COPY"
done
for state in running-p2p runningp2p RunningP2P; do
	like "state $dev $state" "state $dev RUNNING_P2P"
done
like "save $dev --out image" "save $dev --output=image"

# The names of a device, as other tools print them
for spelling in pci_0000_3b_00_1 0000_3b_00_1 00000000:3b:00.1 host=0000:3b:00.1 vfio-pci,host=$dev vfio-pci,host=$dev,id=x \
	host=3b:00.1 pci/$dev pci@$dev pci:$dev PCI:$dev 0x0000:0x3b:0x00.0x1 0000:3b:00:1 0000-3b-00.1 3b:0.1 $dev/; do
	like "info $spelling" "info $dev"
	like "hold pid:1/$spelling" "hold pid:1/$dev"
done
for spelling in "<address domain='0x0000' bus='0x3b' slot='0x00' function='0x1'/>" \
	'<address type="pci" domain="0" bus="59" slot="0" function="1"/>' '3b:00.1 Ethernet controller: Mellanox'; do
	"$vfiomig" info "$spelling" 2>"$ERR"
	says "info 0000:3b:00.1: there is no device 0000:3b:00.1"
done
uuid=83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
for spelling in mdev_83b8f4f2_509f_382f_3c1e_e6bfe0fa1001 mdev_83b8f4f2_509f_382f_3c1e_e6bfe0fa1001_0000_00_02_0 mdev:$uuid; do
	like "info $spelling" "info $uuid"
done
like "info vfio-pci,sysfsdev=/sys/bus/mdev/devices/$uuid,id=x" "info /sys/bus/mdev/devices/$uuid"
for spelling in 3b:00.1 10000:e1:00.0 $uuid; do
	"$vfiomig" info "$spelling" 2>"$ERR"
	says "vfiomig: info $spelling: there is no device"
done
"$vfiomig" info " $dev" 2>"$ERR"
says "info $dev: there is no device $dev"
for spelling in 3b:00 0000:3b:00; do
	status 2 "$spelling has no function" "$vfiomig" info "$spelling"
	says "'$spelling' is a PCI device; name one of its functions, as in $spelling.0"
done
for spelling in /dev/vfio/7 /dev/vfio/noiommu-7; do
	status 2 "$spelling is a group" "$vfiomig" info "$spelling"
	says "'$spelling' is an IOMMU group; name one of its devices, which are in /sys/kernel/iommu_groups/7/devices"
done
status 1 "a directory of sysfs" "$vfiomig" info /sys/bus
says "/sys/bus is not the path of a device"
status 2 "an empty name" "$vfiomig" info ""
says "vfiomig: info: '' does not name a device"
for spelling in a.b.c 1.2 0:3b:00.9 0:3b:20.0 0000:3b:000.1: nonsense pci_; do
	status 2 "$spelling is no device" "$vfiomig" info "$spelling"
	says "'$spelling' does not name a device"
done

# instead WORDS TEXT: typing WORDS is an error, and the message has TEXT
instead() {
	# shellcheck disable=SC2086 # words
	status 2 "\"$1\"" "$vfiomig" $1 </dev/null
	says "$2"
}

instead 'relase x' "there is no command 'relase'; did you mean \"vfiomig release\"?"
instead 'SAVE x' 'did you mean "vfiomig save"?'
instead 'insp x' 'did you mean "vfiomig inspect"?'
instead 'unbnd x' 'did you mean "vfiomig unbind"?'
instead 'ilst' 'did you mean "vfiomig list"?'
instead 'help relase' 'did you mean "vfiomig release"?'
instead '-v relase' 'did you mean "vfiomig release"?'
instead 'resume x' 'did you mean "vfiomig state DEV RUNNING"?'
instead 'stop x' 'did you mean "vfiomig state DEV STOP"?'
instead 'reset x' 'did you mean "vfiomig state DEV --reset"?'
instead 'status x' 'did you mean "vfiomig state DEV"?'
instead 'load x' 'did you mean "vfiomig restore DEV -i FILE"?'
instead 'verify x' 'did you mean "vfiomig inspect --verify FILE"?'
instead 'frobnicate x' "there is no command 'frobnicate'; \"vfiomig --help\" lists them"
instead "$dev info" "the command comes first: \"vfiomig info $dev\""
status 2 "no word" "$vfiomig" "" list
says "there is no command ''; \"vfiomig --help\" lists them"
instead "-v" 'which command?'
instead 'hlep' 'did you mean "vfiomig help"?'
instead 'probe' 'did you mean "vfiomig list --probe"?'
instead 'unhold x' 'did you mean "vfiomig release DEV"?'
instead 'image' "there is no command 'image'; \"vfiomig --help\" lists them"
instead "list 3b:00.1" "'3b:00.1': list takes no argument; did you mean \"vfiomig info 3b:00.1\"?"
instead 'list probe' "'probe': list takes no argument; did you mean '--probe'?"
instead "info $dev json" "'json' is one argument too many; did you mean '--json'?"
instead "info $dev vfio1" "'vfio1' is one argument too many: info takes one device"
instead "save $dev -o image --precopy no" "'no' is one argument too many"
check "it is not taken for the file" sh -c "! grep 'did you mean' '$ERR'"
instead "restore image" "which device? as in \"vfiomig restore DEV -i image\""
instead "save image" "which device? as in \"vfiomig save DEV -o image\""
instead "state STOP" "which device? as in \"vfiomig state DEV STOP\""
instead "state $dev --wait -1" "--wait is a number from 0 to 2147483647, not '-1'"
instead "save $dev --no-precopy" "there is no option '--no-precopy'; did you mean '--precopy=never'?"
instead "pack image --no-progress" "did you mean '--progress=never'?"
instead "save $dev -i image" "there is no option '-i'; did you mean '-o'?"
instead "save $dev --input=image" "there is no option '--input=image'; did you mean '-o'?"
for command in pack unpack inspect; do
	instead "$command -i image" "there is no option '-i'; the input is named without one"
	instead "$command --input=image" "there is no option '--input=image'; the input is named without one"
done
instead "bind image" "'image' does not name a device"
instead "state $dev reset" "'reset' is not a state; did you mean '--reset'?"
instead "restore $dev -o image" "there is no option '-o'; did you mean '-i'?"
instead "restore $dev --image image" "unrecognized option '--image'"
instead "check $dev -t session" "'session' is a group of rules; use -g session"
instead "check $dev -g session.eof-permanent" "'session.eof-permanent' is a rule, not a group; use -t session.eof-permanent"
for option in -t -g --skip; do
	status 2 "check $option ''" "$vfiomig" check $dev $option ''
	says "there is no $([ "$option" = -g ] && echo group || echo rule) ''; --list shows them"
done
instead "check $dev session" "'session' is a group of rules; use -g session"
instead "check session $dev" "'session' is a group of rules; use -g session"
instead "check $dev session.eof-permanent" "'session.eof-permanent' is a rule; use -t session.eof-permanent"
instead "check $dev nonsense" "'nonsense' is one argument too many"
for what in 'inspect info' 'pack save' 'unpack save'; do
	status 1 "${what% *} DEV" "$vfiomig" "${what% *}" "$dev"
	says "$dev: there is no such file; for the device: \"vfiomig ${what#* } $dev\""
done
status 5 "inspect of raw state" "$vfiomig" inspect 5
says 'not an image of vfiomig; "vfiomig pack" makes one of raw state, which restore takes with --raw'
for words in "-i $dev image" "-i$dev image" "--input=$dev image" "image --input $dev" "image -q -i $dev"; do
	instead "restore $words" "'image' does not name a device; did you mean \"vfiomig restore $dev -i image\"?"
done
instead "save -o $dev image" "'image' does not name a device; did you mean \"vfiomig save $dev -o image\"?"
instead "bind -d $dev vfio-pci" "'vfio-pci' does not name a device; did you mean \"vfiomig bind $dev -d vfio-pci\"?"
instead "restore $dev image" "did you mean \"vfiomig restore $dev -i image\"?"
instead "restore image $dev" "did you mean \"vfiomig restore $dev -i image\"?"
instead "save $dev image" "did you mean \"vfiomig save $dev -o image\"?"
instead "bind $dev vfio-pci" "did you mean \"vfiomig bind $dev -d vfio-pci\"?"
instead "bind vfio-pci $dev" "did you mean \"vfiomig bind $dev -d vfio-pci\"?"
instead "pack 5 image" "'image' is one argument too many; to write to it: -o image"
instead "state $dev stopp" "'stopp' is not a state; did you mean STOP?"
instead "state $dev stopcpy" 'did you mean STOP_COPY?'
instead "state $dev resume" 'did you mean RUNNING, or RESUMING to load a state?'
instead "state $dev ERR" "'ERR' is not a state; they are RUNNING"
instead "save $dev --leave resumin" 'did you mean RESUMING?'
instead "inspect --verfy x" "there is no option '--verfy'; did you mean '--verify'?"
instead "restore $dev --nohold" "did you mean '--no-hold'?"
instead "save $dev --frobnicate" "unrecognized option '--frobnicate'"
instead "save $dev -o" "requires an argument"
instead "list -json" "there is no option '-json'; did you mean '--json'?"
instead "state $dev -q -reset" "there is no option '-reset'; did you mean '--reset'?"
instead "-verbose list" "did you mean '--verbose'?"
instead "list -x" "invalid option -- 'x'"
instead "info $dev --via-group" "there is no option '--via-group'; did you mean '--via=group'?"
instead "save $dev --compress-3" "did you mean '--compress=3'?"
instead "exec $dev --wiat -- true" "there is no option '--wiat'; did you mean '--wait'?"
instead "--verson" "there is no option '--verson'; did you mean '--version'?"
instead "-help" "there is no option '-help'; did you mean '--help'?"
instead "--frobnicate" "unrecognized option '--frobnicate'"

# ---- Nothing but printable text ------------------------------------------------------------------------------------------

good=$(printf '\303\244\342\202\254\360\237\230\200')
printf 'state' >"$hostile"
for locale in C C.UTF-8; do
	export LC_ALL=$locale
	for spelling in "$hostile" "pid:1/$hostile" "unix:/$hostile" "/sys/$hostile" "fd:$hostile"; do
		for command in info state hold release bind unbind save restore 'exec --'; do
			# shellcheck disable=SC2086 # words
			feed $command "$spelling" -v
		done
	done
	clean "$locale: the names of devices"
	for option in "--$hostile" "--via=$hostile" "--wait=$hostile" "--leave=$hostile" "-$hostile" "$hostile" "-z$hostile" \
		"--chunk-size=$hostile" "--progress=$hostile" "-T$hostile" "--precopy=$hostile" "--downtime=$hostile"; do
		for command in save restore state pack inspect list help "$hostile" -v; do
			feed "$command" x "$option"
		done
	done
	clean "$locale: options"
	for command in pack unpack inspect; do
		feed $command "$hostile" -o "$hostile/x"
		feed $command "$hostile/x"
	done
	for command in unpack inspect; do
		feed $command "$hostile"
	done
	clean "$locale: the names of files"
	for option in --help --frob; do
		perl -e 'exec { shift } @ARGV' "$vfiomig" "$hostile" $option >>fed 2>&1
	done
	clean "$locale: the program's own name"
	XDG_RUNTIME_DIR=/$hostile NOTIFY_SOCKET=$hostile feed hold vfio0 -f
	clean "$locale: the environment"
done
LC_ALL=C.UTF-8 "$vfiomig" info "$good" 2>"$ERR"
says "info $good: '$good' does not name a device"
check "a long name is cut between two characters" sh -c "LC_ALL=C.UTF-8 $vfiomig info \"\$(printf '\\303\\244%.0s' \$(seq 300))\" 2>long; ! grep -q '[^:]?' long"

finish
