/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvfiomig - VFIO device migration, protocol v2, without a VMM
 *
 * Functions that can fail return a negative errno; vfiomig_get_error() then
 * has the sentence that says what failed, why and what to do about it.
 * Objects are reference counted and not thread safe: a context and what was
 * made from it belong to one thread at a time.
 *
 * The protocol is the comment block above enum vfio_device_mig_state in the
 * kernel's include/uapi/linux/vfio.h; "the uAPI" below means that text.
 */
#ifndef VFIOMIG_H
#define VFIOMIG_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct vfiomig_ctx;
struct vfiomig_device;

/* ---- Context ----------------------------------------------------------- */

/**
 * vfiomig_new - create a library context
 * @ctx: receives the context; release it with vfiomig_unref()
 *
 * Returns 0 or -ENOMEM.
 */
int vfiomig_new(struct vfiomig_ctx **ctx);
struct vfiomig_ctx *vfiomig_ref(struct vfiomig_ctx *ctx);
/* Returns NULL always, so that "ctx = vfiomig_unref(ctx)" leaves no dangle. */
struct vfiomig_ctx *vfiomig_unref(struct vfiomig_ctx *ctx);

/**
 * vfiomig_get_error - the last failure on this context as one sentence
 *
 * Owned by @ctx, valid until the next call that takes the context or an object
 * made from it. Never NULL; no line break at its end, no control characters.
 */
const char *vfiomig_get_error(const struct vfiomig_ctx *ctx);

/**
 * vfiomig_set_log - be told of each arc, open and reset as it happens
 * @fn: called with one line of text without a line break; NULL for silence
 */
void vfiomig_set_log(struct vfiomig_ctx *ctx,
		     void (*fn)(void *data, const char *line), void *data);

/**
 * vfiomig_set_interrupt - a flag that stops a transfer when it becomes non-zero
 *
 * Meant to be set by a signal handler that was installed without SA_RESTART.
 * Transfers then fail with -EINTR after they have brought the device home.
 * Nothing else looks at the flag: arcs, once asked for, are waited for.
 */
void vfiomig_set_interrupt(struct vfiomig_ctx *ctx,
			   const volatile sig_atomic_t *flag);

/* ---- The finite state machine, as pure functions ----------------------- */

/* The values of enum vfio_device_mig_state. */
enum vfiomig_state {
	VFIOMIG_STATE_ERROR = 0,
	VFIOMIG_STATE_STOP = 1,
	VFIOMIG_STATE_RUNNING = 2,
	VFIOMIG_STATE_STOP_COPY = 3,
	VFIOMIG_STATE_RESUMING = 4,
	VFIOMIG_STATE_RUNNING_P2P = 5,
	VFIOMIG_STATE_PRE_COPY = 6,
	VFIOMIG_STATE_PRE_COPY_P2P = 7,
};
#define VFIOMIG_NR_STATES 8

/* The flags of struct vfio_device_feature_migration. */
#define VFIOMIG_STOP_COPY (1ULL << 0)
#define VFIOMIG_P2P	  (1ULL << 1)
#define VFIOMIG_PRE_COPY  (1ULL << 2)

/* The uAPI's name of a state ("STOP_COPY"), or "?" for an unknown number. */
const char *vfiomig_state_name(int state);

/* The state of this name, in any case, '-' as good as '_'; else -EINVAL. */
int vfiomig_state_from_name(const char *name);

/* Is @state one that a device with these migration @flags can be in? */
bool vfiomig_fsm_supports(uint64_t flags, int state);

/**
 * vfiomig_fsm_path - the states that SET_STATE passes through
 * @flags: the device's migration flags
 * @from: the state that the device is in
 * @to: the state that is asked for
 * @path: receives the states after @from, in order, @to last; may be NULL
 *
 * The uAPI's rules for combination transitions: the shortest path, no saving
 * group state (PRE_COPY, PRE_COPY_P2P, STOP_COPY) in its interior unless the
 * whole path stays in that group, no arc out of STOP_COPY back to PRE_COPY or
 * PRE_COPY_P2P, ERROR neither a target nor left by an arc.
 *
 * Returns the number of arcs (0 when @from is @to), or -EINVAL when the kernel
 * refuses the transition.
 */
int vfiomig_fsm_path(uint64_t flags, int from, int to,
		     int path[VFIOMIG_NR_STATES]);

/* ---- Devices ----------------------------------------------------------- */

/**
 * vfiomig_device_new - find a device by its name; opens nothing
 * @name: a PCI function ("0000:3b:00.1", "3b:00.1"), the UUID of a mediated
 *	device, a VFIO character device ("vfio0", "/dev/vfio/devices/vfio0"), or
 *	any sysfs path of such a device
 * @dev: receives the device; release it with vfiomig_device_unref()
 *
 * Returns 0, -EINVAL when @name has no such form, -ENOENT when there is no
 * such device, -ENOMEM.
 */
int vfiomig_device_new(struct vfiomig_ctx *ctx, const char *name,
		       struct vfiomig_device **dev);
