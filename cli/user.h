/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that has a device open. */
#ifndef USER_H
#define USER_H

#include <vfiomig.h>

struct user {
	int pid;
	char comm[16];
	bool is_holder;
	int state; /* the device's migration state, negative if unknown */
};

/* Returns false if nobody has the device open, as far as this user may see. */
bool find_user(const struct vfiomig_device *dev, struct user *user);

#endif
