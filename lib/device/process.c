// SPDX-License-Identifier: LGPL-2.1-or-later
/* Other processes, as /proc shows them, and their descriptors through pidfd_getfd(2). */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "process.h"
#include "sysfs.h"

/* The virtual processors of a running VMM wake up more often than this. */
#define WATCH_MS 200

void process_comm(const struct vfiomig_ctx *ctx, int pid, char comm[16])
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/%d", ctx->procfs, pid);
	if (sysfs_read_text(dir, "comm", comm, 16))
		strcpy(comm, "?");
}

char process_state(const struct vfiomig_ctx *ctx, int pid)
{
	char dir[PATH_MAX], text[512];
	const char *end;

	snprintf(dir, sizeof(dir), "%s/%d", ctx->procfs, pid);
	if (sysfs_read_text(dir, "stat", text, sizeof(text)))
		return 0;
	/* "PID (COMMAND) STATE ...", and a command may have parentheses in its name. */
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

/* From the kernel's include/linux/sched.h */
#define EXITING 0x4

static bool is_exiting(const char *task, const char *tid)
{
	char dir[PATH_MAX + 300], text[512];
	unsigned int flags = 0;
	const char *end;
	int err;

	snprintf(dir, sizeof(dir), "%s/%s", task, tid);
	err = sysfs_read_text(dir, "stat", text, sizeof(text));
	if (err)
		return err == -ENOENT || err == -ESRCH;
	end = strrchr(text, ')');
	if (end)
		sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %u", &flags);
	return flags & EXITING;
}

/* The first thread may end before the others. */
bool process_is_ending(const struct vfiomig_ctx *ctx, int pid)
{
	char task[PATH_MAX];
	struct dirent *entry;
	bool ending = true;
	DIR *d;

	snprintf(task, sizeof(task), "%s/%d/task", ctx->procfs, pid);
	d = opendir(task);
	/* /proc may hide a process that lives ("hidepid"). */
	if (!d)
		return kill(pid, 0) && errno == ESRCH;
	while (ending && (entry = readdir(d)))
		ending = entry->d_name[0] == '.' || is_exiting(task, entry->d_name);
	closedir(d);
	return ending;
}

/* A number of this process in /proc/self/status, or 0: "CapEff" is hexadecimal. */
static unsigned long long own_status(const struct vfiomig_ctx *ctx, const char *key, int base)
{
	char path[PATH_MAX], line[256];
	unsigned long long value = 0;
	size_t length = strlen(key);
	FILE *f;

	snprintf(path, sizeof(path), "%s/self/status", ctx->procfs);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, key, length) == 0 && line[length] == ':')
			value = strtoull(line + length + 1, NULL, base);
	if (f)
		fclose(f);
	return value;
}

bool process_is_capable(const struct vfiomig_ctx *ctx, int cap)
{
	return own_status(ctx, "CapEff", 16) & (1ULL << cap);
}

/* Whether this process is in the first user namespace, where capabilities count everywhere. */
static bool is_in_first_namespace(const struct vfiomig_ctx *ctx)
{
	unsigned long from, to, count;
	char dir[PATH_MAX], text[64];

	snprintf(dir, sizeof(dir), "%s/self", ctx->procfs);
	return sysfs_read_text(dir, "uid_map", text, sizeof(text)) ||
	       sscanf(text, "%lu %lu %lu", &from, &to, &count) != 3 || count == 4294967295UL;
}

/* From the kernel's include/linux/proc_ns.h: the number of the first PID namespace. */
#define FIRST_PID_NAMESPACE "pid:[4026531836]"

bool process_sees_all(const struct vfiomig_ctx *ctx)
{
	char path[PATH_MAX], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/self/ns/pid", ctx->procfs);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	return n < 0 || strcmp(target, FIRST_PID_NAMESPACE) == 0;
}

