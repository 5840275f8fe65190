// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waiting for a driver that may take long. */
#include <signal.h>

#include "image/calm.h"
#include "kick.h"
#include "patience.h"

#define TICK_NS	 50000000
#define QUIET_NS 500000000ULL  /* after the interruption, before the notice */
#define LIMIT_NS 5000000000ULL /* after the notice, before the driver is interrupted */
#define DEAF_NS	 1000000000ULL /* after that, before the user is told that it does not help */

struct call {
	struct vfiomig_ctx *ctx;
	const char *what;
	int (*fn)(void *arg);
	void *arg;
	struct kick kick;
	pthread_t thread;

	/* When it was first seen that the context is interrupted, when the user was told, and when
	 * the driver was first interrupted; 0 for not yet. */
	uint64_t since, told, kicked;
	int insisted; /* how often the user had insisted before this call */
	bool deaf;    /* the user was told that the driver cannot be interrupted */

	pthread_mutex_t lock; /* of the members below */
	pthread_cond_t end;
	bool ended;
	int ret;
	uint64_t ns;
};

static int run(struct call *c)
{
	uint64_t start = now_ns();
	int ret = c->fn(c->arg);

	c->ns = now_ns() - start;
	return ret;
}

static void *caller(void *arg)
{
	struct call *c = arg;
	int ret = run(c);

	pthread_mutex_lock(&c->lock);
	c->ret = ret;
	c->ended = true;
	pthread_cond_signal(&c->end);
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* The new thread blocks all signals but the kick. */
static int start_caller(struct call *c)
{
	sigset_t before;
	int err;

	pthread_sigmask(SIG_SETMASK, NULL, &before);
	kick_only(&c->kick);
	err = pthread_create(&c->thread, NULL, caller, c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static void tell(struct call *c, uint64_t now)
{
	c->told = now;
	if (c->kick.signal)
		ctx_notice(
			c->ctx,
			"interrupted; waiting for the driver: %s; another signal breaks that off",
			c->what);
	else
		ctx_notice(
			c->ctx,
			"interrupted; waiting for the driver: %s; nothing breaks that off, because the program uses all real-time signals",
			c->what);
}

static void interrupt_driver(struct call *c, uint64_t now)
{
	if (!c->kick.signal)
		return;
	if (!c->kicked)
		c->kicked = now;
	c->ctx->hurries = true;
	kick_thread(&c->kick, c->thread);
	if (c->deaf || now - c->kicked <= DEAF_NS)
		return;
	c->deaf = true;
	ctx_notice(
		c->ctx,
		"%s cannot be broken off, because the driver does not react to signals; still waiting for it",
		c->what);
}

/* Do what is due, without the lock. */
static void look(struct call *c)
{
	uint64_t now = now_ns();
	bool insisted, quiet;

	if (!c->since && c->ctx->interrupted)
		c->since = now;
	if (!c->since)
		return;
	/* A user who has had to insist once does so for all that follows, which is the way home:
	 * see interrupt_driver(). */
	insisted = c->ctx->insisted > c->insisted;
	quiet = now - c->since < QUIET_NS;
	if (!quiet && !c->told && !c->kicked && !c->ctx->hurries)
		tell(c, now);
	if (c->kicked || insisted || (!quiet && c->ctx->hurries) ||
	    (c->told && now - c->told >= LIMIT_NS))
		interrupt_driver(c, now);
}

static void wait_for_end(struct call *c)
{
	pthread_mutex_lock(&c->lock);
	while (!c->ended) {
		if (wait_cond(&c->end, &c->lock, TICK_NS))
			continue;
		pthread_mutex_unlock(&c->lock);
		look(c);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
}

/* Without another thread, let no signal interrupt the call. @err says why there is none. */
static int call_here(struct call *c, int err)
{
	sigset_t all, before;
	int ret;

	ctx_notice(c->ctx, "cannot start a thread (%s), so that nothing breaks off %s",
		   strerror(err), c->what);
	sigfillset(&all);
	sigdelset(&all, SIGQUIT);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = run(c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

int patience_call(struct vfiomig_ctx *ctx, const char *what, int (*fn)(void *arg), void *arg,
		  struct patience *p)
{
	struct call c = {
		.ctx = ctx,
		.what = what,
		.fn = fn,
		.arg = arg,
		.insisted = ctx->insisted,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.end = PTHREAD_COND_INITIALIZER,
	};
	sigset_t before;
	int err;

	pthread_rwlock_rdlock(&ctx->arc);
	kick_begin(&c.kick);
	calm_begin(&before);
	err = start_caller(&c);
	if (err) {
		c.ret = call_here(&c, err);
	} else {
		wait_for_end(&c);
		pthread_join(c.thread, NULL);
	}
	calm_end(&before);
	kick_end(&c.kick);
	pthread_rwlock_unlock(&ctx->arc);
	p->ns = c.ns;
	p->broken_off = c.kicked;
	return c.ret;
}
