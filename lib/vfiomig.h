/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libvfiomig - VFIO device migration, protocol v2, without a VMM
 *
 * Functions that can fail return a negative errno. If they work on a context or an object that was
 * made from one, vfiomig_get_error() then has the sentence that says what failed, why, and what to
 * do about it. After a success it has none.
 *
 * Contexts and devices are reference counted. A context, and whatever was made from it, belongs to
 * one thread at a time. libvfiomig(3) tells what the functions have in common, and has an example.
 *
 * "The uAPI" below means the comment above enum vfio_device_mig_state in the kernel's
 * include/uapi/linux/vfio.h, which is the protocol.
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

/*
 * The version of this header. It is also the number that pkg-config and "vfiomig --version" tell.
 */
#define VFIOMIG_VERSION	      "0.1.0"
#define VFIOMIG_VERSION_MAJOR 0
#define VFIOMIG_VERSION_MINOR 1
#define VFIOMIG_VERSION_PATCH 0

/* The version of the library that the program runs with, "0.1.0". A constant string. */
const char *vfiomig_version(void);

struct vfiomig_ctx;
struct vfiomig_device;

/* ---- Context ----------------------------------------------------------- */

/**
 * vfiomig_new - make a context
 * @ctx: receives the context; release it with vfiomig_unref()
 *
 * Returns 0 or a negative errno, for which there is no sentence.
 */
int vfiomig_new(struct vfiomig_ctx **ctx);
/* Take one more reference. Returns @ctx. */
struct vfiomig_ctx *vfiomig_ref(struct vfiomig_ctx *ctx);
/* Drop a reference; @ctx may be NULL. Always returns NULL, for "ctx = vfiomig_unref(ctx)". */
struct vfiomig_ctx *vfiomig_unref(struct vfiomig_ctx *ctx);

/**
 * vfiomig_get_error - what the last function that could fail has to say, as one sentence
 *
 * The sentence is owned by @ctx, and valid until the next call with the context or an object that
 * was made from it. It is never NULL, and empty after a success. It has no line break and no other
 * control or direction characters: each is replaced by a question mark, and so is each byte that is
 * not UTF-8.
 */
const char *vfiomig_get_error(const struct vfiomig_ctx *ctx);

/**
 * vfiomig_set_log - have a function called for each arc, open and reset
 * @fn: called with one line of text, without a line break, possibly on a thread of the library;
 *	NULL for none
 * @data: passed to @fn
 */
void vfiomig_set_log(struct vfiomig_ctx *ctx, void (*fn)(void *data, const char *line), void *data);

/**
 * vfiomig_set_rundir - say where the run-time directory is
 * @path: an absolute path, which is copied; NULL for the default, /run/vfiomig
 *
 * The directory has the locks of the devices that are in use, the sockets of holders, and the notes
 * of what vfiomig_device_bind() has changed. A directory that was set by this function is made when
 * it is needed, with mode 0700, if its parent is there; the default one is only used if somebody
 * has made it. Without a directory, a device is opened without a lock, which the log tells, if the
 * kernel gives it to one process only or if no directory was set. Everything else that needs the
 * directory fails. Programs find each other's locks and holders only in the same directory. The
 * command line takes /run/vfiomig for root and $XDG_RUNTIME_DIR/vfiomig for other users; the
 * library itself reads no environment variable.
 *
 * Returns 0, -EINVAL when @path is not absolute, or -ENOMEM.
 */
int vfiomig_set_rundir(struct vfiomig_ctx *ctx, const char *path);

/**
 * vfiomig_set_notice - say why a function takes long
 * @fn: called with a sentence, without a line break, for the user of the program: what the
 *	function waits for; possibly on a thread of the library. NULL: say nothing, which is the
 *	default.
 * @data: passed to @fn
 */
void vfiomig_set_notice(struct vfiomig_ctx *ctx, void (*fn)(void *data, const char *line),
			void *data);

/**
 * vfiomig_interrupt - end what runs on this context
 *
 * Async-signal-safe: meant for a signal's handler, which is to be installed without SA_RESTART;
 * other threads may call it, too. The transfer that runs, and whatever else waits for a device,
 * fails with -EINTR, after the device was brought home. So does what is started later, until
 * vfiomig_resume(). A read or a write of a transfer that sleeps is ended by a real-time signal, see
 * libvfiomig(3). An arc or a reset that has begun is waited for, which vfiomig_set_notice() tells
 * after half a second. Another call of this function interrupts the driver, unless both came within
 * 0.15 seconds, and so do five seconds after the notice. From then on each further arc or reset has
 * half a second only. A driver that does not react to signals is waited for: libvfiomig(3) says
 * where vfiomig_set_notice() tells that.
 */
void vfiomig_interrupt(struct vfiomig_ctx *ctx);

/**
 * vfiomig_resume - let what is started from now on run again
 *
 * Returns whether vfiomig_interrupt() was called since the context was made or last resumed. Thus a
 * signal that came after the end of the last transfer is not lost without a word, and one that
 * comes after this function ends the next transfer.
 */
bool vfiomig_resume(struct vfiomig_ctx *ctx);

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

/* Returns the uAPI's name of a state ("STOP_COPY"), or "?" for an unknown number. */
const char *vfiomig_state_name(int state);

/* Returns the state of this name, or -EINVAL. Upper and lower case are the same, and so are '-' and
 * '_'. */
int vfiomig_state_from_name(const char *name);

/* Returns whether a device with these migration @flags can be in @state. */
bool vfiomig_fsm_supports(uint64_t flags, int state);

/**
 * vfiomig_fsm_path - the states that SET_STATE passes through
 * @flags: the device's migration flags
 * @from: the state that the device is in
 * @to: the state that is asked for
 * @path: receives the states after @from, in order, @to last; may be NULL
 *
 * The uAPI has these rules for a transition of several arcs. The shortest path is taken. A state of
 * the saving group (PRE_COPY, PRE_COPY_P2P, STOP_COPY) is not inside of a path, unless the whole
 * path stays in that group. No arc leads from STOP_COPY back to PRE_COPY or PRE_COPY_P2P. ERROR is
 * not a target, and no arc leads out of it.
 *
 * Returns the number of arcs, 0 when @from is @to, or -EINVAL if the protocol has no such
 * transition.
 */
int vfiomig_fsm_path(uint64_t flags, int from, int to, int path[VFIOMIG_NR_STATES]);

/* ---- Structures that grow ---------------------------------------------- */

/*
 * struct vfiomig_pci_id, vfiomig_fds, vfiomig_options and vfiomig_result grow at their end, and
 * their first member says how large they are. Initialise each with its VFIOMIG_*_INIT.
 *
 * A program and a library of different versions work together. What an older program does not know
 * has its default. What an older library does not know must be unused where the library reads the
 * structure, or else the function fails with -E2BIG; where the library writes it, it becomes
 * unused. Unused means 0, and -1 for a descriptor. Nothing is written to a structure that has no
 * valid size. (Members that are added leave no padding at the end.)
 */

/* ---- Devices ----------------------------------------------------------- */

/*
 * These functions may start a child process, which does what could get stuck in sysfs, debugfs or
 * the descriptors of other processes: vfiomig_device_new(), vfiomig_device_from_fds(),
 * vfiomig_device_open(), vfiomig_device_bind(), vfiomig_device_unbind(),
 * vfiomig_device_release(), vfiomig_device_get_opener(), vfiomig_device_peek_state(),
 * vfiomig_device_get_use(), vfiomig_device_foreach() and vfiomig_device_foreach_use(). A program
 * with threads may call them. The child raises no SIGCHLD, and the library reaps it. It closes all
 * descriptors, but it has a copy of the address space: use MADV_DONTFORK for the BARs of a device
 * and for the memory of a guest. See "Processes" in libvfiomig(3).
 */

/**
 * vfiomig_device_new - find a device by its name
 * @name: a PCI function ("0000:3b:00.1", "3b:00.1"), the UUID of a mediated device, a VFIO
 *	character device ("vfio0", "noiommu-vfio0", "/dev/vfio/devices/vfio0"), or any sysfs path of
 *	such a device. For a device that somebody has open: "pid:PID/DEV" or "pid:PID/fd:N" of a
 *	process, "fd:N" of the caller, or "unix:PATH" of a holder.
 * @dev: receives the device; release it with vfiomig_device_unref()
 *
 * Opens nothing. A descriptor is duplicated: whatever its number means later, it stays what the
 * device is, until the last unref. It may fit several devices of sysfs, or none. Then the device
 * has no sysfs path, its name is @name, and it has the bus and the driver that all of them have.
 *
 * Returns 0, or
 *  -EINVAL	@name has no such form
 *  -ENOENT	there is no such device, descriptor or holder
 *  -ESRCH	there is no such process
 *  -ENOTTY	the descriptor is no VFIO device
 *  -EPERM	the caller may not look into the process, see pidfd_getfd(2), or the holder is
 *		another user's
 *  -EOPNOTSUPP	the kernel has no pidfd_getfd(2)
 *  -EBUSY	the holder does not answer
 *  -EPROTO	what serves the socket is no holder
 *  -ETIMEDOUT	only the driver could tell which device the descriptor is, and does not answer
 *  -EINTR	vfiomig_interrupt() was called
 *  -ENOMEM
 * or the errno of the call that failed.
 */
