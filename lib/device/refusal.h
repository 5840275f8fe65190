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

/*
 * Some of the causes, which can be looked for before anything is requested. Each returns 0 if that
 * is not the case, or a negative errno with a sentence.
 */
/* Another device of the group has a driver that does DMA in the kernel. */
int refusal_other_driver(struct vfiomig_device *dev);
/* The firmware wants memory to stay mapped for the device. */
int refusal_reserved_region(struct vfiomig_device *dev);
/* Somebody has claimed a BAR of the function. */
int refusal_claimed_bar(struct vfiomig_device *dev);

/* Find such memory in a group's file reserved_regions. Returns 0, -ENOENT if there is none, or the
 * errno for which the file cannot be read; without a sentence. */
int refusal_find_reserved(const char *path, unsigned long long *first, unsigned long long *last);

/* Whether the platform remaps interrupts. x86 calls those that it remaps "IR-PCI-MSI" and so on,
 * and every x86 machine has an IO-APIC. Others do not tell. */
enum remapping {
	REMAPPING_UNKNOWN,
	REMAPPING_OFF,
	REMAPPING_ON
};

enum remapping refusal_get_remapping(const struct vfiomig_ctx *ctx);
/* Whether this module, vfio_iommu_type1 or iommufd, does without. */
bool refusal_allows_unsafe(const struct vfiomig_ctx *ctx, const char *module);

#endif
