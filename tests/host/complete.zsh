# SPDX-License-Identifier: GPL-2.0-or-later
#
# complete.zsh SHELL LINE...: what an interactive SHELL, zsh or bash, lists for each line when the tabulator key is
# pressed; or, for a line that ends in "<enter>", what comes of completing it and running it.

zmodload zsh/zpty
shell=$1
shift

# Each line ends with a marker on the terminal, which the shell prints when it has done all that came before.
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
	# What moves the cursor separates words.
	print -r -- ${output%<<END>>*} | tr -d '\r\a' | sed 's/\x1b[[][0-9;?]*[a-zA-Z]/ /g; s/\x1b[=>]//g'
done
zpty -d pty
