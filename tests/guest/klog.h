/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's log, for the C programs that test in the guest. */
#ifndef KLOG_H
#define KLOG_H

#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Returns a descriptor for what the kernel will log from now on. */
static inline int klog_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		err(1, "/dev/kmsg");
	return fd;
}

/*
 * Go on to the next line with this text. Returns what follows the text, valid until the next call,
 * or NULL if the log has no such line yet.
 */
static inline const char *klog_next(int fd, const char *text)
{
	static char line[2048];
	ssize_t n;

	while ((n = read(fd, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';

		const char *at = strstr(line, text);

		if (at)
			return at + strlen(text);
	}
	return NULL;
}

#endif