int vfiomig_device_new(struct vfiomig_ctx *ctx, const char *name, struct vfiomig_device **dev);
/* Take one more reference. Returns @dev. */
struct vfiomig_device *vfiomig_device_ref(struct vfiomig_device *dev);
/* Drop a reference; @dev may be NULL. The last one closes the device. Always returns NULL. */
struct vfiomig_device *vfiomig_device_unref(struct vfiomig_device *dev);

/**
 * vfiomig_device_foreach - visit every device that has a VFIO driver
 * @fn: called for each device, in the order of their names, until it does not return 0. The device
 *	is the library's: take a reference to keep it.
 * @data: passed to @fn
 *
 * Opens nothing. Returns 0, also if there is no device, what @fn returned, or a negative errno when
 * the devices cannot be read, -EINTR after vfiomig_interrupt(). @fn is not called then.
 */
int vfiomig_device_foreach(struct vfiomig_ctx *ctx,
			   int (*fn)(struct vfiomig_device *dev, void *data), void *data);

/*
 * What sysfs says of the device. The strings are owned by @dev, valid until vfiomig_device_bind()
 * or vfiomig_device_unbind(), and NULL where sysfs has nothing.
 */
const char *vfiomig_device_get_name(const struct vfiomig_device *dev);
const char *vfiomig_device_get_syspath(const struct vfiomig_device *dev);
const char *vfiomig_device_get_bus(const struct vfiomig_device *dev);
const char *vfiomig_device_get_driver(const struct vfiomig_device *dev);
/* The name of the VFIO character device, "vfio0", whose node is /dev/vfio/devices/vfio0. Kernels
 * without such nodes have the name all the same. */
const char *vfiomig_device_get_cdev(const struct vfiomig_device *dev);
/* The type of a mediated device, "mtty-2". */
const char *vfiomig_device_get_mdev_type(const struct vfiomig_device *dev);
/* The number of the IOMMU group, or -1. */
int vfiomig_device_get_group(const struct vfiomig_device *dev);

/* What a PCI function is. Initialise it with VFIOMIG_PCI_ID_INIT. */
struct vfiomig_pci_id {
	size_t size; /* of this structure, in bytes */
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem_device;
	uint32_t class_code; /* 24 bits: class, subclass, programming interface */
	uint32_t revision;   /* 8 bits */
};
#ifndef __cplusplus
/* clang-format off */
#define VFIOMIG_PCI_ID_INIT { .size = sizeof(struct vfiomig_pci_id) }
/* clang-format on */
#else
#define VFIOMIG_PCI_ID_INIT           \
	([] {                         \
		vfiomig_pci_id id{};  \
		id.size = sizeof(id); \
		return id;            \
	}())
#endif
/* Returns whether the device is a PCI function. If not, or if @id has no valid size, returns false
 * and leaves @id alone. */
bool vfiomig_device_get_pci_id(const struct vfiomig_device *dev, struct vfiomig_pci_id *id);

/**
 * vfiomig_device_get_opener - find the process that has the device open now
 * @pid: receives the process
 * @comm: receives its command name, 16 bytes with the zero byte at the end
 *
 * Looks through /proc for a descriptor of the device's group or cdev node. It sees as much as the
 * caller's privileges allow. Returns 0, -ENOENT when it sees nobody, or another negative errno when
 * it could not look at all of them: -ETIMEDOUT, or -EINTR after vfiomig_interrupt().
 */
int vfiomig_device_get_opener(const struct vfiomig_device *dev, int *pid, char comm[16]);

/**
 * vfiomig_device_peek_state - the state of a device that need not be open here
 *
 * Asks the device's holder, or else reads debugfs, if the kernel has VFIO_DEBUGFS (Linux 6.8) and
 * the caller may read it. The state of a device that nobody has open means nothing. Returns an enum
 * vfiomig_state or a negative errno: -ETIMEDOUT if the driver does not tell it in time, -EINTR
 * after vfiomig_interrupt().
 */
int vfiomig_device_peek_state(const struct vfiomig_device *dev);

/* Who uses a device. */
struct vfiomig_use {
	struct vfiomig_device *device;
	/* The process that has it open, 0 if none is seen, and the name of its command. */
	int pid;
	const char *comm;
	bool holder; /* that process is the device's holder */
	bool silent; /* the device has a holder, which does not answer */
	int state;   /* an enum vfiomig_state, negative if it is not known or nobody has it open */
	/* 0, or the negative errno of what could not be found out: -ETIMEDOUT if that took too
	 * long. */
	int error;
	/* Of a silent holder: that it does not answer, perhaps why, and what to do; else "". @pid
	 * is the process that serves the holder's socket, if the kernel tells that, or else the one
	 * that has the device open. */
	const char *sentence;
};
typedef int (*vfiomig_use_fn)(void *data, const struct vfiomig_use *use);

/**
 * vfiomig_device_foreach_use - visit every device that has a VFIO driver, and tell who uses it
 * @ms: how long to look at most, in milliseconds
 * @fn: called for each device as for vfiomig_device_foreach(). @use and its strings are the
 *	library's.
 * @data: passed to @fn
 *
 * Finds out for all devices at once what vfiomig_device_get_holder(), vfiomig_device_get_opener()
 * and vfiomig_device_peek_state() tell of one, with a single look at the descriptors of all
 * processes. The time is kept to whatever a driver, a holder or another process does: processes of
 * the library's own do what can get stuck. One of these is left behind if nothing ends it, without
 * any of the caller's descriptors. Also visits devices which are being taken from VFIO, while
 * somebody still has them open.
 *
 * Returns what vfiomig_device_foreach() returns.
 */
int vfiomig_device_foreach_use(struct vfiomig_ctx *ctx, unsigned int ms, vfiomig_use_fn fn,
			       void *data);
/* The same for one device. @fn is called once, and what it returns is returned. */
int vfiomig_device_get_use(struct vfiomig_device *dev, unsigned int ms, vfiomig_use_fn fn,
			   void *data);

/* The way to reach a device. */
enum vfiomig_via {
	VFIOMIG_VIA_AUTO,  /* the cdev if there is one, else the group; the default */
	VFIOMIG_VIA_CDEV,  /* the VFIO character device, with iommufd */
	VFIOMIG_VIA_GROUP, /* the IOMMU group, with a type1 container */
};

/* Set how vfiomig_device_open() reaches the device. */
void vfiomig_device_set_via(struct vfiomig_device *dev, enum vfiomig_via via);

/**
 * vfiomig_device_set_vf_token - set the VF token that vfiomig_device_open() gives to the kernel
 * @uuid: a UUID as text, which is copied; NULL, the default, for none
 *
 * A virtual function whose physical function belongs to vfio-pci is opened with the token of the
 * physical function only. That is the token that the physical function was opened with while none
 * of its virtual functions was in use, or a random one. While one of them is in use, the physical
 * function is opened with that token only. The kernel refuses a token that it does not need.
 *
 * Through the cdev the kernel takes a token since Linux 6.17. On older kernels VFIOMIG_VIA_AUTO
 * takes the group if there is a token. It has no effect on devices that are borrowed.
 *
 * Returns 0, or -EINVAL when @uuid is no UUID.
 */
int vfiomig_device_set_vf_token(struct vfiomig_device *dev, const char *uuid);

/*
 * Set how many seconds vfiomig_device_open() and vfiomig_device_release() wait for other programs
 * that use this library. 0, the default, is not to wait; a negative number is as long as it takes.
 * vfiomig_device_open() and vfiomig_device_bind() wait as long for the end of a reset of a PCI
 * function, and a second longer.
 */
void vfiomig_device_set_wait(struct vfiomig_device *dev, int seconds);

/* Flags of vfiomig_device_open(). */
#define VFIOMIG_OPEN_UNBOUND   (1U << 0) /* do not bind a cdev to an iommufd */
#define VFIOMIG_OPEN_AS_IS     (1U << 1) /* do not reset what the last session left */
#define VFIOMIG_OPEN_KEEP_LOCK (1U << 2) /* keep other programs out when it is closed, too */

