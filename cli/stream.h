/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Standard output and standard error: what is printed there arrives, or the command fails. */
#ifndef STREAM_H
#define STREAM_H

#include <stdio.h>

/* Replace stdout and stderr by streams that wait where a pipe in non-blocking mode is full, and
 * that remember each failure. */
void streams_open(void);
/* Print a line that has text from outside in it to stdout, with a line break at its end, and with
 * all of it made printable. */
__attribute__((format(printf, 1, 2))) void print_line(const char *fmt, ...);
/* Write what stdout still has in its buffer, and close it. Returns @status. But if something that
 * was printed there did not arrive, success becomes the status for that, and so does STATUS_FAILED,
 * which may be what was to be printed. A message says so, except after a signal. */
int streams_finish(int status);
/* From now on that is @status, and no longer STATUS_FAILED: a command may have another meaning for
 * it. */
void streams_set_failure(int status);

#endif
