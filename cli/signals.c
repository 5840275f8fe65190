// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Signals that end the program end the transfer first, so that the device comes
 * home; then the program ends by the same signal.
 */
#include <signal.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t caught;

/*
 * The transfer looks at the flag between system calls; a signal that comes
 * after the look and before a call that blocks would be slept on. So an alarm
 * interrupts again, each second, until the transfer has seen the flag.
 */
static void on_alarm(int sig)
{
	(void)sig;
	alarm(1);
}

static void on_signal(int sig)
{
	if (!caught)
		caught = sig;
	alarm(1);
}

static void catch_signal(int sig, void (*handler)(int))
{
	struct sigaction now, act = { .sa_handler = handler };

	/* What nohup ignores stays ignored. */
	if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
		return;
	sigaction(sig, &act, NULL);
}

void signals_catch(struct vfiomig_ctx *ctx)
{
	catch_signal(SIGINT, on_signal);
	catch_signal(SIGTERM, on_signal);
	catch_signal(SIGHUP, on_signal);
	catch_signal(SIGALRM, on_alarm);
	/* A reader that went away is an error of write(2) like any other. */
	signal(SIGPIPE, SIG_IGN);
	vfiomig_set_interrupt(ctx, &caught);
}

void signals_raise(void)
{
	if (!caught)
		return;
	alarm(0);
	signal(caught, SIG_DFL);
	raise(caught);
}
