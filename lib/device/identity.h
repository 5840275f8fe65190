/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which device a descriptor is. */
#ifndef VFIOMIG_IDENTITY_H
#define VFIOMIG_IDENTITY_H

#include "internal.h"

/* The devices in sysfs that a descriptor can be: one, if that is certain. They are in the order of
 * their names, in which they are locked: see devices_open(). */
struct identity {
	size_t count;
	char **syspath;
};

/* Whether a descriptor whose link in /proc/PID/fd is @target can be a VFIO device: one that cannot
 * need not be looked at. In a container or a chroot(2) the path may be any that ends like ours. */
bool identity_may_be_device(const char *target);

/*
 * @pid: the process that the descriptor comes from; its other descriptors are evidence
 * @fd: the caller's duplicate of it
 *
 * Returns 0, or a negative errno: -ENOTTY when it is no VFIO device at all. Free @identity in both
 * cases.
 */
int identity_find(struct vfiomig_ctx *ctx, int pid, int fd, struct identity *identity);
/* Add a copy of @syspath. Returns 0 or -ENOMEM. */
int identity_add(struct vfiomig_ctx *ctx, struct identity *identity, const char *syspath);
bool identity_has(const struct identity *identity, const char *syspath);
void identity_free(struct identity *identity);

#endif
