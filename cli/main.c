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
#include "words.h"

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
	command(watch) \
	command(save) \
	command(restore) \
	command(inspect) \
	command(diff) \
	command(pack) \
	command(unpack) \
	command(check) \
	command(doctor) \
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
		"\n\"vfiomig COMMAND --help\" describes each of them.\n\nExit status: 0 done; 1 failed; 2 usage; 3 no migration support; 4 busy, not viable or not permitted; 5 image damaged, truncated or not an image; 6 image is of another device; 7 the device entered ERROR or was reset, or its holder ended; 128+N ended by signal N.");
	fclose(f);
	return help;
}

struct choice {
	const struct command *command;
	int index; /* where argv has its name */
};

/* What other tools call it. */
static const struct {
	const char *word, *meant;
} synonyms[] = {
	{ "ls", "list" },
	{ "devices", "list" },
	{ "probe", "list --probe" },
	{ "show", "info" },
	{ "status", "state DEV" },
	{ "get", "state DEV" },
	{ "set", "state DEV STATE" },
	{ "start", "state DEV RUNNING" },
	{ "run", "state DEV RUNNING" },
	{ "resume", "state DEV RUNNING" },
	{ "continue", "state DEV RUNNING" },
	{ "stop", "state DEV STOP" },
	{ "pause", "state DEV STOP" },
	{ "suspend", "state DEV STOP" },
	{ "reset", "state DEV --reset" },
	{ "follow", "watch DEV" },
	{ "monitor", "watch DEV" },
	{ "top", "watch DEV" },
	{ "dump", "save DEV -o FILE" },
	{ "snapshot", "save DEV -o FILE" },
	{ "export", "save DEV -o FILE" },
	{ "load", "restore DEV -i FILE" },
	{ "import", "restore DEV -i FILE" },
	{ "migrate", "save DEV --leave=STOP | ssh HOST vfiomig restore DEV" },
	{ "verify", "inspect --verify FILE" },
	{ "diagnose", "doctor DEV" },
	{ "why", "doctor DEV" },
	{ "compare", "diff A B" },
	{ "cmp", "diff A B" },
	{ "open", "hold DEV" },
	{ "keep", "hold DEV" },
	{ "close", "release DEV" },
	{ "free", "release DEV" },
	{ "drop", "release DEV" },
	{ "unhold", "release DEV" },
	{ "attach", "bind DEV" },
	{ "detach", "unbind DEV" },
};

static const char *meant_by(const char *word)
{
	const char *names[NR_COMMANDS + 2] = { [NR_COMMANDS] = "help", "version" };

	for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
		if (strcasecmp(word, synonyms[i].word) == 0)
			return synonyms[i].meant;
	for (size_t i = 0; i < NR_COMMANDS; i++)
		names[i] = commands[i]->name;
	return nearest_word(word, names, NR_COMMANDS + 2);
}