/**
 * vfiomig_device_open - open the device, or borrow it from a process that has it open
 * @flags: 0, or some of VFIOMIG_OPEN_UNBOUND, VFIOMIG_OPEN_AS_IS and VFIOMIG_OPEN_KEEP_LOCK
 *
 * A device that was named by a process that has it open is borrowed from there: with
 * pidfd_getfd(2), with fcntl(2), or from its holder. A device that has a holder is borrowed from
 * the holder, whatever its name. The session of a borrowed device goes on when the device is closed
 * here.
 *
 * Any other device is opened, which starts a session. The driver usually resets an idle device
 * then, so that it is RUNNING. Some drivers keep the state of the last session. If that is ERROR or
 * RESUMING, out of which no arc leads any more, the library resets the device, unless
 * VFIOMIG_OPEN_AS_IS is given. Closing it, by vfiomig_device_close() or the last unref, ends the
 * session and with it the device's state. All descriptors are close-on-exec.
 *
 * Until the device is closed, no other program that uses this library gets it: each locks a file in
 * the run-time directory, see vfiomig_set_rundir(), and a holder serves one at a time. With
 * VFIOMIG_OPEN_KEEP_LOCK the lock is kept when the device is closed, and dropped by the last unref,
 * or by closing the device after it was opened without the flag. A child of fork() that opens the
 * device with the flag shares the lock. It ends by _exit(2), so that it drops nothing.
 *
 * With VFIOMIG_OPEN_UNBOUND a cdev that is opened here is not bound to its iommufd
 * (VFIO_DEVICE_BIND_IOMMUFD), which can be done only once, and which a VMM does itself. Such a
 * device can be given to another program, and nothing else. Everywhere else the flag has no effect.
 *
 * Opening an open device again does nothing, but with VFIOMIG_OPEN_KEEP_LOCK its lock is kept from
 * then on. Returns 0, or
 *  -EINVAL	@flags has a bit that this library does not know, or vfiomig_device_set_via() had no
 *		value of enum vfiomig_via
 *  -ENODEV	the device is not bound to a VFIO driver
 *  -EOPNOTSUPP	the kernel has no VFIO, or the device has no IOMMU group
 *  -EBUSY	somebody else has the device open or works on it, its holder does not answer, the
 *		process has not bound it to an iommufd yet, the group is not viable, the kernel is
 *		resetting the PCI function, or the lock is to be kept of an open device that a
 *		holder of this process serves already
 *  -EIO	the PCI function does not answer: its configuration space reads as all ones. It is
 *		not opened, because the kernel would wait for it for long
 *  -EACCES, -EPERM	not permitted
 *  -ENOENT	the process has not got the device open
 *  -ENOTUNIQ	the descriptors of the process do not tell which of them is the device
 *  -ETIMEDOUT	only a driver could tell which descriptor it is, and does not answer
 *  -EPROTO	what serves the socket is no holder, or serves another device
 *  -EINTR	vfiomig_interrupt() was called while it waited
 * or the errno of the call that failed.
 */
int vfiomig_device_open(struct vfiomig_device *dev, unsigned int flags);

/**
 * vfiomig_devices_open - open several devices, for one transfer
 * @devices: @n closed devices, of one context
 * @flags: as for vfiomig_device_open()
 * @which: receives the index of the device that a failure is about, or @n; may be NULL
 *
 * As vfiomig_device_open() does for each of them, at the same time, in threads that the library
 * starts: many drivers reset their device then, which takes a tenth of a second. Only devices of
 * the same IOMMU group are opened one after the other, and all if one has a VF token: give the
 * physical function before its virtual ones. The functions of vfiomig_set_log() and
 * vfiomig_set_notice() may be called by these threads, by one at a time, and the lines of several
 * devices come in any order.
 *
 * All locks are taken first, in the order of their names, so that two programs that want some of
 * the same devices never wait for each other. vfiomig_device_set_wait() is about all of them
 * together then, and the first one's counts.
 *
 * Returns 0, -ENOTUNIQ when a device was given twice, whatever its names, -EBUSY also when one of
 * them is open here already or has kept its lock, or what vfiomig_device_open() returned for the
 * first device, in the order of @devices, that could not be opened. After a failure those that were
 * closed are closed, and the others stay open.
 */
int vfiomig_devices_open(struct vfiomig_device *const devices[], size_t n, unsigned int flags,
			 size_t *which);

/**
 * vfiomig_device_close - close the device, or give it back to the process that it was borrowed from
 *
 * Closing a closed device does nothing. Returns 0; -EOWNERDEAD when the device was borrowed from a
 * holder that has ended meanwhile, or from a process that has closed it, so that its state is lost;
 * -EINTR when the context was interrupted and the driver has not closed it half a second later,
 * which a process of its own goes on with; or another negative errno when its holder did not take
 * it back. The device is closed here in all cases.
 */
int vfiomig_device_close(struct vfiomig_device *dev);

/**
 * vfiomig_devices_close - close several devices, or give them back
 * @devices: @n devices, of one context
 * @errors: receives what vfiomig_device_close() returned for each of them; may be NULL
 *
 * As vfiomig_device_close() does for each of them, at the same time, by a child process for each:
 * many drivers reset their device then. Returns 0, or what it returned for the first device, in the
 * order of @devices, for which it failed, and which vfiomig_get_error() is about. All devices are
 * closed here in all cases.
 */
int vfiomig_devices_close(struct vfiomig_device *const devices[], size_t n, int errors[]);

/* Flags of vfiomig_probe_devices(). */
#define VFIOMIG_PROBE_FEATURES	  (1U << 0) /* probe each feature, and ask for the state's size */

#define VFIOMIG_PROBE_NR_FEATURES 64

/* What a device has answered. Where there is an errno, -ETIMEDOUT says that no answer came. */
struct vfiomig_probe {
	struct vfiomig_device *device;
	int open;	/* what vfiomig_device_open() returned */
	int migration;	/* what vfiomig_device_get_migration() returned */
	uint64_t flags; /* VFIO_MIGRATION_*, if @migration is 0 */
	int state;	/* what vfiomig_device_get_state() returned */
	int data_size;	/* what vfiomig_device_get_data_size() returned */
	uint64_t bytes; /* the size, if @data_size is 0 */
	int features;	/* 0 if @ops is known */
	unsigned char ops[VFIOMIG_PROBE_NR_FEATURES]; /* see vfiomig_device_probe() */
	/*
	 * 0, or the errno of the first failure to open the device, or to get its migration flags;
	 * -ETIMEDOUT if not all answers came, or if the device does not close.
	 */
	int error;
	const char *sentence; /* about @error; "" if that is 0 */
	int left; /* a process that is left in the kernel, and may have the device open; or 0 */
};
typedef int (*vfiomig_probe_fn)(void *data, const struct vfiomig_probe *probe);

/**
 * vfiomig_probe_devices - open devices, ask what they can do, and close them, in limited time
 * @devices: @n closed devices
 * @ms: how long to wait for a device at most, in milliseconds. While another command works on a
 *	device, which vfiomig_device_set_wait() is about, that time does not pass; nor does it while
 *	other processes have all processors.
 * @flags: 0, or VFIOMIG_PROBE_FEATURES
 * @fn: called for each device, in the order of @devices, once all of them are done. If it does not
 *	return 0, that ends it. @probe and its sentence are the library's.
 *
 * What the driver does not do in that time is given up: a child process opens the device, and is
 * killed. One that does not end then is left behind, and keeps the device open. The devices are
 * asked at the same time, but those of one IOMMU group one after the other. May be called while the
 * program has one thread only, because the child allocates memory.
 *
 * Returns 0, what @fn returned, or a negative errno: -EINTR when the context was interrupted,
 * -EBUSY when one of the devices is open here, -EINVAL when @flags has a bit that this library does
 * not know, -ENOMEM.
 */
int vfiomig_probe_devices(struct vfiomig_ctx *ctx, struct vfiomig_device *const devices[], size_t n,
			  unsigned int ms, unsigned int flags, vfiomig_probe_fn fn, void *data);
/*
 * Returns the VFIO device descriptor, which is owned by @dev, or -EBADF when the device is closed.
 */
int vfiomig_device_get_fd(const struct vfiomig_device *dev);

/* The descriptors of an open device; -1 where there is none. Initialise it with VFIOMIG_FDS_INIT,
 * which sets all of them to -1. */
struct vfiomig_fds {
	size_t size; /* of this structure, in bytes */
	int device;
	int iommufd;	      /* of a cdev */
	int group, container; /* of a device opened through its group */
};
#ifndef __cplusplus
/* clang-format off */
#define VFIOMIG_FDS_INIT \
	{ .size = sizeof(struct vfiomig_fds), .device = -1, .iommufd = -1, \
	  .group = -1, .container = -1 }
/* clang-format on */
#else
#define VFIOMIG_FDS_INIT                                                   \
	([] {                                                              \
		vfiomig_fds fds{};                                         \
		fds.size = sizeof(fds);                                    \
		fds.device = fds.iommufd = fds.group = fds.container = -1; \
		return fds;                                                \
	}())
#endif
/**
 * vfiomig_device_get_fds - the descriptors of a device
 * @fds: receives the descriptors, which stay the property of @dev. All are -1 if the device is
 *	closed.
 *
 * Returns 0, or -EINVAL when @fds has no valid size.
 */
