/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From what a user calls a device to where it is. */
#ifndef VFIOMIG_NAME_H
#define VFIOMIG_NAME_H

#include "device.h"
#include "identity.h"

/* name.c: the canonical sysfs directory of the device called @name. */
int name_to_syspath(struct vfiomig_ctx *ctx, const char *name, char **syspath);

/*
 * origin.c: the same for all spellings. What is found in sysfs is in @identity,
 * to be freed in any case: more than one device, or none, if that is all that a
 * descriptor tells.
 */
int origin_find(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		struct identity *identity);

#endif
