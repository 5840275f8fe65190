// SPDX-License-Identifier: GPL-2.0-or-later
/* vfiomig hold and release: keep a device open, and close it. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "device.h"
#include "holder.h"
#include "json.h"
#include "message.h"
#include "notify.h"
#include "options.h"
#include "signals.h"

struct options {
	struct cli *cli;
	bool foreground;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *opt = state->input;

	(void)arg;
	switch (key) {
	case ARGP_KEY_INIT:
		return share_input(state, 2, opt->cli);
	case 'f':
		opt->foreground = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = {
	{ "foreground", 'f', NULL, 0, "Do not go into the background", 0 }, { 0 }
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
	.doc = "Open a device and keep it open in the background, so that its state outlives the commands that work on it.\vAll other commands then use the open device. \"vfiomig release\" closes it.",
};

/* Returns 0, or the exit status after a message. */
static int print_holder(const struct cli *cli, int pid, const char *path)
{
	struct json_object *object = new_object();

	add_string(object, "device", cli->device);
	add_int(object, "holder", pid);
	if (path)
		add_string(object, "socket", path);
	return print_json(cli, object, stdout);
}

/* What the notifications to the service manager are about. */
struct service {
	const struct cli *cli;
	const struct vfiomig_device *dev;
	const struct vfiomig_holder *holder;
	int status; /* of printing */
};

static void on_event(void *data, enum vfiomig_holder_event event)
{
	struct service *s = data;
	const char *name = vfiomig_device_get_name(s->dev);
	const char *path = vfiomig_holder_get_path(s->holder);

	if (event != VFIOMIG_HOLDER_READY) {
		notify_manager(s->cli, "STOPPING=1\nSTATUS=Closing %s", name);
		return;
	}
	notify_manager(s->cli, "READY=1\nSTATUS=Holding %s on %s", name, path);
	if (s->cli->json)
		s->status = print_holder(s->cli, getpid(), path);
}

static int hold_here(const struct cli *cli, struct vfiomig_device *dev,
		     struct vfiomig_holder *holder)
{
	struct service service = { cli, dev, holder, STATUS_OK };
	int status;

	vfiomig_holder_set_notify(holder, on_event, &service);
	status = serve_holder(cli, dev, holder);
	return status ? status : service.status;
}

static int hold_in_background(const struct cli *cli, struct vfiomig_device *dev,
			      struct vfiomig_holder *holder)
{
	int pid, err = holder_leave(cli, dev, holder, &pid);

	if (err)
		return fail_at(cli, OPEN_DEVICE, err);
	notice(cli, "process %d holds it, on %s", pid, vfiomig_holder_get_path(holder));
	return cli->json ? print_holder(cli, pid, vfiomig_holder_get_path(holder)) : STATUS_OK;
}

/* Holding what another process has open means to keep it after that process has ended. */
static void warn_of_group(const struct cli *cli, const struct vfiomig_device *dev)
{
	char comm[16];
	int pid;

	if (vfiomig_device_get_owner(dev, &pid, comm))
		return;
	notice(cli,
	       "warning: the device and its IOMMU group stay in use after process %d (%s) has ended, until the release",
	       pid, comm);
}

static int hold_open(const struct options *opt, struct vfiomig_device *dev)
{
	const struct cli *cli = opt->cli;
	struct vfiomig_holder *holder;
	int err, status;

	err = vfiomig_holder_new(dev, &holder);
	if (err)
		return fail_at(cli, FIND_DEVICE, err);
	warn_of_group(cli, dev);
	status = opt->foreground ? hold_here(cli, dev, holder)
				 : hold_in_background(cli, dev, holder);
	vfiomig_holder_free(holder);
	/* A holder in the foreground ends by the signal that it got, like any other program. */
	if (opt->foreground)
		signals_raise();
	return status;
}

static int hold(struct cli *cli, int argc, char **argv)
{
	struct options opt = { .cli = cli };
	struct vfiomig_device *dev;
	int status = cli_parse(cli, &argp, argc, argv, &opt);

	if (status)
		return status;
	signals_catch(cli->ctx);
	status = find_device(cli, &dev);
	if (status)
		return status;
	status = open_found(cli, dev, 0);
	if (!status)
		status = hold_open(&opt, dev);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_hold = {
	.name = "hold",
	.help = "Keep a device open in the background",
	.main = hold,
};

static error_t parse_release(int key, char *arg, struct argp_state *state)
{
	(void)arg;
	return key == ARGP_KEY_INIT ? share_input(state, 2, state->input) : ARGP_ERR_UNKNOWN;
}

static const struct argp_child release_children[] = {
	{ .argp = &argp_device },
	{ .argp = &argp_json },
	{ 0 },
};

static const struct argp release_argp = {
	.children = release_children,
	.parser = parse_release,
	.args_doc = "DEV",
	.doc = "Have the holder of a device close it. On most devices that ends the state.",
};

/* @pid receives the holder, which can tell only as long as it is there. */
static int release_device(const struct cli *cli, struct vfiomig_device *dev, int *pid)
{
	int err = cli->json ? vfiomig_device_get_holder(dev, pid) : 0;

	/* If there is none, vfiomig_device_release() says more about that. */
	return err && err != -ENOENT ? err : vfiomig_device_release(dev);
}

static int release(struct cli *cli, int argc, char **argv)
{
	struct vfiomig_device *dev;
	int err, pid = 0, status = cli_parse(cli, &release_argp, argc, argv, cli);

	if (status)
		return status;
	signals_catch(cli->ctx);
	status = find_device(cli, &dev);
	if (status)
		return status;
	vfiomig_device_set_wait(dev, cli->wait);
	err = release_device(cli, dev, &pid);
	if (err)
		status = fail_at(cli, FIND_DEVICE, err);
	else if (cli->json)
		status = print_holder(cli, pid, NULL);
	vfiomig_device_unref(dev);
	return status;
}

const struct command cmd_release = {
	.name = "release",
	.help = "Close a device that is held",
	.main = release,
};
