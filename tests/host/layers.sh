#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Which part of the sources may use which. The folders of lib/ are in an order, and a folder uses only itself and those
# before it. The #include lines have to follow that order, and so have the symbols of the object files, because a
# function can be declared in a lower folder and be defined in a higher one.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT
build=${VFIOMIG_BUILD:-build}

# From the lowest to the highest. lib/ itself is below all of them, and lib/api.c is above, because its functions are for
# programs. lib/backends.c is outside of the order: lib/device/ opens devices through the table in it, which names the back
# ends of all folders.
rooms='device image records migration holder bind doctor'

# Functions for awk: which folder a file is in, and how high that folder is
cat >"$work/order.awk" <<'END'
BEGIN {
	count = split(rooms, name, " ")
	for (i = 1; i <= count; i++)
		rank[name[i]] = i
}

# room_of(PATH): "" for a file in lib/ itself
function room_of(path) {
	sub(/^.*lib\//, "", path)
	return path ~ /\// ? substr(path, 1, index(path, "/") - 1) : ""
}

function rank_of(path) {
	if (path ~ /lib\/(api|backends)\.[cho]$/)
		return count + 1
	return rank[room_of(path)] + 0
}
END

# ---- The folders are those of the list --------------------------------------

for folder in lib/*/; do
	basename "$folder"
done >"$work/folders"
# shellcheck disable=SC2086 # a list
printf '%s\n' $rooms | sort >"$work/sorted"
check "lib/ has these folders: $rooms" diff "$work/sorted" "$work/folders"

# ---- #include ---------------------------------------------------------------

git ls-files -co --exclude-standard 'lib/*.[ch]' 'cli/*.[ch]' 'tests/*.[ch]' >"$work/files"
xargs -d '\n' grep -H -n -E '^[[:blank:]]*#[[:blank:]]*include[[:blank:]]*["<]' <"$work/files" >"$work/includes"

# Prints each line that breaks a rule, and the rule.
awk -v rooms="$rooms" -f "$work/order.awk" -f - "$work/files" "$work/includes" >"$work/bad" <<'END'
FNR == NR {
	exists[$0]
	next
}

function bad(why) {
	print $0 ": " why
}

{
	split($0, part, ":")
	from = part[1]
	folder = from
	sub(/[^\/]*$/, "", folder)
	match($0, /["<][^">]*[">]/)
	word = substr($0, RSTART + 1, RLENGTH - 2)
	quoted = substr($0, RSTART, 1) == "\""
}

word ~ /(^|\/)commands\// || (from ~ /^cli\/commands\// && (folder word) in exists) {
	bad("nobody includes a command")
	next
}

from ~ /^tests\// { next }

word ~ /\.\.\// && from ~ /^lib\// {
	bad("lib/ is in the path of includes")
	next
}

# The rule which characters may be shown: no part of the library has to be there for it.
from == "cli/printable.c" && word == "characters.h" { next }

from ~ /^cli\// {
	if (("lib/" word) in exists && !(quoted && ("cli/" word) in exists) && (quoted || word != "vfiomig.h"))
		bad("cli/ knows the library only by <vfiomig.h>")
	next
}

# A header beside the file goes before one of lib/, as for the compiler.
(folder word) in exists { next }

("lib/" word) in exists {
	if (room_of(from) && room_of(from) == room_of("lib/" word))
		bad("a header of the same folder has no folder in its name")
	else if (rank_of("lib/" word) > rank_of(from))
		bad("lib/" word " is above " (room_of(from) ? "lib/" room_of(from) : from))
	next
}

quoted { bad("there is no such header in lib/") }
END
check "there are #include lines" grep -q '^lib/bind/.*"internal.h"' "$work/includes"
check "no #include breaks the order" sh -c "! grep . '$work/bad'"

# ---- Symbols ----------------------------------------------------------------

# Name the objects, because objects of sources that are gone may still be in the folder.
for source in lib/*.c lib/*/*.c; do
	echo "$build/${source%.c}.o"
done >"$work/objects"
xargs -d '\n' nm -A -P <"$work/objects" >"$work/symbols"

# nm prints "OBJECT: NAME TYPE ...". Types in lower case are of symbols that are local to their object.
awk -v rooms="$rooms" -f "$work/order.awk" -f - "$work/symbols" "$work/symbols" >"$work/bad" <<'END'
{ sub(/:$/, "", $1) }

FNR == NR {
	if ($3 ~ /^[A-TV-Z]$/)
		home[$2] = $1
	next
}

$3 == "U" && $2 in home && home[$2] !~ /\/backends\.o$/ && rank_of(home[$2]) > rank_of($1) {
	print $1 ": uses " $2 " of " home[$2]
}
END
check "there are symbols" grep -q ' U ' "$work/symbols"
check "no symbol breaks the order" sh -c "! grep . '$work/bad'"

# The library is a guest in the program: it does not end it, print, or read the environment.
awk '$3 == "U" { sub(/.*\//, "", $1); print $2, "in", $1 }' "$work/symbols" >"$work/used"
for name in abort exit __assert_fail getenv secure_getenv environ setlocale stdout stderr printf puts putchar perror syslog; do
	check "the library does not use $name" sh -c "! grep -E '^(__)?$name(_chk)? ' '$work/used'"
done

finish
