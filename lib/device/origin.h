/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the name of a device, in any of its forms, to the devices of sysfs that it can mean. */
#ifndef VFIOMIG_ORIGIN_H
#define VFIOMIG_ORIGIN_H

#include "device.h"

/*
 * Read @name into @origin, and into @identity the devices of sysfs that it can mean: several or
 * none, if a descriptor tells no more. Returns 0 or a negative errno. Free both in both cases.
 */
int origin_find(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		struct identity *identity);
/* The same for descriptors that the caller has; they are duplicated. */
int origin_from_fds(struct vfiomig_ctx *ctx, const struct vfiomig_fds *fds, struct origin *origin,
		    struct identity *identity);
void origin_free(struct origin *origin);

#endif
