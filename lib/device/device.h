/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A device: what the library knows of it, and how it is reached. */
#ifndef VFIOMIG_DEVICE_H
#define VFIOMIG_DEVICE_H

#include "identity.h"
#include "sysdev.h"

struct origin;
struct turn;

enum backend_flag {
	/* The session belongs to somebody else, and goes on after the device is closed here. */
	BACKEND_SESSION_GOES_ON = 1 << 0,
	/* The owner of the session drives the migration state itself, and may be saving. */
	BACKEND_OWNER_MAY_SAVE = 1 << 1,
	/* The owner has set the device's registers. */
	BACKEND_OWNER_HAS_REGISTERS = 1 << 2,
	/* The owner expects the device to be in the state in which it left it. */
	BACKEND_OWNER_EXPECTS_STATE = 1 << 3,
};

/* A way to reach a device. Each is in one file, is declared in a header, and has a line in
 * lib/backends.c. */
struct backend {
	const char *name;   /* for messages: "opened DEV through its NAME" */
	unsigned int flags; /* of enum backend_flag */

	/*
	 * The names of the devices that only this back end can reach begin with @prefix ("pid:").
	 * find() reads such a name into @origin, and adds to @identity the devices of sysfs that it
	 * can mean. NULL if the back end has no names of its own.
	 */
	const char *prefix;
	int (*find)(struct vfiomig_ctx *ctx, const char *name, struct origin *origin,
		    struct identity *identity);

	/* Whether this is the way to reach a device that was named as it is in sysfs. NULL: no. */
	bool (*fits)(const struct vfiomig_device *dev);

	/* Set dev->fd, and the descriptors that have to stay open as long as it. */
	int (*open)(struct vfiomig_device *dev);
	/* Whether the next one in the table may try, after open() has failed. NULL: no. */
	bool (*gives_way)(const struct vfiomig_device *dev, int err);
	/* What is to be done before anything can be asked of the device, unless it is to stay
	 * unbound; NULL for nothing. */
	int (*bind)(struct vfiomig_device *dev);
	/* What is to be done once the descriptors are closed; NULL for nothing. */
	int (*close)(struct vfiomig_device *dev);
};

extern const struct backend backend_process, backend_fd, backend_cdev, backend_group;

/* All of them, in the order in which they are tried; NULL at the end. */
extern const struct backend *const backends[];

/* How a device was named, if that says who has it open. */
struct origin {
	const struct backend *backend; /* NULL: by a name that it has in sysfs */
	int pid;
	int fd;	    /* its number in that process, or -1 */
	char *path; /* of a holder's socket */
	/* Duplicates of the descriptors that the caller has given or named, or -1. */
	struct vfiomig_fds given;
};

#define FDS_NONE ((struct vfiomig_fds)VFIOMIG_FDS_INIT)

struct vfiomig_device {
	int refs;
	struct vfiomig_ctx *ctx;
	struct origin origin;
	/* What the device can be, in sysfs. If that is certain, @sys has what sysfs says of it. */
	struct identity identity;
	struct sysdev sys;
	char *name;
	enum vfiomig_via via;
	char vf_token[37];  /* the text of a UUID, or empty */
	int wait;	    /* for others, in seconds; negative: without end */
	struct lock *locks; /* as many as there are identities, or NULL */
	bool keeps_lock;    /* also when it is closed */
	bool unbound;	    /* a cdev is not to be bound to an iommufd, or was not */
	bool has_holder;    /* a struct vfiomig_holder was made for it here */
	bool in_set;	    /* several devices are being moved: lines about an arc name it */
	/* -1 while the device is closed. */
	int fd;
	/* These must stay open as long as @fd, or are -1. */
	int iommufd, group_fd, container;
	uint32_t ioas; /* the address space that a cdev has in its iommufd */
	/* While devices are opened together: one of the same group, which the kernel gives to one
	 * owner only. NULL: none. */
	const struct vfiomig_device *companion;
	int claim;    /* the connection to its holder */
	int owner_fd; /* the number that it has in the process that it was borrowed from */
	const struct backend *backend;
	uint32_t info_flags;
	/* Read once for each session. VFIOMIG_STOP_COPY is always among these flags, so that 0
	 * stands for "not read yet". */
	uint64_t migration;
	/* The states since path_begin(). */
	int path[VFIOMIG_PATH_MAX];
	unsigned int path_length;
};

