/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads and writes of the caller's thread outside of a pipeline: of a header or a trailer.
 * vfiomig_interrupt() may come from another thread, and such a call may sleep although poll(2) has
 * said that it would not. In a pipeline its watcher does this. There must not be two, because each
 * takes the other one's wakes.
 */
#ifndef VFIOMIG_WATCH_H
#define VFIOMIG_WATCH_H

#include "internal.h"
#include "kick.h"

struct watch {
	struct vfiomig_ctx *ctx;
	struct kick kick;
	pthread_t caller, thread;
	bool started; /* without that thread, only signals to the caller's thread end its calls */
	_Atomic bool over;
};

/* From here to watch_end() an interruption of the context ends calls of this thread that sleep. */
void watch_begin(struct watch *watch, struct vfiomig_ctx *ctx);
void watch_end(struct watch *watch);

#endif
