/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The output of the C programs that test in the guest is TAP. */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int tap_tests, tap_failed;

/* Report a check. Returns @good, so that a test can skip what depends on it. */
__attribute__((format(printf, 2, 3))) static bool tap(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tap_tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	tap_failed += !good;
	return good;
}

/* Report the number of checks. Returns the program's exit status. */
static int tap_end(void)
{
	printf("1..%d\n", tap_tests);
	return tap_failed ? 1 : 0;
}

#endif
