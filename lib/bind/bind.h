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

/* Whether the kernel's VFIO is in its noiommu mode, or would be when it is loaded. */
bool bind_does_without_iommu(const struct vfiomig_ctx *ctx);
/* Without an IOMMU the kernel gives a function to VFIO only in its noiommu mode. Returns 0, or
 * -EOPNOTSUPP if that is why the device cannot be bound. */
int bind_check_iommu(struct vfiomig_device *dev);

#endif
