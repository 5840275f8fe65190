/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which device a descriptor is. */
#ifndef VFIOMIG_IDENTITY_H
#define VFIOMIG_IDENTITY_H

#include "internal.h"

/* The devices in sysfs that a descriptor can be; one, if that is certain. */
struct identity {
	size_t count;
	char **syspath;
};

/* Whether what a descriptor links to is a VFIO device. */
bool identity_is_device(const char *target);

/*
 * @pid: the process that the descriptor comes from, whose other descriptors are
 *	evidence
 * @fd: our duplicate of it
 *
 * Returns 0, or -ENOTTY when it is no VFIO device at all. Free in both cases.
 */
int identity_find(struct vfiomig_ctx *ctx, int pid, int fd, struct identity *identity);
bool identity_has(const struct identity *identity, const char *syspath);
void identity_free(struct identity *identity);

#endif
