/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What devices answer when they are opened, with a limit for the time that takes. vfiomig.h
 * describes this function. */
#ifndef VFIOMIG_PROBE_H
#define VFIOMIG_PROBE_H

#include "internal.h"

int probe_devices(struct vfiomig_ctx *ctx, struct vfiomig_device *const *devices, size_t n,
		  unsigned int ms, unsigned int flags, vfiomig_probe_fn fn, void *data);

#endif
