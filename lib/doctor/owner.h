/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be had from the process that has the device open. */
#ifndef VFIOMIG_OWNER_H
#define VFIOMIG_OWNER_H

#include "device/device.h"

enum owner {
	OWNER_LENDS,
	OWNER_AT_WORK,	 /* a command of vfiomig */
	OWNER_UNBOUND,	 /* it has the cdev open, and has not bound it */
	OWNER_HAS_GROUP, /* and not the device */
	OWNER_HAS_NONE,	 /* neither of them, unless the nodes have other names there */
	OWNER_GONE,	 /* there is no such process */
	OWNER_HIDDEN	 /* this user may not look at its descriptors */
};

/* @comm: the name of the process */
enum owner owner_of(struct vfiomig_device *dev, int pid, const char *comm);

#endif
