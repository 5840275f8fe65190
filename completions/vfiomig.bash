# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# Completion for vfiomig(1) in bash. It works with the bash-completion package and without it.
#
# Nothing here opens a device that nobody has open, because that would reset the device.

_vfiomig_states='RUNNING RUNNING_P2P STOP STOP_COPY RESUMING PRE_COPY PRE_COPY_P2P'

# The options of a command; those that need a value end in =.
_vfiomig_options()
{
	local transfer='--progress= --threads=' frames='--chunk-size= --compress' open='--vf-token= --via= --wait'

	case $1 in
	list) echo '--json --probe' ;;
	info) echo "$open --json" ;;
	state) echo "$open --json --reset" ;;
	watch) echo '--data-fd= --interval= --json --precopy-info= --until=' ;;
	save) echo "$open $transfer $frames --downtime= --json --leave= --no-p2p --output= --precopy --raw" ;;
	restore) echo "$open $transfer --force --input= --json --leave= --no-hold --no-p2p --no-verify --raw" ;;
	inspect) echo "$transfer --device= --driver= --json --records --verify" ;;
	diff) echo '--device= --driver= --json --progress=' ;;
	pack) echo "$transfer $frames --force --output=" ;;
	unpack) echo "$transfer --device= --output=" ;;
	check) echo "$open --dangerous --group= --json --list --seed= --skip= --strict --tap --test= --timeout=" ;;
	doctor) echo "$open --json --probe" ;;
	hold) echo "$open --foreground --json" ;;
	release) echo '--json --wait' ;;
	exec) echo "$open" ;;
	bind) echo '--driver= --dry-run --force --group --json --wait' ;;
	unbind) echo '--dry-run --group --json --wait' ;;
	esac
	echo '--help --quiet --usage --verbose --version'
}

_vfiomig_commands='list info state watch save restore inspect diff pack unpack check doctor hold release exec bind unbind'

# Print the devices: "all", those that are "held", or as "pid:PID/DEV" those that a "process" has open. The columns of
# "vfiomig list" are found by their headings.
_vfiomig_devices()
{
	timeout 2 vfiomig list 2>/dev/null | LC_ALL=C awk -v which="$1" '
		function column(name, start, rest, width, value) {
			start = index(head, name)
			rest = substr(head, start + length(name))
			width = match(rest, /[^ ]/) ? length(name) + RSTART - 1 : 1000
			value = start ? substr($0, start, width) : "-"
			sub(/ +$/, "", value)
			return value
		}
		NR == 1 { head = $0 }
		NR > 1 {
			by = column("OPEN BY")
			held = by ~ / \((silent )?holder\)$/
			if (which == "process" ? by != "-" && !held : which == "all" || held)
				print which == "process" ? "pid:" by + 0 "/" $1 : $1
		}'
}

_vfiomig_sockets()
{
	local socket

	for socket in /run/vfiomig/*.sock "${XDG_RUNTIME_DIR:-/nowhere}"/vfiomig/*.sock; do
		[[ -S $socket ]] && echo "unix:$socket"
	done
}

# Print all PCI functions, because a function needs no VFIO driver to be bound to one; or all PCI drivers.
_vfiomig_pci()
{
	local path

	for path in /sys/bus/pci/"$1"/*; do
		[[ -e $path ]] && echo "${path##*/}"
	done
}

# Print the holder of a device that is named as the user named it. A holder can be asked without opening anything.
_vfiomig_holder()
{
	local name=$1 socket

	case $name in
	unix:*)
		echo "$name"
		return
		;;
	??:??.?) name=0000:$name ;;
	esac
	for socket in /run/vfiomig/"$name".sock "${XDG_RUNTIME_DIR:-/nowhere}/vfiomig/$name.sock"; do
		[[ -S $socket ]] && echo "unix:$socket" && return
	done
}

# Print the states that the device supports, if it has a holder that can be asked; otherwise all states.
_vfiomig_states_of()
{
	local holder states

	holder=$(_vfiomig_holder "$1")
	if [[ $holder ]]; then
		states=$(timeout 2 vfiomig info -q "$holder" 2>/dev/null | sed -n 's/^states: *//p')
	fi
	echo "${states:-$_vfiomig_states}"
}

