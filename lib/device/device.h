/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device: what the library knows of it, and how it is reached. */
#ifndef VFIOMIG_DEVICE_H
#define VFIOMIG_DEVICE_H

#include "internal.h"

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

/* For the time that a command works on the device. */
int device_lock(struct vfiomig_device *dev);
void device_unlock(struct vfiomig_device *dev);
/* In the child of a fork. */
void device_forget_lock(struct vfiomig_device *dev);

/* What may have changed since the device was looked up. 0, or a
 * negative errno. */
int device_refresh(struct vfiomig_device *dev);

#endif
