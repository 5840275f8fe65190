/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process that keeps a device open and serves it. vfiomig.h describes these functions. */
#ifndef VFIOMIG_HOLDER_H
#define VFIOMIG_HOLDER_H

#include "internal.h"

int holder_new(struct vfiomig_device *dev, struct vfiomig_holder **holder);
int holder_fork(struct vfiomig_holder *holder);
int holder_serve(struct vfiomig_holder *holder);
/* Returns the context of the holder's device. */
struct vfiomig_ctx *holder_ctx(const struct vfiomig_holder *holder);

#endif
