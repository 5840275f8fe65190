/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The functions that a bind or an unbind is about. */
#ifndef VFIOMIG_MEMBER_H
#define VFIOMIG_MEMBER_H

#include "binding.h"

struct member {
	struct vfiomig_device *dev;
	struct binding was, to;
	char *lost;	     /* the driver that it cannot have back */
	bool leave;	     /* there is nothing to do */
	bool kernel_chooses; /* instead of @to */
	bool recorded;	     /* it was noted what it was bound to, just now */
	bool touched;	     /* it may not be bound to what it was any more */
};

struct members {
	struct member *list;
	size_t n;
	int dir; /* of the records, or -1 */
};

/*
 * @dev, or, for @group, the functions of its IOMMU group that VFIO has to have:
 * the endpoints. Returns 0, or -EINVAL or -EOPNOTSUPP when @dev cannot be one.
 * members_clear() in both cases.
 */
int members_collect(struct vfiomig_device *dev, bool group, struct members *members);
void members_clear(struct members *members);
/* One command at a time, also of those that have nothing to do with binding. */
int members_lock(struct members *members);

/*
 * Do what is planned, with one after the other, until one fails; then all of
 * those that were touched go back to what they were, the last one first.
 * Returns 0 or the failure, whose sentence tells of that.
 */
int members_change(struct members *members, int (*change)(struct member *m, int dir));

#endif
