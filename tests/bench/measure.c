// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * measure FILE CMD...: run CMD and add a line to FILE: the time that CMD took,
 * the processor time of CMD and its children (both in microseconds), and the
 * peak resident memory of the largest of these processes (in KiB).
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

static long long to_us(const struct timeval *tv)
{
	return tv->tv_sec * 1000000LL + tv->tv_usec;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	long long start;
	int status;
	pid_t pid;
	FILE *f;

	if (argc < 3)
		errx(2, "usage: measure FILE CMD...");
	start = now_us();
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (pid == 0) {
		execvp(argv[2], argv + 2);
		err(127, "%s", argv[2]);
	}
	if (wait4(pid, &status, 0, &usage) < 0)
		err(2, "wait");
	start = now_us() - start;
	if (status)
		errx(1, "%s: wait status %#x", argv[2], status);
	f = fopen(argv[1], "a");
	if (!f ||
	    fprintf(f, "%lld %lld %ld\n", start, to_us(&usage.ru_utime) + to_us(&usage.ru_stime),
		    usage.ru_maxrss) < 0 ||
	    fclose(f))
		err(2, "%s", argv[1]);
	return 0;
}
