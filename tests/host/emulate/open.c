// SPDX-License-Identifier: GPL-2.0-or-later
/* What is replaced: open(2) and its relatives, and close(2). */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A group is opened once, and only while nobody has bound one of its devices. */
static int open_group(const struct thing *t, int fd)
{
	char dir[16], path[PATH_MAX];

	if (flock(fd, LOCK_EX | LOCK_NB))
		return -EBUSY;
	for (int i = 0; i < NR_DEVICES; i++) {
		snprintf(dir, sizeof(dir), "vfio%d", i);
		snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", i);
		if (setting(dir, "group", ~0ULL) == (uint64_t)t->number && is_taken(path))
			return -EBUSY;
	}
	return 0;
}

static int opened(int fd)
{
	static const char *const events[] = {
		[KIND_CDEV] = "open",
		[KIND_GROUP] = "open-group",
		[KIND_CONTAINER] = "open-container",
		[KIND_IOMMUFD] = "open-iommufd",
	};
	struct thing t = thing_of(fd);
	int err;

	if (fd < 0 || !t.kind || t.kind >= KIND_DEVICE)
		return fd;
	/* A descriptor that only names the file */
	if (fcntl(fd, F_GETFL) & O_PATH)
		return fd;
	begin_call();
	err = meet(dir_of(&t), events[t.kind], NULL);
	if (err >= 0)
		err = t.kind == KIND_GROUP ? open_group(&t, fd) : 0;
	if (err)
		syscall(SYS_close, fd);
	return outcome(err ? err : fd);
}

static int open_at(int dir, const char *path, int flags, va_list ap)
{
	mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;

	return opened(syscall(SYS_openat, dir, path, flags, mode));
}

#define OPEN_AT(dir)                                \
	({                                          \
		va_list ap;                         \
		int fd;                             \
                                                    \
		va_start(ap, flags);                \
		fd = open_at(dir, path, flags, ap); \
		va_end(ap);                         \
		fd;                                 \
	})

int open(const char *path, int flags, ...)
{
	return OPEN_AT(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
	return OPEN_AT(AT_FDCWD);
}

int openat(int dir, const char *path, int flags, ...)
{
	return OPEN_AT(dir);
}

int openat64(int dir, const char *path, int flags, ...)
{
	return OPEN_AT(dir);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
	return open(path, flags);
}

int __openat_2(int dir, const char *path, int flags);
int __openat_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

int __openat64_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags)
{
	return openat(dir, path, flags);
}

/* Whoever closes the last descriptor of a device that is bound waits for its driver. */
int close(int fd)
{
	struct thing t = thing_of(fd);
	char path[PATH_MAX];
	int ret, err;

	if (t.kind != KIND_CDEV)
		return syscall(SYS_close, fd);
	snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%d", t.number);
	begin_call();
	err = is_taken(path) ? 0 : 1;
	ret = syscall(SYS_close, fd);
	if (!err && !is_taken(path))
		err = meet(dir_of(&t), "close", NULL);
	return outcome(err < 0 ? err : ret);
}
