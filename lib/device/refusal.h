/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Why the kernel refuses to give a device away. */
#ifndef VFIOMIG_REFUSAL_H
#define VFIOMIG_REFUSAL_H

#include "device.h"

/*
 * The request failed with @err, a negative errno. The kernel has the same errno for several causes,
 * so that these functions look for what is the case, in sysfs and /proc, and say it. They return
 * a negative errno for the caller to return, which is not always @err: -EBUSY and -EPERM are for
 * what the user may change.
 */
int refusal_bind(struct vfiomig_device *dev, int err);	    /* VFIO_DEVICE_BIND_IOMMUFD */
int refusal_attach(struct vfiomig_device *dev, int err);    /* VFIO_DEVICE_ATTACH_IOMMUFD_PT */
int refusal_viable(struct vfiomig_device *dev);		    /* VFIO_GROUP_GET_STATUS says no */
int refusal_container(struct vfiomig_device *dev, int err); /* VFIO_GROUP_SET_CONTAINER */
int refusal_iommu(struct vfiomig_device *dev, int err);	    /* VFIO_SET_IOMMU */
int refusal_device(struct vfiomig_device *dev, int err);    /* VFIO_GROUP_GET_DEVICE_FD */

#endif
