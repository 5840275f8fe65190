#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The manual pages: mandoc accepts them, they agree with --help, and their examples work.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
vfiomig=build/vfiomig

# A page that stands for another one refers to it by its installed path.
for page in man/*.[1-9]; do
	mkdir -p "$work/man${page##*.}"
	cp "$page" "$work/man${page##*.}/"
done

# source_of NAME.SECTION: print the file of the page, or of the one that it stands for
source_of() {
	other=$(sed -n 's/^\.so man[1-9]\///p' "man/$1")
	echo "man/${other:-$1}"
}

# body PAGE HEADING: print the lines of a section
body() {
	sed -n "/^\.Sh $2\$/,/^\.Sh /p" "$1" | sed '1d; /^\.Sh /d'
}

for path in man/*.[1-9]; do
	page=${path#man/}
	source=$(source_of "$page")
	check "$page: there is such a page as it names" test -r "$source"
	# The pages that this host has do not matter.
	mandoc -T lint "$source" 2>&1 | grep -v -e 'referenced manual not found' -e 'outdated mandoc.db' >"$work/lint"
	check "$page: mandoc -T lint" sh -c "! grep . '$work/lint'"
	(cd "$work" && mandoc "man${page##*.}/$page") >"$work/text" 2>"$work/errors"
	check "$page: it renders" sh -c "test -s '$work/text' && ! grep . '$work/errors'"
	check "$page: it names itself" grep -q -E "^\.Nm ${page%.*}( ,)?\$" "$source"
	sentences=$(grep -n -E '^[A-Z].*[a-z]{2}[.] +[A-Z]' "$source")
	check "$page: a line for each sentence" test -z "$sentences"
	case $page in
	*.5) continue ;;
	*.1) status='EXIT STATUS' ;;
	*.4) status=DIAGNOSTICS ;;
	*.3) status='RETURN VALUES' ;;
	esac
	for heading in "$status" EXAMPLES 'SEE ALSO'; do
		check "$page: $heading" sh -c "grep -q -x '.Sh $heading' '$source'"
	done
done

# The pages of vfiomig to which pages refer exist.
cat man/*.[1-9] | sed -n 's/^\.Xr \([a-z-]*vfiomig[a-z-]*\) \([1-9]\).*/\1.\2/p' | sort -u >"$work/references"
while read -r page; do
	check "$page is referred to" test -r "man/$page"
done <"$work/references"

# ---- The commands ----------------------------------------------------------

$vfiomig --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' >"$work/commands"
check "there are commands" grep -q -x save "$work/commands"
body man/vfiomig.1 DESCRIPTION | sed -n '/^The commands are:/,/^\.El/s/^\.It Ic //p' >"$work/described"
check "vfiomig.1 describes the commands of --help" sh -c \
	"sort '$work/commands' >'$work/a'; sort '$work/described' | diff '$work/a' -"

# options_of_help COMMAND: print the long options of --help
options_of_help() {
	$vfiomig "$1" --help | sed -n 's/^ *\(-., \)\{0,1\}--\([a-z0-9-]*\).*/\2/p' | sort -u
}

# options_of_page COMMAND: print the long options that have an entry in a list. If the page is about two commands, the next
# line may say to which of them the option belongs.
options_of_page() {
	awk -v command="$1" '
		function keep() {
			n = split(held, word, " ")
			for (i = 1; i <= n; i++)
				if (word[i] ~ /^-[a-z][a-z0-9-]+$/)
					print substr(word[i], 2)
			held = ""
		}
		held && /^\.Pq (Nm|Ic) [a-z]+$/ && $3 != command { held = ""; next }
		{ keep() }
		/^\.It Fl / { held = $0 }
		END { keep() }' "$(source_of "vfiomig-$1.1")" | sort -u
}

while read -r command; do
	page=vfiomig-$command.1
	check "$command has a page" test -r "man/$page"
	options_of_help "$command" >"$work/help"
	options_of_page "$command" >"$work/page"
	check "$command: the options of --help are those of its page" diff "$work/help" "$work/page"
	$vfiomig "$command" --help >"$work/screen"
	check "$command --help fits a screen" test "$(wc -l <"$work/screen")" -le 40
	check "$command --help fits its width" test "$(wc -L <"$work/screen")" -le 80
	# All options of the synopsis are explained.
	sed -n "/^\.Nm vfiomig $command\$/,/^\.\(Nm\|Sh\)/p" "$(source_of "$page")" |
		grep '^\.Op Fl -' | sed 's/^\.Op Fl -\([a-z0-9-]*\).*/\1/' | sort >"$work/synopsis"
	check "$command: the synopsis has nothing else" sh -c \
		"comm -23 '$work/synopsis' '$work/page' | { ! grep .; }"
done <"$work/commands"
$vfiomig --help >"$work/screen"
check "--help fits a screen" test "$(wc -l <"$work/screen")" -le 40
check "--help fits its width" test "$(wc -L <"$work/screen")" -le 80

# ---- Examples ---------------------------------------------------------------

# listing PAGE FIRST: print the literal text that begins with this line
listing() {
	sed -n "/^$2\$/,/^\.Ed/ { /^\.Ed/d; s/\\\\e/\\\\/g; p; }" "$1"
}

listing man/vfiomig.1 '#!\/bin\/sh' >"$work/migrate.sh"
check "the script is there" grep -q 'vfiomig release' "$work/migrate.sh"
# SC2029: the shell is to expand these words on this host.
check "shellcheck" shellcheck -s sh -e SC2029 "$work/migrate.sh"
check "it says how it is used" sh -c "sh '$work/migrate.sh' 2>&1 | grep -q '^usage: migrate.sh HOST SRC_DEV=DST_DEV\.\.\.\$'"

# ---- The library -------------------------------------------------------------

# The functions that libvfiomig(3) lists are those that the library has. What the text says of one does not count.
sed -n 's/^\t\(vfiomig_[a-z_]*\);$/\1/p' lib/libvfiomig.sym | sort >"$work/exported"
sed -n '/^\.Ss Functions$/,/^\.El$/s/^\.Fn \(vfiomig_[a-z_]*\).*/\1/p' man/libvfiomig.3 | sort >"$work/listed"
check "the library has functions" test -s "$work/exported"
check "libvfiomig.3 lists the functions of the library" diff "$work/exported" "$work/listed"
sed -n 's/^\.Fn \(vfiomig_[a-z_]*\).*/\1/p' man/libvfiomig.3 | sort -u | comm -13 "$work/exported" - >"$work/unknown"
check "libvfiomig.3 names no other function" sh -c "! grep . '$work/unknown'"

# tests/host/example.sh has the program of libvfiomig(3).

finish
