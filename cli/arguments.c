// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsing a command line. */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vfiomig.h>

#include "arguments.h"
#include "message.h"

/*
 * getopt prints its messages itself, arguments and all. They are collected and
 * made one line that no terminal obeys: what stderr is can be changed in glibc.
 */
error_t parse_arguments(const struct argp *argp, int argc, char **argv, unsigned int flags,
			void *input)
{
	FILE *terminal = stderr;
	char *text = NULL;
	error_t err;
	size_t size;

	stderr = open_memstream(&text, &size);
	if (!stderr)
		stderr = terminal;
	err = argp_parse(argp, argc, argv, flags, NULL, input);
	if (stderr == terminal)
		return err;
	fclose(stderr);
	stderr = terminal;
	if (size) {
		text[size - 1] = '\0'; /* the line break */
		make_printable(text);
		fprintf(stderr, "%.500s\n", text);
	}
	free(text);
	return err;
}

error_t usage_error(struct argp_state *state, const char *fmt, ...)
{
	va_list ap;

	/* The program's name ends in a colon already for commands. */
	fprintf(stderr, "%s: ", strchr(state->argv[0], ':') ? state->argv[0] : "vfiomig");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return EINVAL;
}

int parse_number(struct argp_state *state, const char *what, const char *arg, int min, int max)
{
	char *end;
	long n = strtol(arg, &end, 10);

	if (end != arg && !*end && n >= min && n <= max)
		return n;
	usage_error(state, "%s is a number from %d to %d, not '%s'", what, min, max, arg);
	return -1;
}

int parse_state(struct argp_state *state, const char *arg)
{
	int value = vfiomig_state_from_name(arg);

	if (value < 0)
		usage_error(
			state,
			"'%s' is not a state; they are RUNNING, RUNNING_P2P, STOP, STOP_COPY, RESUMING, PRE_COPY and PRE_COPY_P2P",
			arg);
	return value;
}
