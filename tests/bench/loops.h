/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a save is compared with: loops that read a device's state in pieces of 1 MiB. */
#ifndef LOOPS_H
#define LOOPS_H

#include <err.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../guest/file.h"

#define READ	  (1u << 20)
#define HUGE_PAGE (2u << 20)

/* Memory on huge pages. The caller frees it. */
static inline char *huge_alloc(size_t size)
{
	char *memory;

	size = (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	memory = aligned_alloc(HUGE_PAGE, size);
	if (!memory)
		err(1, "no memory");
	madvise(memory, size, MADV_HUGEPAGE);
	return memory;
}

/* Copy the state to standard output. */
static inline void loop_copy(int data_fd)
{
	static char buf[READ];
	ssize_t n;

	while ((n = read(data_fd, buf, READ)) > 0)
		if (!write_all(STDOUT_FILENO, buf, n))
			err(1, "write");
	if (n < 0)
		err(1, "read");
}

/* Read the state, of at most @room bytes, into new memory, and write nothing. The memory ends with
 * the program, because to free it takes time. */
static inline void loop_keep(int data_fd, size_t room)
{
	char *memory = huge_alloc(room + READ);
	size_t done = 0;
	ssize_t n;

	while (done <= room && (n = read(data_fd, memory + done, READ)) > 0)
		done += n;
	if (done > room)
		errx(1, "the state does not fit into %zu bytes", room);
	if (n < 0)
		err(1, "read");
}

#endif
