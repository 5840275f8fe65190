// SPDX-License-Identifier: GPL-2.0-or-later
/* Find the command and run it. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "cli.h"
#include "message.h"
#include "rundir.h"
#include "signals.h"
#include "stream.h"

const char *argp_program_version = "vfiomig " VERSION;

/*
 * A new command is a file in commands/ and a line here. "vfiomig --help" lists the commands in this
 * order.
 */
/* clang-format off */
#define COMMANDS(command) \
	command(list) \
	command(info) \
	command(state) \
	command(save) \
	command(restore) \
	command(inspect) \
	command(pack) \
	command(unpack) \
	command(hold) \
	command(release) \
	command(exec) \
	command(bind) \
	command(unbind)
/* clang-format on */

#define DECLARE(name) extern const struct command cmd_##name;
#define ADDRESS(name) &cmd_##name,

COMMANDS(DECLARE)

static const struct command *const commands[] = { COMMANDS(ADDRESS) };

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < NR_COMMANDS; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

/* Print the commands below the options in "vfiomig --help". */
static char *help_filter(int key, const char *text, void *input)
{
	char *help = NULL;
	size_t size;
	FILE *f;

	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)text;
	f = open_memstream(&help, &size);
	if (!f)
		return NULL;
	fprintf(f, "Commands:\n");
	for (size_t i = 0; i < NR_COMMANDS; i++)
		fprintf(f, "  %-10s %s\n", commands[i]->name, commands[i]->help);
	fprintf(f,
		"\n\"vfiomig COMMAND --help\" describes each of them.\n\nExit status: 0 done; 1 failed; 2 usage; 3 no migration support; 4 busy, not viable or not permitted; 5 image damaged, truncated or not an image; 6 image is of another device; 7 the device entered ERROR or had to be reset, or its holder ended; 128+N ended by signal N.");
	fclose(f);
	return help;
}

struct choice {
	const struct command *command;
	int index; /* where argv has its name */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		/* getopt reports an error in one line. Do not let argp add another one. */
		state->err_stream = NULL;
		return 0;
	case ARGP_KEY_ARG:
		choice->command = find_command(arg);
		if (!choice->command)
			return usage_error(
				state, "there is no command '%s'; \"vfiomig --help\" lists them",
				arg);
		/* The command parses the rest. */
		choice->index = state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		return usage_error(state, "which command? \"vfiomig --help\" lists them");
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp argp = {
	.parser = parse,
	.args_doc = "COMMAND [ARG...]",
	.doc = "Save, restore and debug the migration state of VFIO devices.\v",
	.help_filter = help_filter,
};

/*
 * If a standard descriptor is closed, the next file that is opened gets its number: a device or an
 * image could become standard output. Occupy such a descriptor. Open /dev/null in the wrong
 * direction, so that reading from or writing to the descriptor still fails.
 */
static void occupy_standard_descriptors(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			_exit(STATUS_FAILED);
}

int main(int argc, char **argv)
{
	struct choice choice = { 0 };
	struct cli cli = { 0 };
	int status;

	signals_begin();
	setlocale(LC_ALL, "");
	/* Numbers have a decimal point everywhere: scripts and JSON need that. */
	setlocale(LC_NUMERIC, "C");
	occupy_standard_descriptors();
	streams_open();
	status = parse_arguments(&argp, argc, argv, ARGP_IN_ORDER, &choice);
	if (status)
		return status;
	cli.command = choice.command->name;
	status = vfiomig_new(&cli.ctx);
	if (!status)
		status = tell_rundir(cli.ctx);
	if (status)
		return fail(&cli, STATUS_FAILED, "cannot begin: %s", strerror(-status));
	status = choice.command->main(&cli, argc - choice.index, argv + choice.index);
	status = streams_finish(status);
	/* A signal that came after all was done did not end anything. */
	if (status)
		signals_raise();
	signals_end(status);
	vfiomig_unref(cli.ctx);
	return status;
}
