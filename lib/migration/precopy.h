/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading the state of a device while it runs, as long as that is worth it, and the rest of the
 * state after the device was stopped. All of it is one session, one data_fd, one stream.
 */
#ifndef VFIOMIG_PRECOPY_H
#define VFIOMIG_PRECOPY_H

#include "image/pipeline.h"
#include "set.h"

struct raw;

struct precopy {
	struct part *part;
	struct raw *state;
	uint64_t downtime; /* nanoseconds that moving the rest may take */
	uint64_t start_ns;
	uint64_t initial_end; /* bytes at which the first copy is over */
	uint64_t left;	      /* bytes that there were to read when the driver was last asked */
	bool has_info, seen_initial;
	unsigned int reinits;	/* first copies that began anew */
	unsigned int rounds;	/* passes over what had changed */
	unsigned int no_better; /* after the last so many rounds no less was left to read */
	uint64_t round_end;	/* bytes at which the current round is over */
	uint64_t round_left;	/* bytes that were left when it began */
	uint64_t first_pass_ns;
	uint64_t bytes; /* that were read before the stop */
	bool outpaced;	/* during the last round as much changed as was read */
	bool gave_up;	/* it ended before the rest could be read within the downtime */
};

/* Whether the device, which is in @state, can be read while it runs. */
bool precopy_possible(struct vfiomig_device *dev, int state);

/* The device is in PRE_COPY. */
void precopy_init(struct precopy *p, struct part *part, struct raw *state, uint64_t downtime_ns);

/* A pipeline's read stage; its first argument is the struct precopy. */
int precopy_read(void *precopy, struct chunk *chunk);

#endif