# Print the names of the devices in these images, which may be quoted.
_vfiomig_names()
{
	local word file

	for word; do
		file=$(xargs printf '%s\n' 2>/dev/null <<<"$word")
		[[ $word == \~/* ]] && file=$HOME/${file:2}
		[[ -f $file ]] && timeout 2 vfiomig inspect -q "$file" 2>/dev/null | sed -n 's/^device: *//p'
	done
}

# ---- What goes into COMPREPLY -----------------------------------------------

# Offer those of the words @1 that begin with the word so far; with @2, upper and lower case are the same.
_vfiomig_reply()
{
	local word

	for word in $1; do
		if [[ $word == "$cur"* || (${2-} && ${word,,} == "${cur,,}"*) ]]; then
			COMPREPLY+=("$word")
		fi
	done
}

_vfiomig_no_space()
{
	compopt -o nospace 2>/dev/null
}

# Offer files; with "images", only those whose name says that they are images, if there are any.
_vfiomig_reply_files()
{
	local file images=()

	compopt -o filenames 2>/dev/null
	while IFS= read -r file; do
		COMPREPLY+=("$file")
		if [[ -d $file || $file == *.zst || $file == *.vfiomig ]]; then
			images+=("$file")
		fi
	done < <(compgen -f -- "$cur")
	if [[ ${1-} == images && " ${images[*]}" =~ \.(zst|vfiomig)( |$) ]]; then
		COMPREPLY=("${images[@]}")
	fi
}

_vfiomig_reply_devices()
{
	local prefix

	case $cur in
	pid:*) _vfiomig_reply "$(_vfiomig_devices process)" ;;
	unix:*) _vfiomig_reply "$(_vfiomig_sockets)" ;;
	fd:*) _vfiomig_reply "${VFIOMIG_DEVICE_FD:+fd:$VFIOMIG_DEVICE_FD}" ;;
	/*) _vfiomig_reply_files ;;
	*)
		_vfiomig_reply "$(_vfiomig_devices "$1")"
		[[ $1 == held ]] && prefix=unix: || prefix='pid: fd: unix:'
		if [[ ! $cur || ! ${COMPREPLY[*]} ]]; then
			_vfiomig_reply "$prefix"
		fi
		[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *: ]] && _vfiomig_no_space
		;;
	esac
}

# Offer NAME= for the devices in the image, and the devices themselves.
_vfiomig_reply_targets()
{
	_vfiomig_reply "$(_vfiomig_names "$input" | sed 's/$/=/')"
	_vfiomig_reply_devices all
	[[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && _vfiomig_no_space
}

# Offer the values of an option.
_vfiomig_reply_value()
{
	case $1 in
	--driver | -d)
		if [[ $command == inspect || $command == diff ]]; then
			_vfiomig_reply 'hisi_acc ivshmem mlx5 mtty qat virtio xe'
		else
			_vfiomig_reply "$(_vfiomig_pci drivers)"
		fi
		;;
	--device) _vfiomig_reply "$(_vfiomig_names "${operands[@]}")" ;;
	--via) _vfiomig_reply 'auto cdev group' ;;
	--progress) _vfiomig_reply 'auto always never' ;;
	--precopy) _vfiomig_reply 'auto never' ;;
	--precopy-info) _vfiomig_reply 'auto always' ;;
	--until) _vfiomig_reply "$_vfiomig_states ERROR" ignore-case ;;
	--interval | -n) _vfiomig_reply '0.01 0.1 1' ;;
	--leave) _vfiomig_reply "$(_vfiomig_states_of "${operands[0]-}")" ignore-case ;;
	--input | -i) _vfiomig_reply_files images ;;
	--output | -o) _vfiomig_reply_files ;;
	--chunk-size) _vfiomig_reply '64K 256K 1M 4M 16M 32M' ;;
	--downtime) _vfiomig_reply '100 300 1000' ;;
	--group | -g) _vfiomig_reply 'feature state stop session precopy resume reset size dma slow' ;;
	--test | -t | --skip) _vfiomig_reply "$(vfiomig check --list 2>/dev/null | sed -n 's/^  [A-Z][0-9]* *\([^ ]*\) .*/\1/p')" ;;
	--timeout) _vfiomig_reply '30 300' ;;
	--compress) _vfiomig_reply '1 3 9 19' ;;
	--threads | -T) _vfiomig_reply "0 1 $(nproc 2>/dev/null)" ;;
	esac
}

_vfiomig_reply_operand()
{
	case $command:${#operands[@]} in
	state:1) _vfiomig_reply "$(_vfiomig_states_of "${operands[0]}")" ignore-case ;;
	release:0) _vfiomig_reply_devices held ;;
	restore:*) _vfiomig_reply_targets ;;
	info:0 | state:0 | watch:0 | save:* | check:0 | doctor:0 | hold:0 | exec:0) _vfiomig_reply_devices all ;;
	bind:0) _vfiomig_reply "$(_vfiomig_pci devices)" ;;
	unbind:0) _vfiomig_reply "$(_vfiomig_devices all)" ;;
	inspect:0 | diff:[01] | unpack:0) _vfiomig_reply_files images ;;
	pack:0) _vfiomig_reply_files ;;
	esac
}

