// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig check: does a device keep the rules of the VFIO migration protocol? */
#include <argp.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "arguments.h"
#include "device.h"
#include "message.h"
#include "options.h"
#include "report.h"
#include "signals.h"
#include "user.h"
#include "words.h"

#define NAMES_MAX 64

/* The values of an option that can be given several times, or with commas. */
struct names {
	const char *name[NAMES_MAX];
	unsigned int count;
};

struct options {
	struct cli *cli;
	struct names groups, ids, skip;
	bool list, tap, strict, dangerous, has_seed;
	unsigned int timeout;
	uint64_t seed;
	struct report report;
};

enum {
	OPT_SKIP = 600,
	OPT_LIST,
	OPT_TAP,
	OPT_STRICT,
	OPT_DANGEROUS,
	OPT_TIMEOUT,
	OPT_SEED
};

static bool is_group(const char *name)
{
	if (strcmp(name, "slow") == 0)
		return true;
	for (size_t i = 0; i < check_nr_rules; i++) {
		size_t length;

		check_group(&check_rules[i], &length);
		if (strlen(name) == length && strncmp(check_rules[i].id, name, length) == 0)
			return true;
	}
	return false;
}

static bool names_one_rule(const char *name, const struct check_rule *rule)
{
	return strcmp(name, rule->id) == 0 || strcasecmp(name, rule->number) == 0;
}

/* A rule's ID, its number, or a pattern of IDs. */
static bool names_rule(const char *name, const struct check_rule *rule)
{
	return names_one_rule(name, rule) || fnmatch(name, rule->id, 0) == 0;
}

static error_t refuse_name(struct argp_state *state, bool group, const char *name)
{
	const char *ids[256], *guess;
	size_t n = 0;

	for (size_t i = 0; i < check_nr_rules && group; i++)
		if (names_one_rule(name, &check_rules[i]))
			return usage_error(state, "'%s' is a rule, not a group; use -t %s", name,
					   name);
	if (group)
		return usage_error(state, "there is no group '%s'; --list shows them", name);
	if (is_group(name))
		return usage_error(state, "'%s' is a group of rules; use -g %s", name, name);
	for (size_t i = 0; i < check_nr_rules && n < 256; i++)
		ids[n++] = check_rules[i].id;
	guess = nearest_word(name, ids, n);
	if (guess)
		return usage_error(state, "there is no rule '%s'; did you mean %s?", name, guess);
	return usage_error(state, "there is no rule '%s'; --list shows them", name);
}

static error_t add_names(struct argp_state *state, struct names *names, char *arg, bool group)
{
	char *name = strtok(arg, ",");

	/* No name is not every rule. */
	if (!name)
		return refuse_name(state, group, "");
	for (; name; name = strtok(NULL, ",")) {
		bool known = group && is_group(name);

		for (size_t i = 0; i < check_nr_rules && !group && !known; i++)
			known = names_rule(name, &check_rules[i]);
		if (!known)
			return refuse_name(state, group, name);
		if (names->count == NAMES_MAX)
			return usage_error(state, "'%s' is one name too many", name);
		names->name[names->count++] = name;
	}
	return 0;
}

/* "check DEV session" */
static error_t refuse_argument(struct argp_state *state, const char *arg)
{
	if (is_group(arg))
		return usage_error(state, "'%s' is a group of rules; use -g %s", arg, arg);
	for (size_t i = 0; i < check_nr_rules; i++)
		if (names_one_rule(arg, &check_rules[i]))
			return usage_error(state, "'%s' is a rule; use -t %s", arg, arg);
	return ARGP_ERR_UNKNOWN;
}

