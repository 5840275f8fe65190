// SPDX-License-Identifier: GPL-2.0-or-later
/* From the name of a device to an open device, and back. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "device.h"
#include "message.h"
#include "signals.h"

/* The open descriptor whose number an environment variable has, or -1. */
static int inherited(const char *variable)
{
	const char *text = getenv(variable);
	int number;
	char rest;

	/* A text that is no number must not mean descriptor 0. */
	if (!text || sscanf(text, "%d%c", &number, &rest) != 1 || fcntl(number, F_GETFD) < 0)
		return -1;
	return number;
}

/* "vfiomig exec" leaves a cdev unbound, and the iommufd to bind it to in the environment. */
static int new_device(const struct cli *cli, struct vfiomig_device **dev)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	int err = vfiomig_device_new(cli->ctx, cli->device, dev);

	fds.iommufd = inherited("VFIOMIG_IOMMUFD");
	if (err || fds.iommufd < 0 || sscanf(cli->device, "fd:%d", &fds.device) != 1)
		return err;
	vfiomig_device_unref(*dev);
	return vfiomig_device_from_fds(cli->ctx, &fds, dev);
}

int find_device(struct cli *cli, struct vfiomig_device **dev)
{
	int err = new_device(cli, dev);

	return err ? fail_at(cli, FIND_DEVICE, err) : STATUS_OK;
}

int set_way(const struct cli *cli, struct vfiomig_device *dev)
{
	int err;

	vfiomig_device_set_via(dev, cli->via);
	vfiomig_device_set_wait(dev, cli->wait);
	err = vfiomig_device_set_vf_token(dev, cli->vf_token);
	return err ? fail_at(cli, FIND_DEVICE, err) : STATUS_OK;
}

int open_found(struct cli *cli, struct vfiomig_device *dev, unsigned int flags)
{
	int err, status = set_way(cli, dev);

	if (status)
		return status;
	err = vfiomig_device_open(dev, flags);
	return err ? fail_at(cli, OPEN_DEVICE, err) : STATUS_OK;
}

static int open_device(struct cli *cli, struct vfiomig_device **dev)
{
	int status = find_device(cli, dev);

	if (!status) {
		status = open_found(cli, *dev, 0);
		if (status)
			*dev = vfiomig_device_unref(*dev);
	}
	return status;
}

int open_migratable(struct cli *cli, struct vfiomig_device **dev, uint64_t *flags)
{
	int err, status = open_device(cli, dev);

	if (status)
		return status;
	err = vfiomig_device_get_migration(*dev, flags);
	if (!err)
		return STATUS_OK;
	*dev = vfiomig_device_unref(*dev);
	return fail_at(cli, OPEN_DEVICE, err);
}

bool give_back(const struct cli *cli, struct vfiomig_device *dev, int *status, const char *then)
{
	int err = vfiomig_device_close(dev);

	/* An earlier failure has been reported. */
	if (!err || *status)
		return true;
	*status = fail(cli, status_of(OPEN_DEVICE, err), "%s%s", vfiomig_get_error(cli->ctx), then);
	return false;
}

void warn_of_owner(const struct cli *cli, struct vfiomig_device *dev)
{
	char comm[16];
	int pid;

	if (!vfiomig_device_owner_runs(dev) || vfiomig_device_get_owner(dev, &pid, comm))
		return;
	notice(cli,
	       "warning: process %d (%s) is running; a VMM should be paused before its device is touched",
	       pid, comm);
}

void bring_home(struct vfiomig_device *dev, struct vfiomig_result *result)
{
	int err = vfiomig_device_walk_home(dev, result->before);

	/* An arc that the user has broken off can be taken again, and the device has its state. */
	if (err && !(err == -EINTR && signals_came()))
		vfiomig_device_reset_home(dev, result->before, &result->reset);
	result->state = vfiomig_device_get_state(dev);
	result->home = result->state == result->before;
}
