#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The compiler's flags: those of the user come last, the hardening flags fit them, and warnings are errors only if the user
# asks for this.

cd "$(dirname "$0")/../.." || exit
# shellcheck source=tests/guest/lib/lib.sh
. tests/guest/lib/lib.sh
OUT=$(mktemp) ERR=$(mktemp)
work=$(mktemp -d)
trap 'rm -rf "$OUT" "$ERR" "$work"' EXIT

# The variables of a calling make must not affect these.
unset MAKEFLAGS MFLAGS MAKEOVERRIDES MAKELEVEL CC CPPFLAGS CFLAGS LDFLAGS

# commands WHAT ARG...: print what make would run for an object of the program, the program, the library or a unit test
commands() {
	case $1 in
	object) made=cli/main.o ;;
	program) made=vfiomig ;;
	library) made=libvfiomig.so.0 ;;
	test) made=tests/unit/fsm ;;
	esac
	shift
	made=$work/none/$made
	make -n "B=$work/none" "$@" "$made" | sed -e ':join' -e '/\\$/{N;s/\\\n//;b join' -e '}' | grep -F -e "-o $made "
}

# has FLAG WHAT ARG..., lacks FLAG WHAT ARG...: check that these commands have a flag, or do not have it
has() {
	flag=$1
	shift
	commands "$@" >"$work/command"
	check "$*: $flag" grep -q -e " $flag" "$work/command"
}
lacks() {
	flag=$1
	shift
	commands "$@" >"$work/command"
	check "$*: no $flag" sh -c "test -s '$work/command' && ! grep -e ' $flag' '$work/command'"
}

lacks -Werror object
has -Werror object WERROR=1
lacks -Werror object WERROR=0
has '-D_FILE_OFFSET_BITS=64 ' object
has '-O2 -g ' object
check "CC" sh -c "make -n B=$work/none CC=mine $work/none/cli/main.o | grep -q '^mine .*/cli/main.o'"
has '-Wall .*-DMINE -O1 -Wno-shadow ' object CPPFLAGS=-DMINE CFLAGS='-O1 -Wno-shadow'
has '-Wall .*-DMINE -O1 -Wno-shadow .*-Wl,-O1 ' program CPPFLAGS=-DMINE CFLAGS='-O1 -Wno-shadow' LDFLAGS=-Wl,-O1
has '-Wl,-O1 ' library LDFLAGS=-Wl,-O1
export CC=gcc CPPFLAGS=-DTHEIRS CFLAGS='-O1 -Wno-vla' LDFLAGS=-Wl,-O2
has '-Wall .*-DTHEIRS -O1 -Wno-vla ' object
has '-Wall .*-DTHEIRS -O1 -Wno-vla .*-Wl,-O2 ' program
unset CC CPPFLAGS CFLAGS LDFLAGS

for compiler in gcc clang; do
	for flag in -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE; do
		has "$flag " object CC=$compiler
		lacks "$flag " object CC=$compiler HARDENING=
	done
	has '-pie .*-Wl,-z,now ' program CC=$compiler
	lacks -pie library CC=$compiler
	has '-Wl,-z,relro -Wl,-z,now ' library CC=$compiler
	lacks '-Wl,-z,now' program CC=$compiler HARDENING=
	# Not where it does not work, or was set already
	lacks -D_FORTIFY_SOURCE object CC=$compiler CFLAGS=-O0
	lacks -D_FORTIFY_SOURCE=2 object CC=$compiler CPPFLAGS=-D_FORTIFY_SOURCE=3
	has -D_FORTIFY_SOURCE=3 object CC=$compiler CPPFLAGS=-D_FORTIFY_SOURCE=3
done
# The sanitizers have checks of their own, and the checks of the C library would hide errors from them.
has '-D_FORTIFY_SOURCE=3 .*-U_FORTIFY_SOURCE -fsanitize=' test CPPFLAGS=-D_FORTIFY_SOURCE=3
lacks -fPIE test

# compiles WHAT FLAG ARG...: the compiler has nothing to say about any source of the program and the library
compiles() {
	what=$1 flag=$2
	shift 2
	make -n "B=$work/none" WERROR=1 "$@" "$work/none/vfiomig" "$work/none/libvfiomig.so.0" |
		sed -e ':join' -e '/\\$/{N;s/\\\n//;b join' -e '}' |
		sed -n -e 's/ -MMD -MP / /' -e "s| -c -o [^ ]* | $flag -fsyntax-only |p" >"$work/commands"
	check "$what: all sources" test "$(wc -l <"$work/commands")" -gt 100
	check "$what: no warning" sh -c "xargs -P 2 -d '\n' -n 1 sh -c <'$work/commands'"
}
compiles clang '' CC=clang
# With the headers of 64 bits: the C library has the others in a package of its own.
case $(gcc -dumpmachine) in
x86_64-linux-gnu)
	mkdir -p "$work/include/gnu"
	: >"$work/include/gnu/stubs-32.h"
	compiles '32 bits' "-m32 -I$work/include -idirafter /usr/include/x86_64-linux-gnu" CC=gcc HARDENING=
	;;
esac

# Asking the compiler leaves nothing behind.
git status --porcelain >"$work/before"
commands object CFLAGS='-O2 --coverage' >"$work/command"
git status --porcelain >"$work/after"
check "no file is left by it" diff "$work/before" "$work/after"

# The result
build=${VFIOMIG_BUILD:-build}
check "the program is position independent" sh -c "readelf -h '$build/vfiomig' | grep -q 'Type: *DYN'"
for file in vfiomig libvfiomig.so.0; do
	check "$file: relocations are read-only" sh -c "readelf -l '$build/$file' | grep -q GNU_RELRO"
	check "$file: symbols are bound at the start" sh -c "readelf -d '$build/$file' | grep -q 'FLAGS.*NOW'"
	check "$file: checked functions of the C library" sh -c "nm -D '$build/$file' | grep -q _chk@"
	check "$file: the stack is guarded" sh -c "nm -D '$build/$file' | grep -q __stack_chk_fail"
done

finish
