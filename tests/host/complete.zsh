# SPDX-License-Identifier: GPL-2.0-or-later
#
# complete.zsh SHELL LINE...: print what an interactive SHELL, zsh or bash, lists for each line when the tab key is pressed.
# If a line ends in "<enter>", print the output of completing and running it.

zmodload zsh/zpty
shell=$1
shift

# A key binding makes the shell print a marker on the terminal, when it has handled all keys before that one.
case $shell in
zsh)
	zpty pty zsh -f -i
	setup=(
		'PS1= PS2= RPS1= COLUMNS=400 LINES=300 LISTMAX=10000; stty -echo; unset zle_bracketed_paste'
		'fpath=($PWD/completions $fpath); autoload -Uz compinit; compinit -u -D; bindkey -e'
		'marker() { BUFFER=; print -r -- "<<""END>>" }; zle -N marker; bindkey "^T" marker'
		'bindkey "^L" list-choices; bindkey "^I" complete-word'
	)
	;;
bash)
	zpty pty bash --norc --noprofile -i
	setup=(
		'PS1= PS2=; stty -echo cols 400 rows 300; bind "set completion-query-items 0"'
		'bind "set page-completions off"; bind "set enable-bracketed-paste off"'
		'marker() { READLINE_LINE=; echo "<<""END>>"; }; bind -x "\"\\C-t\": marker"'
		'bind "\"\\C-l\": possible-completions"; bind "\"\\C-i\": complete"'
		'source completions/vfiomig.bash'
	)
	;;
esac
for line in $setup; do
	zpty -w pty $line
done
zpty -w pty 'echo "<<""READY>>"'
zpty -r pty output '*<<READY>>*'

for line; do
	if [[ $line == *'<enter>' ]]; then
		zpty -n -w pty "${line%<enter>}"$'\t\n\x14'
	else
		zpty -n -w pty "$line"$'\x0c\x14'
	fi
	zpty -r pty output '*<<END>>*'
	print -r -- "--- $line"
	# Sequences that move the cursor separate words.
	print -r -- ${output%<<END>>*} | tr -d '\r\a' | sed 's/\x1b[[][0-9;?]*[a-zA-Z]/ /g; s/\x1b[=>]//g'
done
zpty -d pty