struct vfiomig_device *vfiomig_device_ref(struct vfiomig_device *dev);
/* The last reference closes the device. Returns NULL always. */
struct vfiomig_device *vfiomig_device_unref(struct vfiomig_device *dev);

/**
 * vfiomig_device_foreach - visit every device that has a VFIO driver
 * @fn: called for each, in the order of their names; a non-zero return ends
 *	the visit. The device is the library's: take a reference to keep it.
 *
 * Opens nothing. Returns 0, what @fn returned, or -ENOMEM.
 */
int vfiomig_device_foreach(struct vfiomig_ctx *ctx,
			   int (*fn)(struct vfiomig_device *dev, void *data),
			   void *data);

/* What sysfs says. Strings are owned by @dev; NULL where there is none. */
const char *vfiomig_device_get_name(const struct vfiomig_device *dev);
const char *vfiomig_device_get_syspath(const struct vfiomig_device *dev);
const char *vfiomig_device_get_bus(const struct vfiomig_device *dev);
const char *vfiomig_device_get_driver(const struct vfiomig_device *dev);
/* The cdev's name, "vfio0": its node, where the kernel makes them, is
 * /dev/vfio/devices/vfio0. */
const char *vfiomig_device_get_cdev(const struct vfiomig_device *dev);
/* A mediated device's type, "mtty-2". */
const char *vfiomig_device_get_mdev_type(const struct vfiomig_device *dev);
/* The number of the IOMMU group, or -1. */
int vfiomig_device_get_group(const struct vfiomig_device *dev);

struct vfiomig_pci_id {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface
			      */
	uint8_t revision;
};
/* Returns false where the device is not a PCI function. */
bool vfiomig_device_get_pci_id(const struct vfiomig_device *dev,
			       struct vfiomig_pci_id *id);

/**
 * vfiomig_device_get_opener - who has the device open now
 * @pid: receives the process
 * @comm: receives its command name, at least 16 bytes
 *
 * Looks through /proc for a descriptor of the device's group or cdev node, so
 * it sees as much as the caller's privileges allow. Returns 0 or -ENOENT.
 */
int vfiomig_device_get_opener(const struct vfiomig_device *dev, int *pid,
			      char comm[16]);

/**
 * vfiomig_device_open - open the device through its group and a type1 container
 *
 * Opening starts a session: the driver usually resets an idle device, and it
 * is RUNNING. Closing, by vfiomig_device_close() or the last unref, ends the
 * session and with it the device's state. All descriptors are close-on-exec.
 *
 * Returns 0, or
 *  -ENODEV	the device is not bound to a VFIO driver
 *  -EOPNOTSUPP	the kernel has no VFIO, or the device no IOMMU group
 *  -EBUSY	somebody else has the device open, or the group is not viable
 *  -EACCES, -EPERM	not permitted
 * or the errno of the call that failed.
 */
int vfiomig_device_open(struct vfiomig_device *dev);
void vfiomig_device_close(struct vfiomig_device *dev);
/* The VFIO device descriptor, owned by @dev, or -EBADF when it is not open. */
int vfiomig_device_get_fd(const struct vfiomig_device *dev);

/* ---- Features of an open device ---------------------------------------- */

/* The flags of struct vfio_device_info, e.g. VFIO_DEVICE_FLAGS_RESET. */
uint32_t vfiomig_device_get_info_flags(const struct vfiomig_device *dev);

/* The operations that VFIO_DEVICE_FEATURE_PROBE finds for a feature. */
#define VFIOMIG_FEATURE_GET (1U << 0)
#define VFIOMIG_FEATURE_SET (1U << 1)
/* Bits of VFIOMIG_FEATURE_*; 0 when the device has not got the feature. */
unsigned int vfiomig_device_probe(const struct vfiomig_device *dev,
				  unsigned int feature);

/**
 * vfiomig_feature_name - the uAPI's name of a feature number
 *
 * Without its VFIO_DEVICE_FEATURE_ prefix, e.g. "MIG_DATA_SIZE". NULL from the
 * first number on that this library does not know, so that it also enumerates.
 */
const char *vfiomig_feature_name(unsigned int feature);

/**
 * vfiomig_device_get_migration - the migration flags, VFIOMIG_STOP_COPY | ...
 *
 * VFIO_DEVICE_FEATURE_MIGRATION. Returns 0, or -EOPNOTSUPP when the driver or
 * the kernel has no migration support for the device.
 */
int vfiomig_device_get_migration(struct vfiomig_device *dev, uint64_t *flags);

/**
 * vfiomig_device_get_data_size - estimated length of the STOP_COPY stream
 *
 * VFIO_DEVICE_FEATURE_MIG_DATA_SIZE, in bytes. Returns 0, or -EOPNOTSUPP.
 */
int vfiomig_device_get_data_size(struct vfiomig_device *dev, uint64_t *bytes);

/* ---- Driving the state ------------------------------------------------- */

