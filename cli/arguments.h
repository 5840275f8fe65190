/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parsing a command line: errors are one line, and words become values. */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include <argp.h>
#include <stdbool.h>

/* argp_parse(), but an error is one line on standard error. Returns 0 or the exit status. */
int parse_arguments(const struct argp *argp, int argc, char **argv, unsigned int flags,
		    void *input);
/* Print a line about what was typed. Returns STATUS_USAGE. */
int fail_usage(const char *text);
/* For parsers: like argp_error(), but one line. Returns EINVAL. */
__attribute__((format(printf, 2, 3))) error_t usage_error(struct argp_state *state, const char *fmt,
							  ...);

/* For parsers: the value of @arg, or a negative number after usage_error(). */
int parse_number(struct argp_state *state, const char *what, const char *arg, int min, int max);
/* The value of @arg as a state. @seen: one that is waited for, and not driven to, so that it may be
 * ERROR. */
int parse_state(struct argp_state *state, const char *arg, bool seen);
/* Which of the @n words in @choices @arg is, or a negative number, without a message. */
int parse_choice(const char *arg, const char *const choices[], int n);

#endif
