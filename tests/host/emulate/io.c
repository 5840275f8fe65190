// SPDX-License-Identifier: GPL-2.0-or-later
/* What is replaced: ioctl(2), read(2), write(2), lseek(2) and their relatives. */
#include "emulate.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int do_ioctl(const struct thing *t, int fd, unsigned long request, void *arg)
{
	switch (t->kind) {
	case KIND_CDEV:
	case KIND_DEVICE:
		return device_ioctl(t, fd, request, arg);
	case KIND_GROUP:
		return group_ioctl(t, fd, request, arg);
	case KIND_CONTAINER:
		return container_ioctl(fd, request, arg);
	case KIND_IOMMUFD:
		return iommufd_ioctl(request, arg);
	default:
		return data_ioctl(t, fd, request, arg);
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	struct thing t = thing_of(fd);
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (!t.kind)
		return syscall(SYS_ioctl, fd, request, arg);
	begin_call();
	return outcome(do_ioctl(&t, fd, request, arg));
}

ssize_t read(int fd, void *buf, size_t size)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_read, fd, buf, size);
	begin_call();
	if (t.kind == KIND_KMSG)
		return outcome(kmsg_read(fd, buf, size));
	return outcome(t.kind == KIND_DATA ? data_access(&t, fd, false, buf, size) : -EINVAL);
}

ssize_t write(int fd, const void *buf, size_t size)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_write, fd, buf, size);
	begin_call();
	if (t.kind == KIND_KMSG)
		return outcome(kmsg_write(buf, size));
	return outcome(t.kind == KIND_DATA ? data_access(&t, fd, true, (void *)buf, size)
					   : -EINVAL);
}

ssize_t readv(int fd, const struct iovec *iov, int nr)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_readv, fd, iov, nr);
	begin_call();
	return outcome(t.kind == KIND_DATA ? data_vector(&t, fd, false, iov, nr) : -EINVAL);
}

ssize_t writev(int fd, const struct iovec *iov, int nr)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_writev, fd, iov, nr);
	begin_call();
	return outcome(t.kind == KIND_DATA ? data_vector(&t, fd, true, iov, nr) : -EINVAL);
}

ssize_t pread64(int fd, void *buf, size_t size, off64_t at)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_pread64, fd, buf, size, at);
	begin_call();
	return outcome(is_device(&t)	     ? region_access(&t, false, buf, size, at)
		       : t.kind == KIND_DATA ? -ESPIPE
					     : -EINVAL);
}

ssize_t pwrite64(int fd, const void *buf, size_t size, off64_t at)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_pwrite64, fd, buf, size, at);
	begin_call();
	return outcome(is_device(&t)	     ? region_access(&t, true, (void *)buf, size, at)
		       : t.kind == KIND_DATA ? -ESPIPE
					     : -EINVAL);
}

ssize_t pread(int fd, void *buf, size_t size, off_t at)
{
	return pread64(fd, buf, size, at);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t at)
{
	return pwrite64(fd, buf, size, at);
}

off64_t lseek64(int fd, off64_t at, int whence)
{
	struct thing t = thing_of(fd);

	if (!t.kind)
		return syscall(SYS_lseek, fd, at, whence);
	if (t.kind == KIND_KMSG && whence == SEEK_END) {
		kmsg_end(fd);
		return 0;
	}
	errno = ESPIPE;
	return -1;
}

off_t lseek(int fd, off_t at, int whence)
{
	return lseek64(fd, at, whence);
}

/* What programs call that were built with _FORTIFY_SOURCE */
ssize_t __read_chk(int fd, void *buf, size_t size, size_t room);
ssize_t __read_chk(int fd, void *buf, size_t size, size_t room)
{
	return size > room ? abort(), -1 : read(fd, buf, size);
}

ssize_t __pread_chk(int fd, void *buf, size_t size, off_t at, size_t room);
ssize_t __pread_chk(int fd, void *buf, size_t size, off_t at, size_t room)
{
	return size > room ? abort(), -1 : pread64(fd, buf, size, at);
}

ssize_t __pread64_chk(int fd, void *buf, size_t size, off64_t at, size_t room);
ssize_t __pread64_chk(int fd, void *buf, size_t size, off64_t at, size_t room)
{
	return size > room ? abort(), -1 : pread64(fd, buf, size, at);
}
