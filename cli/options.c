// SPDX-License-Identifier: GPL-2.0-or-later
/* The options that several commands have. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "arguments.h"
#include "message.h"
#include "options.h"
#include "spelling.h"
#include "values.h"

static void log_verbosely(void *data, const char *line)
{
	(void)data;
	log_line(LOG_INFO, "%s", line);
}

enum {
	OPT_USAGE = 512
};

static error_t parse_common(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	(void)arg;
	switch (key) {
	case '?':
	case 'h':
	case OPT_USAGE:
		/* argp would name the command by argv[0], see cli_parse(). */
		state->name = cli->usage_name;
		argp_state_help(state, stdout,
				key == OPT_USAGE ? ARGP_HELP_USAGE | ARGP_HELP_EXIT_OK
						 : ARGP_HELP_STD_HELP);
		return 0;
	case 'V':
		printf("%s\n", argp_program_version);
		exit(0);
	case 'v':
		cli->verbose = true;
		vfiomig_set_log(cli->ctx, log_verbosely, NULL);
		return 0;
	case 'q':
		cli->quiet = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option common_options[] = {
	{ "verbose", 'v', NULL, 0, "Report each arc, with its time, on stderr", -1 },
	{ "quiet", 'q', NULL, 0, "Print nothing but errors", -1 },
	{ "help", '?', NULL, 0, "Print this help", -1 },
	{ NULL, 'h', NULL, OPTION_HIDDEN, NULL, -1 },
	{ "version", 'V', NULL, 0, "Print the version", -1 },
	{ "usage", OPT_USAGE, NULL, 0, "Print a short usage message", -1 },
	{ 0 }
};

static const struct argp common = {
	.options = common_options,
	.parser = parse_common,
};

/* The inputs of the command's own parser and of the common one. */
struct inputs {
	struct cli *cli;
	void *own;
};

static error_t parse_wrapper(int key, char *arg, struct argp_state *state)
{
	struct inputs *in = state->input;

	(void)arg;
	if (key != ARGP_KEY_INIT)
		return ARGP_ERR_UNKNOWN;
	/* getopt reports an error in one line. Do not let argp add another one. */
	state->err_stream = NULL;
	state->child_inputs[0] = in->own;
	state->child_inputs[1] = in->cli;
	return 0;
}

static bool has_child(const struct argp *argp, const struct argp *wanted)
{
	for (const struct argp_child *child = argp->children; child && child->argp; child++)
		if (child->argp == wanted || has_child(child->argp, wanted))
			return true;
	return false;
}

/* Print "vfiomig: COMMAND: @error", and free @error. Returns the exit status. */
static int fail_words(const struct cli *cli, char *error)
{
	char line[500];

	snprintf(line, sizeof(line), "%s: %s", cli->message_name, error);
	free(error);
	return fail_usage(line);
}

int cli_parse(struct cli *cli, const struct argp *argp, int argc, char **argv, void *input)
{
	const struct argp_child children[] = {
		{ .argp = argp },
		{ .argp = &common },
		{ 0 },
	};
	const struct argp wrapper = {
		.parser = parse_wrapper,
		.children = children,
	};
	static char help[] = "--help";
	struct inputs in = { .cli = cli, .own = input };
	bool takes_device = has_child(argp, &argp_name);
	char *error;

	/* getopt's messages begin with argv[0], and the usage message needs another name. */
	snprintf(cli->message_name, sizeof(cli->message_name), "vfiomig: %s", cli->command);
	snprintf(cli->usage_name, sizeof(cli->usage_name), "vfiomig %s", cli->command);
	argv[0] = cli->message_name;
	/* "vfiomig save help": no device is called so, but a file may be. */
	if (argc == 2 && takes_device && strcmp(argv[1], "help") == 0)
		argv[1] = help;
	error = join_values(&wrapper, &argc, argv, cli->in_order, !takes_device);
	if (error)
		return fail_words(cli, error);
	return parse_arguments(&wrapper, argc, argv,
			       ARGP_NO_HELP | (cli->in_order ? ARGP_IN_ORDER : 0), &in);
}

error_t share_input(struct argp_state *state, int n, void *input)
{
	for (int i = 0; i < n; i++)
		state->child_inputs[i] = input;
	return 0;
}

