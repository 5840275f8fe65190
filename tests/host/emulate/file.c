// SPDX-License-Identifier: GPL-2.0-or-later
/* The files under /run/emulated, which all processes share. */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

int sys_open(const char *path, int flags)
{
	return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0666);
}

int open_in(const char *dir, const char *name, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DIR_ROOT "/%s/%s", dir, name);
	return sys_open(path, flags);
}

void close_if(int fd)
{
	if (fd >= 0)
		syscall(SYS_close, fd);
}

bool read_text(const char *dir, const char *name, char *text, size_t size)
{
	int fd = open_in(dir, name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : syscall(SYS_read, fd, text, size - 1);

	close_if(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n >= 0;
}

void write_text(const char *dir, const char *name, const char *fmt, ...)
{
	int fd = open_in(dir, name, O_WRONLY | O_CREAT);
	char text[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (fd < 0 || syscall(SYS_pwrite64, fd, text, n, 0) != n || ftruncate(fd, n))
		abort();
	syscall(SYS_close, fd);
}

uint64_t setting(const char *dir, const char *name, uint64_t otherwise)
{
	char text[64];

	return read_text(dir, name, text, sizeof(text)) && text[0] ? strtoull(text, NULL, 0)
								   : otherwise;
}

int lock(const char *dir, const char *name)
{
	int fd = open_in(dir, name, O_RDWR | O_CREAT);

	while (fd >= 0 && flock(fd, LOCK_EX) && errno == EINTR)
		;
	return fd;
}

void unlock(int fd)
{
	close_if(fd);
}

void note(const char *dir, const char *fmt, ...)
{
	int fd = open_in(dir, "log", O_WRONLY | O_CREAT | O_APPEND);
	char line[256];
	va_list ap;
	int n = snprintf(line, sizeof(line), "%d ", getpid());

	va_start(ap, fmt);
	n += vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	line[n++] = '\n';
	if (fd >= 0 && syscall(SYS_write, fd, line, n) < 0)
		abort();
	close_if(fd);
}

ssize_t write_sparsely(int file, const char *buf, size_t size, uint64_t at)
{
	struct stat st;

	/* What is smaller may be memory that is not there, which the kernel has to tell. */
	if (size >= 4096 && !buf[0] && !memcmp(buf, buf + 1, size - 1) &&
	    !sys_stat(file, "", &st, AT_EMPTY_PATH) && (uint64_t)st.st_size <= at)
		return ftruncate(file, at + size) ? -1 : (ssize_t)size;
	return syscall(SYS_pwrite64, file, buf, size, at);
}

bool is_taken(const char *path)
{
	int fd = sys_open(path, O_RDWR);
	bool taken = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB);

	close_if(fd);
	return taken;
}