int vfiomig_device_get_fds(const struct vfiomig_device *dev, struct vfiomig_fds *fds);

/**
 * vfiomig_device_from_fds - a device that the caller has open already
 * @fds: the device descriptor, and with it the iommufd, or the group and the container, or -1 where
 *	the caller has none; they stay the caller's
 * @dev: receives the device; release it with vfiomig_device_unref()
 *
 * The library keeps duplicates. vfiomig_device_open() borrows the device as if it were called
 * "fd:N": the session stays the caller's, and goes on when the device is closed here. A cdev that
 * is not bound yet is bound to fds->iommufd, or, without one, to a new iommufd. What the other
 * descriptors are is not checked.
 *
 * Returns 0, or
 *  -EINVAL	@fds has no valid size, or no device descriptor
 *  -E2BIG	@fds is of a newer version, and has a descriptor that this library does not know
 *  -EBADF	a descriptor is not open
 *  -ENOTTY	the device descriptor is no VFIO device
 *  -ETIMEDOUT	only the driver could tell which device it is, and does not answer
 *  -EINTR	vfiomig_interrupt() was called
 *  -ENOMEM
 * or the errno of the call that failed.
 */
int vfiomig_device_from_fds(struct vfiomig_ctx *ctx, const struct vfiomig_fds *fds,
			    struct vfiomig_device **dev);

/* Returns whether the open device is in a session of somebody else, which goes on when the device
 * is closed here. */
bool vfiomig_device_is_borrowed(const struct vfiomig_device *dev);

/**
 * vfiomig_device_get_owner - the process of a device that was named "pid:PID/..."
 * @pid: receives the process
 * @comm: receives its command name, 16 bytes with the zero byte at the end
 *
 * Returns 0, or -ENOENT for a device that was named in another way.
 */
int vfiomig_device_get_owner(const struct vfiomig_device *dev, int *pid, char comm[16]);

/* Watches that process for a fifth of a second. Returns whether one of its threads was seen to run:
 * a VMM that is not paused, whose device had better be left alone. If none was seen, that proves
 * nothing. */
bool vfiomig_device_owner_runs(const struct vfiomig_device *dev);

/* ---- Holders ----------------------------------------------------------- */

/*
 * A holder keeps a device open, and thereby its state, after the program that opened the device has
 * ended. On a socket in the run-time directory it serves the descriptors to other programs that use
 * this library, of the same user or root; vfiomig_device_open() finds it there. One program at a
 * time has the device. If that program dies, the holder brings the device back to the state that it
 * was in, by a reset if no arcs lead there.
 */
struct vfiomig_holder;

/**
 * vfiomig_holder_new - make the socket of a holder
 * @dev: an open device; the holder takes a reference
 * @holder: receives the holder; release it with vfiomig_holder_free()
 *
 * Returns 0, -EBADF when the device is not open, -EBUSY when it has a holder already, -EINVAL when
 * its name in sysfs is not known, or the negative errno of what failed.
 */
int vfiomig_holder_new(struct vfiomig_device *dev, struct vfiomig_holder **holder);
/* Remove the socket. @holder may be NULL. The device is not closed by that. */
void vfiomig_holder_free(struct vfiomig_holder *holder);
/* The socket's path, owned by @holder. */
const char *vfiomig_holder_get_path(const struct vfiomig_holder *holder);

enum vfiomig_holder_event {
	VFIOMIG_HOLDER_READY,  /* from now on other programs get the device from the holder */
	VFIOMIG_HOLDER_ENDING, /* nobody gets it any more; it is closed once nobody has it */
};

/**
 * vfiomig_holder_set_notify - have a function called when a holder begins to serve and when it ends
 * @fn: called by vfiomig_holder_serve(), once for each event; NULL for none
 * @data: passed to @fn
 *
 * VFIOMIG_HOLDER_ENDING comes while the device is still open, and before a program that released
 * the device gets its answer. @fn must neither free the holder nor close the device. All clients of
 * the holder wait while it runs.
 */
void vfiomig_holder_set_notify(struct vfiomig_holder *holder,
			       void (*fn)(void *data, enum vfiomig_holder_event event), void *data);

/**
 * vfiomig_holder_fork - go on in a process of its own
 *
 * Like fork(2), but returns in the parent only when the child has said that it serves. The child
 * has a session of its own, so that no signal to the parent's process group or terminal reaches it,
 * and has forgotten an interruption of the context. All descriptors beyond standard error are
 * closed in it, except for those that the holder needs. All signals are blocked in it: it is to set
 * its own handlers, to unblock the signals, and to call vfiomig_holder_serve(), which tells the
 * parent. From then on the holder is the child's. The calling process must have one thread.
 *
 * Returns the PID of the child, 0 in the child, or a negative errno: -EINTR when
 * vfiomig_interrupt() was called before the child served, -ECHILD when the child has ended before
 * that, or what failed in it. Then there is no child any more, and the device is still open here.
 */
int vfiomig_holder_fork(struct vfiomig_holder *holder);

/**
 * vfiomig_holder_serve - serve until the device is released
 *
 * After that, or after vfiomig_interrupt(), closes the device. The log, see vfiomig_set_log(), has
 * which process released it, which was refused, and which ended without giving it back.
 *
 * Returns 0 when the device was released, -EINTR, or another negative errno if it cannot serve any
 * more.
 */
int vfiomig_holder_serve(struct vfiomig_holder *holder);

/* Find the device's holder. Returns 0 with its PID in @pid, -ENOENT when there is none, or another
 * negative errno when there is a socket whose holder cannot be asked. */
int vfiomig_device_get_holder(const struct vfiomig_device *dev, int *pid);

/**
 * vfiomig_device_release - have the device's holder close it and end
 *
 * Returns 0 when the device is closed, -ENOENT when nobody holds it, or nobody that can be seen
 * from here, -EBUSY when another program works on it or the holder does not answer, -EINVAL for a
 * device that was named by a process or a descriptor, -EPERM when the holder is another user's,
 * -EINTR, or another negative errno. After -EINTR, and after -EBUSY because the holder does not
 * answer, the sentence says whether the holder has got the request: then it may close the device
 * later.
 */
int vfiomig_device_release(struct vfiomig_device *dev);

/* ---- Watching ----------------------------------------------------------- */

/*
 * Following a migration that another process drives: nothing is driven, no state is read, and
 * nothing is opened that its owner has not open. The device is not locked.
 */
struct vfiomig_watch;

/* Ask each driver for VFIO_MIG_GET_PRECOPY_INFO. Without this flag, only those are asked whose
 * answer changes nothing for the process that saves: see vfiomig-watch(1). */
#define VFIOMIG_WATCH_ASK (1U << 0)

/*
 * What was seen. Where there is an errno, 0 says that what follows it is known. The structure and
 * its strings are the library's, and valid until the next call. A later version of the library may
 * have more members, at the end.
 */
struct vfiomig_look {
	/* An enum vfiomig_state; -ETIMEDOUT as long as the driver does not tell it; or another
	 * negative errno, about which @sentence is. */
	int state;
	uint64_t ns;	    /* when the state was read, CLOCK_MONOTONIC in nanoseconds */
	const char *source; /* who told it: "debugfs", "device" or "holder"; or NULL */
	/* What has not come back yet, "VFIO_DEVICE_FEATURE (GET MIG_DEVICE_STATE)", and since how
	 * many nanoseconds; NULL if everything has. */
	const char *waits;
	uint64_t waits_ns;
	/* The process that has the device open, 0 if none is seen, and the name of its command. */
	int owner;
	const char *comm;
	bool holder;	  /* that process is the device's holder */
	char owner_state; /* its state as in proc(5): 'T' if it is stopped; 0 if not known */
	/*
	 * The data_fd by which the state moves, in a saving state and in RESUMING. -ENOENT: none is
	 * seen; -ENOTUNIQ: several may be it; or another negative errno. @data_sentence is about
	 * the latter two.
	 */
	int data;
	int data_fd;		/* its number in the process that has it, or -1 */
	const char *data_name;	/* that the driver gives it, "mlx5vf_mig" */
	int mover;		/* the process that has it, or 0 */
	const char *mover_comm; /* the name of its command */
	/* The bytes that were moved through it, if its driver counts them: not all do. */
	bool counts;
	uint64_t moved;
	/* What that process has read and written since it began, by whatever descriptor. */
	int io;
	uint64_t bytes_read, written;
	/*
	 * What VFIO_MIG_GET_PRECOPY_INFO said last in this PRE_COPY, at the time @precopy_ns. It is
	 * asked once in a second at most. -ENODATA: not asked yet; -ECANCELED: not asked, see
	 * VFIOMIG_WATCH_ASK; or the errno of the ioctl.
	 */
	int precopy;
	uint64_t precopy_ns, initial_bytes, dirty_bytes;
	bool reinit; /* VFIO_PRECOPY_INFO_REINIT */
	const char *sentence, *data_sentence;
};