/* Keys that no option of a command has. */
enum {
	OPT_VIA = 520,
	OPT_VF_TOKEN,
	OPT_WAIT,
	OPT_JSON
};

static error_t parse_json_flag(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	(void)arg;
	if (key != OPT_JSON)
		return ARGP_ERR_UNKNOWN;
	cli->json = true;
	return 0;
}

static const struct argp_option json_options[] = {
	{ "json", OPT_JSON, NULL, 0, "Print one JSON object instead of text", 0 }, { 0 }
};

static const struct argp_option json_lines_options[] = {
	{ "json", OPT_JSON, NULL, 0, "Print a JSON object on each line instead of text", 0 }, { 0 }
};

const struct argp argp_json_lines = {
	.options = json_lines_options,
	.parser = parse_json_flag,
};

const struct argp argp_json = {
	.options = json_options,
	.parser = parse_json_flag,
};

/* The options whose value somebody may have given without them, as in "restore DEV FILE". */
static const struct valued {
	const char *command, *option, *name;
	bool several; /* the command takes several devices */
} valued[] = {
	{ "save", "-o", "--output", true },
	{ "restore", "-i", "--input", true },
	{ "bind", "-d", "--driver", false },
};

static const struct valued *valued_option(const struct cli *cli)
{
	for (size_t i = 0; i < sizeof(valued) / sizeof(valued[0]); i++)
		if (strcmp(cli->command, valued[i].command) == 0)
			return &valued[i];
	return NULL;
}

static bool is_given(const struct argp_state *state, const struct valued *v)
{
	for (int i = 1; i < state->argc; i++)
		if (strncmp(state->argv[i], v->option, strlen(v->option)) == 0 ||
		    strncmp(state->argv[i], v->name, strlen(v->name)) == 0)
			return true;
	return false;
}

/* The value that this option has in the command line, or NULL. */
static const char *value_of(const struct argp_state *state, const struct valued *v)
{
	for (int i = 1; i < state->argc; i++) {
		const char *word = state->argv[i], *sign = strchr(word, '=');

		if (strcmp(word, v->option) == 0 || strcmp(word, v->name) == 0)
			return i + 1 < state->argc ? state->argv[i + 1] : NULL;
		if (strncmp(word, v->option, 2) == 0)
			return word + 2;
		if (strncmp(word, v->name, strlen(v->name)) == 0 && sign)
			return sign + 1;
	}
	return NULL;
}

static error_t refuse_second(struct argp_state *state, const struct cli *cli, const char *arg)
{
	const struct valued *v = valued_option(cli);
	const char *device = cli->device, *value = arg;
	const char *option = option_called(state->root_argp, arg);
	bool second = names_device(spell_device(arg));

	if (option)
		return usage_error(state, "'%s' is one argument too many; did you mean '--%s'?",
				   arg, option);
	if (names_device(device) && second)
		return usage_error(state, "'%s' is one argument too many: %s takes one device", arg,
				   cli->command);
	if (!v || is_given(state, v))
		return usage_error(state, "'%s' is one argument too many", arg);
	/* "save FILE DEV" */
	if (!names_device(device) && second) {
		value = device;
		device = spell_device(arg);
	}
	return usage_error(state,
			   "'%s' is one argument too many; did you mean \"vfiomig %s %s %s %s\"?",
			   arg, cli->command, device, v->option, value);
}

static struct target targets[VFIOMIG_SET_MAX];

/* "NAME=DEV". A path may have a '=', and what QEMU and libvirt print has one, too. */
static const char *device_of(const struct cli *cli, const char *arg)
{
	const char *equals = strchr(arg, '=');

	if (!equals || strcmp(cli->command, "restore") != 0 || *arg == '/' ||
	    strncmp(arg, "unix:", strlen("unix:")) == 0 || spell_device(arg) != arg)
		return arg;
	return equals + 1;
}

/* What an image calls a device: as sysfs does, with the domain. */
static char *name_in_image(const char *arg, size_t length)
{
	char *typed = strndup(arg, length), *name = NULL;
	const char *spelled = typed ? spell_device(typed) : "";
	bool is_short =
		names_device(spelled) && strlen(spelled) == strlen("xx:xx.x") && spelled[2] == ':';

	if (typed && asprintf(&name, "%s%s", is_short ? "0000:" : "", spelled) < 0)
		name = NULL;
	free(typed);
	return name;
}

