// SPDX-License-Identifier: LGPL-2.1-or-later
/* Ending calls of the caller's thread that sleep. */
#include <poll.h>

#include "watch.h"

#define LOOK_MS 1000
#define KICK_MS 20

static void *watcher(void *arg)
{
	struct watch *watch = arg;
	struct pollfd wake = { .fd = watch->ctx->wake, .events = POLLIN };

	while (!watch->over) {
		if (watch->ctx->interrupted) {
			kick_thread(&watch->kick, watch->caller);
			poll(NULL, 0, KICK_MS);
		} else {
			poll(&wake, 1, LOOK_MS);
			ctx_forget_wake(watch->ctx);
		}
	}
	return NULL;
}

void watch_begin(struct watch *watch, struct vfiomig_ctx *ctx)
{
	sigset_t before;

	*watch = (struct watch){ .ctx = ctx, .caller = pthread_self() };
	kick_begin(&watch->kick);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	kick_only(&watch->kick);
	watch->started = pthread_create(&watch->thread, NULL, watcher, watch) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void watch_end(struct watch *watch)
{
	watch->over = true;
	if (watch->started) {
		ctx_wake(watch->ctx);
		pthread_join(watch->thread, NULL);
		ctx_forget_wake(watch->ctx);
	}
	kick_end(&watch->kick);
}