/* vfiomig.h describes these: each has the same name there, after "vfiomig_". */
int device_new(struct vfiomig_ctx *ctx, const char *name, struct vfiomig_device **dev);
int device_from_fds(struct vfiomig_ctx *ctx, const struct vfiomig_fds *fds,
		    struct vfiomig_device **dev);
int device_get_fds(const struct vfiomig_device *dev, struct vfiomig_fds *fds);
int device_foreach(struct vfiomig_ctx *ctx, int (*fn)(struct vfiomig_device *dev, void *data),
		   void *data);
int device_get_opener(const struct vfiomig_device *dev, int *pid, char comm[16]);
int device_get_owner(const struct vfiomig_device *dev, int *pid, char comm[16]);
int device_open(struct vfiomig_device *dev, unsigned int flags);
int device_close(struct vfiomig_device *dev);
/* The two parts of device_open(): whether it can be opened in this way, and the opening of a closed
 * device. That is done with the lock held, because whoever held it before may have changed what
 * there is, and leaves it to the caller to close the device after a failure. */
int device_check_way(const struct vfiomig_device *dev, unsigned int flags);
int device_open_locked(struct vfiomig_device *dev, unsigned int flags);
/* Close what is open of the device, and nothing else. Returns 0, or -EINTR after ctx_fail() if a
 * process goes on with that. */
int device_close_fds(struct vfiomig_device *dev);

/* See vfiomig_devices_open(). @which receives the number of the device that a failure is about. */
int devices_open(struct vfiomig_device *const *devices, size_t n, unsigned int flags, int *which);
/* See vfiomig_devices_close(). */
int devices_close(struct vfiomig_device *const *devices, size_t n, int *errors);
/* Whether these are different devices. Returns 0 or, after ctx_fail(), -ENOTUNIQ. */
int devices_check(struct vfiomig_device *const *devices, size_t n, int *which);

/* Find the device among the descriptors of process @pid. Returns a duplicate of the one that is the
 * device for certain, whose number there @number receives, or a negative errno: -EBUSY if the
 * process has not bound it yet. */
int device_find_in_process(struct vfiomig_device *dev, int pid, int *number);

/* Make a device of @s, whose content is moved. */
int device_from_sysdev(struct vfiomig_ctx *ctx, struct sysdev *s, struct vfiomig_device **dev);

/* Returns 0, or -EBADF with a sentence if nothing can be asked of the device: it is not open, or it
 * is a cdev that was not bound to an iommufd. */
int device_check_open(const struct vfiomig_device *dev);

/* Returns 0, or -ENOTUNIQ with a sentence if it is not known what an image has to say of the
 * device: its bus and its driver. */
int device_check_identity(const struct vfiomig_device *dev);

/* Say which driver the device has, and which VFIO driver would fit it. Returns a negative errno. */
int device_fail_not_bound(struct vfiomig_device *dev);

/* Lock the device for the time that a command works on it. Returns 0 or a negative errno: -EBUSY
 * when another command does. */
int device_lock(struct vfiomig_device *dev);
/* The same step by step: lock number @i of the identity's. After a failure, unlock the device. */
int device_begin_lock(struct vfiomig_device *dev);
const char *device_lock_name(const struct vfiomig_device *dev, size_t i);
int device_take_lock(struct vfiomig_device *dev, size_t i, const struct turn *turn);
void device_unlock(struct vfiomig_device *dev);
/* In the child of a fork: the lock stays the parent's. */
void device_forget_lock(struct vfiomig_device *dev);
/* In a process that has closed the descriptors that the caller had given: the numbers may be those
 * of other files by now. */
void device_forget_fds(struct vfiomig_device *dev);

/* Read the driver and the cdev again, which may have changed. Returns 0 or a negative errno. */
int device_refresh(struct vfiomig_device *dev);

/* Whether the device is open, by a back end that has this flag of enum backend_flag. */
static inline bool device_is(const struct vfiomig_device *dev, enum backend_flag flag)
{
	return dev->fd >= 0 && (dev->backend->flags & flag);
}

#endif
