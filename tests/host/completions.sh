#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The completions, in bash, zsh and fish. A script stands in for the vfiomig that they call, but the options are compared
# with those of the real program.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

real=$PWD/build/vfiomig
mkdir -p "$work/bin" "$work/run/vfiomig" "$work/files/dir"
touch "$work/files/dir/my image.zst" "$work/files/a.zst" "$work/files/b.vfiomig" "$work/files/other"
cat >"$work/bin/vfiomig" <<END
#!/bin/sh
echo "\$*" >>$work/log
case \$* in
list)
	cat <<'LIST'
DEVICE                                DRIVER            STATE     OPEN BY              GROUP  CDEV   NAME
0000:00:10.0                          ivshmem_vfio_pci  RUNNING   70 (holder)          2      vfio0  Inter-VM shared memory [1af4:1110]
0000:00:11.0                          ivshmem_vfio_pci  -         -                    3      vfio1  Inter-VM shared memory [1af4:1110]
0000:3b:00.1                          mlx5_vfio_pci     -         4711 (qemu  system)  9      vfio4  MT2910 (holder) [15b3:101e]
83b8f4f2-509f-382f-3c1e-e6bfe0fa1001  mtty              -         -                    5      vfio2  mtty-2
LIST
	;;
"info -q unix:"*)
	echo "device:     0000:00:10.0"
	echo "states:     STOP RUNNING STOP_COPY RESUMING"
	;;
"inspect -q $work/files/a.zst" | "inspect -q $work/files/dir/my image.zst")
	echo "set:         2 devices"
	echo "device:      0000:3b:00.1"
	echo "state:       5 bytes"
	echo "device:      b"
	;;
*) echo "ARGUMENTS \$*" ;;
esac
END
chmod +x "$work/bin/vfiomig"
PATH=$work/bin:$PATH
export XDG_RUNTIME_DIR="$work/run" TERM=dumb
held=$work/run/vfiomig/0000:00:10.0.sock
perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die' "$held"

# ask SHELL LINE...: let the shell complete each line; answer() finds the results
ask() {
	shell=$1
	shift
	case $shell in
	fish)
		# shellcheck disable=SC2016 # fish's own
		fish --no-config -c '
			source completions/vfiomig.fish
			for line in $argv
				echo "--- $line"
				complete -C $line
			end' -- "$@"
		;;
	words) bash --norc tests/host/complete.bash '=:' "$@" ;;
	*) timeout 60 zsh -f tests/host/complete.zsh "$shell" "$@" ;;
	esac >"$work/$shell" 2>&1
}

# answer SHELL LINE: print the words that were offered, one on a line, without their descriptions, and without the line
# itself, which a shell shows again
answer() {
	line=$2 awk '
		BEGIN { line = ENVIRON["line"] }
		/^--- / { here = $0 == "--- " line; next }
		here {
			while ((i = index($0, line)))
				$0 = substr($0, 1, i - 1) " " substr($0, i + length(line))
			print
		}' "$work/$1" |
		case $1 in
		fish) cut -f1 ;;
		words) cat ;;
		zsh) sed 's/ -- .*//' | tr -s ' ' '\n' ;;
		*) tr -s ' ' '\n' ;;
		esac
}

# offers SHELL LINE WORD...: check that the shell has offered these words
offers() {
	shell=$1 line=$2
	shift 2
	answer "$shell" "$line" >"$work/offered"
	for word; do
		check "$shell: $line: $word" grep -q -x -F -e "$word" "$work/offered"
	done
}

# lacks SHELL LINE WORD...: check that the shell has not offered them
lacks() {
	shell=$1 line=$2
	shift 2
	answer "$shell" "$line" >"$work/offered"
	for word; do
		check "$shell: $line: not $word" test "$(grep -c -x -F -e "$word" "$work/offered")" -eq 0
	done
}

# ---- Commands and options are those of the program --------------------------

$real --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | sort >"$work/commands"
set --
while read -r command; do
	set -- "$@" "vfiomig $command --"
done <"$work/commands"
for shell in words bash zsh fish; do
	ask "$shell" 'vfiomig ' "$@"
	answer "$shell" 'vfiomig ' | grep -x '[a-z][a-z]*' | grep -v 'vfiomig$' | sort >"$work/offered"
	check "$shell: the commands are those of --help" diff "$work/commands" "$work/offered"
	while read -r command; do
		$real "$command" --help | sed -n 's/^ *\(-., \)\{0,1\}--\([a-z0-9-]*\).*/--\2/p' | sort >"$work/options"
		answer "$shell" "vfiomig $command --" | sed 's/=$//' | grep '^--[a-z]' | sort -u >"$work/offered"
		check "$shell: $command: the options are those of --help" diff "$work/options" "$work/offered"
	done <"$work/commands"
