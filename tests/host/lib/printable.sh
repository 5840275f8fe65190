# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh
#
# Whether what the program prints is printable text, whatever comes from outside.
#
#   $hostile            text that must not reach a terminal as it is; it is a file's name, too
#   feed ARG...         run vfiomig, and collect what it prints
#   clean NAME          what was collected is lines of printable UTF-8

# Control characters of ASCII and of Latin 1, also as UTF-8; directions of text; separators of lines; what is no UTF-8 at all;
# a selector of variations, and a joiner of graphemes
# shellcheck disable=SC2034 # scripts use it
hostile=$(printf 'a\033[2J\r\n\a\177\302\233\233\342\200\256\342\201\246\330\234\342\200\250\357\273\277\363\240\200\201\303\355\240\200\364\220\200\200\377\357\270\217\315\217b')

feed() {
	"${vfiomig:-vfiomig}" "$@" >fed.out 2>fed.err </dev/null
	cat fed.out >>fed
	cat fed.err >>fed
	[ "$(wc -l <fed.err)" -le 1 ] || not_ok "one line on standard error" "$(cat fed.err)"
}

clean() {
	# shellcheck disable=SC2016 # Perl's own
	check "$1: $(wc -l <fed) lines" perl -e '
		use Encode;
		local $/;
		my $text = decode("UTF-8", scalar <STDIN>, Encode::FB_CROAK);
		exit(!$text || $text =~ /[^\P{C}\n]|[\x{2028}\x{2029}]|\p{Default_Ignorable_Code_Point}/)' <fed
	rm fed
}
