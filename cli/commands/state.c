// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig state: print the migration state of a device, or drive it to another one. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>

#include "arguments.h"
#include "device.h"
#include "message.h"
#include "options.h"
#include "signals.h"
#include "spelling.h"
#include "summary.h"

struct options {
	struct cli *cli;
	int state; /* to drive the device to, or -1 */
	bool reset;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, opt->cli);
	case 'R':
		opt->reset = true;
		return 0;
	case ARGP_KEY_ARG:
		if (!opt->cli->device || opt->state >= 0)
			return ARGP_ERR_UNKNOWN;
		/* "state STOP DEV" */
		if (spell_state(opt->cli->device) >= 0 && spell_state(arg) < 0) {
			const char *name = opt->cli->device;

			opt->cli->device = spell_device(arg);
			arg = (char *)name;
		}
		opt->state = parse_state(state, arg, false);
		return opt->state < 0 ? EINVAL : 0;
	case ARGP_KEY_SUCCESS:
		if (spell_state(opt->cli->device) < 0)
			return 0;
		return usage_error(state, "which device? as in \"vfiomig state DEV %s\"",
				   opt->cli->device);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "reset", 'R', NULL, 0,
	  "Reset the device first (VFIO_DEVICE_RESET): the way out of ERROR and RESUMING. The device's state is lost.",
	  0 },
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
	.args_doc = "DEV [STATE]",
	.doc = "Print the migration state of a device, or drive it to STATE and print the path taken, with the time that the SET_STATE calls took.\vOpening a device that nobody else has open resets it on most drivers. Its state then ends with the command.",
};

/* A walk that is printed as it goes on. */
struct printed_walk {
	struct walk walk;
	bool as_it_goes; /* not with --json, nor with -v, which reports each arc in its own way */
};

static int on_step(void *data, int state, uint64_t ns)
{
	struct printed_walk *p = data;
	struct walk *w = &p->walk;

	w->to[w->arcs] = state;
	w->ns[w->arcs++] = ns;
	if (p->as_it_goes) {
		printf(" -> %s", vfiomig_state_name(state));
		/* An arc can take long: show which ones are done. */
		fflush(stdout);
	}
	return signals_came() ? -EINTR : 0;
}

static void print_end_of_line(const struct printed_walk *p)
{
	uint64_t ns = 0;

	if (!p->as_it_goes) {
		printf("%s", vfiomig_state_name(p->walk.from));
		for (int i = 0; i < p->walk.arcs; i++)
			printf(" -> %s", vfiomig_state_name(p->walk.to[i]));
	}
	for (int i = 0; i < p->walk.arcs; i++)
		ns += p->walk.ns[i];
	printf(" (%.3f ms)\n", ns / 1e6);
	/* The message about a failure follows on standard error. */
	fflush(stdout);
}

/* @error: why the device is not where it should be, or NULL; @err: its errno. Returns the exit
 * status. */
static int report(const struct cli *cli, int err, const char *error, const struct walk *walk,
		  const struct vfiomig_result *result)
{
	int status = STATUS_OK, printed = STATUS_OK;

	if (err)
		status = fail_transfer(cli, MOVE_STATE, err, error, result);
	if (cli->json)
		printed = print_walk(cli, err ? error : NULL, walk, result);
	return status ? status : printed;
}

static int fail_untouched(const struct cli *cli, int err)
{
	const struct vfiomig_result result = { .before = -1, .state = -1 };

	return report(cli, err, vfiomig_get_error(cli->ctx), NULL, &result);
}

static int drive(struct cli *cli, struct vfiomig_device *dev, uint64_t flags, int state)
{
	int from = vfiomig_device_get_state(dev);
	struct printed_walk p = { .walk.from = from, .as_it_goes = !cli->json && !cli->verbose };
	struct vfiomig_result result = { .before = from };
	char error[1024];
	int err;

	if (from < 0)
		return fail_untouched(cli, from);
	result.touched = vfiomig_fsm_path(flags, from, state, NULL) >= 0;
	if (result.touched && p.as_it_goes)
		printf("%s", vfiomig_state_name(from));
	err = vfiomig_device_drive(dev, state, NULL, on_step, &p);
	if (result.touched && !cli->json)
		print_end_of_line(&p);
	snprintf(error, sizeof(error), "%s", vfiomig_get_error(cli->ctx));
	if (err)
		bring_home(dev, &result);
	if (err == -ENOTRECOVERABLE)
		result.reset = true;
	if (!err)
		result.state = state;
	return report(cli, err, error, &p.walk, &result);
}

static int print_state(const struct cli *cli, struct vfiomig_device *dev)
{
	int state = vfiomig_device_get_state(dev);
	const struct vfiomig_result result = { .before = state, .state = state };

	if (state < 0)
		return fail_untouched(cli, state);
	if (!cli->json)
		printf("%s\n", vfiomig_state_name(state));
	return report(cli, 0, NULL, NULL, &result);
}

static int reset(const struct cli *cli, struct vfiomig_device *dev)
{
	int err = vfiomig_device_reset(dev);

	return err ? fail_untouched(cli, err) : STATUS_OK;
}

/* The device has been driven to @state and closed. */
static void tell_closed(const struct cli *cli, int state)
{
	/* A new session begins in RUNNING, so that nothing is lost. */
	if (state >= 0 && state != VFIOMIG_STATE_RUNNING)
		notice(cli,
		       "nobody holds it, so it is closed now, which on most devices ends its state; \"vfiomig hold %s\" keeps it open",
		       cli->device);
}

static int state(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli, .state = -1 };
	struct vfiomig_device *dev;
	int status = cli_parse(cli, &argp, argc, argv, &opt);
	uint64_t flags;
	bool closed;

	if (status)
		return status;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (status)
		return status;
	if (opt.reset || opt.state >= 0)
		warn_of_owner(cli, dev);
	if (opt.reset)
		status = reset(cli, dev);
	if (!status)
		status = opt.state < 0 ? print_state(cli, dev) : drive(cli, dev, flags, opt.state);
	closed = !vfiomig_device_is_borrowed(dev);
	give_back(cli, dev, &status);
	if (closed && !status)
		tell_closed(cli, opt.state);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_state = {
	.name = "state",
	.help = "Print a device's migration state, or drive it",
	.main = state,
};