done

# In bash, the values after an = are those after a blank, whatever readline does with the word.
set --
while read -r command; do
	for option in $($real "$command" --help | sed -n 's/^ *\(-., \)\{0,1\}\(--[a-z-]*\)=.*/\2/p'); do
		set -- "$@" "vfiomig $command $option=" "vfiomig $command $option "
	done
done <"$work/commands"
for shell in words bash; do
	ask "$shell" "$@"
	for line; do
		case $line in
		*=)
			answer "$shell" "$line" | grep . | sort >"$work/after"
			answer "$shell" "${line%=} " | grep . | sort >"$work/offered"
			check "$shell: $line offers the option's values" diff "$work/offered" "$work/after"
			;;
		esac
	done
	check "$shell: there are such values" test "$(answer "$shell" 'vfiomig diff --driver=' | grep -c -x -e mlx5 -e qat)" -eq 2
done

# ---- Values of options, and arguments ---------------------------------------

: >"$work/log"
files=$work/files
states='RUNNING RUNNING_P2P STOP STOP_COPY RESUMING PRE_COPY PRE_COPY_P2P'
set -- 'vfiomig save ' 'vfiomig save --via ' 'vfiomig save --via=' 'vfiomig save -q --wait 8' 'vfiomig save -o x -T 2 8' \
	'vfiomig save --progress=' 'vfiomig save --precopy=' 'vfiomig save --leave ' 'vfiomig save --leave=' \
	'vfiomig state 0000:00:11.0 ' 'vfiomig state 0000:00:10.0 ' 'vfiomig state 00:10.0 ' \
	"vfiomig state unix:$held " 'vfiomig restore 0000:00:10.0 --leave ' \
	'vfiomig state pid:4711/0000:3b:00.1 ' 'vfiomig state 0000:3b:00.1 ' \
	'vfiomig release ' 'vfiomig list ' 'vfiomig hold x ' "vfiomig inspect $files/" "vfiomig restore -i $files/" \
	"vfiomig diff x $files/" "vfiomig unpack $files/" "vfiomig pack $files/" "vfiomig save -o $files/" 'vfiomig exec 8' \
	'vfiomig exec 0000:00:10.0 -- shellc' 'vfiomig exec 0000:00:10.0 --via cdev shellc' \
	"vfiomig exec x -- cat $files/" 'vfiomig doctor ' 'vfiomig save pid:' 'vfiomig save unix:' 'vfiomig save 0000:00:' \
	'vfiomig watch -n 1 8' 'vfiomig watch --until ' 'vfiomig watch --precopy-info ' 'vfiomig check -g re' 'vfiomig check -g reset 8'
for shell in words bash zsh fish; do
	VFIOMIG_DEVICE_FD=9 ask "$shell" "$@"
	offers "$shell" 'vfiomig save ' 0000:00:10.0 0000:00:11.0 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 pid: fd: unix:
	lacks "$shell" 'vfiomig save ' DEVICE a.zst
	offers "$shell" 'vfiomig doctor ' 0000:00:11.0
	for line in 'vfiomig save -q --wait 8' 'vfiomig save -o x -T 2 8' 'vfiomig exec 8' 'vfiomig watch -n 1 8' \
		'vfiomig check -g reset 8'; do
		offers "$shell" "$line" 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
	done
	offers "$shell" 'vfiomig save --via ' auto cdev group
	for line in 'vfiomig save --leave ' 'vfiomig state 0000:00:11.0 ' 'vfiomig state 0000:3b:00.1 ' \
		'vfiomig state pid:4711/0000:3b:00.1 '; do
		# shellcheck disable=SC2086 # a list
		offers "$shell" "$line" $states
		lacks "$shell" "$line" ERROR
	done
	for line in 'vfiomig state 0000:00:10.0 ' 'vfiomig state 00:10.0 ' "vfiomig state unix:$held " \
		'vfiomig restore 0000:00:10.0 --leave '; do
		offers "$shell" "$line" STOP RUNNING STOP_COPY RESUMING
		lacks "$shell" "$line" PRE_COPY RUNNING_P2P
	done
	offers "$shell" 'vfiomig watch --until ' STOP_COPY RUNNING ERROR
	offers "$shell" 'vfiomig check -g re' reset resume
	offers "$shell" 'vfiomig watch --precopy-info ' auto always
	offers "$shell" 'vfiomig release ' 0000:00:10.0
	lacks "$shell" 'vfiomig release ' 0000:00:11.0 0000:3b:00.1
	lacks "$shell" 'vfiomig list ' 0000:00:10.0
	lacks "$shell" 'vfiomig hold x ' 0000:00:10.0
	for line in 'vfiomig exec 0000:00:10.0 -- shellc' 'vfiomig exec 0000:00:10.0 --via cdev shellc'; do
		offers "$shell" "$line" shellcheck
	done