static error_t parse_seed(struct argp_state *state, struct options *opt, const char *arg)
{
	char *end;

	errno = 0;
	opt->seed = strtoull(arg, &end, 0);
	if (end == arg || *end || errno || arg[0] == '-')
		return usage_error(state, "--seed is a number, not '%s'", arg);
	opt->has_seed = true;
	return 0;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;
	int seconds;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, opt->cli);
	case 'g':
		return add_names(state, &opt->groups, arg, true);
	case 't':
		return add_names(state, &opt->ids, arg, false);
	case OPT_SKIP:
		return add_names(state, &opt->skip, arg, false);
	case OPT_LIST:
		opt->list = true;
		return 0;
	case OPT_TAP:
		opt->tap = true;
		return 0;
	case OPT_STRICT:
		opt->strict = true;
		return 0;
	case OPT_DANGEROUS:
		opt->dangerous = true;
		return 0;
	case OPT_TIMEOUT:
		seconds = parse_number(state, "--timeout", arg, 1, 86400);
		opt->timeout = seconds;
		return seconds < 0 ? EINVAL : 0;
	case OPT_SEED:
		return parse_seed(state, opt, arg);
	case ARGP_KEY_ARG:
		return refuse_argument(state, arg);
	case ARGP_KEY_END:
		if (opt->tap && opt->cli->json)
			return usage_error(state, "--tap and --json exclude each other");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "group", 'g', "GROUP", 0,
	  "Test the rules of this group only: feature, state, stop, session, precopy, resume, reset, size, dma; or slow, the ones that take seconds",
	  0 },
	{ "test", 't', "ID", 0,
	  "Test this rule only, by its ID, its number, or a pattern such as 'session.*'", 0 },
	{ "skip", OPT_SKIP, "ID", 0, "Leave this rule out", 0 },
	{ "list", OPT_LIST, NULL, 0,
	  "List the rules, with the uAPI's words, instead of testing them", 0 },
	{ "tap", OPT_TAP, NULL, 0, "Print KTAP version 1", 0 },
	{ "strict", OPT_STRICT, NULL, 0, "Exit with 1 after a WARN, too", 0 },
	{ "dangerous", OPT_DANGEROUS, NULL, 0,
	  "Test also what makes a kernel or driver with known faults hang", 0 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0,
	  "End a test when the device does not answer for this time (default: 30)", 0 },
	{ "seed", OPT_SEED, "NUMBER", 0, "Take this seed for random tests, to repeat them", 0 },
	{ 0 }
};

static const struct argp_child children[] = {
	{ .argp = &argp_open },
	{ .argp = &argp_json },
	{ 0 },
};

static const struct argp argp = {
	.children = children,
	.options = options,
	.parser = parse,
	.args_doc = "DEV",
	.doc = "Test whether a device and its driver keep the rules of the VFIO migration protocol. The device's state is lost.\vWith -q, it prints only the rules that were not kept, and the totals; with -v, each call. vfiomig-check(1) tells how to read the results.",
};

static bool is_in(const struct names *names, const struct check_rule *rule)
{
	for (unsigned int i = 0; i < names->count; i++)
		if (names_rule(names->name[i], rule))
			return true;
	return false;
}

/* The same, but not by a pattern. */
static bool is_named(const struct names *names, const struct check_rule *rule)
{
	for (unsigned int i = 0; i < names->count; i++)
		if (names_one_rule(names->name[i], rule))
			return true;
	return false;
}

static bool is_in_group(const struct names *groups, const struct check_rule *rule)
{
	size_t length;

	check_group(rule, &length);
	for (unsigned int i = 0; i < groups->count; i++) {
		if ((rule->needs & IS_SLOW) && strcmp(groups->name[i], "slow") == 0)
			return true;
		if (strlen(groups->name[i]) == length &&
		    strncmp(groups->name[i], rule->id, length) == 0)
			return true;
	}
	return false;
}

static bool has_slow(const struct names *groups)
{
	for (unsigned int i = 0; i < groups->count; i++)
		if (strcmp(groups->name[i], "slow") == 0)
			return true;
	return false;
}

/* Without -t and -g, all rules are chosen. */
static bool is_chosen(const struct options *opt, const struct check_rule *rule)
{
	if (!opt->ids.count && !opt->groups.count)
		return true;
	return is_in(&opt->ids, rule) || is_in_group(&opt->groups, rule);
}

static bool is_listed(const void *data, const struct check_rule *rule)
{
	const struct options *opt = data;

	return is_chosen(opt, rule) && !is_in(&opt->skip, rule);
}

