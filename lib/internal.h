/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the library's files share and its users do not see. */
#ifndef VFIOMIG_INTERNAL_H
#define VFIOMIG_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "uapi.h"
#include "vfiomig.h"

/* Images and states are larger than 2 GiB, on 32-bit machines too. */
_Static_assert(sizeof(off_t) == 8, "-D_FILE_OFFSET_BITS=64 is missing");

struct vfiomig_ctx {
	int refs;
	/* Where /sys, /dev and /proc are; tests put other trees there. */
	const char *sysfs, *devfs, *procfs;
	/* The run-time directory and that of the kernel's modules, where they
	 * are not the usual ones. */
	const char *rundir, *modules;
	void (*log)(void *data, const char *line);
	void *log_data;
	/* Called on the caller's thread while a transfer goes on. */
	void (*tick)(void *data);
	void *tick_data;
	_Atomic int interrupted; /* set by signal handlers, read by threads */
	int wake;		 /* an eventfd: readable when threads have to look up */

	pthread_mutex_t lock; /* of what follows, while a pipeline runs */
	bool keep_first, have_first;
	int error_code;
	char error[512];
};

/*
 * Note why something failed; returns @err, so that a failing function ends in
 * "return ctx_fail(ctx, -EWHY, "sentence")".
 */
__attribute__((format(printf, 3, 4))) int ctx_fail(struct vfiomig_ctx *ctx, int err,
						   const char *fmt, ...);
__attribute__((format(printf, 2, 3))) void ctx_log(struct vfiomig_ctx *ctx, const char *fmt, ...);
/* CLOCK_MONOTONIC */
uint64_t now_ns(void);
/* Of the failures of a pipeline's threads, keep the first. */
void ctx_keep_first_error(struct vfiomig_ctx *ctx, bool keep);
void ctx_tick(const struct vfiomig_ctx *ctx);
/* Have a thread that waits in fd_read() look up and give up. */
void ctx_wake(struct vfiomig_ctx *ctx);

/* A way to reach a device: each back end is one file with one of these. */
struct backend {
	const char *name;
	/* Sets dev->fd, and what has to stay open as long as it. */
	int (*open)(struct vfiomig_device *dev);
	/* It is in somebody else's session, who goes on with it. */
	bool borrows;
};

extern const struct backend backend_group, backend_cdev, backend_holder, backend_process,
	backend_fd;

/* How a device was named, where that says who has it open. */
struct origin {
	enum {
		ORIGIN_SYSFS,
		ORIGIN_SOCKET,
		ORIGIN_PROCESS,
		ORIGIN_FD
	} kind;
	int pid;
	int fd; /* as it is called in that process, or -1 */
	char *path;
};

struct vfiomig_device {
	int refs;
	struct vfiomig_ctx *ctx;
	struct origin origin;
	/* What it can be, in sysfs; @syspath is that, if it is one. */
	struct identity *identity;
	const char *syspath;
	char *name, *bus;
	/* Of the moment when the device was looked up. */
	char *driver, *cdev, *mdev_type;
	int group;
	bool is_pci;
	struct vfiomig_pci_id pci;
	enum vfiomig_via via;
	int wait;	    /* for others, in seconds; negative: without end */
	struct lock *locks; /* as many as there are identities, or NULL */
	bool unbound;	    /* to be opened without an iommufd's address space */
	/* -1 while the device is closed. */
	int fd;
	/* What must stay open as long as it, or -1. */
	int iommufd, group_fd, container;
	int claim; /* the connection to its holder */
	const struct backend *backend;
	uint32_t info_flags;
	/* Asked once for each session; VFIOMIG_STOP_COPY is always among them,
	 * so that 0 stands for "not asked yet". */
	uint64_t migration;
	/* The states since path_begin(). */
	int path[VFIOMIG_PATH_MAX];
	unsigned int path_length;
};

/* device.c: for the time that a command works on the device. */
int device_lock(struct vfiomig_device *dev);
void device_unlock(struct vfiomig_device *dev);
/* In the child of a fork. */
void device_forget_lock(struct vfiomig_device *dev);
void ctx_after_fork(struct vfiomig_ctx *ctx, int wake);
/* Before the fork, for ctx_after_fork(): the child has nobody to tell that it
 * failed. */
int ctx_new_wake(struct vfiomig_ctx *ctx);

/* device.c: what may have changed since the device was looked up. 0, or a
 * negative errno. */
int device_refresh(struct vfiomig_device *dev);

/*
 * Whether @err, an errno, says that no file could be opened, and nothing of the
 * one that was to be: it may well be there.
 */
static inline bool is_exhausted(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM;
}

/* sysfs.c */
/* The last component of where the link @dir/@name points to, or NULL with
 * errno: ENOENT if there is no such link. */
char *sysfs_link_name(const char *dir, const char *name);
/* The first line of @dir/@name, without its end: 0 or a negative errno. */
int sysfs_read_text(const char *dir, const char *name, char *text, size_t size);
/* @dir/@name as a number; -errno when it is not there. */
int sysfs_read_number(const char *dir, const char *name, unsigned long *value);
/* The first entry of directory @dir/@name that is not hidden, or NULL with
 * errno: ENOENT if there is none. */
char *sysfs_first_entry(const char *dir, const char *name);
/* To the file that is there, @text and nothing else: 0 or a negative errno. */
int sysfs_write(const char *dir, const char *name, const char *text);
/* Whether @dir is a device that sits on a bus, with or without a driver. */
bool sysfs_is_device(const char *dir);
/* Whether @path is the canonical directory of such a device. */
bool sysfs_has_device(const struct vfiomig_ctx *ctx, const char *path);

/* variant.c: the VFIO driver that is made for this PCI function, or NULL if
 * that is none (vfio-pci fits all of them); free() it. */
char *variant_driver_for(const struct vfiomig_device *dev);

static inline void free_charp(char **p)
{
	free(*p);
}

static inline void close_fdp(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

#define _cleanup_free_	__attribute__((cleanup(free_charp)))
#define _cleanup_close_ __attribute__((cleanup(close_fdp)))
#define EXPORT		__attribute__((visibility("default")))

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif
