// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's memory, as /proc/meminfo tells it. */
#include <stdio.h>
#include <string.h>

#include "memory.h"

/* The sum of what @keys name, in kB. */
static uint64_t sum(struct run *run, const char *const keys[], size_t n)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128], key[64];
	unsigned long long kb;
	uint64_t total = 0;

	if (!f)
		test_skips(run, "/proc/meminfo cannot be read: %s", errno_name(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63[^:]: %llu", key, &kb) != 2)
			continue;
		for (size_t i = 0; i < n; i++)
			if (strcmp(key, keys[i]) == 0)
				total += kb;
	}
	fclose(f);
	return total;
}

uint64_t available_memory(struct run *run)
{
	static const char *const key[] = { "MemAvailable" };

	return sum(run, key, 1) * 1024;
}

/*
 * What the kernel has for itself, in kB: everything that is neither free, nor a program's or a
 * file's page, nor there because of a program, nor a cache that shrinks when memory is short. Slab
 * and VmallocUsed are only a part: a driver can also take whole pages.
 */
static uint64_t kernel_memory(struct run *run)
{
	static const char *const all[] = { "MemTotal" };
	static const char *const others[] = { "MemFree",     "Active",	     "Inactive",
					      "Unevictable", "SReclaimable", "Hugetlb",
					      "PageTables",  "KernelStack" };
	uint64_t total = sum(run, all, 1);
	uint64_t other = sum(run, others, sizeof(others) / sizeof(others[0]));

	return total > other ? total - other : 0;
}

/* Other things happen on the machine, but what leaks does so each time. This finds 2 KiB of each
 * cycle, if the device is fast. */
#define GROWTH	   1024 /* kB */
#define ROUNDS	   5
#define CYCLES	   500
#define SECONDS	   2.5
#define LOOK_EVERY 10

/* Returns by how many kB the kernel's memory has grown. */
static uint64_t repeat(struct run *run, void (*cycle)(struct run *run), unsigned int *cycles)
{
	uint64_t before = kernel_memory(run), now = before;
	double end = seconds() + SECONDS;

	for (unsigned int i = 1; i <= CYCLES && seconds() < end; i++) {
		cycle(run);
		++*cycles;
		if (i % LOOK_EVERY == 0)
			now = kernel_memory(run);
		if (now > before + GROWTH)
			break;
	}
	now = kernel_memory(run);
	return now > before ? now - before : 0;
}

void expect_no_growth(struct run *run, void (*cycle)(struct run *run), const char *what)
{
	unsigned int descriptors, cycles = 0, rounds = 0;
	uint64_t grown, total = 0;

	for (int i = 0; i < 10; i++)
		cycle(run);
	descriptors = count_descriptors(run);
	do {
		grown = repeat(run, cycle, &cycles);
		total += grown;
	} while (grown > GROWTH && ++rounds < ROUNDS);
	expect(run, grown <= GROWTH,
	       "after %u %s the kernel uses %llu kB more, and it becomes more and more", cycles,
	       what, (unsigned long long)total);
	expect(run, count_descriptors(run) == descriptors,
	       "after %u %s the process has %u descriptors, and had %u", cycles, what,
	       count_descriptors(run), descriptors);
	note(run, "%u %s", cycles, what);
}
