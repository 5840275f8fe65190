// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * copy THREADS: let so many threads copy memory, and print how many GB they copy in a second. The
 * blocks are larger than the caches, so that this is a limit for whatever moves as many bytes.
 */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BLOCK  (64ul << 20)
#define COPIES 16

static pthread_barrier_t barrier;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void *copy(void *arg)
{
	char *from = malloc(BLOCK), *to = malloc(BLOCK);

	(void)arg;
	if (!from || !to)
		errx(1, "no memory");
	memset(from, 1, BLOCK);
	memset(to, 1, BLOCK);
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < COPIES; i++) {
		memcpy(to, from, BLOCK);
		/* The compiler must not leave copies out. */
		__asm__ volatile("" : : "r"(to) : "memory");
	}
	pthread_barrier_wait(&barrier);
	free(from);
	free(to);
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc == 2 ? atoi(argv[1]) : 0;
	double start;

	if (threads < 1)
		errx(2, "usage: copy THREADS");
	pthread_barrier_init(&barrier, NULL, threads + 1);
	for (int i = 0; i < threads; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, copy, NULL))
			errx(1, "cannot start a thread");
		pthread_detach(thread);
	}
	pthread_barrier_wait(&barrier);
	start = now();
	pthread_barrier_wait(&barrier);
	printf("%.2f\n", BLOCK * COPIES * threads / (now() - start) / 1e9);
	return 0;
}
