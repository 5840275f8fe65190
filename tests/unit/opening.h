/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Opening A through its group and through its cdev, on a kernel that refuses what the test wants.
 * It replaces the real one with --wrap=ioctl,open64,faccessat,geteuid.
 */
#ifndef OPENING_H
#define OPENING_H

#include <fcntl.h>

#include "machine.h"

#define GROUP VFIOMIG_VIA_GROUP
#define CDEV  VFIOMIG_VIA_CDEV
#define AUTO  VFIOMIG_VIA_AUTO

static struct {
	unsigned long fail; /* the request that fails, and its errno */
	int error;
	const char *closed; /* the node that cannot be opened, and the errno */
	const char *closed_too;
	int open_error;
	uid_t uid;
	int version;
	unsigned long type; /* of the IOMMU that the container has */
	bool takes_token;   /* through the cdev */
	char name[128];	    /* what VFIO_GROUP_GET_DEVICE_FD was asked for */
	struct vfio_device_bind_iommufd_token bound;
	uint8_t token[16];
	uint32_t group_flags;
	unsigned long calls[32];
	int nr_calls;
} kernel;

static bool is_closed(const char *path)
{
	return (kernel.closed && strcmp(path, kernel.closed) == 0) ||
	       (kernel.closed_too && strcmp(path, kernel.closed_too) == 0);
}

int __wrap_faccessat(int dir, const char *path, int mode, int flags);
int __wrap_faccessat(int dir, const char *path, int mode, int flags)
{
	assert_int_equal(dir, AT_FDCWD);
	assert_int_equal(flags, AT_EACCESS);
	errno = EACCES;
	return is_closed(path) ? -1 : access(path, mode);
}

uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
	return kernel.uid;
}

/* Linux 6.17 takes a structure that is larger than what it knows, if the rest is zero. */
static int bind_iommufd(const struct vfio_device_bind_iommufd_token *bind)
{
	const char *rest = (const char *)(bind + 1);

	for (size_t i = sizeof(*bind); kernel.takes_token && i < bind->argsz; i++) {
		errno = E2BIG;
		if (*rest++)
			return -1;
	}
	errno = EINVAL;
	if (bind->iommufd < 0 || (bind->flags && !kernel.takes_token))
		return -1;
	memcpy(&kernel.bound, bind, bind->argsz);
	if (bind->flags & VFIO_DEVICE_BIND_FLAG_TOKEN)
		memcpy(kernel.token, (void *)(uintptr_t)bind->token_uuid_ptr, sizeof(kernel.token));
	return 0;
}

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	if (is_closed(path)) {
		errno = kernel.open_error;
		return -1;
	}
	return __real_open64(path, flags, mode);
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	kernel.calls[kernel.nr_calls++] = request;
	if (request == kernel.fail) {
		errno = kernel.error;
		return -1;
	}
	switch (request) {
	case VFIO_GET_API_VERSION:
		return kernel.version;
	case VFIO_CHECK_EXTENSION:
		return (unsigned long)arg == kernel.type;
	case VFIO_SET_IOMMU:
		assert_int_equal(arg, kernel.type);
		return 0;
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags = kernel.group_flags;
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		assert_ptr_equal(strstr(arg, A), arg);
		snprintf(kernel.name, sizeof(kernel.name), "%s", (char *)arg);
		return __real_open64("/dev/null", O_RDWR | O_CLOEXEC);
	case VFIO_DEVICE_BIND_IOMMUFD:
		return bind_iommufd(arg);
	case VFIO_DEVICE_FEATURE:
		errno = ENOTTY;
		return -1;
	default:
		return 0;
	}
}

static int reset(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.group_flags = VFIO_GROUP_FLAGS_VIABLE;
	kernel.type = VFIO_TYPE1v2_IOMMU;
	return 0;
}

static const char *token; /* the VF token to open A with, or NULL */

/* Open A and close it. Whatever happens, no descriptor and no lock is left. */
static int open_device(enum vfiomig_via via)
{
	struct vfiomig_device *dev = new_device(A);
	int before = count_fds(), err;

	vfiomig_device_set_via(dev, via);
	assert_int_equal(vfiomig_device_set_vf_token(dev, token), 0);
	err = vfiomig_device_open(dev, 0);
	if (err) {
		assert_int_equal(dev->fd, -1);
		assert_int_equal(count_fds(), before);
		assert_int_equal(access("run/" A ".lock", F_OK), -1);
	}
	vfiomig_device_unref(dev);
	assert_int_equal(count_fds(), before);
	assert_int_equal(access("run/" A ".lock", F_OK), -1);
	return err;
}

static inline void expect(enum vfiomig_via via, int err, const char *says)
{
	assert_int_equal(open_device(via), err);
	assert_says(says);
	/* Once the user has removed the cause, opening works at once. */
	reset(NULL);
	assert_int_equal(open_device(via), 0);
}

static inline void expect_refused(enum vfiomig_via via, unsigned long request, int error, int err,
				  const char *says)
{
	reset(NULL);
	kernel.fail = request;
	kernel.error = error;
	expect(via, err, says);
}

static inline void expect_closed(enum vfiomig_via via, const char *node, int error, int err,
				 const char *says)
{
	reset(NULL);
	kernel.closed = node;
	kernel.open_error = error;
	expect(via, err, says);
}

#endif