done

# How each shell shows the rest: words that readline has split, paths, and values after an option's =.
for shell in words bash; do
	offers "$shell" 'vfiomig save --via=' auto cdev group
	offers "$shell" 'vfiomig save --progress=' auto always never
	offers "$shell" 'vfiomig save --precopy=' auto never
	offers "$shell" 'vfiomig save --leave=' RUNNING_P2P
	offers "$shell" 'vfiomig save 0000:00:' 10.0 11.0
	offers "$shell" 'vfiomig save pid:' 4711/0000:3b:00.1
	offers "$shell" 'vfiomig save unix:' "$work/run/vfiomig/0000:00:10.0.sock"
done
offers zsh 'vfiomig save --via=' auto cdev group
offers zsh 'vfiomig save --progress=' auto always never
offers zsh 'vfiomig save --precopy=' auto never
offers zsh 'vfiomig save --leave=' RUNNING_P2P
offers fish 'vfiomig save --via=' --via=auto --via=cdev --via=group
offers fish 'vfiomig save --progress=' --progress=auto --progress=always --progress=never
offers fish 'vfiomig save --precopy=' --precopy=auto --precopy=never
offers fish 'vfiomig save --leave=' --leave=RUNNING_P2P
for shell in zsh fish; do
	offers "$shell" 'vfiomig save 0000:00:' 0000:00:10.0 0000:00:11.0
	offers "$shell" 'vfiomig save pid:' pid:4711/0000:3b:00.1
	offers "$shell" 'vfiomig save unix:' "unix:$held"
done
for line in "vfiomig inspect $files/" "vfiomig restore -i $files/" "vfiomig unpack $files/" "vfiomig diff x $files/"; do
	offers words "$line" "$files/a.zst" "$files/b.vfiomig" "$files/dir"
	lacks words "$line" "$files/other"
	offers bash "$line" a.zst b.vfiomig dir/
	offers zsh "$line" a.zst b.vfiomig dir/
	offers fish "$line" "$files/a.zst" "$files/b.vfiomig" "$files/dir/" "$files/other"
done
for line in "vfiomig pack $files/" "vfiomig save -o $files/" "vfiomig exec x -- cat $files/"; do
	offers words "$line" "$files/a.zst" "$files/other"
	offers bash "$line" a.zst other
	offers zsh "$line" a.zst other
	offers fish "$line" "$files/a.zst" "$files/other"
done

# The devices of a set, and NAME=DEV
set -- "vfiomig inspect $files/a.zst --device=" "vfiomig diff $files/a.zst --device " "vfiomig unpack $files/a.zst --device=" \
	'vfiomig restore b=' 'vfiomig restore x b=0000:00:' 'vfiomig save b=' "vfiomig inspect --device b $files/"
for shell in words bash zsh fish; do
	ask "$shell" "$@"
	offers "$shell" "vfiomig diff $files/a.zst --device " 0000:3b:00.1 b
	option="" renamed=""
	[ "$shell" != fish ] || option=--device= renamed=b=
	for line in "vfiomig inspect $files/a.zst --device=" "vfiomig unpack $files/a.zst --device="; do
		offers "$shell" "$line" "${option}0000:3b:00.1" "${option}b"
	done
	offers "$shell" 'vfiomig restore b=' "${renamed}0000:00:10.0" "${renamed}83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
	lacks "$shell" 'vfiomig save b=' "${renamed}0000:00:10.0"
