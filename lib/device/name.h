/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the name of a device in sysfs, in any of its spellings, to its directory there. */
#ifndef VFIOMIG_NAME_H
#define VFIOMIG_NAME_H

#include "internal.h"

/*
 * @syspath receives the canonical directory of the device called @name; free() it. Returns 0,
 * -EINVAL when @name has none of the forms that name a device, -ENOENT when there is no such
 * device, or another negative errno.
 */
int name_to_syspath(struct vfiomig_ctx *ctx, const char *name, char **syspath);

#endif
