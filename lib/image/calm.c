// SPDX-License-Identifier: LGPL-2.1-or-later
/* Keeping the signals away that nobody has a handler for. */
#include "calm.h"

static bool is_uncaught(int sig)
{
	struct sigaction act;

	return sig != SIGQUIT && sigaction(sig, NULL, &act) == 0 && !(act.sa_flags & SA_SIGINFO) &&
	       act.sa_handler == SIG_DFL;
}

void calm_begin(sigset_t *before)
{
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, before);
	sigemptyset(&set);
	/* The library's own threads block nearly all of them already. */
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(before, sig) == 0 && is_uncaught(sig))
			sigaddset(&set, sig);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void calm_end(const sigset_t *before)
{
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

void calm_look(struct vfiomig_ctx *ctx)
{
	sigset_t pending, set, before;
	bool any = false;

	sigpending(&pending);
	sigemptyset(&set);
	for (int sig = 1; sig < NSIG; sig++) {
		if (sigismember(&pending, sig) != 1 || !is_uncaught(sig))
			continue;
		sigaddset(&set, sig);
		any = true;
	}
	if (!any || pthread_rwlock_trywrlock(&ctx->arc))
		return;
	pthread_sigmask(SIG_UNBLOCK, &set, &before);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_rwlock_unlock(&ctx->arc);
}