done
offers words 'vfiomig restore x b=0000:00:' 10.0 11.0
offers bash 'vfiomig restore x b=0000:00:' 10.0 11.0
offers zsh 'vfiomig restore x b=0000:00:' 0000:00:10.0 0000:00:11.0
offers fish 'vfiomig restore x b=0000:00:' b=0000:00:10.0 b=0000:00:11.0
# What follows the option is its value.
offers words "vfiomig inspect --device b $files/" "$files/a.zst"
offers fish "vfiomig inspect --device b $files/" "$files/a.zst"
# Where the image is known, so are its names.
set -- 'vfiomig restore ' 'vfiomig restore x -i ' "vfiomig restore x -i $files/other " "vfiomig save -o $files/a.zst "
for shell in words bash zsh fish; do
	ask "$shell" "$@" "vfiomig restore -i $files/a.zst " "vfiomig restore -q --input $files/a.zst x 0000:3" \
		"vfiomig restore --input=$files/a.zst " "vfiomig restore -i$files/a.zst b" "vfiomig restore -i $files/a.zst b="
	case $shell in
	words | bash) rest=3b:00.1= ;;
	*) rest=0000:3b:00.1= ;;
	esac
	for line in "vfiomig restore -i $files/a.zst " "vfiomig restore --input=$files/a.zst "; do
		offers "$shell" "$line" 0000:3b:00.1= b= 0000:00:10.0
	done
	offers "$shell" "vfiomig restore -q --input $files/a.zst x 0000:3" "$rest"
	offers "$shell" "vfiomig restore -i$files/a.zst b" b=
	lacks "$shell" "vfiomig restore -i $files/a.zst b=" b= b=b=
	for line; do
		lacks "$shell" "$line" 0000:3b:00.1= b= =
	done
done
for shell in words bash zsh fish; do
	HOME=$files ask "$shell" 'vfiomig restore -i ~/a.zst b'
	offers "$shell" 'vfiomig restore -i ~/a.zst b' b=
done
set -- "vfiomig restore -i '$files/dir/my image.zst' b" "vfiomig restore -i $files/dir/my\\ image.zst b" \
	"vfiomig restore -qi $files/a.zst b" "vfiomig restore -vqi$files/a.zst b"
ask bash "$@"
for line; do
	offers bash "$line" b=
done
check "no device was opened" sh -c "grep -v -E '^(list|info -q unix:.*|inspect -q .*)\$' '$work/log' | { ! grep .; }"

# In a directory without images, all files are offered.
rm "$files/a.zst" "$files/b.vfiomig"
ask words "vfiomig inspect $files/"
offers words "vfiomig inspect $files/" "$files/other"
ask zsh "vfiomig inspect $files/"
offers zsh "vfiomig inspect $files/" other

# The same in a readline that does not split words.
bash --norc tests/host/complete.bash '|' 'vfiomig save 0000:00:' 'vfiomig save --via=c' >"$work/words"
offers words 'vfiomig save 0000:00:' 0000:00:10.0 0000:00:11.0
offers words 'vfiomig save --via=c' --via=cdev

# ---- bind offers devices and drivers that list does not show ---------------

for shell in words bash zsh fish; do
	ask "$shell" 'vfiomig bind --driver ' 'vfiomig bind ' 'vfiomig unbind 8' 'vfiomig bind -d x '
	# The host's own drivers and devices, if it has any
	for driver in /sys/bus/pci/drivers/*; do
		if [ -e "$driver" ]; then
			offers "$shell" 'vfiomig bind --driver ' "${driver##*/}"
		fi
	done
	for device in /sys/bus/pci/devices/*; do
		if [ -e "$device" ]; then
			offers "$shell" 'vfiomig bind ' "${device##*/}"
			offers "$shell" 'vfiomig bind -d x ' "${device##*/}"
		fi
	done
	offers "$shell" 'vfiomig unbind 8' 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
done

# ---- From the key to the command --------------------------------------------

set -- 'vfiomig sav<enter>' 'vfiomig info 0000:3<enter>' 'vfiomig info pid:<enter>' 'vfiomig save --via=c<enter>' \
	'vfiomig save 0000:3b:00.1 --leave=stop_<enter>' "vfiomig inspect $files/o<enter>" 'vfiomig exec 8<enter>' \
	'vfiomig diff --driver=hi<enter>' 'vfiomig watch --until=err<enter>' 'vfiomig watch --until "stop_<enter>' \
	'vfiomig watch --until="stop_<enter>' 'vfiomig watch "0000:3<enter>'
for shell in bash zsh; do
	ask "$shell" "$@"
	while read -r n want; do
		line=$(eval "printf '%s\n' \"\${$n}\"")
		check "$shell: $line" sh -c "awk -v line='--- $line' '/^--- / { here = \$0 == line } here' '$work/$shell' |
			grep -q -E 'ARGUMENTS $want *\$'"
	done <<END
1 save
2 info 0000:3b:00.1
3 info pid:4711/0000:3b:00.1
4 save --via=cdev
5 save 0000:3b:00.1 --leave=STOP_COPY
6 inspect $files/other
7 exec 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001
8 diff --driver=hisi_acc
9 watch --until=ERROR
10 watch --until STOP_COPY
11 watch --until=STOP_COPY
12 watch 0000:3b:00.1
END
done

finish