static bool wanted(void *data, const struct check_rule *rule, const char **reason)
{
	const struct options *opt = data;

	*reason = NULL;
	if (!is_chosen(opt, rule))
		return false;
	if (is_in(&opt->skip, rule)) {
		*reason = "--skip";
		return false;
	}
	if (is_named(&opt->ids, rule))
		return true;
	if ((rule->needs & IS_SLOW) && !has_slow(&opt->groups)) {
		*reason = "it takes long; -g slow tests it";
		return false;
	}
	return true;
}

static void end(void *data, const struct check_result *result)
{
	struct options *opt = data;

	report_result(&opt->report, result);
}

static bool interrupted(void *data)
{
	(void)data;
	return signals_came();
}

/* The session of somebody else is not to be tested. A device that nobody lends is busy already when
 * it is opened. */
static int refuse_borrowed(struct cli *cli, struct vfiomig_device *dev)
{
	struct user user;

	if (!vfiomig_device_is_borrowed(dev))
		return STATUS_OK;
	if (find_user(dev, &user) && user.is_holder)
		return fail(cli, STATUS_BUSY,
			    "busy: process %d holds it; \"vfiomig release %s\" ends that", user.pid,
			    cli->device);
	return fail(cli, STATUS_BUSY, "busy: the test needs a device that nobody has open");
}

static unsigned int count_planned(struct options *opt)
{
	unsigned int n = 0;

	for (size_t i = 0; i < check_nr_rules; i++) {
		const char *reason;

		if (wanted(opt, &check_rules[i], &reason) || reason)
			n++;
	}
	return n;
}

static int test(struct options *opt, struct vfiomig_device *dev)
{
	struct cli *cli = opt->cli;
	struct check_target target;
	struct check_options run = {
		.wanted = wanted,
		.end = end,
		.interrupted = interrupted,
		.data = opt,
		.dangerous = opt->dangerous,
		.seed = opt->seed,
		.verbose = cli->verbose,
	};
	struct report *report = &opt->report;
	int err = check_target_look(cli->ctx, dev, &target), status;
	char why[512];

	if (err)
		return fail_at(cli, OPEN_DEVICE, err);
	run.timeout = opt->timeout ?: 30;
	notice(cli, "the device is reset after each test: its state is lost");
	*report = (struct report){ .cli = cli,
				   .target = &target,
				   .seed = opt->seed,
				   .strict = opt->strict,
				   .dangerous = opt->dangerous,
				   .timeout = opt->timeout };
	report->form = cli->json ? &report_json : opt->tap ? &report_ktap : &report_text;
	report->planned = count_planned(opt);
	report->form->begin(report);
	err = check_run(cli->ctx, &target, &run, why);
	status = report->form->end(report, err ? why : NULL);
	if (err == -EINTR)
		return fail(cli, STATUS_FAILED, "interrupted");
	if (err)
		return fail(cli, STATUS_DEVICE_LOST, "%s", why);
	if (report->counts[CHECK_FAIL] || (opt->strict && report->counts[CHECK_WARN]))
		return STATUS_FAILED;
	return status;
}

static int check(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	struct vfiomig_device *dev;
	int status;

	/* "check --list" needs no device, and the option can be cut off. */
	for (int i = 1; i < argc; i++)
		opt.list |= strlen(argv[i]) > 2 && strncmp(argv[i], "--list", strlen(argv[i])) == 0;
	if (opt.list)
		cli->device = "";
	status = cli_parse(cli, &argp, argc, argv, &opt);
	if (status)
		return status;
	if (opt.list)
		return list_rules(cli, is_listed, &opt);
	if (!opt.has_seed && getrandom(&opt.seed, 4, 0) != 4)
		opt.seed = 1;
	signals_catch(cli->ctx);
	status = find_device(cli, &dev);
	if (status)
		return status;
	/* Some rules close the device, and nobody else may take it meanwhile. */
	status = open_found(cli, dev, VFIOMIG_OPEN_KEEP_LOCK);
	if (!status)
		status = refuse_borrowed(cli, dev);
	if (!status)
		status = test(&opt, dev);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_check = {
	.name = "check",
	.help = "Test whether a device keeps the rules of the protocol",
	.main = check,
};