/**
 * vfiomig_watch_new - begin to watch a device
 * @dev: a device that was not opened here; the watch takes a reference. A duplicate that the
 *	library keeps of a device which was named by its descriptor is closed, so that the session
 *	ends with its owner: such a device cannot be opened here any more.
 * @data_fd: the number that the data_fd has in the process that moves the state; -1 to find it
 * @flags: 0, or VFIOMIG_WATCH_ASK
 * @watch: receives the watch; release it with vfiomig_watch_free()
 *
 * Returns 0, or
 *  -EINVAL	the device was named by a descriptor of the caller, or @flags has a bit that this
 *		library does not know
 *  -ENOENT	nobody has the device open
 *  -EPERM	nobody is seen to have it open, and the caller may not see everybody
 *  -ESRCH	there is no such process
 *  -EINTR	vfiomig_interrupt() was called
 *  -ENOMEM
 * or the errno of the call that failed.
 */
int vfiomig_watch_new(struct vfiomig_device *dev, int data_fd, unsigned int flags,
		      struct vfiomig_watch **watch);
/**
 * vfiomig_watch_look - look at the device once more
 * @ms: when to look, in milliseconds since the last look began; and how long to wait for what is
 *	seen
 * @look: receives what was seen
 *
 * A child process looks. It allocates memory: call this while the program has one thread. If the
 * driver lets it wait, this function returns after @ms all the same, and the next call waits on for
 * the same child.
 *
 * Returns 0, or
 *  -EOWNERDEAD	the owner has ended, or has closed the device
 *  -EINTR	vfiomig_interrupt() was called
 * and, as long as the state was never seen,
 *  -EOPNOTSUPP	the driver or the kernel has no migration support for the device
 *  -EPERM	the caller may see neither debugfs nor the descriptors of the owner
 *  -ENOENT	the owner has not got the device open
 *  -EBUSY	the owner has its cdev open, and has not bound it to an iommufd yet
 *  -ENOTUNIQ	the descriptors of the owner do not tell which of them is the device
 * or the errno of the call that failed.
 */
int vfiomig_watch_look(struct vfiomig_watch *watch, unsigned int ms,
		       const struct vfiomig_look **look);
/* End a watch; @watch may be NULL. */
void vfiomig_watch_free(struct vfiomig_watch *watch);

/* ---- Binding to drivers ------------------------------------------------- */

#define VFIOMIG_BIND_GROUP   (1U << 0) /* all endpoints of the IOMMU group */
#define VFIOMIG_BIND_DRY_RUN (1U << 1) /* change nothing, only tell what would be done */
#define VFIOMIG_BIND_FORCE   (1U << 2) /* a bind: also a function that the host uses */

/* What was done to a PCI function, or would be. The strings are the library's. */
struct vfiomig_binding {
	const char *device;    /* "0000:3b:00.1" */
	const char *from, *to; /* drivers; NULL for none */
	const char *lost; /* the driver that it had, if the kernel does not have that any more */
	bool unchanged;	  /* there was nothing to do */
	bool unknown;	  /* a dry run: the kernel will choose the driver */
};
/* @data is what was given with the function. */
typedef void (*vfiomig_binding_fn)(void *data, const struct vfiomig_binding *b);

/**
 * vfiomig_device_bind - bind a PCI function to a VFIO driver
 * @driver: a PCI driver or its module. NULL for the best one: the variant driver whose "vfio_pci:"
 *	alias fits with the fewest wildcards, or else vfio-pci.
 * @flags: of VFIOMIG_BIND_*
 * @fn: called for each function when everything is done; may be NULL
 * @data: passed to @fn
 *
 * Loads the driver, notes what the function is bound to, sets driver_override (which stays set),
 * unbinds, probes, and waits for the node. If a step fails, the functions are given back to the
 * drivers that they had, or the error says that this failed as well. Strings that
 * vfiomig_device_get_*() returned before are not valid any more. Returns 0, or
 *  -EINVAL	the device is no PCI function, @driver is no name of a driver, or @flags has a bit
 *		that this library does not know
 *  -ENOENT	there is no such driver
 *  -EOPNOTSUPP	the device is a bridge or has no IOMMU group, or the kernel has no vfio-pci
 *  -ENODEV	@driver has taken the function, and is no VFIO driver
 *  -EBUSY	a process has the device open; or, without VFIOMIG_BIND_FORCE, the host uses its
 *		disk, network interface, console or virtual functions
 *  -EPERM	not permitted
 *  -EINTR	vfiomig_interrupt() was called. If the kernel was in the middle of a step, it goes
 *		on with that, no further step follows, and the sentence says what that comes to
 *  -ETIMEDOUT	the device got no node, or the kernel does not tell in time who uses it
 *  -E2BIG	more nodes are open than this library can look at, so that it cannot be told who
 *		uses the device
 *  -EIO		a driver or the kernel refused, or the function does not answer
 *  -ENOMEM
 * or the errno of what could not be looked at.
 */
int vfiomig_device_bind(struct vfiomig_device *dev, const char *driver, unsigned int flags,
			vfiomig_binding_fn fn, void *data);

/**
 * vfiomig_device_unbind - give a PCI function back to the driver it had
 *
 * vfiomig_device_bind() has noted which driver that was, or that there was none. A function that it
 * has not bound loses its driver_override, and goes to the driver that the kernel chooses. A
 * function without a VFIO driver is left alone. The parameters and the errors are those of
 * vfiomig_device_bind().
 */
int vfiomig_device_unbind(struct vfiomig_device *dev, unsigned int flags, vfiomig_binding_fn fn,
			  void *data);

/**
 * vfiomig_device_get_obstacle - what keeps the device's IOMMU group from being used
 * @name: receives the first device in the group whose driver does DMA without VFIO
 * @driver: receives that driver
 *
 * Returns 0, -ENOENT when there is none, or another negative errno when it could not look.
 */
int vfiomig_device_get_obstacle(const struct vfiomig_device *dev, char name[256], char driver[256]);

/* ---- What migration needs ----------------------------------------------- */

enum vfiomig_verdict {
	VFIOMIG_PASS,
	VFIOMIG_WARN,	 /* something works in part, or can go wrong */
	VFIOMIG_FAIL,	 /* migration does not work like this */
	VFIOMIG_UNKNOWN, /* it could not be found out */
};

/* "PASS", "WARN", "FAIL", "UNKNOWN" */
const char *vfiomig_verdict_name(enum vfiomig_verdict verdict);

/*
 * What was found out about one thing that migration needs. The strings are the library's, and may
 * have text from outside in them. A later version of the library may have more members, at the end.
 */
struct vfiomig_diagnosis {
	const char *check; /* "iommu.remapping"; a name does not change its meaning */
	enum vfiomig_verdict verdict;
	const char *what; /* what is the case, and why */
	const char
		*advice; /* what to do about it; "" if it passes, or if nothing is known to help */
};
typedef int (*vfiomig_diagnosis_fn)(void *data, const struct vfiomig_diagnosis *diagnosis);

#define VFIOMIG_DIAGNOSE_PROBE (1U << 0) /* open the device, and ask for its migration support */

/**
 * vfiomig_diagnose - what this host, or a device, lacks for migration
 * @dev: a closed device; NULL for the host alone
 * @flags: 0, or VFIOMIG_DIAGNOSE_PROBE, with which @dev is opened, which resets most devices that
 *	nobody has open; a device that somebody has open is not opened again
 * @fn: called for each thing that was looked at, in an order that says first what the rest depends
 *	on. If it does not return 0, that ends it.
 * @data: passed to @fn
 *
 * Changes nothing, and without the flag opens nothing that a device would notice. The answers are
 * those that other functions would give as failures. May be called while the program has one thread
 * only, because a child process may allocate memory.
 *
 * Returns 0, whatever was found, what @fn returned, or a negative errno: -EINTR when the context
 * was interrupted, -EINVAL when @flags has a bit that this library does not know, -EBUSY when @dev
 * is open here, -ENOMEM.
 */
int vfiomig_diagnose(struct vfiomig_ctx *ctx, struct vfiomig_device *dev, unsigned int flags,
		     vfiomig_diagnosis_fn fn, void *data);

/* ---- Features of an open device ---------------------------------------- */

/* The functions from here on fail with -EBADF if they need an open device, and it is not open, or
 * is not bound to its iommufd. */

/* Returns the flags of struct vfio_device_info, such as VFIO_DEVICE_FLAGS_RESET. */
uint32_t vfiomig_device_get_info_flags(const struct vfiomig_device *dev);

/* The operations that VFIO_DEVICE_FEATURE_PROBE finds for a feature. */
#define VFIOMIG_FEATURE_GET (1U << 0)
#define VFIOMIG_FEATURE_SET (1U << 1)
/* Returns bits of VFIOMIG_FEATURE_*, 0 if the device does not have the feature with this number. */
unsigned int vfiomig_device_probe(const struct vfiomig_device *dev, unsigned int feature);

