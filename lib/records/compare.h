/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Comparing two units, and telling of what differs. */
#ifndef VFIOMIG_COMPARE_H
#define VFIOMIG_COMPARE_H

#include "window.h"

#define TYPES_MAX 64

/* All records of a type, see VFIOMIG_DIFFERENCE_TYPE. */
struct type {
	char name[96]; /* with those of the records that they are in: "DEVICE_DATA/VQ_CFG" */
	unsigned int depth;
	uint64_t records[2], bytes[2], only[2], equal, different;
};

/* A record on the way from the outermost one to the one that is being compared. */
struct level {
	struct type *type; /* NULL: there is none */
	int only;	   /* the state that alone has it, or -1 */
	bool differs;	   /* in itself, or in what is in it */
};

/* A record that was counted with the size that its header tells. */
struct counted {
	struct type *type; /* NULL: there is none */
	uint64_t end;	   /* in the stream, which may be over before */
};

struct comparison {
	struct vfiomig_ctx *ctx;
	struct window w[2];
	vfiomig_difference_fn fn;
	void *data;
	int stopped; /* what @fn has returned */
	uint64_t differences;
	struct type types[TYPES_MAX];
	size_t nr_types;
	struct level levels[RECORDS_DEPTH_MAX + 1];
	struct counted counted[2][RECORDS_DEPTH_MAX + 1]; /* the last one of each depth */
};

/* These return 0 or what ctx_fail() returned. */

/* Compare the first units of both windows, and drop them. */
int compare_pair(struct comparison *c);
/* Only state @side has its first unit. Tell of it, and drop it. */
int compare_only(struct comparison *c, int side);
/* All units are compared: tell the sums of the types. */
int compare_end(struct comparison *c);
/* Make the call. */
int compare_tell(struct comparison *c, const struct vfiomig_difference *d);

#endif
