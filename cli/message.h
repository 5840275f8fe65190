/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages: one line each, on standard error or in the system's log. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "cli.h"

/* Print "vfiomig: COMMAND DEVICE: ...". Returns @status, so that a command can end with
 * "return fail(...)". */
__attribute__((format(printf, 3, 4))) int fail(const struct cli *cli, enum status status,
					       const char *fmt, ...);
/* fail() with the library's sentence about its last failure, and the status of that failure. */
int fail_at(const struct cli *cli, enum task task, int err);
/* The same with the sentence @why. */
int fail_why(const struct cli *cli, enum task task, int err, const char *why);
/* The same as fail() for what is not an error. Prints nothing with -q. */
__attribute__((format(printf, 2, 3))) void notice(const struct cli *cli, const char *fmt, ...);
/* The same, also with -q. */
__attribute__((format(printf, 2, 3))) void warn(const struct cli *cli, const char *fmt, ...);

/* Print "vfiomig: ..." with one of syslog(3)'s levels, for events that belong to no command. */
__attribute__((format(printf, 2, 3))) void log_line(int level, const char *fmt, ...);
/* Send all further messages to syslog(3), for a process without a standard error. */
void log_to_syslog(void);

#endif