/**
 * vfiomig_feature_name - the uAPI's name of a feature number
 *
 * Without the prefix VFIO_DEVICE_FEATURE_, for example "MIG_DATA_SIZE". NULL for all numbers from
 * the first one on that this library does not know, so that a loop from 0 finds all that it knows.
 */
const char *vfiomig_feature_name(unsigned int feature);

/**
 * vfiomig_device_get_migration - what the device supports of the protocol
 * @flags: receives VFIOMIG_STOP_COPY, and possibly VFIOMIG_P2P and VFIOMIG_PRE_COPY
 *
 * VFIO_DEVICE_FEATURE_MIGRATION. Returns 0, -EOPNOTSUPP when the driver or the kernel has no
 * migration support for the device, or the errno of the ioctl.
 */
int vfiomig_device_get_migration(struct vfiomig_device *dev, uint64_t *flags);

/**
 * vfiomig_device_get_data_size - the kernel's estimate of the length of the STOP_COPY stream
 * @bytes: receives the estimate
 *
 * VFIO_DEVICE_FEATURE_MIG_DATA_SIZE. Returns 0, -EOPNOTSUPP when the kernel cannot tell, or the
 * errno of the ioctl.
 */
int vfiomig_device_get_data_size(struct vfiomig_device *dev, uint64_t *bytes);

/* ---- Driving the state ------------------------------------------------- */

/**
 * vfiomig_device_get_state - the state that the kernel reports now
 *
 * VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, GET. It changes nothing, which makes it the way to find out
 * where a device is after a failure. It asks once more if the first attempt fails. Returns an enum
 * vfiomig_state, -EPROTO if the driver reports a state that does not exist, -EINTR if a signal has
 * ended the ioctl after vfiomig_interrupt(), -EIO if it fails with EINTR without that, or the errno
 * of the ioctl.
 */
int vfiomig_device_get_state(struct vfiomig_device *dev);

/**
 * vfiomig_device_set_state - go to a state by one SET_STATE ioctl
 * @state: an enum vfiomig_state, as many arcs away as it may be
 * @data_fd: receives the descriptor of the data transfer session, which the caller closes, or -1 if
 *	the transition started none; NULL to have it closed
 *
 * VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, SET. A transition that vfiomig_fsm_path() refuses is not
 * asked for: kernels without a fix of 2026 hang for ever in the one from STOP_COPY to PRE_COPY.
 * An ioctl that succeeds proves nothing, so the state is read back. Another thread makes the ioctl,
 * which no signal interrupts, but see vfiomig_interrupt(). It is not tried a second time.
 *
 * After another failure the device may be in any state of the path, or in ERROR: see
 * vfiomig_device_get_state(). Returns 0 when the device is in @state; -EOPNOTSUPP for a transition
 * that the protocol refuses or the device does not support (the device was not touched); -EPROTO if
 * the ioctl succeeded but the device is elsewhere, or came without the descriptor that the
 * transition has to give, or with one although the session goes on; -ENOTRECOVERABLE if the device
 * is in RUNNING, where only a reset by somebody else can have taken it; -EINTR if the ioctl was
 * broken off; -EIO if it failed with EINTR although nobody had broken it off; the errno of the
 * ioctl; or what vfiomig_device_get_state() returns.
 */
int vfiomig_device_set_state(struct vfiomig_device *dev, int state, int *data_fd);

/**
 * vfiomig_device_drive - go to a state by one SET_STATE ioctl for each arc
 * @state: an enum vfiomig_state
 * @data_fd: as for vfiomig_device_set_state()
 * @step: called after each arc with the state reached and the time that the ioctl took, in
 *	nanoseconds. If it does not return 0, the device stays there. May be NULL.
 *
 * The device passes through the same states as with one SET_STATE, but a failure can name its arc,
 * and each arc can be timed. The state is read back after each arc. An arc that fails with EINTR,
 * EAGAIN or EBUSY, and leaves the device where it was, is tried a second time. Another thread makes
 * the ioctls, which no signal interrupts, but see vfiomig_interrupt(). @step is called on the
 * caller's thread.
 *
 * Returns 0, -EINTR if an arc was broken off, what @step returned, -EOPNOTSUPP, -EPROTO,
 * -ENOTRECOVERABLE or -EIO as vfiomig_device_set_state() does, or the errno of the arc that failed.
 */
int vfiomig_device_drive(struct vfiomig_device *dev, int state, int *data_fd,
			 int (*step)(void *data, int state, uint64_t ns), void *data);

/**
 * vfiomig_device_reset - VFIO_DEVICE_RESET
 *
 * The device is RUNNING afterwards, whatever state it was in, and what it held is lost. Another
 * thread makes the ioctl, which no signal interrupts, but see vfiomig_interrupt(). Returns 0,
 * -EPROTO if the ioctl succeeded but the device is not in RUNNING, -EINTR if it was broken off,
 * -EIO if it failed with EINTR although nobody had broken it off, or the errno of the ioctl.
 */
int vfiomig_device_reset(struct vfiomig_device *dev);

/*
 * The way back after a failure. Begin with vfiomig_device_get_state(), which changes nothing, then
 * walk, and reset the device only if there is no other way.
 */

/**
 * vfiomig_device_walk_home - go back to a state by arcs, after a failure
 * @home: an enum vfiomig_state
 *
 * Goes by way of STOP where the protocol has no straight way, with each arc as in
 * vfiomig_device_drive(). If an arc leaves the device in a state that it was not to reach, the way
 * from there is tried.
 *
 * Returns 0 when the device is in @home; -EINVAL, without touching it, if @home is a state that the
 * device does not have, or that no arcs lead to; -EUCLEAN, without touching it, if it is in ERROR,
 * or in RESUMING, which an arc would leave by loading half of a state; or the errno of what failed.
 * After -EINTR the device has its state, and an interrupted program leaves it there: another walk
 * may lead home, and a reset would lose what the device has.
 */
int vfiomig_device_walk_home(struct vfiomig_device *dev, int home);

/**
 * vfiomig_device_reset_home - reset the device, and walk from RUNNING to a state
 * @home: an enum vfiomig_state
 * @reset: receives whether the reset succeeded, and what the device held is lost; may be NULL
 *
 * Returns 0 when the device is in @home, -EINVAL as vfiomig_device_walk_home() does, or the errno
 * of what failed.
 */
int vfiomig_device_reset_home(struct vfiomig_device *dev, int home, bool *reset);

/* ---- Transfers --------------------------------------------------------- */

#define VFIOMIG_THREADS_MAX    512
#define VFIOMIG_LEVEL_MAX      19
#define VFIOMIG_CHUNK_SIZE_MIN (64u << 10)
#define VFIOMIG_CHUNK_SIZE_MAX (32u << 20)
#define VFIOMIG_SET_MAX	       64 /* devices in an image */
#define VFIOMIG_PATH_MAX       32 /* states; a transfer passes fewer */

/* How to transfer. Initialise it with VFIOMIG_OPTIONS_INIT, which has the defaults. */
struct vfiomig_options {
	size_t size; /* of this structure, in bytes */
	/* The state to leave the device in. -1: after a save, and always for a device that was
	 * named by a process, the state that it was found in; after a restore RUNNING. */
	int leave;
	int level;   /* of compression, 1 to VFIOMIG_LEVEL_MAX; 0 to store */
	int threads; /* that work on chunks, at most, as memory allows; 0: one for each processor */
	unsigned int downtime_ms; /* to aim at with pre-copy, in milliseconds; 0 for 300 */
	size_t chunk_size;	  /* bytes of state in a frame; 0 for 4 MiB */
	bool raw;		  /* the kernel's bytes, without a container */
	bool no_precopy;	  /* a save: do not read a running device before it is stopped */
	/* a restore: take an image of another device, and state that is cut off or of another
	 * device. With raw, for vfiomig_pack() and vfiomig_walk(): take state that begins like an
	 * image or a zstd file. */
	bool force;
	bool no_verify; /* a restore: do not verify an image in a file beforehand */
	bool no_p2p;	/* several devices do not talk to each other: some may have no P2P states */
	/*
	 * Called on the caller's thread, several times a second, also while the transfer waits for
	 * its first byte, with the bytes of state that were moved so far, and how many are
	 * expected, 0 if that is not known. Before a transfer succeeds, it is called with all
	 * bytes. If it does not return 0, the transfer ends: the device is brought home, and the
	 * transfer returns that value. It must not call functions with this context. May be NULL.
	 */
	int (*progress)(void *data, uint64_t bytes, uint64_t expected);
	void *progress_data;
	/* Of an image of several devices: the name of the one whose state vfiomig_unpack(),
	 * vfiomig_walk() and vfiomig_diff() are to take. NULL if there is one. */
	const char *device;
};
#ifndef __cplusplus
/* clang-format off */
#define VFIOMIG_OPTIONS_INIT { .size = sizeof(struct vfiomig_options), .leave = -1 }
/* clang-format on */
#else
#define VFIOMIG_OPTIONS_INIT                    \
	([] {                                   \
		vfiomig_options options{};      \
		options.size = sizeof(options); \
		options.leave = -1;             \
		return options;                 \
	}())
