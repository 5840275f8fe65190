// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A signal that ends programs interrupts the transfer first, so that the device comes home. Then
 * the program ends by the same signal.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <vfiomig.h>

#include "printable.h"
#include "signals.h"

#define AGAIN_US 250000

static volatile sig_atomic_t caught, usr1;
static struct vfiomig_ctx *volatile interrupted;

static const int ignored[] = { SIGPIPE, SIGXFSZ, SIGUSR2 };
#define NR_IGNORED (sizeof(ignored) / sizeof(ignored[0]))
static struct sigaction as_found[NR_IGNORED];

/* Signals that end programs */
static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGALRM };
#define NR_ENDS (sizeof(ends) / sizeof(ends[0]))

/* What SIGUSR1 prints while the program waits for the other end of a FIFO. */
static char fifo_line[600];
static volatile sig_atomic_t fifo_waits;

static void on_usr1(int sig)
{
	int saved = errno;

	(void)sig;
	if (!fifo_waits || write(STDERR_FILENO, fifo_line, strlen(fifo_line)) < 0)
		usr1 = 1;
	errno = saved;
}

/* A signal that nohup made ignored stays ignored. */
static bool is_ignored(int sig)
{
	struct sigaction now;

	return sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void signals_begin(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	/* It must not end the wait for the other end of a FIFO. */
	struct sigaction note = { .sa_handler = on_usr1, .sa_flags = SA_RESTART };

	if (!is_ignored(SIGUSR1))
		sigaction(SIGUSR1, &note, NULL);
	for (size_t i = 0; i < NR_IGNORED; i++)
		sigaction(ignored[i], &ignore, &as_found[i]);
}

void signals_restore(void)
{
	for (size_t i = 0; i < NR_IGNORED; i++)
		sigaction(ignored[i], &as_found[i], NULL);
}

/* Have SIGALRM come soon. */
static void come_again(void)
{
	const struct itimerval soon = { .it_value.tv_usec = AGAIN_US };

	setitimer(ITIMER_REAL, &soon, NULL);
}

static void on_signal(int sig)
{
	if (!caught)
		caught = sig;
	if (interrupted)
		vfiomig_interrupt(interrupted);
	come_again();
}

/*
 * A signal interrupts a system call that sleeps. But if the signal comes just before the call
 * begins, or another one follows, that one sleeps all the same. So, after a signal, an alarm
 * interrupts the program again and again. An alarm before any other signal comes from outside, and
 * ends the program too.
 */
static void on_alarm(int sig)
{
	if (caught)
		come_again();
	else
		on_signal(sig);
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction act = { .sa_handler = handler };

	if (!is_ignored(sig))
		sigaction(sig, &act, NULL);
}

void signals_catch(struct vfiomig_ctx *ctx)
{
	interrupted = ctx;
	signals_catch_again();
}

void signals_catch_again(void)
{
	for (size_t i = 0; i < NR_ENDS; i++)
		handle(ends[i], ends[i] == SIGALRM ? on_alarm : on_signal);
}

bool signals_uncatch(void)
{
	for (size_t i = 0; i < NR_ENDS; i++)
		handle(ends[i], SIG_DFL);
	return !caught;
}

void signals_end(int status)
{
	/* The alarm would end a program that has nothing left to do. */
	if (caught && interrupted) {
		handle(SIGALRM, SIG_IGN);
		alarm(0);
	}
	for (size_t i = 0; i < NR_ENDS; i++)
		handle(ends[i], status ? SIG_DFL : SIG_IGN);
	interrupted = NULL;
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
	sigset_t this_one;

	if (!caught)
		return;
	alarm(0);
	signal(caught, SIG_DFL);
	sigemptyset(&this_one);
	sigaddset(&this_one, caught);
	sigprocmask(SIG_UNBLOCK, &this_one, NULL);
	raise(caught);
}

bool signals_came(void)
{
	return caught;
}

void signals_wait_fifo(const char *path)
{
	char *text = path ? format_printable("%.500s", path) : NULL;

	fifo_waits = 0;
	if (!text)
		return;
	snprintf(fifo_line, sizeof(fifo_line),
		 "0 bytes (0 B) copied; waiting for the other end of %s\n", text);
	free(text);
	fifo_waits = 1;
}

bool signals_usr1(void)
{
	bool came = usr1;

	usr1 = 0;
	return came;
}
