/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions that a bind or an unbind is about. */
#ifndef VFIOMIG_MEMBER_H
#define VFIOMIG_MEMBER_H

#include "binding.h"

struct member {
	struct vfiomig_device *dev;
	struct binding was, to;
	char *lost;	     /* the driver that the function had and cannot have back */
	bool leave;	     /* there is nothing to do */
	bool kernel_chooses; /* instead of @to */
	bool recorded;	     /* this command has made the record of what it was bound to */
	bool touched;	     /* it may have been changed */
	bool in_progress;    /* the kernel goes on with a step that was interrupted */
};

struct members {
	struct member *list;
	size_t n;
	int dir; /* the directory of the records, or -1 */
};

/*
 * Collect @dev, or with @group the functions of its IOMMU group that must be bound to VFIO: the
 * endpoints. Returns 0, or -EINVAL or -EOPNOTSUPP when @dev is nothing that can be bound. Call
 * members_clear() in both cases.
 */
int members_collect(struct vfiomig_device *dev, bool group, struct members *members);
void members_clear(struct members *members);
/* Lock all of them. Only one command at a time works on a device, also if it does something else
 * than binding. */
int members_lock(struct members *members);

/*
 * Change one function after the other. If that fails, give all functions that were touched back to
 * their former drivers, the last one first. Returns 0 or the failure, whose sentence tells how that
 * went.
 */
int members_change(struct members *members, int (*change)(struct member *m, int dir));

#endif
