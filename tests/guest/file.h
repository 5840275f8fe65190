/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small files of sysfs, procfs and debugfs, for the C programs that test in the guest. */
#ifndef FILE_H
#define FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Write the data up to the first error. Returns how many bytes were taken. */
static inline size_t write_up_to(int fd, const void *data, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = write(fd, (const char *)data + done, size - done);

		if (n < 0)
			break;
		done += n;
	}
	return done;
}

/* Write all of the data. Returns false with an errno if a part of it is refused. */
static inline bool write_all(int fd, const void *data, size_t size)
{
	return write_up_to(fd, data, size) == size;
}

/* Returns false with an errno if the file refuses the text. */
static inline bool file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), saved;
	bool good = fd >= 0 && write_all(fd, text, strlen(text));

	saved = errno;
	if (fd >= 0)
		close(fd);
	errno = saved;
	return good;
}

/* Read up to @size - 1 bytes, and end them with a null byte. Returns false with an errno if that
 * fails. */
static inline bool file_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	text[n < 0 ? 0 : n] = '\0';
	if (fd >= 0)
		close(fd);
	return n >= 0;
}

/* The path of a file that a PCI function has in sysfs; valid until the next call. */
static inline const char *pci_file(const char *name, const char *file)
{
	static _Thread_local char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", name, file);
	return path;
}

#endif
