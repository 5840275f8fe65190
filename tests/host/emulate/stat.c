// SPDX-License-Identifier: GPL-2.0-or-later
/* What is replaced: stat(2), readlink(2) and their relatives. */
#include "emulate.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CDEV_MAJOR  511
#define GROUP_MAJOR 510
#define MISC_MAJOR  10
#define VFIO_MINOR  196
#define IOMMU_MINOR 125

/* The type and the device number of what a file stands for; false if that is nothing. */
static bool appearance(uint64_t size, mode_t *type, unsigned int *major_, unsigned int *minor_)
{
	struct thing t = thing_of_size(size);

	*type = S_IFCHR;
	switch (t.kind) {
	case KIND_CDEV:
		*major_ = CDEV_MAJOR;
		*minor_ = t.number;
		return true;
	case KIND_GROUP:
		*major_ = GROUP_MAJOR;
		*minor_ = t.number;
		return true;
	case KIND_CONTAINER:
		*major_ = MISC_MAJOR;
		*minor_ = VFIO_MINOR;
		return true;
	case KIND_IOMMUFD:
		*major_ = MISC_MAJOR;
		*minor_ = IOMMU_MINOR;
		return true;
	case KIND_DEVICE:
	case KIND_DATA:
		*type = *major_ = *minor_ = 0;
		return true;
	default:
		return false;
	}
}

/* struct stat and struct stat64 are the same where off_t has 64 bits. */
static int shown(struct stat *st, int ret)
{
	unsigned int major_, minor_;
	mode_t type;

	_Static_assert(sizeof(struct stat) == sizeof(struct stat64), "an off_t has 64 bits");
	if (ret || !S_ISREG(st->st_mode) || !appearance(st->st_size, &type, &major_, &minor_))
		return ret;
	st->st_mode = (st->st_mode & ~S_IFMT) | type;
	st->st_rdev = makedev(major_, minor_);
	st->st_size = 0;
	return 0;
}

int fstatat(int dir, const char *path, struct stat *st, int flags)
{
	return shown(st, sys_stat(dir, path, st, flags));
}

int fstatat64(int dir, const char *path, struct stat64 *st, int flags)
{
	return fstatat(dir, path, (struct stat *)st, flags);
}

int stat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, 0);
}

int stat64(const char *path, struct stat64 *st)
{
	return fstatat64(AT_FDCWD, path, st, 0);
}

int lstat(const char *path, struct stat *st)
{
	return fstatat(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int lstat64(const char *path, struct stat64 *st)
{
	return fstatat64(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int fstat(int fd, struct stat *st)
{
	return fstatat(fd, "", st, AT_EMPTY_PATH);
}

int fstat64(int fd, struct stat64 *st)
{
	return fstatat64(fd, "", st, AT_EMPTY_PATH);
}

int statx(int dir, const char *path, int flags, unsigned int mask, struct statx *st)
{
	int ret = syscall(SYS_statx, dir, path, flags, mask | STATX_TYPE | STATX_SIZE, st);
	unsigned int major_, minor_;
	mode_t type;

	if (ret || !S_ISREG(st->stx_mode) || !appearance(st->stx_size, &type, &major_, &minor_))
		return ret;
	st->stx_mode = (st->stx_mode & ~S_IFMT) | type;
	st->stx_rdev_major = major_;
	st->stx_rdev_minor = minor_;
	st->stx_size = 0;
	return 0;
}

/* Whether the link says which PID namespace the process is in. */
static bool is_namespace(const char *path)
{
	size_t length = strlen(path), end = strlen("/ns/pid");

	return length > end && strcmp(path + length - end, "/ns/pid") == 0;
}

/* What a driver calls its data_fds */
static const char *data_name(const struct thing *t)
{
	static __thread char name[64];
	char text[40];

	if (!read_text(dir_of(t), "data_name", text, sizeof(text)))
		return "anon_inode:[vfio-migration]";
	snprintf(name, sizeof(name), "anon_inode:%.*s", (int)strcspn(text, "\n"), text);
	return name;
}

/* In /proc, descriptors show what the kernel calls such a file. */
ssize_t readlinkat(int dir, const char *path, char *buf, size_t size)
{
	const char *name = "anon_inode:[vfio-device]";
	char namespace[32];
	struct stat st;
	struct thing t;
	ssize_t n;

	if (is_namespace(path) && read_text(COMMON, "pidns", namespace, sizeof(namespace))) {
		n = strcspn(namespace, "\n");
		n = (size_t)n < size ? n : (ssize_t)size;
		memcpy(buf, namespace, n);
		return n;
	}
	n = syscall(SYS_readlinkat, dir, path, buf, size);
	if (n < (ssize_t)strlen(DIR_ROOT) || strncmp(buf, DIR_ROOT, strlen(DIR_ROOT)) != 0 ||
	    sys_stat(dir, path, &st, 0))
		return n;
	t = thing_of_size(st.st_size);
	if (t.kind == KIND_DATA)
		name = data_name(&t);
	else if (t.kind == KIND_UPDATE)
		name = "anon_inode:[luo_session] test";
	else if (t.kind != KIND_DEVICE)
		return n;
	n = strlen(name) < size ? strlen(name) : size;
	memcpy(buf, name, n);
	return n;
}

ssize_t readlink(const char *path, char *buf, size_t size)
{
	return readlinkat(AT_FDCWD, path, buf, size);
}

ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t size, size_t room);
ssize_t __readlinkat_chk(int dir, const char *path, char *buf, size_t size, size_t room)
{
	return size > room ? abort(), -1 : readlinkat(dir, path, buf, size);
}

ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room);
ssize_t __readlink_chk(const char *path, char *buf, size_t size, size_t room)
{
	return size > room ? abort(), -1 : readlink(path, buf, size);
}
