// SPDX-License-Identifier: LGPL-2.1-or-later
/* A signal that ends system calls that sleep. */
#include <stdbool.h>
#include <stddef.h>

#include "kick.h"

/* Signals have one handler for the whole process: these are of all contexts. */
static struct {
	pthread_mutex_t lock; /* of the members below */
	int signal;
	unsigned int users;
} kicks = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void on_kick(int sig)
{
	(void)sig;
}

static bool is_free(int sig)
{
	struct sigaction act;

	return sigaction(sig, NULL, &act) == 0 && !(act.sa_flags & SA_SIGINFO) &&
	       act.sa_handler == SIG_DFL;
}

/* A signal that does nothing else, from the end of the list, because programs take the first ones.
 * The very last one is valgrind's. */
static int find_signal(const sigset_t *blocked)
{
	/* What a program blocks it may fetch with signalfd(2). Some threads block everything. */
	for (int pass = 0; pass < 2; pass++)
		for (int sig = SIGRTMAX - 1; sig > SIGRTMIN; sig--)
			if (is_free(sig) && (pass || !sigismember(blocked, sig)))
				return sig;
	return 0;
}

void kick_begin(struct kick *kick)
{
	/* Without SA_RESTART */
	const struct sigaction act = { .sa_handler = on_kick };
	sigset_t set;

	pthread_sigmask(SIG_SETMASK, NULL, &kick->before);
	pthread_mutex_lock(&kicks.lock);
	if (!kicks.users++) {
		kicks.signal = find_signal(&kick->before);
		if (kicks.signal && sigaction(kicks.signal, &act, NULL))
			kicks.signal = 0;
	}
	kick->signal = kicks.signal;
	pthread_mutex_unlock(&kicks.lock);

	sigemptyset(&set);
	if (kick->signal)
		sigaddset(&set, kick->signal);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void kick_end(struct kick *kick)
{
	const struct sigaction act = { .sa_handler = SIG_DFL };
	struct sigaction now;
	sigset_t pending;

	/* A kick that is on its way arrives at the end of a system call at the latest. It must not
	 * come when the handler is gone. */
	sigpending(&pending);
	pthread_sigmask(SIG_SETMASK, &kick->before, NULL);
	pthread_mutex_lock(&kicks.lock);
	if (!--kicks.users && kicks.signal && sigaction(kicks.signal, NULL, &now) == 0 &&
	    !(now.sa_flags & SA_SIGINFO) && now.sa_handler == on_kick)
		sigaction(kicks.signal, &act, NULL);
	pthread_mutex_unlock(&kicks.lock);
}

void kick_only(const struct kick *kick)
{
	sigset_t set;

	sigfillset(&set);
	if (kick->signal)
		sigdelset(&set, kick->signal);
	pthread_sigmask(SIG_SETMASK, &set, NULL);
}

void kick_thread(const struct kick *kick, pthread_t thread)
{
	if (kick->signal)
		pthread_kill(thread, kick->signal);
}
