/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO devices without a kernel: a library for LD_PRELOAD that answers for regular files what the
 * kernel answers for VFIO's nodes. tests/host/lib/emulate.sh makes these files, and describes the
 * faults that a test can ask for.
 *
 * The size of such a file says what it stands for, and fstat(2) reads the size through whatever
 * descriptor a process has of it: inherited, duplicated or received from another process. What the
 * kernel keeps for each open file is in the kernel here as well: the position says whether the file
 * is bound, and flock(2) whether somebody has it, until the last duplicate is closed.
 *
 * Everything else is in files under /run/emulated, which all processes share.
 */
#ifndef EMULATE_H
#define EMULATE_H

/* Calls are replaced under both of their names, for small and for large files. So this header comes
 * before those of the C library. */
#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#undef _FORTIFY_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "uapi.h"

#define DIR_ROOT   "/run/emulated"
#define COMMON	   "common" /* the directory of what is no device's own */
#define NR_DEVICES 16
#define NR_STATES  8

/* The names of these functions are for this library alone, and must not hide others in the
 * program. */
#pragma GCC visibility push(hidden)

/* ---- thing.c ------------------------------------------------------------- */

enum kind {
	KIND_NONE,
	KIND_CDEV,
	KIND_GROUP,
	KIND_CONTAINER,
	KIND_IOMMUFD,
	KIND_DEVICE, /* a device's descriptor that came from its group */
	KIND_DATA,   /* a data_fd */
	KIND_KMSG,   /* /dev/kmsg */
	KIND_UPDATE, /* a session of a live update */
};

struct thing {
	enum kind kind;
	int number;	  /* N of vfioN, or of the group */
	uint32_t session; /* of a data_fd */
};

int sys_stat(int dir, const char *path, struct stat *st, int flags);
struct thing thing_of_size(uint64_t size);
struct thing thing_of(int fd);
bool is_device(const struct thing *t);
/* The name of the directory that has the files of the device. */
const char *dir_of(const struct thing *t);
/* An open file without a name that stands for something. */
int new_thing(enum kind kind, int number, uint32_t session, int flags);
off_t position(int fd);
void set_position(int fd, off_t at);

/* ---- file.c -------------------------------------------------------------- */

int sys_open(const char *path, int flags);
int open_in(const char *dir, const char *name, int flags);
void close_if(int fd);
/* @text receives the contents of the file, an empty string if there is none. */
bool read_text(const char *dir, const char *name, char *text, size_t size);
__attribute__((format(printf, 3, 4))) void write_text(const char *dir, const char *name,
						      const char *fmt, ...);
/* The number in the file, or @otherwise if there is none. */
uint64_t setting(const char *dir, const char *name, uint64_t otherwise);
int lock(const char *dir, const char *name);
void unlock(int fd);
/* Whether an open file other than those of this process's callers has the lock of @path. */
bool is_taken(const char *path);
/* Write to one of the files. Zeros at its end become a hole: a large state needs no room. */
ssize_t write_sparsely(int file, const char *buf, size_t size, uint64_t at);
/* Write a line to the log of the device. */
__attribute__((format(printf, 2, 3))) void note(const char *dir, const char *fmt, ...);

/* ---- call.c -------------------------------------------------------------- */

extern __thread sigset_t unblocked;

void begin_call(void);
/* End the call: return what it returns, with errno. */
ssize_t outcome(ssize_t ret);
/* Returns 0, or -EINTR if a signal has arrived. A negative number of seconds is for ever. */
int sleep_for(double seconds, bool interruptible);

/* ---- fault.c ------------------------------------------------------------- */

/* See emulate.sh. */
struct fault {
	bool found, skip, slow, fd, nofd, hang;
	int err, to, signal;
	double sleep;
	bool has_at, has_result;
	uint64_t after, times, at, extra, most;
	int64_t result;
	char run[256];
};

int number_of_errno(const char *name);
/*
 * Find the first fault for an event. For reads and writes, @at is the position and *@length the
 * number of bytes: what comes before the fault's position is moved without it.
 */
struct fault fault_at(const char *dir, const char *event, const char *detail, uint64_t at,
		      size_t *length);
/* What a fault does before the call itself is looked at. Returns -EINTR if a signal came. */
int suffer(const struct fault *f);
/* For calls with simple faults. Returns 0 to go on, 1 to succeed without doing anything, or a
 * negative errno. */
int meet(const char *dir, const char *event, const char *detail);

/* ---- migration.c --------------------------------------------------------- */

enum {
	ERROR = VFIO_DEVICE_STATE_ERROR,
	STOP = VFIO_DEVICE_STATE_STOP,
	RUNNING = VFIO_DEVICE_STATE_RUNNING,
	STOP_COPY = VFIO_DEVICE_STATE_STOP_COPY,
	RESUMING = VFIO_DEVICE_STATE_RESUMING,
	RUNNING_P2P = VFIO_DEVICE_STATE_RUNNING_P2P,
	PRE_COPY = 6,
	PRE_COPY_P2P = 7,
};

extern const char *const states[NR_STATES];

int state_of_name(const char *name);
int get_state(const char *dir);
bool is_saving(int state);
uint64_t memory_size(const char *dir);
/* Drive the device to the state @to. @fd receives a data_fd or -1. Returns 0 or a negative errno.
 */
int walk(const struct thing *t, uint64_t flags, int to, int *fd);
/* Opening a device resets it, unless it is like mtty. */
void begin_session(const char *dir);
int reset(const struct thing *t);

/* ---- feature.c, logging.c, device.c, group.c, data.c ---------------------- */

int device_feature(const struct thing *t, struct vfio_device_feature *feature);
int logging_start(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags);
int logging_stop(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags);
int logging_report(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags);
int device_ioctl(const struct thing *t, int fd, unsigned long request, void *arg);
ssize_t region_access(const struct thing *t, bool writes, void *buf, size_t size, off_t at);
int group_ioctl(const struct thing *t, int fd, unsigned long request, void *arg);
int container_ioctl(int fd, unsigned long request, void *arg);
int iommufd_ioctl(unsigned long request, void *arg);
ssize_t data_access(const struct thing *t, int fd, bool writes, void *buf, size_t size);
ssize_t data_vector(const struct thing *t, int fd, bool writes, const struct iovec *iov, int nr);
int data_ioctl(const struct thing *t, int fd, unsigned long request, void *arg);

/* ---- kernel.c ------------------------------------------------------------- */

/* The size of the kernel's pages */
uint64_t page_size(void);
/* Read the next record of the kernel's log. Returns its bytes or a negative errno. */
ssize_t kmsg_read(int fd, char *buf, size_t size);
ssize_t kmsg_write(const char *buf, size_t size);
/* Pass over what is in the log. */
void kmsg_end(int fd);

#pragma GCC visibility pop

#endif