#endif

/*
 * What a transfer did, also if it failed. Initialise it with VFIOMIG_RESULT_INIT. Only if the
 * structure has no valid size, nothing is written to it.
 */
struct vfiomig_result {
	size_t size;	   /* of this structure, in bytes */
	uint64_t bytes;	   /* of the device's state that were moved */
	uint64_t expected; /* how many were expected, or 0 */
	uint64_t ns;	   /* nanoseconds that the move took, without the arcs */
	/* A save with pre-copy: the bytes that were read before the stop. */
	uint64_t precopy_bytes;
	/* A save: the nanoseconds that the device was away from the state that it was found in. */
	uint64_t downtime_ns;
	bool complete; /* that was all of the state */
	bool touched;  /* the device has left the state that it was found in */
	bool loaded;   /* a restore: the device has the image's state */
	bool precopy;  /* a save: the device was read before it was stopped */
	bool gave_up;  /* pre-copy: it ended before the rest could be read within the downtime */
	bool home;     /* the device is in @before, or in the state that it was to be left in, and
			* has no part of an image's state */
	bool reset;    /* what the device held is lost: a reset was needed to get there, or somebody
			* else has reset the device during the transfer */
	bool outpaced; /* @gave_up, because the device changes as fast as it can be read */
	unsigned int rounds; /* of pre-copy over what had changed, after the first pass */
	int before; /* the state that the device was found in; negative if that is not known */
	int state;  /* the state that it is in now; negative if that is not known */
	/* The states that the device went through, @before first. RUNNING may be where a reset took
	 * it. */
	unsigned int path_length;
	int path[VFIOMIG_PATH_MAX];
	/* A save: why the state may not load, "what the driver gave ...", or "". The stream does
	 * not end as the format of the driver's streams ends, as far as that is known. */
	char doubtful[256];
};
#ifndef __cplusplus
/* clang-format off */
#define VFIOMIG_RESULT_INIT { .size = sizeof(struct vfiomig_result) }
/* clang-format on */
#else
#define VFIOMIG_RESULT_INIT                   \
	([] {                                 \
		vfiomig_result result{};      \
		result.size = sizeof(result); \
		return result;                \
	}())
#endif

/*
 * The transfers below return 0, what the progress function returned to end them, or:
 *  -EINTR	vfiomig_interrupt() was called
 *  -EBADF	the device is not open
 *  -ENOTUNIQ	a save: the device was named by a descriptor, and it cannot be told what an image
 *		has to say about it; the device was not touched
 *  -EOPNOTSUPP	the driver or the kernel has no migration support for the device
 *  -EINVAL	a structure has no valid size, an option is out of bounds, or the device cannot be
 *		left in the state asked for; the device was not touched
 *  -E2BIG	the options are of a newer version, and have something that this library does not
 *		know; the device was not touched
 *  -EUCLEAN	no arcs lead from the state that the device is in to the transfer (ERROR, RESUMING),
 *		or its owner may be saving it; the device was not touched
 *  -EDESTADDRREQ	the image is of several devices, and vfiomig_options.device does not say
 *		which one is meant; or it has none of that name; or the devices of a restore are not
 *		exactly those of the image. vfiomig_get_error() names those; no device was touched
 *  -ENODATA	there is no image: nothing to read, or it has no state in it
 *  -EPROTONOSUPPORT	one of several devices has no P2P states; none was touched
 *  -EBADMSG	the image is damaged, truncated, or no image at all; or the state in it is cut off
 *  -EXDEV	the image is of another device; the device was not touched
 *  -EPROTO	the driver breaks the protocol: an arc returned success and led elsewhere, the state
 *		is empty, or a session came without a descriptor
 *  -ENOTRECOVERABLE	somebody else has reset the device, or driven it on, during the transfer;
 *		what it held is lost. Or the owner, which runs, may have reset it: then it is left
 *		as it is, and the result has neither reset nor home
 *  -ETIMEDOUT	for 30 seconds each read or write has failed with EINTR or EAGAIN
 * or the negative errno of what failed. After any failure of a save or a restore the device is
 * brought home: by arcs or, if none lead there, by a reset. Only if the way home was broken off,
 * see vfiomig_interrupt(), the device is left on it.
 *
 * For all of them @options may be NULL for the defaults, and @result NULL if nobody wants it. The
 * descriptors stay the caller's.
 */

/**
 * vfiomig_save - stream a device's state out through STOP_COPY
 * @fd: where the image goes
 */
int vfiomig_save(struct vfiomig_device *dev, int fd, const struct vfiomig_options *options,
		 struct vfiomig_result *result);

/**
 * vfiomig_restore - load an image through RESUMING
 * @fd: where the image comes from
 *
 * The header, or the first bytes of raw state, are read before the device is touched, and an image
 * in a regular file is verified as a whole before that. No byte of a chunk reaches the device
 * before the chunk's checksum was found right, and RESUMING is left only after the trailer was, and
 * only if the image is the one that was verified. After a failure in RESUMING the device is reset,
 * because nothing else ends that state.
 *
 * If the format of the driver's streams is known, see vfiomig_format_name(), RESUMING is not left
 * either when the stream ends in the middle: -EBADMSG. In a regular file that is found before the
 * device is touched. What the stream says about its device is compared with this one, if it can be
 * asked, and if the stream is raw or in a regular file: -EXDEV. Other raw state is checked by
 * nobody but the driver, and not every driver does.
 */
int vfiomig_restore(struct vfiomig_device *dev, int fd, const struct vfiomig_options *options,
		    struct vfiomig_result *result);

/* A device of a set. */
struct vfiomig_member {
	struct vfiomig_device *device; /* open */
	const char *name; /* a restore: what the image calls it; NULL if that is its own name */
	struct vfiomig_result *result; /* of this device; may be NULL */
};

/**
 * vfiomig_save_set - save several devices at one instant, in one image
 * @members: the devices, of one context; each once
 * @n: how many they are, up to VFIOMIG_SET_MAX
 * @fd: where the image goes
 * @result: of the set: the sums of the bytes, the longest time, the downtime from the first
 *	device's leaving to the last one's return, and whether each (complete, loaded, home) or any
 *	of the devices was so. It has no states. May be NULL.
 * @which: receives the index of the device that the failure is about, or @n if it is of the set;
 *	may be NULL
 *
 * Those that have PRE_COPY are read while they run, until all can be stopped. All devices are in
 * their P2P states before any is stopped, and all are read before any leaves STOP_COPY. On the way
 * back all are in STOP before any is in RUNNING_P2P, and there before any is in RUNNING. A failure
 * of one takes all of them back. Each device has threads of its own meanwhile; functions of the
 * caller are called one at a time. An image of one device is the one that vfiomig_save() makes.
 *
 * Returns what vfiomig_save() returns, or -EINVAL, without a sentence if @n is 0; -ENOTUNIQ when a
 * device was given twice; -EPROTONOSUPPORT when there are several, one has no P2P states, and
 * @no_p2p is not set.
 */
int vfiomig_save_set(const struct vfiomig_member members[], size_t n, int fd,
		     const struct vfiomig_options *options, struct vfiomig_result *result,
		     size_t *which);

/**
 * vfiomig_restore_set - load the image of several devices
 * @fd: where the image comes from
 *
 * The other parameters are those of vfiomig_save_set(). The devices must be all that are in the
 * image, in any order. As for vfiomig_restore(), but no device leaves RESUMING before all of the
 * image was right. Then all are in STOP before any is in RUNNING_P2P, and there before any is in
 * RUNNING. After a failure of one, all that have lost their state or have got one of the image are
 * reset. Returns what vfiomig_restore() returns, or the errors of vfiomig_save_set().
 */
int vfiomig_restore_set(const struct vfiomig_member members[], size_t n, int fd,
			const struct vfiomig_options *options, struct vfiomig_result *result,
			size_t *which);

/**
 * vfiomig_pack, vfiomig_unpack - make an image of raw state, or raw state of an image
 * @in: where the one comes from
 * @out: where the other one goes
 *
 * These need no device.
 */
int vfiomig_pack(struct vfiomig_ctx *ctx, int in, int out, const struct vfiomig_options *options,
		 struct vfiomig_result *result);
int vfiomig_unpack(struct vfiomig_ctx *ctx, int in, int out, const struct vfiomig_options *options,
		   struct vfiomig_result *result);

/**
 * vfiomig_pack_set - make an image of the raw states of several devices
 * @ins: where they come from
 * @names: the devices' names: each is unique, and has from 1 to 255 bytes of printable UTF-8
 * @count: 2 to VFIOMIG_SET_MAX
 * @out: where the image goes
 *
 * They are read at the same time. Returns -EINVAL also for names or a number that cannot be.
 */
