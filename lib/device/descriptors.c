// SPDX-License-Identifier: LGPL-2.1-or-later
/* Closing many descriptors. Linux before 5.9 has no close_range(2), and some containers forbid it.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "descriptors.h"
#include "listing.h"

#define LAST_MAX (1 << 20)

/* Close those that the kernel lists. Returns false if it does not list them. */
static bool close_listed(int first, int last)
{
	struct listing l;
	const char *entry;

	listing_open(&l, "/proc/self/fd");
	if (l.fd < 0)
		return false;
	while ((entry = listing_next(&l))) {
		int fd = entry[0] == '.' ? -1 : atoi(entry);

		if (fd >= first && fd <= last && fd != l.fd)
			close(fd);
	}
	close(l.fd);
	return true;
}

/* The limit may have been higher when a descriptor was opened, but nothing else is left. */
static void close_below_limit(int first, int last)
{
	struct rlimit limit = { .rlim_cur = 1024 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur > LAST_MAX)
		limit.rlim_cur = LAST_MAX;
	for (int fd = first; fd <= last && fd < (int)limit.rlim_cur; fd++)
		close(fd);
}

void descriptors_close(int first, int last)
{
	if (last < 0)
		last = INT_MAX;
	if (syscall(SYS_close_range, first, last, 0) == 0 || close_listed(first, last))
		return;
	/* There is no /proc, or no descriptor was free. In the latter case one may be free now. */
	close_below_limit(first, last);
	close_listed(first, last);
}

/* An array is short, and qsort(3) may allocate memory. */
static void sort(int *list, size_t count)
{
	for (size_t i = 1; i < count; i++)
		for (size_t j = i; j > 0 && list[j - 1] > list[j]; j--) {
			int number = list[j];

			list[j] = list[j - 1];
			list[j - 1] = number;
		}
}

void descriptors_close_others(int first, int *keep, size_t count)
{
	int next = first;

	sort(keep, count);
	for (size_t i = 0; i < count; i++) {
		if (keep[i] < next)
			continue;
		if (keep[i] > next)
			descriptors_close(next, keep[i] - 1);
		next = keep[i] + 1;
	}
	descriptors_close(next, -1);
}
