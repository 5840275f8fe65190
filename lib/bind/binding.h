/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a PCI function is bound to, and changing it. */
#ifndef VFIOMIG_BINDING_H
#define VFIOMIG_BINDING_H

#include "device/device.h"

struct binding {
	char *driver;	/* that it is bound to, or NULL */
	char *override; /* driver_override, or NULL */
};

void binding_clear(struct binding *b);
/* As it is now; @b is empty before. 0, or a negative errno. */
int binding_read(const struct vfiomig_device *dev, struct binding *b);

/* Change it, step by step, so that a failure may leave it half way. */
int binding_set(struct vfiomig_device *dev, const struct binding *to);
/* No driver_override, and whatever driver the kernel chooses, or none. */
int binding_set_default(struct vfiomig_device *dev);

/* -EPERM when this process may not change it. */
int binding_check_permitted(struct vfiomig_device *dev);
/* -EBUSY when taking it from its VFIO driver would have to wait for somebody
 * who has it open. */
int binding_check_idle(struct vfiomig_device *dev);

#endif
