// SPDX-License-Identifier: GPL-2.0-or-later
/* Parsing a command line. */
#include <argp.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "printable.h"
#include "spelling.h"
#include "status.h"
#include "values.h"

int fail_usage(const char *text)
{
	char line[500];

	snprintf(line, sizeof(line), "%s", text);
	make_printable(line);
	fprintf(stderr, "%s\n", line);
	return STATUS_USAGE;
}

/*
 * getopt prints its own messages, with the arguments as they are. Collect them, which is possible
 * because glibc lets stderr be another stream, and print one line that cannot control a terminal.
 */
int parse_arguments(const struct argp *argp, int argc, char **argv, unsigned int flags, void *input)
{
	FILE *terminal = stderr;
	char *text = NULL;
	size_t size = 0;
	error_t err;

	stderr = open_memstream(&text, &size);
	if (!stderr) {
		stderr = terminal;
		goto no_memory;
	}
	err = argp_parse(argp, argc, argv, flags, NULL, input);
	fclose(stderr);
	stderr = terminal;
	if (err && (!text || !size))
		goto no_memory;
	if (text && size) {
		text[size - 1] = '\0'; /* the line break */
		fail_usage(text);
	}
	free(text);
	return err ? STATUS_USAGE : STATUS_OK;

no_memory:
	free(text);
	fprintf(stderr, "vfiomig: out of memory\n");
	return STATUS_FAILED;
}

error_t usage_error(struct argp_state *state, const char *fmt, ...)
{
	va_list ap;

	/* For a command, argv[0] is "vfiomig: COMMAND", see cli_parse(). */
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

int parse_state(struct argp_state *state, const char *arg, bool seen)
{
	int value = spell_state(arg);
	const char *option = value < 0 ? option_called(state->root_argp, arg) : NULL;
	const char *guess = value < 0 ? guess_state(arg, seen) : NULL;

	if (option)
		usage_error(state, "'%s' is not a state; did you mean '--%s'?", arg, option);
	else if (guess)
		usage_error(state, "'%s' is not a state; did you mean %s?", arg, guess);
	else if (value < 0)
		usage_error(
			state,
			"'%s' is not a state; they are RUNNING, RUNNING_P2P, STOP, STOP_COPY, RESUMING, %s",
			arg,
			seen ? "PRE_COPY, PRE_COPY_P2P and ERROR" : "PRE_COPY and PRE_COPY_P2P");
	return value;
}

int parse_choice(const char *arg, const char *const choices[], int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(arg, choices[i]) == 0)
			return i;
	return -1;
}
