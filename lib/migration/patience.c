// SPDX-License-Identifier: LGPL-2.1-or-later
/* Waiting for a driver that may take long. */
#include <signal.h>
#include <time.h>

#include "image/kick.h"
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
	int interruptions; /* how many there were when the user was told */
	bool deaf;	   /* the user was told that the driver cannot be interrupted */

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

/*
 * Block the signals that a handler does not catch. They would end the program in the middle of the
 * call, or stop all of its threads, which interrupts a driver's sleep too. SIGQUIT stays the last
 * resort.
 */
static void block_uncaught(sigset_t *before)
{
	struct sigaction act;
	sigset_t set;

	sigemptyset(&set);
	for (int sig = 1; sig < NSIG; sig++)
		if (sig != SIGQUIT && sigaction(sig, NULL, &act) == 0 &&
		    !(act.sa_flags & SA_SIGINFO) && act.sa_handler == SIG_DFL)
			sigaddset(&set, sig);
	pthread_sigmask(SIG_BLOCK, &set, before);
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

/* Do what is due, without the lock. */
static void look(struct call *c)
{
	struct vfiomig_ctx *ctx = c->ctx;
	uint64_t now = now_ns();

	if (!c->since && ctx->interrupted)
		c->since = now;
	if (!c->since || now - c->since < QUIET_NS)
		return;
	if (!c->told) {
		c->told = now;
		c->interruptions = ctx->interrupted;
		ctx_notice(
			ctx,
			"interrupted; waiting for the driver: %s; another signal breaks that off",
			c->what);
	}
	if (!c->kicked && ctx->interrupted == c->interruptions && now - c->told < LIMIT_NS)
		return;
	if (!c->kicked)
		c->kicked = now;
	kick_thread(&c->kick, c->thread);
	if (!c->deaf && now - c->kicked > DEAF_NS) {
		c->deaf = true;
		ctx_notice(
			ctx,
			"%s cannot be broken off, because the driver sleeps uninterruptibly; still waiting for it",
			c->what);
	}
}

static void wait_for_end(struct call *c)
{
	struct timespec until;

	pthread_mutex_lock(&c->lock);
	while (!c->ended) {
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += TICK_NS;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		if (pthread_cond_clockwait(&c->end, &c->lock, CLOCK_MONOTONIC, &until) == 0)
			continue;
		pthread_mutex_unlock(&c->lock);
		look(c);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
}

/* Without another thread, let no signal interrupt the call. */
static int call_here(struct call *c)
{
	sigset_t all, before;
	int ret;

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
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.end = PTHREAD_COND_INITIALIZER,
	};
	sigset_t before;

	kick_begin(&c.kick);
	block_uncaught(&before);
	if (start_caller(&c)) {
		c.ret = call_here(&c);
	} else {
		wait_for_end(&c);
		pthread_join(c.thread, NULL);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	kick_end(&c.kick);
	p->ns = c.ns;
	p->broken_off = c.kicked;
	return c.ret;
}
