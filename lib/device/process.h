/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Other processes: their names, their descriptors, and whether they run. */
#ifndef VFIOMIG_PROCESS_H
#define VFIOMIG_PROCESS_H

#include <sys/types.h>

#include "internal.h"

/* @comm receives the name of the command, or "?" if it cannot be read. */
void process_comm(const struct vfiomig_ctx *ctx, int pid, char comm[16]);

/* Whether /proc has all processes, and not only those of a container. */
bool process_sees_all(const struct vfiomig_ctx *ctx);

/* Whether this process has the capability @cap, of which the man page capabilities(7) tells. */
bool process_is_capable(const struct vfiomig_ctx *ctx, int cap);

/* The value of kernel.yama.ptrace_scope, 0 if the kernel has none. */
unsigned long process_ptrace_scope(const struct vfiomig_ctx *ctx);
/* Whether a seccomp filter, as containers have, looks at the system calls of this process. */
bool process_is_filtered(const struct vfiomig_ctx *ctx);

/* Returns the state of the process as in proc(5), 'T' if it is stopped, or 0 if there is none. */
char process_state(const struct vfiomig_ctx *ctx, int pid);
/* Whether the process has ended, or has begun to: it loses its descriptors before it is gone. */
bool process_is_ending(const struct vfiomig_ctx *ctx, int pid);

/* Returns a duplicate of descriptor @number of process @pid, or a negative errno: -ESRCH when there
 * is no such process, -ENOENT when it has no such descriptor, -EPERM with a sentence that says
 * which permission is missing. */
int process_take_fd(struct vfiomig_ctx *ctx, int pid, int number);

/* Call @fn for each descriptor, with the target of its link in /proc, until @fn returns something
 * other than 0. Returns that, or a negative errno. */
int process_foreach_fd(struct vfiomig_ctx *ctx, int pid,
		       int (*fn)(void *data, int number, const char *target), void *data);

/*
 * What the kernel tells of the file of one descriptor, as text: its mount, its inode, and of a
 * device its place in sysfs. "" if this is not known. Files of different texts are not the same.
 */
void process_fd_file(const struct vfiomig_ctx *ctx, int pid, int number, char *text, size_t size);

/* The target of the link of one descriptor. Returns false if there is no such descriptor. */
bool process_fd_target(const struct vfiomig_ctx *ctx, int pid, int number, char *target,
		       size_t size);

/* How many bytes the process has read and written since it began. Returns 0 or a negative errno. */
int process_io(const struct vfiomig_ctx *ctx, int pid, uint64_t *bytes_read, uint64_t *written);

/* Whether a descriptor whose link in /proc/PID/fd is @target has a path. Sockets, pipes and
 * anonymous inodes have none: they are called "KIND:[NUMBER]" or "anon_inode:NAME". */
bool process_fd_is_path(const char *target);
/*
 * Receive the type of the file that the link @name in /proc/PID/fd leads to: S_IFCHR, S_IFBLK...,
 * or 0 if it has none. @number receives the number of a device node. Returns false if that cannot
 * be told. This does not ask the server of a file for its attributes, which may never answer: those
 * of a device node are known without that.
 */
bool process_fd_type(int dir, const char *name, mode_t *type, dev_t *number);

/* Watch the process for a fifth of a second. Returns whether one of its threads other than the
 * first one ran, or the first one computed. */
bool process_is_busy(const struct vfiomig_ctx *ctx, int pid);

#endif
