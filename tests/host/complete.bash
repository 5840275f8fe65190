# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# complete.bash BREAKS LINE...: print what bash's completion offers for each line, called as by a readline that splits
# words at the characters BREAKS.

source completions/vfiomig.bash
breaks=$1
shift

for line; do
	echo "--- $line"
	COMP_LINE=$line COMP_POINT=${#line} COMP_WORDS=()
	# A sequence of these characters is a word.
	while IFS= read -r word; do
		COMP_WORDS+=("$word")
	done < <(grep -oE "[$breaks]+|[^[:blank:]$breaks]+" <<<"$line")
	[[ $line == *[[:blank:]] ]] && COMP_WORDS+=('')
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	current=${COMP_WORDS[COMP_CWORD]}
	[[ $current == ["$breaks"]* ]] && current=
	_vfiomig vfiomig "$current" "${COMP_WORDS[COMP_CWORD - 1]}" 2>&1
	printf '%s\n' "${COMPREPLY[@]}"
done
