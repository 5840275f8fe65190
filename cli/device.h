/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the name of a device to an open device, and back. */
#ifndef DEVICE_H
#define DEVICE_H

#include "cli.h"

/* Each of these returns 0, or the exit status after a message. */
int find_device(struct cli *cli, struct vfiomig_device **dev);
/* Set how the device is to be opened, as the options say. */
int set_way(const struct cli *cli, struct vfiomig_device *dev);
int open_found(struct cli *cli, struct vfiomig_device *dev, unsigned int flags);
/* Find and open a device that must have migration support. */
int open_migratable(struct cli *cli, struct vfiomig_device **dev, uint64_t *flags);
/* Close the device before success is reported, because its holder may have ended meanwhile. If it
 * has, and *@status is still 0, print a message and set *@status. */
void give_back(const struct cli *cli, struct vfiomig_device *dev, int *status);
/* Warn if the process that owns the device is running, and may change the device at any time. */
void warn_of_owner(const struct cli *cli, struct vfiomig_device *dev);

/* The devices of a save or a restore. */
struct devices {
	size_t count;
	struct vfiomig_device *device[VFIOMIG_SET_MAX];
	struct vfiomig_member member[VFIOMIG_SET_MAX];
	struct vfiomig_result result[VFIOMIG_SET_MAX];
	struct vfiomig_result whole; /* what came of all of them */
};
/* Find and open all that the user has named, which must have migration support. Returns 0, or the
 * exit status after a message. */
int open_devices(struct cli *cli, struct devices *devices);
/* Close what is open of them. */
void drop_devices(struct devices *devices);
/* Messages are about device @i from here on; about all if there is none of this number. */
void speak_of(struct cli *cli, const struct devices *devices, size_t i);
/* bring_home() for all that were left elsewhere. */
void bring_all_home(struct devices *devices);

/* After a failure: bring the device back to the state that it was found in, and note in @result how
 * that went. This replaces the library's sentence about the failure. */
void bring_home(struct vfiomig_device *dev, struct vfiomig_result *result);

#endif