/* It is not for want of the capability. */
static int fail_forbidden(struct vfiomig_ctx *ctx, int pid)
{
	const char *who = "a security module (AppArmor, SELinux) forbids it";

	if (process_is_filtered(ctx))
		who = "a seccomp filter, as containers have, or a security module forbids it; allow pidfd_getfd(2) and ptrace(2) there, or run outside of the container";
	else if (!is_in_first_namespace(ctx))
		who = "the process is not of this user namespace; run outside of the container";
	return ctx_fail(
		ctx, -EPERM,
		"not permitted to take descriptors of process %d, although CAP_SYS_PTRACE is there: %s",
		pid, who);
}

unsigned long process_ptrace_scope(const struct vfiomig_ctx *ctx)
{
	unsigned long scope = 0;
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s/sys/kernel/yama", ctx->procfs);
	sysfs_read_number(dir, "ptrace_scope", &scope);
	return scope;
}

bool process_is_filtered(const struct vfiomig_ctx *ctx)
{
	/* 2: the process has a filter of system calls. */
	return own_status(ctx, "Seccomp", 10) == 2;
}

/* Say why the kernel gives no access to another process. The rules are in ptrace(2). */
static int fail_access(struct vfiomig_ctx *ctx, int pid)
{
	unsigned long scope = process_ptrace_scope(ctx);
	char dir[PATH_MAX];
	struct stat st;

	if (scope >= 3)
		return ctx_fail(
			ctx, -EPERM,
			"not permitted to take descriptors of process %d: kernel.yama.ptrace_scope is %lu, which forbids it to everybody until the next boot",
			pid, scope);
	if (process_is_capable(ctx, CAP_SYS_PTRACE))
		return fail_forbidden(ctx, pid);
	snprintf(dir, sizeof(dir), "%s/%d", ctx->procfs, pid);
	if (geteuid() && stat(dir, &st) == 0 && st.st_uid == geteuid() && scope)
		return ctx_fail(
			ctx, -EPERM,
			"not permitted to take descriptors of process %d: kernel.yama.ptrace_scope is %lu, with which that needs CAP_SYS_PTRACE; run as root",
			pid, scope);
	return ctx_fail(
		ctx, -EPERM,
		"not permitted to take descriptors of process %d: that needs CAP_SYS_PTRACE%s", pid,
		geteuid()
			? "; run as root"
			: ", which root has not got here (a container needs --cap-add=SYS_PTRACE)");
}

static int fail_gone(struct vfiomig_ctx *ctx, int pid)
{
	return ctx_fail(ctx, -ESRCH, "there is no process %d", pid);
}

static int fail_no_call(struct vfiomig_ctx *ctx)
{
	return ctx_fail(ctx, -EOPNOTSUPP,
			"the kernel has no pidfd_getfd(2), which is in Linux 5.6%s",
			process_is_filtered(ctx) ? ", or a seccomp filter hides it" : "");
}

int process_take_fd(struct vfiomig_ctx *ctx, int pid, int number)
{
	_cleanup_close_ int pidfd = syscall(SYS_pidfd_open, pid, 0);
	int fd = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, number, 0);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOSYS:
		return fail_no_call(ctx);
	case EPERM:
		return fail_access(ctx, pid);
	case ESRCH:
		return fail_gone(ctx, pid);
	case EINVAL:
		/* The number can be that of no process. */
		return pidfd < 0 ? fail_gone(ctx, pid)
				 : ctx_fail(ctx, -errno, "process %d: %m", pid);
	case EBADF:
		return ctx_fail(ctx, -ENOENT, "process %d has no descriptor %d", pid, number);
	default:
		return ctx_fail(ctx, -errno, "cannot take descriptor %d of process %d: %m", number,
				pid);
	}
}

int process_foreach_fd(struct vfiomig_ctx *ctx, int pid,
		       int (*fn)(void *data, int number, const char *target), void *data)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct dirent *entry;
	int ret = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%d/fd", ctx->procfs, pid);
	d = opendir(path);
	if (!d && (errno == EACCES || errno == EPERM))
		return fail_access(ctx, pid);
	if (!d && is_exhausted(errno))
		return ctx_fail(ctx, -errno, "cannot read %s: %m", path);
	if (!d)
		return fail_gone(ctx, pid);
	while (!ret && (entry = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);

		/* The directory may be readable all the same, for root for example. */
		if (n < 0 && (errno == EACCES || errno == EPERM))
			ret = fail_access(ctx, pid);
		if (n < 0)
			continue;
		target[n] = '\0';
		ret = fn(data, atoi(entry->d_name), target);
	}
	closedir(d);
	return ret;
}

