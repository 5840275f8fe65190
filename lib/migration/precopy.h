/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the state of a device that still runs, as far as that is worth it,
 * and then the rest of it stopped: one session, one data_fd, one stream.
 */
#ifndef VFIOMIG_PRECOPY_H
#define VFIOMIG_PRECOPY_H

#include "image/pipeline.h"

struct raw;

struct precopy {
	struct vfiomig_device *dev;
	struct raw *state;
	uint64_t downtime; /* ns that moving the rest may take */
	bool stopped;	   /* it is in STOP_COPY now */
	uint64_t stop_ns;  /* CLOCK_MONOTONIC, when it began to leave RUNNING */

	uint64_t start_ns;
	uint64_t initial_end; /* bytes at which the first copy is over */
	bool has_info, seen_initial;
	unsigned int reinits;	/* first copies that began anew */
	unsigned int rounds;	/* passes over what had changed */
	unsigned int no_better; /* of them in a row did not get closer */
	uint64_t round_end;	/* bytes at which this one is over */
	uint64_t round_left;	/* what was left when it began */
	uint64_t first_pass_ns;
	uint64_t bytes; /* that were read before the stop */
	bool gave_up;	/* it did not converge */
};

/* Whether this device, in this state, can be read while it runs. */
bool precopy_possible(struct vfiomig_device *dev, int state);

void precopy_init(struct precopy *p, struct vfiomig_device *dev, struct raw *state,
		  uint64_t downtime_ns);

/* A pipeline's read stage; its first argument is the struct precopy. */
int precopy_read(void *precopy, struct chunk *chunk);

#endif
