/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that has a device open. */
#ifndef USER_H
#define USER_H

#include <vfiomig.h>

struct user {
	int pid;
	char comm[16];
	bool is_holder;
	bool is_silent; /* a holder has it, and does not answer */
	int state;	/* the device's migration state, negative if unknown */
};

/* How long to look for users, in milliseconds: the program answers within two seconds. */
#define PATIENCE_MS 1200

/* Returns false if nobody has the device open, as far as this user may see. */
bool take_user(const struct vfiomig_use *use, struct user *user);
bool find_user(struct vfiomig_device *dev, struct user *user);

#endif