bool process_fd_target(const struct vfiomig_ctx *ctx, int pid, int number, char *target,
		       size_t size)
{
	char path[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%d/fd/%d", ctx->procfs, pid, number);
	n = readlink(path, target, size - 1);
	target[n < 0 ? 0 : n] = '\0';
	return n >= 0 || (errno != ENOENT && errno != ESRCH);
}

void process_fd_file(const struct vfiomig_ctx *ctx, int pid, int number, char *text, size_t size)
{
	static const char *const keys[] = { "mnt_id:", "ino:", "vfio-device-syspath:" };
	char path[PATH_MAX], line[PATH_MAX];
	size_t n = 0;
	FILE *f;

	text[0] = '\0';
	snprintf(path, sizeof(path), "%s/%d/fdinfo/%d", ctx->procfs, pid, number);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
			if (strncmp(line, keys[i], strlen(keys[i])) == 0 && n < size)
				n += snprintf(text + n, size - n, "%s", line);
	if (f)
		fclose(f);
}

int process_io(const struct vfiomig_ctx *ctx, int pid, uint64_t *bytes_read, uint64_t *written)
{
	char path[PATH_MAX];
	int err = -EPROTO;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/io", ctx->procfs, pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "rchar: %" SCNu64 " wchar: %" SCNu64, bytes_read, written) == 2)
		err = 0;
	else if (ferror(f))
		err = -errno;
	fclose(f);
	return err;
}

bool process_fd_is_path(const char *target)
{
	size_t length = strcspn(target, ":/");

	return target[length] == '/';
}

bool process_fd_type(int dir, const char *name, mode_t *type, dev_t *number)
{
	struct statx st;

	if (statx(dir, name, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &st))
		return false;
	*type = st.stx_mode & S_IFMT;
	*number = makedev(st.stx_rdev_major, st.stx_rdev_minor);
	return true;
}

static unsigned long switches_of(const char *task, const char *tid)
{
	unsigned long count, sum = 0;
	char path[PATH_MAX + 300], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/status", task, tid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lu", &count) == 1)
			sum += count;
	}
	if (f)
		fclose(f);
	return sum;
}

/*
 * Returns how often the threads of the process, without the first one, have given up a processor.
 * The first thread of a VMM serves its monitor, also while the machine is paused.
 */
static unsigned long switches(const struct vfiomig_ctx *ctx, int pid)
{
	unsigned long sum = 0;
	char task[PATH_MAX];
	struct dirent *entry;
	DIR *d;

	snprintf(task, sizeof(task), "%s/%d/task", ctx->procfs, pid);
	d = opendir(task);
	while (d && (entry = readdir(d)))
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != pid)
			sum += switches_of(task, entry->d_name);
	if (d)
		closedir(d);
	return sum;
}

/* Returns the processor time of the process. A thread that computes all the time switches seldom,
 * but uses much of it. */
static unsigned long ticks(const struct vfiomig_ctx *ctx, int pid)
{
	unsigned long user = 0, kernel = 0;
	char dir[PATH_MAX], text[512];
	const char *end;

	snprintf(dir, sizeof(dir), "%s/%d", ctx->procfs, pid);
	if (sysfs_read_text(dir, "stat", text, sizeof(text)))
		return 0;
	/* The command's name is in parentheses, and may itself contain some. */
	end = strrchr(text, ')');
	if (end)
		sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		       &kernel);
	return user + kernel;
}

bool process_is_busy(const struct vfiomig_ctx *ctx, int pid)
{
	unsigned long before = switches(ctx, pid), used = ticks(ctx, pid);

	poll(NULL, 0, WATCH_MS);
	return switches(ctx, pid) != before || ticks(ctx, pid) > used + 5;
}
