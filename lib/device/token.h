/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VF tokens: whoever opens a virtual function while vfio-pci has its physical function has to know
 * the UUID that the physical function was opened with.
 */
#ifndef VFIOMIG_TOKEN_H
#define VFIOMIG_TOKEN_H

#include "device.h"

#define TOKEN_SIZE 16 /* bytes, in the order of the text */

/* The same as vfiomig_device_set_vf_token(). */
int device_set_vf_token(struct vfiomig_device *dev, const char *uuid);
static inline bool token_is_set(const struct vfiomig_device *dev)
{
	return dev->vf_token[0];
}

/* What sysfs says of a function's place in SR-IOV. Release it with sriov_free(). */
struct sriov {
	char *physical, *driver; /* the physical function of a virtual one, and its driver */
	bool is_vfio;		 /* that driver is a VFIO driver */
	bool is_physical;
};

struct sriov sriov_look(const struct vfiomig_device *dev);
void sriov_free(struct sriov *s);

/* The token as the kernel's structures have it. */
void token_bytes(const struct vfiomig_device *dev, uint8_t bytes[TOKEN_SIZE]);
/*
 * If the kernel has refused to open the device with @err because of its token, or because none was
 * given, say so. Returns a negative errno then, and 0 otherwise.
 */
int token_refusal(struct vfiomig_device *dev, int err);

#endif
