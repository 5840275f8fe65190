// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A signal that ends programs interrupts the transfer first, so that the device comes home. Then
 * the program ends by the same signal.
 */
#include <signal.h>
#include <unistd.h>
#include <vfiomig.h>

#include "signals.h"

static volatile sig_atomic_t caught, usr1;
static struct vfiomig_ctx *interrupted;

static const int ignored[] = { SIGPIPE, SIGXFSZ };
static struct sigaction as_found[2];

void signals_ignore(void)
{
	struct sigaction act = { .sa_handler = SIG_IGN };

	for (int i = 0; i < 2; i++)
		sigaction(ignored[i], &act, &as_found[i]);
}

void signals_restore(void)
{
	for (int i = 0; i < 2; i++)
		sigaction(ignored[i], &as_found[i], NULL);
}

static void on_signal(int sig)
{
	if (!caught)
		caught = sig;
	vfiomig_interrupt(interrupted);
	alarm(1);
}

/*
 * A signal interrupts a write that blocks. But if the signal comes just before the write begins,
 * the write blocks all the same. So, after a signal, an alarm interrupts the program again each
 * second. An alarm before any other signal comes from outside, and ends the program too.
 */
static void on_alarm(int sig)
{
	if (caught)
		alarm(1);
	else
		on_signal(sig);
}

static void on_usr1(int sig)
{
	(void)sig;
	usr1 = 1;
}

static void catch_signal(int sig, void (*handler)(int))
{
	struct sigaction now, act = { .sa_handler = handler };

	/* A signal that nohup made ignored stays ignored. */
	if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
		return;
	sigaction(sig, &act, NULL);
}

void signals_catch(struct vfiomig_ctx *ctx)
{
	interrupted = ctx;
	catch_signal(SIGINT, on_signal);
	catch_signal(SIGTERM, on_signal);
	catch_signal(SIGHUP, on_signal);
	catch_signal(SIGXCPU, on_signal);
	catch_signal(SIGALRM, on_alarm);
	catch_signal(SIGUSR1, on_usr1);
}

void signals_hold(void)
{
	struct sigaction act = { .sa_handler = on_signal };
	sigset_t none;

	sigemptyset(&none);
	sigaction(SIGTERM, &act, NULL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void signals_raise(void)
{
	if (!caught)
		return;
	alarm(0);
	signal(caught, SIG_DFL);
	raise(caught);
}

bool signals_came(void)
{
	return caught;
}

bool signals_usr1(void)
{
	bool came = usr1;

	usr1 = 0;
	return came;
}
