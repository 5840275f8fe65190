/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From whatever driver a PCI function has to a VFIO driver, and back. vfiomig.h describes these
 * functions. */
#ifndef VFIOMIG_BIND_H
#define VFIOMIG_BIND_H

#include "internal.h"

int bind_device(struct vfiomig_device *dev, const char *driver, unsigned int flags,
		vfiomig_binding_fn fn, void *data);
int unbind_device(struct vfiomig_device *dev, unsigned int flags, vfiomig_binding_fn fn,
		  void *data);

#endif
