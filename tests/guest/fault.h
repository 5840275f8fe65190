/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults on the debug kernel, for the C programs that test in the guest: a function of the driver
 * fails, by its name (debugfs, fail_function), or the Nth allocation of this thread fails (failslab
 * and fail_page_alloc).
 */
#ifndef FAULT_H
#define FAULT_H

#include <err.h>
#include <stdarg.h>
#include <stdlib.h>

#include "file.h"

/* Nothing else returns this error, so that it shows where an error comes from. */
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

/* From the @nth call on, this function of the driver fails, @times times. */
static inline void fault_arm(const char *function, int nth, int times)
{
	char file[128];

	snprintf(file, sizeof(file), "fail_function/ivshmem_vfio_%s/retval", function);
	fault_set("fail_function/inject", "ivshmem_vfio_%s", function);
	fault_set(file, "%#llx", -(long long)FAULT_ERRNO);
	/* A trace of each fault in the log would look like a bug of the kernel. */
	fault_set("fail_function/verbose", "0");
	fault_set("fail_function/probability", "100");
	/* "space" is the number of calls before the first fault. */
	fault_set("fail_function/space", "%d", nth);
	fault_set("fail_function/times", "%d", times);
}

/* Returns how many of the armed faults have happened. */
static inline int fault_disarm(int times)
{
	int left = fault_get("fail_function/times");

	fault_set("fail_function/inject", " ");
	fault_count += times - left;
	return times - left;
}

/* ---- Allocations --------------------------------------------------------- */

static int fault_nth_fd = -1;

/* From now on the @nth allocation of this thread fails; with 0, none does. */
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

/* Returns whether that allocation has failed. From now on no allocation fails. */
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
