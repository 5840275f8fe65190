// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig: find the command and run it. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "cli.h"
#include "message.h"
#include "rundir.h"
#include "signals.h"

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

/* The commands, for --help, below the options. */
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
		"\n\"vfiomig COMMAND --help\" tells more of each.\n\nExit status: 0 done; 1 failed; 2 usage; 3 no migration support; 4 busy or not permitted; 5 image damaged, truncated or not an image; 6 image is of another device; 7 the device entered ERROR or had to be reset; 128+N ended by signal N.");
	fclose(f);
	return help;
}

struct choice {
	const struct command *command;
	int index; /* of its name in argv */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		/* getopt says in one line what is wrong; argp adds none. */
		state->err_stream = NULL;
		return 0;
	case ARGP_KEY_ARG:
		choice->command = find_command(arg);
		if (!choice->command)
			return usage_error(
				state, "there is no command '%s'; \"vfiomig --help\" lists them",
				arg);
		/* All that follows is the command's. */
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

/* What was printed counts only when it has arrived. */
static void close_stdout(int status, void *data)
{
	(void)data;
	/* Nothing was printed, so nothing can be lost. */
	if (__fbufsize(stdout) == 0)
		return;
	if (fclose(stdout) == 0)
		return;
	/* Not the stream, which may be collecting argp's messages. */
	dprintf(STDERR_FILENO, "vfiomig: standard output: %m\n");
	_exit(status ? status : STATUS_FAILED);
}

/*
 * A device or an image must not become standard output or error by being the
 * first to be opened. What is closed stays unusable: open the wrong way round.
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

	setlocale(LC_ALL, "");
	/* Scripts, and JSON, do not know a decimal comma. */
	setlocale(LC_NUMERIC, "C");
	occupy_standard_descriptors();
	on_exit(close_stdout, NULL);
	/* A reader that went away and a file that is too large are errors of
	 * write(2) like any other. */
	signals_ignore();
	if (parse_arguments(&argp, argc, argv, ARGP_IN_ORDER, &choice))
		return STATUS_USAGE;
	cli.command = choice.command->name;
	status = vfiomig_new(&cli.ctx);
	if (!status)
		status = rundir_set(cli.ctx);
	if (status)
		return fail(&cli, STATUS_FAILED, "cannot begin: %s", strerror(-status));
	status = choice.command->main(&cli, argc - choice.index, argv + choice.index);
	vfiomig_unref(cli.ctx);
	/* One that came when all was done has ended nothing. */
	if (status)
		signals_raise();
	return status;
}
