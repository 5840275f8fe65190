/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults on the debug kernel, for the C programs that test in the guest: a
 * function of the driver that fails, by name (debugfs, fail_function), or the
 * Nth allocation of this thread (failslab and fail_page_alloc).
 */
#ifndef FAULT_H
#define FAULT_H

#include <err.h>
#include <stdarg.h>
#include <stdlib.h>

#include "file.h"

/* Which nothing else returns, so that it can be told where an error is from. */
#define FAULT_ERRNO EREMOTEIO

#define FAULTS	    "/sys/kernel/debug"

static int fault_count;

__attribute__((format(printf, 2, 3))) static inline void fault_set(const char *file,
								   const char *fmt, ...)
{
	char path[256], text[64];
	va_list ap;

	snprintf(path, sizeof(path), FAULTS "/%s", file);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!file_write(path, text))
		err(1, "%s", path);
}

static inline int fault_get(const char *file)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), FAULTS "/%s", file);
	if (!file_read(path, text, sizeof(text)))
		err(1, "%s", path);
	return atoi(text);
}

/* The @nth call of this function of the driver fails, and those after it, until
 * @times have failed. */
static inline void fault_arm(const char *function, int nth, int times)
{
	char file[128];

	snprintf(file, sizeof(file), "fail_function/ivshmem_vfio_%s/retval", function);
	fault_set("fail_function/inject", "ivshmem_vfio_%s", function);
	fault_set(file, "%#llx", -(long long)FAULT_ERRNO);
	/* A trace of each in the log would look like a fault of the kernel. */
	fault_set("fail_function/verbose", "0");
	fault_set("fail_function/probability", "100");
	/* "space" is what it takes before the first. */
	fault_set("fail_function/space", "%d", nth);
	fault_set("fail_function/times", "%d", times);
}

/* Returns how many of the armed faults there were. */
static inline int fault_disarm(int times)
{
	int left = fault_get("fail_function/times");

	fault_set("fail_function/inject", " ");
	fault_count += times - left;
	return times - left;
}

/* ---- Allocations --------------------------------------------------------- */

static int fault_nth_fd = -1;

/* The @nth allocation of this thread from here on fails; 0: none does. */
static inline void fault_allocation(int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", nth);

	if (fault_nth_fd < 0) {
		fault_set("failslab/ignore-gfp-wait", "N");
		fault_set("failslab/verbose", "0");
		fault_set("fail_page_alloc/ignore-gfp-wait", "N");
		fault_set("fail_page_alloc/verbose", "0");
		fault_set("fail_page_alloc/min-order", "0");
		fault_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	}
	if (pwrite(fault_nth_fd, text, n, 0) != n)
		err(1, "fail-nth");
}

/* Has it come to that since? No allocation fails from here on. */
static inline bool fault_allocation_came(void)
{
	char text[16] = { 0 };
	bool came;

	if (pread(fault_nth_fd, text, sizeof(text) - 1, 0) < 0)
		err(1, "fail-nth");
	came = atoi(text) == 0;
	fault_allocation(0);
	fault_count += came;
	return came;
}

#endif