int vfiomig_pack_set(struct vfiomig_ctx *ctx, const int ins[], const char *const names[],
		     size_t count, int out, const struct vfiomig_options *options,
		     struct vfiomig_result *result);

/* ---- Looking into images ----------------------------------------------- */

struct vfiomig_image;

/**
 * vfiomig_image_open - read an image's header
 * @fd: where the image comes from; stays the caller's, who keeps it open
 * @image: receives the image; release it with vfiomig_image_free()
 *
 * Returns 0 or one of the errors of the transfers.
 */
int vfiomig_image_open(struct vfiomig_ctx *ctx, int fd, struct vfiomig_image **image);
/* @image may be NULL. */
void vfiomig_image_free(struct vfiomig_image *image);

/*
 * After vfiomig_image_open(), one of these, once. vfiomig_image_skim() goes over the chunks to the
 * trailer, without reading them if @fd can seek. vfiomig_image_verify() decodes and checks
 * everything. They return 0, -EINVAL the second time, or one of the errors of the transfers.
 */
int vfiomig_image_skim(struct vfiomig_image *image);
int vfiomig_image_verify(struct vfiomig_image *image, const struct vfiomig_options *options,
			 struct vfiomig_result *result);

/*
 * The metadata as JSON objects, as they are in the image: see vfiomig-image(5). The image may be
 * from a stranger, and so may the characters in its strings. The trailer is NULL before it was
 * read. Owned by @image.
 */
const char *vfiomig_image_get_header(const struct vfiomig_image *image);
const char *vfiomig_image_get_trailer(const struct vfiomig_image *image);
/*
 * Of an image of several devices: how many there are, and 0 for an image of one. The header has an
 * array of objects, one for each device. Each device has a trailer, NULL before it was read, and
 * @device counts from 0, in the order of the header. Above is the trailer of the set.
 */
unsigned int vfiomig_image_get_devices(const struct vfiomig_image *image);
const char *vfiomig_image_get_device_trailer(const struct vfiomig_image *image,
					     unsigned int device);
/* The size of the image in bytes, as far as it was read or skipped. */
uint64_t vfiomig_image_get_size(const struct vfiomig_image *image);

/* ---- What a stream consists of ------------------------------------------ */

enum vfiomig_record_kind {
	/* The first call. @type is the name of the format, "mlx5", and @name the driver's, or both
	 * are NULL if the format is not known. */
	VFIOMIG_RECORD_STREAM,
	/* A header, and the data that follows it. What is in it comes next, with a larger depth. */
	VFIOMIG_RECORD_RECORD,
	/* A number, or some bytes, in a header or in the data of a record. */
	VFIOMIG_RECORD_FIELD,
	/* Bytes whose meaning is not known. */
	VFIOMIG_RECORD_OPAQUE,
	/* The last call. @offset is the size of the stream. @type is how the stream ends: "whole",
	 * "cut", "beyond", or "unknown"; @name says it in words, after "the stream". */
	VFIOMIG_RECORD_END,
};

/*
 * A piece of a stream. The strings are the library's, and ASCII. A later version of the library may
 * have more members, at the end.
 */
struct vfiomig_record {
	enum vfiomig_record_kind kind;
	unsigned int depth; /* how many records it is inside of */
	uint64_t offset;    /* in the stream, in bytes */
	uint64_t size;	    /* in bytes. Of a record with its header, as the header tells it. */
	const char *type;   /* "record", "u8", "u16", "u32", "u64", "bytes" or "opaque" */
	const char *name;   /* as the driver calls it, "STOP_COPY_SIZE" */
	/* Of a field: the bytes in the stream, and if it is a number, its value. */
	const uint8_t *bytes;
	uint64_t value;
	bool hex; /* the number is better read as a hexadecimal one */
};
typedef int (*vfiomig_record_fn)(void *data, const struct vfiomig_record *record);

/**
 * vfiomig_format_name - which formats of streams are known
 * @i: from 0
 *
 * Returns the name of a format, "mlx5", which is a constant string, or NULL after the last one.
 */
const char *vfiomig_format_name(size_t i);

/**
 * vfiomig_format_is_known - whether vfiomig_walk() knows the format of a driver's streams
 * @driver: the name of a format, "mlx5", or of its driver, "mlx5_vfio_pci". '-' and '_' are the
 *	same, as in names of modules
 */
bool vfiomig_format_is_known(const char *driver);

/**
 * vfiomig_walk - go through the records of a state
 * @fd: where an image or raw state comes from
 * @driver: whose state it is, the name of a format or of a driver; NULL to take the driver from the
 *	image, or else to guess by how the state begins
 * @options: threads, chunk_size and progress, and device, which does not matter for raw state; NULL
 *	for the defaults
 * @fn: called for each piece, in the order of the stream, until it does not return 0
 * @data: passed to @fn
 *
 * The formats of drivers are no uAPI. What is unknown is opaque, and never a failure. Memory does
 * not depend on the state. An image is verified on the way: what @fn was told counts only if this
 * function returns 0.
 *
 * Returns 0, what @fn returned, or one of the errors of the transfers.
 */
int vfiomig_walk(struct vfiomig_ctx *ctx, int fd, const char *driver,
		 const struct vfiomig_options *options, vfiomig_record_fn fn, void *data);

/* ---- Where two states differ --------------------------------------------- */

enum vfiomig_difference_kind {
	/* The first call. @a and @b are VFIOMIG_RECORD_STREAM. If the two have the same format,
	 * they are compared record by record, and else byte by byte. */
	VFIOMIG_DIFFERENCE_STREAM,
	/* @a and @b are VFIOMIG_RECORD_FIELD, and have different values. */
	VFIOMIG_DIFFERENCE_FIELD,
	/* Bytes without a name: @a and @b are VFIOMIG_RECORD_OPAQUE. If the one has bytes that the
	 * other one has not, the other's size is 0. Their @bytes are the first ones, at most
	 * VFIOMIG_DIFFERENCE_BYTES_MAX. Bytes between two different ones may be equal. */
	VFIOMIG_DIFFERENCE_BYTES,
	/* A record, or opaque bytes, that one of the two has, with what is in it. The other is
	 * NULL. */
	VFIOMIG_DIFFERENCE_RECORD,
	/* After the differences, for each type of records: how many there are. */
	VFIOMIG_DIFFERENCE_TYPE,
	/* The last call. @a and @b are VFIOMIG_RECORD_END. The states are equal if @different is
	 * 0. */
	VFIOMIG_DIFFERENCE_END,
};

#define VFIOMIG_DIFFERENCE_BYTES_MAX 32

/*
 * A difference between the states A and B. The strings and the records are the library's. A later
 * version of the library may have more members, at the end.
 */
struct vfiomig_difference {
	enum vfiomig_difference_kind kind;
	/* The record, and those that it is in, with what tells them apart from others:
	 * "DEVICE_DATA/VQ_CFG selector=1". Of TYPE: "DEVICE_DATA/VQ_CFG". */
	const char *path;
	const struct vfiomig_record *a, *b;
	const char
		*header[2];  /* STREAM: the headers of the images, see vfiomig-image(5), or NULL */
	unsigned int depth;  /* TYPE: how many records they are inside of */
	uint64_t equal;	     /* TYPE: those that both have, with the same in them, */
	uint64_t different;  /* or not. END: how many differences there are. */
	uint64_t only[2];    /* TYPE: those that only A, and only B has */
	uint64_t records[2]; /* TYPE: all of A's, and B's, */
	uint64_t bytes[2];   /* and the sums of their sizes */
};
typedef int (*vfiomig_difference_fn)(void *data, const struct vfiomig_difference *difference);

/**
 * vfiomig_diff - compare two states
 * @fds: where A and B come from: images or raw state
 * @driver: whose states they are, as for vfiomig_walk()
 * @options: force and progress, and device, the one of both images, which does not matter for raw
 *	state; NULL for the defaults
 * @fn: called for each difference, in the order of the streams, until it does not return 0
 * @data: passed to @fn
 *
 * Each state is read once, in step with the other. Memory does not depend on them. What was
 * inserted or left out is found again as far as 16384 records and 24 MiB ahead. Images are verified
 * on the way. If one of the two is damaged, or cannot be read, what comes before that is compared,
 * and @fn is told of it all the same: of each difference and each type, and then there is no
 * VFIOMIG_DIFFERENCE_END. The sentence begins with "A: " or "B: ", and says how much was compared.
 *
 * Returns 0, also if the states differ, what @fn returned, or one of the errors of the transfers.
 */
int vfiomig_diff(struct vfiomig_ctx *ctx, const int fds[2], const char *driver,
		 const struct vfiomig_options *options, vfiomig_difference_fn fn, void *data);

#ifdef __cplusplus
}
#endif

#endif
