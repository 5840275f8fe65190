/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Keeping the signals away that nobody has a handler for. They would end the program in the middle
 * of an arc, or stop all of its threads, which makes a driver fail that sleeps interruptibly, on
 * whatever thread.
 */
#ifndef VFIOMIG_CALM_H
#define VFIOMIG_CALM_H

#include <signal.h>

#include "internal.h"

/*
 * Block such signals in the calling thread. SIGQUIT stays the last resort. @before receives what is
 * for calm_end(), on the same thread.
 */
void calm_begin(sigset_t *before);
void calm_end(const sigset_t *before);

/*
 * Take those that have come to the process meanwhile, if no arc and no reset goes on. For any
 * thread of a process all of whose threads block them.
 */
void calm_look(struct vfiomig_ctx *ctx);

#endif
