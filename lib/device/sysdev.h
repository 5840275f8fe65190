/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device as sysfs shows it, whether or not anybody has it open. */
#ifndef VFIOMIG_SYSDEV_H
#define VFIOMIG_SYSDEV_H

#include "internal.h"

/* Strings are NULL where sysfs has nothing. */
struct sysdev {
	char *syspath;	  /* the canonical directory */
	const char *name; /* the last component of that: "0000:3b:00.1" */
	char *bus, *mdev_type;
	bool is_pci;
	struct vfiomig_pci_id pci;
	/* These change when a driver is bound: see sysdev_refresh(). */
	char *driver, *cdev;
	int group; /* the IOMMU group's number, or -1; without an IOMMU VFIO makes the group */
};

/* For a device that is not in sysfs, or not yet known to be. */
#define SYSDEV_NONE ((struct sysdev){ .group = -1 })

/*
 * Read the device in the directory @syspath. Returns 0 or a negative errno; free @s in both cases.
 *
 * A file that is missing is not the same as a file that cannot be read: an image with one half of a
 * device's identity would be taken for an image of another device.
 */
int sysdev_read(struct vfiomig_ctx *ctx, const char *syspath, struct sysdev *s);
/* Read the driver, the cdev and the group again. */
int sysdev_refresh(struct vfiomig_ctx *ctx, struct sysdev *s);
void sysdev_free(struct sysdev *s);

/* The name of the node of its group in /dev/vfio: "12", or "noiommu-12" where the kernel has no
 * IOMMU for it. Returns false if it is in no group. */
bool sysdev_group_name(const struct vfiomig_ctx *ctx, const struct sysdev *s, char name[32]);

/*
 * Whether a driver is being taken from the device, or given to it, at this moment: the kernel does
 * one step of that after the other, and in between waits for those who have the device open. Then
 * whatever needs the device's lock waits, too, and no signal ends that.
 */
bool sysdev_is_changing(struct vfiomig_ctx *ctx, const struct sysdev *s);

/*
 * Devices that are registered with VFIO, on whatever bus, and those that are being taken from it
 * while somebody has them open; sorted by name.
 */
struct sysdevs {
	struct sysdev *list;
	size_t count;
};

/* Read all of them. Returns 0 or a negative errno; free @all in both cases. */
int sysdevs_read(struct vfiomig_ctx *ctx, struct sysdevs *all);
void sysdevs_free(struct sysdevs *all);

#endif
