// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig doctor: what this host, or a device, lacks for migration, and what to do about it. */
#include <argp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "arguments.h"
#include "device.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "rundir.h"
#include "signals.h"
#include "stream.h"
#include "terminal.h"
#include "wrap.h"

#define NR_VERDICTS (VFIOMIG_UNKNOWN + 1)

struct options {
	struct cli *cli;
	unsigned int flags;
	unsigned int counts[NR_VERDICTS];
	char failures[256]; /* the names of the checks that fail */
	struct json_object *checks;
};

/* cli->device without an argument. An argument that is empty is another thing. */
static const char none[] = "";

enum {
	OPT_PROBE = 600
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, opt->cli);
	case OPT_PROBE:
		opt->flags |= VFIOMIG_DIAGNOSE_PROBE;
		return 0;
	case ARGP_KEY_END:
		if (opt->flags && opt->cli->device == none)
			return usage_error(state, "--probe is about a device: which one?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "probe", OPT_PROBE, NULL, 0,
	  "Open the device, which resets it if nobody has it open, to see what it supports", 0 },
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
	.args_doc = "[DEV]",
	.doc = "Tell what this host, and the device, lack for migration, and what to do about it.\vThis changes nothing, and opens the device only with --probe. With -q, it prints only what does not pass; the totals of an object count everything.",
};

/* ---- Text ---------------------------------------------------------------- */

#define NAME_WIDTH    18 /* "device.live-update" */
#define VERDICT_WIDTH 6	 /* with the blanks after it */

static const char *colour_of(enum vfiomig_verdict verdict)
{
	static const char *const colours[NR_VERDICTS] = {
		[VFIOMIG_PASS] = "\033[32m",
		[VFIOMIG_WARN] = "\033[33m",
		[VFIOMIG_FAIL] = "\033[1;31m",
		[VFIOMIG_UNKNOWN] = "\033[36m",
	};

	return colours[verdict];
}

/* The four letters at the beginning of a line */
static const char *word_of(enum vfiomig_verdict verdict)
{
	return verdict == VFIOMIG_UNKNOWN ? "????" : vfiomig_verdict_name(verdict);
}

static void print_word(enum vfiomig_verdict verdict)
{
	bool colour = wants_colour();

	printf("%s%s%s  ", colour ? colour_of(verdict) : "", word_of(verdict),
	       colour ? "\033[0m" : "");
}

/* On a terminal: what is the case, and below that what to do, each in as many lines as it takes. */
static void print_for_reader(const struct vfiomig_diagnosis *d, const char *advice, size_t width)
{
	char label[NAME_WIDTH + 3];

	snprintf(label, sizeof(label), "%-*s  ", NAME_WIDTH, d->check);
	print_word(d->verdict);
	print_wrapped_after(VERDICT_WIDTH, label, d->what, width);
	if (*advice)
		print_wrapped("      ", "-> ", advice, width);
}

/* In a pipe: one line */
static void print_for_program(const struct vfiomig_diagnosis *d, const char *advice)
{
	print_line("%-4s  %-*s  %s%s%s", word_of(d->verdict), NAME_WIDTH, d->check, d->what,
		   *advice ? " -> " : "", advice);
}

/* ---- Each finding -------------------------------------------------------- */

static void add_object(struct options *opt, const struct vfiomig_diagnosis *d, const char *advice)
{
	static const char *const words[NR_VERDICTS] = {
		[VFIOMIG_PASS] = "pass",
		[VFIOMIG_WARN] = "warn",
		[VFIOMIG_FAIL] = "fail",
		[VFIOMIG_UNKNOWN] = "unknown",
	};
	struct json_object *object = new_object();

	add_string(object, "check", d->check);
	add_string(object, "status", words[d->verdict]);
	add_string(object, "what", d->what);
	add_string(object, "advice", *advice ? advice : NULL);
	append_value(opt->checks, object);
}

static void count(struct options *opt, const struct vfiomig_diagnosis *d)
{
	size_t length = strlen(opt->failures);

	opt->counts[d->verdict]++;
	if (d->verdict == VFIOMIG_FAIL)
		snprintf(opt->failures + length, sizeof(opt->failures) - length, "%s%s",
			 length ? ", " : "", d->check);
}

static int take(void *data, const struct vfiomig_diagnosis *d)
{
	struct options *opt = data;
	const char *advice = d->advice, *hint = rundir_hint(d->what);
	size_t width = line_width();

	/* A user may have no directory for the session, which the library knows nothing of. */
	if (d->verdict == VFIOMIG_WARN && *hint)
		advice = hint + strlen("; ");
	count(opt, d);
	if (opt->cli->quiet && d->verdict == VFIOMIG_PASS)
		return 0;
	if (opt->cli->json)
		add_object(opt, d, advice);
	else if (width < SIZE_MAX)
		print_for_reader(d, advice, width);
	else
		print_for_program(d, advice);
	return 0;
}

/* ---- The command --------------------------------------------------------- */

/* Returns the exit status. */
static int print_object(struct options *opt)
{
	struct json_object *object = new_object(), *totals = new_object();
	struct utsname uts;

	add_string(object, "vfiomig", VERSION);
	add_string(object, "kernel", uname(&uts) ? NULL : uts.release);
	add_string(object, "device", opt->cli->device == none ? NULL : opt->cli->device);
	add_value(object, "checks", json_object_get(opt->checks));
	add_uint(totals, "pass", opt->counts[VFIOMIG_PASS]);
	add_uint(totals, "warn", opt->counts[VFIOMIG_WARN]);
	add_uint(totals, "fail", opt->counts[VFIOMIG_FAIL]);
	add_uint(totals, "unknown", opt->counts[VFIOMIG_UNKNOWN]);
	add_value(object, "totals", totals);
	return print_json(opt->cli, object, stdout);
}

static int print_totals(const struct options *opt)
{
	char text[400];

	if (opt->cli->quiet)
		return STATUS_OK;
	snprintf(text, sizeof(text), "%u FAIL%s%s%s, %u WARN, %u not known, %u PASS",
		 opt->counts[VFIOMIG_FAIL], *opt->failures ? " (" : "", opt->failures,
		 *opt->failures ? ")" : "", opt->counts[VFIOMIG_WARN], opt->counts[VFIOMIG_UNKNOWN],
		 opt->counts[VFIOMIG_PASS]);
	print_wrapped("", "", text, line_width());
	return STATUS_OK;
}

static int diagnose(struct options *opt, struct vfiomig_device *dev)
{
	int err, status;

	opt->checks = opt->cli->json ? new_array() : NULL;
	err = vfiomig_diagnose(opt->cli->ctx, dev, opt->flags, take, opt);
	if (err)
		status = fail_at(opt->cli, FIND_DEVICE, err);
	else
		status = opt->cli->json ? print_object(opt) : print_totals(opt);
	json_object_put(opt->checks);
	return !status && opt->counts[VFIOMIG_FAIL] ? STATUS_FAILED : status;
}

static int doctor(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	struct vfiomig_device *dev = NULL;
	int status;

	cli->device = none;
	status = cli_parse(cli, &argp, argc, argv, &opt);
	if (status)
		return status;
	signals_catch(cli->ctx);
	if (cli->device != none)
		status = find_device(cli, &dev);
	if (!status && dev)
		status = set_way(cli, dev);
	if (!status)
		status = diagnose(&opt, dev);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_doctor = {
	.name = "doctor",
	.help = "Tell what migration lacks here, and what to do about it",
	.main = doctor,
};
