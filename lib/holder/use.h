/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who uses which device, found out for all devices at once. vfiomig.h describes these functions. */
#ifndef VFIOMIG_USE_H
#define VFIOMIG_USE_H

#include "internal.h"

/* What a holder's process is called. */
#define HOLDER_NAME "vfiomig-hold"

int use_foreach(struct vfiomig_ctx *ctx, unsigned int ms, vfiomig_use_fn fn, void *data);
int use_get(struct vfiomig_device *dev, unsigned int ms, vfiomig_use_fn fn, void *data);

#endif