/* The state (enum vfiomig_state) that the kernel reports, or an errno. */
int vfiomig_device_get_state(struct vfiomig_device *dev);

/**
 * vfiomig_device_set_state - one SET_STATE ioctl
 * @state: where to go, over as many arcs as it takes
 * @data_fd: receives the data transfer session's descriptor, which the caller
 *	closes, or -1 when the transition started none
 *
 * After a failure the device may be anywhere on the path, ERROR included:
 * read the state back. Returns 0 or the ioctl's errno.
 */
int vfiomig_device_set_state(struct vfiomig_device *dev, int state,
			     int *data_fd);

/**
 * vfiomig_device_drive - walk to a state, one SET_STATE for each arc
 * @state: where to go
 * @data_fd: as vfiomig_device_set_state(); NULL closes such a descriptor
 * @step: called after each arc with the state reached and the time that its
 *	ioctl took in nanoseconds; may be NULL
 *
 * Arc by arc, so that a failure names the arc and its time can be told. What
 * the device passes through is what one SET_STATE would make it pass through.
 * Returns 0, -EINVAL for a transition that the protocol refuses (nothing was
 * done then), or the errno of the arc that failed.
 */
int vfiomig_device_drive(struct vfiomig_device *dev, int state, int *data_fd,
			 void (*step)(void *data, int state, uint64_t ns),
			 void *data);

/**
 * vfiomig_device_reset - VFIO_DEVICE_RESET: RUNNING, whatever it was
 *
 * The device's state is lost. Returns 0 or the ioctl's errno.
 */
int vfiomig_device_reset(struct vfiomig_device *dev);

/* How a device came home after a failure. */
struct vfiomig_recovery {
	int state;  /* what it is in now, or a negative errno if unknown */
	bool home;  /* that is the state asked for */
	bool reset; /* a reset was needed to get there */
};

/**
 * vfiomig_device_recover - the way back after a failure
 * @home: the state to go back to
 *
 * Reads the state back and walks home if the protocol has a way. There is none
 * out of ERROR, nor out of RESUMING (leaving it by an arc would load what was
 * written so far): then, or if the walk fails too, the device is reset and goes
 * home from RUNNING. vfiomig_get_error() stays as it was.
 */
struct vfiomig_recovery vfiomig_device_recover(struct vfiomig_device *dev,
					       int home);

/* ---- Transfers --------------------------------------------------------- */

/**
 * vfiomig_data_read - read from a data_fd that is in STOP_COPY
 *
 * Retries what was interrupted. Returns the number of bytes, which may be fewer
 * than @size, 0 at the end of the device's state, -EINTR when the context's
 * interrupt flag is set, or the errno of read(2).
 */
ssize_t vfiomig_data_read(struct vfiomig_ctx *ctx, int data_fd, void *buf,
			  size_t size);

/**
 * vfiomig_data_write - write all of @buf to a data_fd that is in RESUMING
 *
 * Returns 0, -EINTR when the context's interrupt flag is set, or the errno of
 * write(2); part of @buf may have been written then.
 */
int vfiomig_data_write(struct vfiomig_ctx *ctx, int data_fd, const void *buf,
		       size_t size);

/* What a transfer did. */
struct vfiomig_result {
	uint64_t bytes; /* of the device's state that were moved */
	uint64_t ns;	/* that the move took, without the arcs */
	bool complete;	/* that was all of the state */
	bool touched;	/* the device has left the state it was found in */
	int before;	/* that state; negative if not even that is known */
	/* Where the device is now and, after a failure, how it came there;
	 * "home" is @before, or the state that it was to be left in. */
	struct vfiomig_recovery now;
};

/**
 * vfiomig_save - stream the device's state out through STOP_COPY
 * @fd: where the raw stream goes
 * @leave: the state to leave the device in afterwards, or -1 for the one that
 *	it was found in
 * @result: filled in also on failure
 *
 * On any failure the device is brought home, as vfiomig_device_recover() does.
 * Returns 0, -EINVAL if @leave cannot be reached from STOP_COPY, -EUCLEAN when
 * the device is in a state that cannot be saved (ERROR, RESUMING): untouched
 * in both cases; -EINTR; or the errno of what failed.
 */
int vfiomig_save(struct vfiomig_device *dev, int fd, int leave,
		 struct vfiomig_result *result);

/**
 * vfiomig_restore - load a raw stream through RESUMING
 * @fd: where the raw stream comes from
 * @leave: the state to leave the device in afterwards
 * @result: filled in also on failure
 *
 * The first bytes are read before the device is touched. A failure once the
 * device is RESUMING resets it, for nothing else ends that state, and takes it
 * home. Returns 0, -EINVAL and -EUCLEAN as vfiomig_save(), -ENODATA when @fd
 * has no bytes at all; -EINTR; or the errno of what failed.
 */
int vfiomig_restore(struct vfiomig_device *dev, int fd, int leave,
		    struct vfiomig_result *result);

#ifdef __cplusplus
}
#endif

#endif