static error_t add_target(struct argp_state *state, struct cli *cli, const char *arg)
{
	struct target *target = &targets[cli->nr_targets];
	const char *device = device_of(cli, arg);

	if (cli->nr_targets == VFIOMIG_SET_MAX)
		return usage_error(state, "%d devices are the most in an image", VFIOMIG_SET_MAX);
	target->device = strdup(spell_device(device));
	if (device != arg)
		target->name = name_in_image(arg, device - 1 - arg);
	if (!target->device || (device != arg && !target->name))
		return ENOMEM;
	cli->targets = targets;
	cli->nr_targets++;
	cli->device = targets[0].device;
	return 0;
}

static bool takes_several(const struct cli *cli)
{
	const struct valued *v = valued_option(cli);

	return v && v->several;
}

/* "restore FILE", and "restore -i DEV FILE" */
static error_t check_only(struct argp_state *state, const struct cli *cli)
{
	const struct valued *v = valued_option(cli);
	const char *value = v ? value_of(state, v) : NULL;
	struct stat st;

	if (!v || names_device(cli->device))
		return 0;
	if (value && names_device(value))
		return usage_error(
			state, "'%s' does not name a device; did you mean \"vfiomig %s %s %s %s\"?",
			cli->device, cli->command, value, v->option, cli->device);
	if (strcmp(cli->command, "bind") == 0 || is_given(state, v) || stat(cli->device, &st) ||
	    !S_ISREG(st.st_mode))
		return 0;
	return usage_error(state, "which device? as in \"vfiomig %s DEV %s %s\"", cli->command,
			   v->option, cli->device);
}

static error_t parse_name(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num && !(takes_several(cli) && names_device(cli->device) &&
					names_device(spell_device(device_of(cli, arg)))))
			return refuse_second(state, cli, arg);
		if (takes_several(cli))
			return add_target(state, cli, arg);
		cli->device = spell_device(arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		if (cli->device) /* the command needs none here */
			return 0;
		return usage_error(state, "which device? \"vfiomig list\" shows them");
	case ARGP_KEY_SUCCESS:
		return cli->device ? check_only(state, cli) : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

const struct argp argp_name = {
	.parser = parse_name,
};

static error_t parse_device(int key, char *arg, struct argp_state *state)
{
	struct cli *cli = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 1, cli);
	case OPT_WAIT:
		cli->wait = arg ? parse_number(state, "--wait", arg, 0, INT_MAX) : -1;
		return arg && cli->wait < 0 ? EINVAL : 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option device_options[] = {
	{ "wait", OPT_WAIT, "SECONDS", OPTION_ARG_OPTIONAL,
	  "If another command is working on the device, wait until it ends, at most SECONDS (default: do not wait)",
	  0 },
	{ 0 }
};

static const struct argp_child device_children[] = {
	{ .argp = &argp_name },
	{ 0 },
};

const struct argp argp_device = {
	.children = device_children,
	.options = device_options,
	.parser = parse_device,
};

static error_t parse_open(int key, char *arg, struct argp_state *state)
{
	static const char *const names[] = {
		[VFIOMIG_VIA_AUTO] = "auto",
		[VFIOMIG_VIA_CDEV] = "cdev",
		[VFIOMIG_VIA_GROUP] = "group",
	};
	struct cli *cli = state->input;
	int via;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 1, cli);
	case OPT_VIA:
		via = parse_choice(arg, names, sizeof(names) / sizeof(names[0]));
		if (via < 0)
			return usage_error(state, "--via is auto, cdev or group, not '%s'", arg);
		cli->via = via;
		return 0;
	case OPT_VF_TOKEN:
		cli->vf_token = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option open_options[] = {
	{ "via", OPT_VIA, "HOW", 0,
	  "Open the device through its cdev, its group, or auto (default): the cdev if there is one",
	  0 },
	{ "vf-token", OPT_VF_TOKEN, "UUID", 0,
	  "The VF token, for a function of SR-IOV whose physical function belongs to vfio-pci", 0 },
	{ 0 }
};

static const struct argp_child open_children[] = {
	{ .argp = &argp_device },
	{ 0 },
};

const struct argp argp_open = {
	.children = open_children,
	.options = open_options,
	.parser = parse_open,
};
