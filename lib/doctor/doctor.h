/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this host, or a device, lacks for migration. vfiomig.h describes this function. */
#ifndef VFIOMIG_DOCTOR_H
#define VFIOMIG_DOCTOR_H

#include "internal.h"

int doctor_diagnose(struct vfiomig_ctx *ctx, struct vfiomig_device *dev, unsigned int flags,
		    vfiomig_diagnosis_fn fn, void *data);

#endif
