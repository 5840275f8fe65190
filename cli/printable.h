/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text from outside: the names of processes, files and devices, images, the command line. It must
 * not reach a terminal with anything in it that is not to be seen. */
#ifndef PRINTABLE_H
#define PRINTABLE_H

#include <stdarg.h>

/*
 * Replace by '?' what could control a terminal or make a line read differently: control characters,
 * the invisible ones that change the direction of text, and bytes that are no character in this
 * locale. The text does not get longer.
 */
void make_printable(char *text);

/* Format a text, and make it printable. Returns a new string, or NULL without memory. */
__attribute__((format(printf, 1, 2))) char *format_printable(const char *fmt, ...);
__attribute__((format(printf, 1, 0))) char *vformat_printable(const char *fmt, va_list ap);

#endif
