// SPDX-License-Identifier: GPL-2.0-or-later
/* A data_fd: reading the state of a device, and writing it. */
#include "emulate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How many bytes there are to be read before the device stops. */
static uint64_t initial_size(const char *dir)
{
	return setting(dir, "initial", memory_size(dir) / 2);
}

/* What read() returns then. Drivers differ. */
static int temporary_end(const char *dir)
{
	char name[32];

	if (!read_text(dir, "end", name, sizeof(name)))
		return -ENOMSG;
	name[strcspn(name, "\n")] = '\0';
	return name[0] == '0' ? 0 : -number_of_errno(name);
}

/* Unlocked readers have read at the same position, but none of them loses the step of another. */
static void advance(const char *dir, int fd, uint64_t at, ssize_t n)
{
	int held = -1;

	if (setting(dir, "unlocked", 0)) {
		sleep_for(0.001, false);
		held = lock(dir, "data-lock");
		at = position(fd);
	}
	if (n > 0)
		set_position(fd, at + n);
	unlock(held);
}

static ssize_t data_move(const struct thing *t, int fd, bool writes, void *buf, size_t size)
{
	const char *dir = dir_of(t), *name = writes ? "write" : "read";
	uint64_t at = position(fd);
	struct fault f = fault_at(dir, name, NULL, at, &size);
	int err = suffer(&f), state, file;
	ssize_t n;

	if (f.found)
		note(dir, "fault %s", name);
	if (err || f.err)
		return err ? err : f.err;
	if (f.has_result)
		return f.result;
	state = get_state(dir);
	if (t->session != setting(dir, "session", 0) ||
	    (writes ? state != RESUMING : !is_saving(state)))
		return -ENODEV;
	if (f.most && size > f.most)
		size = f.most;
	if (!writes && state != STOP_COPY) {
		uint64_t end = initial_size(dir);

		if (at >= end)
			return temporary_end(dir);
		size = size < end - at ? size : end - at;
	}
	file = open_in(dir, writes ? "incoming" : "memory", writes ? O_WRONLY : O_RDONLY);
	n = writes ? write_sparsely(file, buf, size, at)
		   : syscall(SYS_pread64, file, buf, size, at);
	n = n < 0 ? -errno : n;
	close_if(file);
	if (!writes && setting(dir, "asleep", 0) && setting(dir, "low_power", 0) == 2)
		for (ssize_t i = 0; i < n; i++)
			((char *)buf)[i] ^= 1;
	advance(dir, fd, at, n);
	return n < 0 ? n : n + (ssize_t)f.extra;
}

/* A driver's lock is held over the whole of a read or a write. */
ssize_t data_access(const struct thing *t, int fd, bool writes, void *buf, size_t size)
{
	int held = setting(dir_of(t), "unlocked", 0) ? -1 : lock(dir_of(t), "data-lock");
	ssize_t n = data_move(t, fd, writes, buf, size);

	unlock(held);
	return n;
}

ssize_t data_vector(const struct thing *t, int fd, bool writes, const struct iovec *iov, int nr)
{
	ssize_t done = 0;

	for (int i = 0; i < nr; i++) {
		ssize_t n = data_access(t, fd, writes, iov[i].iov_base, iov[i].iov_len);

		if (n < 0)
			return done ? done : n;
		done += n;
		if (n != (ssize_t)iov[i].iov_len)
			break;
	}
	return done;
}

int data_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	const char *dir = dir_of(t);
	struct vfio_precopy_info *info = arg;
	uint64_t at = position(fd), end = initial_size(dir);
	int state = get_state(dir), err;

	if (request != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	err = meet(dir, "precopy-info", NULL);
	if (err < 0)
		return err;
	if (t->session != setting(dir, "session", 0) ||
	    (state != PRE_COPY && state != PRE_COPY_P2P))
		return -EINVAL;
	info->initial_bytes = setting(dir, "initial_bytes", end > at ? end - at : 0);
	info->dirty_bytes = setting(dir, "dirty_bytes", 0);
	return 0;
}
