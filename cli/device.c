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

void give_back(const struct cli *cli, struct vfiomig_device *dev, int *status)
{
	int err = vfiomig_device_close(dev);

	/* An earlier failure has been reported. */
	if (err && !*status)
		*status = fail(cli, status_of(OPEN_DEVICE, err), "%s", vfiomig_get_error(cli->ctx));
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

/* ---- Several devices ------------------------------------------------------------------------- */

/* Messages are about this device from here on; about all if there is none of this number. */
void speak_of(struct cli *cli, const struct devices *devices, size_t i)
{
	cli->device = devices->count == 1  ? cli->targets[0].device
		      : i < devices->count ? cli->targets[i].device
					   : NULL;
}

static int find_all(struct cli *cli, struct devices *devices)
{
	int status = STATUS_OK;

	for (int i = 0; i < cli->nr_targets && !status; i++) {
		cli->device = cli->targets[i].device;
		status = find_device(cli, &devices->device[i]);
		devices->count += !status;
		if (!status)
			status = set_way(cli, devices->device[i]);
	}
	return status;
}

static int open_all(struct cli *cli, struct devices *devices)
{
	uint64_t flags;
	size_t which;
	int err;

	/* What is said meanwhile may be about any of them. */
	speak_of(cli, devices, devices->count);
	err = vfiomig_devices_open(devices->device, devices->count, 0, &which);
	for (size_t i = 0; i < devices->count && !err; i++) {
		which = i;
		err = vfiomig_device_get_migration(devices->device[i], &flags);
	}
	if (!err)
		return STATUS_OK;
	speak_of(cli, devices, which);
	return fail_at(cli, OPEN_DEVICE, err);
}

int open_devices(struct cli *cli, struct devices *devices)
{
	int status;

	*devices = (struct devices){ .count = 0 };
	for (int i = 0; i < cli->nr_targets; i++)
		devices->result[i] = (struct vfiomig_result)VFIOMIG_RESULT_INIT;
	devices->whole = (struct vfiomig_result)VFIOMIG_RESULT_INIT;
	status = find_all(cli, devices);
	if (!status)
		status = open_all(cli, devices);
	if (status) {
		drop_devices(devices);
		return status;
	}
	for (size_t i = 0; i < devices->count; i++) {
		devices->member[i] = (struct vfiomig_member){
			.device = devices->device[i],
			.name = cli->targets[i].name,
			.result = &devices->result[i],
		};
		speak_of(cli, devices, i);
		warn_of_owner(cli, devices->device[i]);
	}
	speak_of(cli, devices, devices->count);
	return STATUS_OK;
}

void drop_devices(struct devices *devices)
{
	for (size_t i = 0; i < devices->count; i++)
		devices->device[i] = vfiomig_device_unref(devices->device[i]);
	devices->count = 0;
}

/* Whether a device that was left somewhere passes @station on its way home. */
static bool passes(const struct vfiomig_result *r, int station)
{
	if (!r->home || r->before == r->state || r->before == VFIOMIG_STATE_STOP_COPY)
		return false;
	if (station == VFIOMIG_STATE_STOP)
		return r->state == VFIOMIG_STATE_STOP_COPY;
	return r->before != VFIOMIG_STATE_STOP &&
	       (r->state == VFIOMIG_STATE_STOP || r->state == VFIOMIG_STATE_STOP_COPY);
}

/* All come to each station before any of them goes on. */
void bring_all_home(struct devices *devices)
{
	static const int stations[] = { VFIOMIG_STATE_STOP, VFIOMIG_STATE_RUNNING_P2P };

	for (size_t s = 0; s < 2 && devices->count > 1; s++)
		for (size_t i = 0; i < devices->count; i++)
			if (passes(&devices->result[i], stations[s]))
				vfiomig_device_walk_home(devices->device[i], stations[s]);
	for (size_t i = 0; i < devices->count; i++)
		if (devices->result[i].home &&
		    devices->result[i].state != devices->result[i].before)
			bring_home(devices->device[i], &devices->result[i]);
}
