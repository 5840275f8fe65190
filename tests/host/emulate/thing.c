// SPDX-License-Identifier: GPL-2.0-or-later
/* What a file stands for: its size says so, whatever descriptor a process has of it. */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

/* emulate.sh has the same number, and those of enum kind. */
#define MARK 0x5646ULL

static uint64_t size_of_thing(enum kind kind, int number, uint32_t session)
{
	return MARK << 44 | (uint64_t)kind << 40 | (uint64_t)number << 32 | session;
}

struct thing thing_of_size(uint64_t size)
{
	if (size >> 44 != MARK)
		return (struct thing){ .kind = KIND_NONE };
	return (struct thing){ size >> 40 & 0xf, size >> 32 & 0xff, size };
}

int sys_stat(int dir, const char *path, struct stat *st, int flags)
{
	return syscall(SYS_newfstatat, dir, path, st, flags);
}

struct thing thing_of(int fd)
{
	int saved = errno;
	struct stat st;
	struct thing none = { .kind = KIND_NONE };

	if (sys_stat(fd, "", &st, AT_EMPTY_PATH) || !S_ISREG(st.st_mode)) {
		errno = saved;
		return none;
	}
	return thing_of_size(st.st_size);
}

bool is_device(const struct thing *t)
{
	return t->kind == KIND_CDEV || t->kind == KIND_DEVICE;
}

const char *dir_of(const struct thing *t)
{
	static __thread char dir[16];

	if (!is_device(t) && t->kind != KIND_DATA)
		return COMMON;
	snprintf(dir, sizeof(dir), "vfio%d", t->number);
	return dir;
}

int new_thing(enum kind kind, int number, uint32_t session, int flags)
{
	int fd = syscall(SYS_openat, AT_FDCWD, DIR_ROOT, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char path[32];
	int again;

	if (fd < 0 || ftruncate(fd, size_of_thing(kind, number, session)))
		abort();
	if (flags == O_RDWR)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = sys_open(path, flags);
	syscall(SYS_close, fd);
	return again;
}

off_t position(int fd)
{
	return syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

void set_position(int fd, off_t at)
{
	syscall(SYS_lseek, fd, at, SEEK_SET);
}