static error_t refuse_word(struct argp_state *state, const char *word)
{
	const char *meant = meant_by(word);

	if (meant)
		return usage_error(state, "there is no command '%s'; did you mean \"vfiomig %s\"?",
				   word, meant);
	/* "vfiomig DEV save" */
	for (int i = state->next; *word && i < state->argc; i++)
		if (find_command(state->argv[i]))
			return usage_error(
				state,
				"there is no command '%s'; the command comes first: \"vfiomig %s %s\"",
				word, state->argv[i], word);
	return usage_error(state, "there is no command '%s'; \"vfiomig --help\" lists them", word);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		/* getopt reports an error in one line. Do not let argp add another one. */
		state->err_stream = NULL;
		return 0;
	case 'q':
	case 'v':
		return 0;
	case 'h':
		argp_state_help(state, stdout, ARGP_HELP_STD_HELP);
		return 0;
	case ARGP_KEY_ARG:
		choice->command = find_command(arg);
		if (!choice->command)
			return refuse_word(state, arg);
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

static const struct argp_option options[] = {
	{ NULL, 'h', NULL, OPTION_HIDDEN, NULL, 0 },
	/* The commands have these. */
	{ "quiet", 'q', NULL, OPTION_HIDDEN, NULL, 0 },
	{ "verbose", 'v', NULL, OPTION_HIDDEN, NULL, 0 },
	{ 0 },
};

/* Put argv[from] before the words from argv[1] on. */
static void put_first(char **argv, int from)
{
	char *word = argv[from];

	memmove(argv + 2, argv + 1, (from - 1) * sizeof(*argv));
	argv[1] = word;
}

/* "vfiomig -v list" is "vfiomig list -v". */
static void put_command_first(int argc, char **argv)
{
	int word = 0;

	if (argc < 2 || argv[1][0] != '-')
		return;
	for (int i = argc - 1; i > 0; i--)
		if (argv[i][0] != '-')
			word = i;
	for (int i = argc - 1; i > 0; i--)
		if (find_command(argv[i]) || strcmp(argv[i], "help") == 0)
			word = i;
	if (word)
		put_first(argv, word);
}

/* The option before a command that may be meant by @word, or NULL. */
static const char *nearest_option(const char *word)
{
	static const char *const names[] = { "help", "usage", "version", "quiet", "verbose" };
	size_t n = sizeof(names) / sizeof(names[0]), length = strlen(word);

	/* "-version", and not "-qv" */
	if (length > 3 && word[1] != '-')
		return nearest_word(word + 1, names, n);
	if (strncmp(word, "--", 2) != 0)
		return NULL;
	/* getopt knows abbreviations. */
	for (size_t i = 0; i < n; i++)
		if (strncmp(names[i], word + 2, length - 2) == 0)
			return NULL;
	return nearest_word(word + 2, names, n);
}

/* Returns 0, or the exit status after a message about a misspelt option. */
static int check_option(const char *word)
{
	const char *meant = word && word[0] == '-' ? nearest_option(word) : NULL;
	char line[300];

	if (!meant)
		return STATUS_OK;
	snprintf(line, sizeof(line), "vfiomig: there is no option '%.100s'; did you mean '--%s'?",
		 word, meant);
	return fail_usage(line);
}

/* "vfiomig help save" is "vfiomig save --help". */
static void turn_words_into_options(int argc, char **argv)
{
	static char help[] = "--help", version[] = "--version", usage[] = "--usage";

	if (argc < 2)
		return;
	if (strcmp(argv[1], "version") == 0)
		argv[1] = version;
	if (strcmp(argv[1], "usage") == 0)
		argv[1] = usage;
	if (strcmp(argv[1], "help") != 0)
		return;
	argv[1] = help;
	/* "vfiomig help help" is "vfiomig --help". */
	if (argc > 2 && strcmp(argv[2], "help") != 0)
		put_first(argv, 2);
}

static const struct argp argp = {
	.options = options,
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

static void print_notice(void *data, const char *line)
{
	notice(data, "%s", line);
}

int main(int argc, char **argv)
{
	static char program_name[] = "vfiomig";
	struct choice choice = { 0 };
	struct cli cli = { 0 };
	int status;

	signals_begin();
	setlocale(LC_ALL, "");
	/* Numbers have a decimal point everywhere: scripts and JSON need that. */
	setlocale(LC_NUMERIC, "C");
	occupy_standard_descriptors();
	streams_open();
	/* getopt's messages and the help begin with it. */
	argv[0] = program_name;
	put_command_first(argc, argv);
	turn_words_into_options(argc, argv);
	status = check_option(argc > 1 ? argv[1] : NULL);
	if (!status)
		status = parse_arguments(&argp, argc, argv, ARGP_IN_ORDER, &choice);
	if (status)
		return status;
	cli.command = choice.command->name;
	status = vfiomig_new(&cli.ctx);
	if (!status)
		status = tell_rundir(cli.ctx);
	if (status)
		return fail(&cli, STATUS_FAILED, "cannot begin: %s", strerror(-status));
	vfiomig_set_notice(cli.ctx, print_notice, &cli);
	status = choice.command->main(&cli, argc - choice.index, argv + choice.index);
	status = streams_finish(status);
	/* A signal that came after all was done did not end anything. */
	if (status)
		signals_raise();
	signals_end(status);
	vfiomig_unref(cli.ctx);
	return status;
}
