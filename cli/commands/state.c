// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig state: read the migration state, or drive it. */
#include <argp.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>

#include "arguments.h"
#include "describe.h"
#include "device.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "signals.h"

struct options {
	struct cli *cli;
	int state; /* to drive to, or -1 */
	bool reset, json;
};

enum {
	OPT_JSON = 256
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	switch (key) {
	case 'R':
		opt->reset = true;
		return 0;
	case OPT_JSON:
		opt->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num != 1)
			break;
		opt->state = parse_state(state, arg);
		return opt->state < 0 ? EINVAL : 0;
	}
	return parse_device(state, key, arg, opt->cli);
}

static const struct argp_option options[] = {
	{ "reset", 'R', NULL, 0,
	  "Reset the device first (VFIO_DEVICE_RESET): the way out of ERROR and RESUMING. The device's state is lost.",
	  0 },
	{ "json", OPT_JSON, NULL, 0, "One JSON object", 0 },
	{ 0 }
};

static const struct argp_child children[] = {
	{ .argp = &argp_device },
	{ 0 },
};

static const struct argp argp = {
	.children = children,
	.options = options,
	.parser = parse,
	.args_doc = "DEV [STATE]",
	.doc = "Print the migration state of a device, or drive it to STATE and print the path taken, with the time that the SET_STATE calls took.\vOpening a device that nobody else has open resets it on most drivers; its state ends with the command then.",
};

/* The way that a device went: text as it goes, JSON at the end. */
struct way {
	bool json;
	bool verbose; /* each arc is told of already: text at the end */
	int at;
	uint64_t ns;
	int passed[VFIOMIG_NR_STATES], arcs_passed;
	struct json_object *arcs;
};

static int on_step(void *data, int state, uint64_t ns)
{
	struct way *way = data;

	if (way->json) {
		struct json_object *arc = json_object_new_object();

		json_object_object_add(arc, "from",
				       json_object_new_string(vfiomig_state_name(way->at)));
		json_object_object_add(arc, "to",
				       json_object_new_string(vfiomig_state_name(state)));
		json_object_object_add(arc, "ns", json_object_new_uint64(ns));
		json_object_array_add(way->arcs, arc);
	} else if (!way->verbose) {
		printf(" -> %s", vfiomig_state_name(state));
		/* An arc can take long: show what is behind us. */
		fflush(stdout);
	}
	way->passed[way->arcs_passed++] = state;
	way->at = state;
	way->ns += ns;
	return signals_came() ? -EINTR : 0;
}

static void print_result(const struct cli *cli, const struct way *way, int err,
			 const struct vfiomig_recovery *now)
{
	struct json_object *all = json_object_new_object();

	json_string(all, "device", cli->device);
	json_object_object_add(all, "arcs", json_object_get(way->arcs));
	if (err)
		json_string(all, "error", vfiomig_get_error(cli->ctx));
	json_object_object_add(all, "reset", json_object_new_boolean(now->reset));
	json_state(all, "state", now->state);
	print_json(all, stdout);
	json_object_put(all);
}

static void print_way(int from, const struct way *way)
{
	printf("%s", vfiomig_state_name(from));
	for (int i = 0; i < way->arcs_passed; i++)
		printf(" -> %s", vfiomig_state_name(way->passed[i]));
}

static int drive(struct cli *cli, struct vfiomig_device *dev, uint64_t flags,
		 const struct options *opt)
{
	int from = vfiomig_device_get_state(dev);
	struct vfiomig_result result = { .before = from };
	struct way way = {
		.json = opt->json,
		.verbose = cli->verbose,
		.at = from,
	};
	int err;

	if (from < 0)
		return fail_at(cli, MOVE_STATE, from);
	result.touched = vfiomig_fsm_path(flags, from, opt->state, NULL) >= 0;
	way.arcs = json_object_new_array();
	if (result.touched && !opt->json && !way.verbose)
		printf("%s", vfiomig_state_name(from));
	err = vfiomig_device_drive(dev, opt->state, NULL, on_step, &way);
	if (result.touched && !opt->json && way.verbose)
		print_way(from, &way);
	if (result.touched && !opt->json)
		printf(" (%.3f ms)\n", way.ns / 1e6);
	/* Before the message about it. */
	fflush(stdout);
	result.now = vfiomig_device_recover(dev, err ? from : opt->state);
	if (opt->json)
		print_result(cli, &way, err, &result.now);
	json_object_put(way.arcs);
	if (!err)
		return STATUS_OK;
	return fail_transfer(cli, status_of(MOVE_STATE, err), vfiomig_get_error(cli->ctx), &result);
}

static int print_state(struct cli *cli, struct vfiomig_device *dev, bool json)
{
	struct way way = { .arcs = NULL };
	struct vfiomig_recovery now = { .state = vfiomig_device_get_state(dev) };

	if (now.state < 0)
		return fail_at(cli, MOVE_STATE, now.state);
	if (json)
		print_result(cli, &way, 0, &now);
	else
		printf("%s\n", vfiomig_state_name(now.state));
	return STATUS_OK;
}

static int state(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli, .state = -1 };
	struct vfiomig_device *dev;
	int err = 0, status = cli_parse(cli, &argp, argc, argv, &opt);
	uint64_t flags;

	if (status)
		return status;
	signals_catch(cli->ctx);
	status = open_migratable(cli, &dev, &flags);
	if (status)
		return status;
	if (opt.reset || opt.state >= 0)
		warn_of_owner(cli, dev);
	if (opt.reset)
		err = vfiomig_device_reset(dev);
	if (err)
		status = fail_at(cli, MOVE_STATE, err);
	else if (opt.state >= 0)
		status = drive(cli, dev, flags, &opt);
	else
		status = print_state(cli, dev, opt.json);
	give_back(cli, dev, &status, "");
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_state = {
	.name = "state",
	.help = "Print a device's migration state, or drive it",
	.main = state,
};
