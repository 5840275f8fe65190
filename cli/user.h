/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that has a device open. */
#ifndef USER_H
#define USER_H

#include <vfiomig.h>

struct user {
	int pid; /* 0 if it is not known */
	char comm[16];
	bool is_holder;
	bool is_silent;	    /* a holder has it, and does not answer: */
	char sentence[512]; /* what to say about that */
	int state;	    /* the device's migration state, negative if unknown */
	int error;	    /* the negative errno of what could not be found out, or 0 */
};

/* How long to look for users, in milliseconds: the program answers within two seconds. */
#define PATIENCE_MS 1200

/* Returns false if nobody has the device open, as far as this user may see. */
bool take_user(const struct vfiomig_use *use, struct user *user);
bool find_user(struct vfiomig_device *dev, struct user *user);

/* Why not all could be found out, if @error is not 0 */
const char *why_unknown(const struct user *user);

/* "183 (holder)" */
const char *print_user(const struct user *user, char text[48]);

/* How many milliseconds are left of these two seconds, since @start. Some always are. */
unsigned int ms_left(uint64_t start);
/* CLOCK_MONOTONIC, in nanoseconds */
uint64_t clock_ns(void);

#endif
