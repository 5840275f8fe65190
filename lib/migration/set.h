/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several devices that are saved or restored at one instant, which may talk to each other. Each has
 * a thread. The threads meet where no device may go on before all others have come so far:
 *
 *	down:	all are in their P2P states before any is in STOP or STOP_COPY
 *	up:	all are in STOP before any is in RUNNING_P2P, and there before any is in RUNNING
 *
 * One device is a set of one, which meets nobody.
 */
#ifndef VFIOMIG_SET_H
#define VFIOMIG_SET_H

#include "device/device.h"
#include "kick.h"

struct set;

/* One device of a set. */
struct part {
	struct set *set;
	struct vfiomig_device *dev;
	struct vfiomig_result *result;
	/* The data transfer state that the device must be in; negative where an arc may have left
	 * it anywhere, or its session has not begun. */
	int transfer;
	bool resumed; /* it was in RESUMING: what it held is lost, and it may hold anything */
	bool ready;   /* it can be stopped, see set_stops() */
	int err;      /* the first failure of this device, or 0 */
	/* A save: when the device began to leave the state that it was found in, and when it was
	 * back; CLOCK_MONOTONIC. */
	uint64_t stop_ns, home_ns;
};

struct set {
	struct vfiomig_ctx *ctx;
	struct part **parts;
	int count;
	struct kick kick;
	pthread_t threads[VFIOMIG_SET_MAX];
	int nr_threads;

	pthread_mutex_t lock;	/* of the members below */
	pthread_cond_t changed; /* any of them */
	int (*job)(struct part *p);
	unsigned int jobs; /* that were given to the threads */
	int done;	   /* how many of them are through with the last one */
	bool over;
	unsigned int meeting; /* its number */
	int here;	      /* how many have come to it */
	int ready;	      /* how many can be stopped */
	bool stops;	      /* all could be, at one time */
	/* The first failure of a device, and of which: then nobody waits for it. */
	struct part *failed;
	int err;
	struct failure why;
};

/* Before that: have @look find out about each device. Also after a failure, of which @failed
 * receives the device: what is told of the others is then what was read of them. */
int set_look(struct part **parts, int count, int (*look)(struct part *p), int *failed);

/*
 * Begin with these devices, whose parts have @dev and @result. Returns 0 or what ctx_fail()
 * returned: -EPROTONOSUPPORT if there are several, and one has no P2P states, unless they do not
 * talk to each other (@no_p2p). After a success set_end() is to be called.
 */
int set_begin(struct set *set, struct vfiomig_ctx *ctx, struct part **parts, int count,
	      bool no_p2p);
void set_end(struct set *set);

/* Have each device's thread call @job, and wait for all of them. Returns 0 or the first failure of
 * a device. */
int set_each(struct set *set, int (*job)(struct part *p));

/*
 * What else a device's work is done by, another thread, goes between these two. part_end() notes
 * the failure @err as the device's, and returns it.
 */
void part_begin(struct part *p, struct other *other);
int part_end(struct part *p, struct other *other, int err);

/* Outside of threads: the same for one failure. Returns @err. */
int set_blame(struct part *p, int err);

/* The device is to be stopped, and all is ready for that. Wait for the others, and note the moment.
 * Returns 0, or a negative errno as set_meet() does, also for a device that is alone: then it is
 * not to be touched. */
int set_begin_stop(struct part *p);

/* Wait until the threads of all devices are here. Returns 0, or a negative errno when that is no
 * use any more: one has failed, or the user has interrupted it. */
int set_meet(struct set *set);

/* Say whether this device can be stopped now. Returns whether all could be, at one time. */
bool set_stops(struct part *p, bool ready);
/* For a device that has nothing to do until the set stops: wait for that, or for a moment. Returns
 * 0, or a negative errno as set_meet() does. */
int set_wait_stop(struct part *p);
void set_rest(struct part *p);

/*
 * From the state @from, where this transfer has left the device, to the P2P state, in which it no
 * longer begins to talk to others; and wait until all are there. @live: it is being read in
 * PRE_COPY. Returns the state it is in, or a negative errno.
 */
int set_calm(struct part *p, int from, bool live);
/*
 * Up to @state, from STOP_COPY or STOP. If that fails, the device goes home. The other ones are
 * not held up. Returns 0 or what ctx_fail() returned.
 */
int set_leave(struct part *p, int state);
/* The same after a restore: the first failure ends it for all, and nobody goes home yet. */
int set_revive(struct part *p, int state);
/* Up to the state that the device was found in, if it is to be moved (@moves), from wherever it
 * is. */
void set_go_home(struct part *p, bool moves);

/* After the failure @err all devices go home, as with session_abort(). But a part of an image's
 * state is dropped by a reset, and what one of several has got, be it whole or not. Returns what is
 * to be returned. */
int set_abort(struct set *set, int err);

/* What came of all devices together: see vfiomig_save_set(). */
void set_sum_up(struct part *const *parts, int count, struct vfiomig_result *whole);

#endif