# Complete the command line that exec runs, from word @1 on.
_vfiomig_reply_command_line()
{
	if declare -F _command_offset >/dev/null; then
		_command_offset "${first[$1]}"
	elif (($1 == ${#words[@]} - 1)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$cur")
	else
		_vfiomig_reply_files
	fi
}

# ---- What has been typed ----------------------------------------------------

# Join the words up to the cursor that readline has split at = and : . @first: the number of each word's first part
_vfiomig_read_words()
{
	local i line=$COMP_LINE

	for ((i = 0; i <= COMP_CWORD; i++)); do
		if [[ ! ${words[*]} || $line == [[:blank:]]* ]]; then
			first+=("$i")
			words+=('')
		fi
		line=${line#"${line%%[![:blank:]]*}"}
		line=${line#"${COMP_WORDS[i]}"}
		words[-1]+=${COMP_WORDS[i]}
	done
}

# Find the command, its operands, the image of a restore, and the option whose value comes next.
_vfiomig_read_line()
{
	local i word

	for ((i = 1; i < ${#words[@]} - 1; i++)); do
		word=${words[i]}
		if [[ $waiting ]]; then
			[[ $waiting == -i || $waiting == --input ]] && input=$word
			waiting=
		elif [[ $word == -- ]]; then
			no_options=yes
		elif [[ $word == -* && ! $no_options ]]; then
			while [[ $word == -[qv]?* ]]; do
				word=-${word:2}
			done
			case $word in
			-o | -i | -T | -d) waiting=$word ;;
			-n) [[ $command == watch ]] && waiting=$word ;;
			-g | -t) [[ $command == check ]] && waiting=$word ;;
			-i*) input=${word#-i} ;;
			--input=*) input=${word#*=} ;;
			--*=*) ;;
			--*) [[ " $(_vfiomig_options "$command" | tr '\n' ' ') " == *" $word= "* ]] && waiting=$word ;;
			esac
		elif [[ ! $command ]]; then
			command=$word
		else
			operands+=("$word")
			# The words after that belong to another program.
			if [[ $command == exec && ${#operands[@]} -eq 2 ]]; then
				command_line=$i
				return
			fi
		fi
	done
}

_vfiomig()
{
	local words=() first=() operands=() command='' waiting='' no_options='' command_line='' input='' cur whole

	COMPREPLY=()
	_vfiomig_read_words
	cur=${words[-1]}
	whole=$cur
	# Readline's word begins after an open quote.
	[[ $cur == [\"\']* ]] && cur=$2
	_vfiomig_read_line
	if [[ $command_line ]]; then
		_vfiomig_reply_command_line "$command_line"
		return
	elif [[ $waiting ]]; then
		_vfiomig_reply_value "$waiting"
	elif [[ $cur == --*=* && ! $no_options ]]; then
		cur=${cur#*=}
		if [[ $cur == [\"\']* ]]; then
			cur=$2
			_vfiomig_reply_value "${whole%%=*}"
			return
		fi
		_vfiomig_reply_value "${whole%%=*}"
		COMPREPLY=("${COMPREPLY[@]/#/${whole%%=*}=}")
		cur=$whole
	elif [[ $cur == -* && ! $no_options ]]; then
		_vfiomig_reply "$(if [[ $command ]]; then _vfiomig_options "$command"; else echo '--help --usage --version'; fi)"
		[[ ${COMPREPLY[0]-} == *= ]] && _vfiomig_no_space
	elif [[ ! $command ]]; then
		_vfiomig_reply "$_vfiomig_commands"
	elif [[ $command == exec && ${#operands[@]} -eq 1 ]]; then
		_vfiomig_reply_command_line $((${#words[@]} - 1))
		return
	elif [[ $command == restore && $cur == *=* ]]; then
		# NAME=DEV
		cur=${cur#*=}
		_vfiomig_reply_devices all
		COMPREPLY=("${COMPREPLY[@]/#/${whole%%=*}=}")
		cur=$whole
	else
		_vfiomig_reply_operand
	fi
	# Readline keeps the part before its last word.
	COMPREPLY=("${COMPREPLY[@]#"${cur%"$2"}"}")
}

complete -F _vfiomig vfiomig
