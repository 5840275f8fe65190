// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A system call in the emulated kernel.
 *
 * The kernel does each system call as a whole, also if a signal ends the process. Only a call that
 * sleeps interruptibly ends early.
 */
#include "emulate.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

__thread sigset_t unblocked;

void begin_call(void)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &unblocked);
}

static void end_call(void)
{
	int saved = errno;

	pthread_sigmask(SIG_SETMASK, &unblocked, NULL);
	errno = saved;
}

int sleep_for(double seconds, bool interruptible)
{
	struct timespec time = { seconds, (seconds - (long)seconds) * 1e9 };

	if (!interruptible) {
		ppoll(NULL, 0, &time, NULL);
		return 0;
	}
	return ppoll(NULL, 0, seconds < 0 ? NULL : &time, &unblocked) < 0 ? -EINTR : 0;
}

ssize_t outcome(ssize_t ret)
{
	if (ret < 0) {
		errno = -ret;
		ret = -1;
	}
	end_call();
	return ret;
}
