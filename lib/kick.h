/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A signal that ends system calls of the library's own threads, and of the thread that called the
 * library, when what they do ends before its time, and such a call sleeps.
 *
 * It is a real-time signal that the program does not use. While anything goes on that it may end,
 * it has a handler that does nothing, so that a call that sleeps fails with EINTR.
 */
#ifndef VFIOMIG_KICK_H
#define VFIOMIG_KICK_H

#include <pthread.h>
#include <signal.h>

struct kick {
	int signal;	 /* 0 if the program uses all real-time signals */
	sigset_t before; /* the signal mask of the thread that called kick_begin() */
};

/* Choose the signal, and let the calling thread receive it. */
void kick_begin(struct kick *kick);
/* On the same thread, when no thread is kicked any more and all others have ended. */
void kick_end(struct kick *kick);

/* For a new thread: block all signals but this one. */
void kick_only(const struct kick *kick);
/* A system call of @thread that sleeps, and can be interrupted, fails with EINTR. If the call has
 * not begun yet, it sleeps all the same: kick again until the thread has noticed. */
void kick_thread(const struct kick *kick, pthread_t thread);

#endif
