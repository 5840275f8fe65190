// SPDX-License-Identifier: LGPL-2.1-or-later
/* What this process may do: limits, the run-time directory, other processes, nodes. */
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "checks.h"
#include "device/node.h"
#include "device/process.h"
#include "device/rundir.h"

/* A VMM maps its guest's memory for the device's DMA, which locks it. This program maps nothing. */
int check_memlock(struct finding *f)
{
	struct rlimit limit;

	if (process_is_capable(f->ctx, CAP_IPC_LOCK))
		return finding_pass(f, "locked memory has no limit for this user");
	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur == RLIM_INFINITY)
		return finding_pass(f, "locked memory has no limit for this user");
	finding_warn(
		f,
		"locked memory is limited to %llu KiB, which does for vfiomig; a VMM of this user locks all memory of its guest",
		(unsigned long long)limit.rlim_cur >> 10);
	return finding_advise(
		f,
		"ulimit -l unlimited, LimitMEMLOCK=infinity in a unit, or memlock in limits.conf(5)");
}

/* A save has 14 descriptors open at a time, whatever the number of its threads. */
#define FEW_FILES 64
#define TOO_FEW	  16

int check_files(struct finding *f)
{
	struct rlimit limit;
	unsigned long long n;

	getrlimit(RLIMIT_NOFILE, &limit);
	n = limit.rlim_cur;
	if (n >= FEW_FILES)
		return finding_pass(f, "a process may have %llu files open", n);
	if (n >= TOO_FEW)
		finding_warn(f, "a process may have %llu files open, which may be too few", n);
	else
		finding_fail(
			f,
			"a process may have %llu files open, with which commands fail, and other lines here may be wrong",
			n);
	return finding_advise(f, "ulimit -n 1024, or LimitNOFILE=1024 in a unit");
}

int check_rundir(struct finding *f)
{
	char path[PATH_MAX];
	int err = rundir_check(f->ctx, path, sizeof(path));

	if (!err && access(path, F_OK))
		return finding_pass(f, "%s will be made when it is needed", path);
	if (!err)
		return finding_pass(f, "%s", path);
	/* Whoever lets others write there, or has something else there, can open no device. */
	if (!rundir_is_nowhere(err))
		return finding_take_error(f, VFIOMIG_FAIL, err, "let the directory be made anew");
	finding_warn(
		f,
		"%s: hold, bind, pid:, fd: and restore without --no-hold need it, other commands do not",
		f->ctx->error);
	return finding_advise(f, "make a directory there in which this user alone may write");
}

/* Whether the kernel lets this process duplicate one of its own descriptors: 0 or an errno. */
static int try_call(void)
{
	_cleanup_close_ int pidfd = syscall(SYS_pidfd_open, getpid(), 0), fd = -1;

	if (pidfd < 0)
		return errno;
	fd = syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
	return fd < 0 ? errno : 0;
}

#define PTRACE_SCOPE "set kernel.yama.ptrace_scope to 1 in /etc/sysctl.d, and boot again"

/* The process that the device was named by: whether it has a descriptor 0 does not matter. */
static int check_owner(struct finding *f)
{
	int pid = f->dev->origin.pid;
	_cleanup_close_ int fd = process_take_fd(f->ctx, pid, 0);

	if (fd >= 0 || fd == -ENOENT)
		return finding_pass(f, "descriptors of process %d can be borrowed", pid);
	return finding_take_error(
		f, VFIOMIG_FAIL, fd,
		fd == -ESRCH	    ? "\"vfiomig list\" shows which processes have devices open"
		: fd == -EOPNOTSUPP ? "boot Linux 5.6 or later, or run outside of the container"
		: process_ptrace_scope(f->ctx) >= 3
			? PTRACE_SCOPE
			: "let the container (--cap-add=SYS_PTRACE) or the security module allow that");
}

#define TRY_IT "\"vfiomig state pid:PID/DEV\" tries it"

int check_ptrace(struct finding *f)
{
	unsigned long scope = process_ptrace_scope(f->ctx);
	bool capable = process_is_capable(f->ctx, CAP_SYS_PTRACE);
	int err;

	if (f->dev && f->dev->origin.pid)
		return check_owner(f);
	err = try_call();
	if (err == ENOSYS || err == EPERM) {
		finding_warn(f, "no \"pid:\": the kernel has no pidfd_getfd(2)%s",
			     process_is_filtered(f->ctx) ? ", or a seccomp filter hides it" : "");
		return finding_advise(f,
				      "boot Linux 5.6 or later, or run outside of the container");
	}
	if (err) {
		finding_unknown(f, "whether \"pid:\" works is not known: pidfd_getfd(2): %s",
				strerror(err));
		return finding_advise(f, TRY_IT);
	}
	if (scope >= 3) {
		finding_warn(
			f,
			"no \"pid:\": kernel.yama.ptrace_scope is %lu, which forbids it to everybody",
			scope);
		return finding_advise(f, PTRACE_SCOPE);
	}
	if (capable && process_is_filtered(f->ctx)) {
		finding_unknown(
			f,
			"whether \"pid:\" works is not known: this process has a seccomp filter");
		return finding_advise(f, TRY_IT);
	}
	if (capable)
		return finding_pass(f, "\"pid:\" can borrow the devices of all processes");
	if (!scope && geteuid())
		return finding_pass(f, "\"pid:\" can borrow the devices of this user's processes");
	finding_warn(f, "no \"pid:\": that needs CAP_SYS_PTRACE");
	return finding_advise(
		f, "%s",
		geteuid()
			? "run as root, or set kernel.yama.ptrace_scope to 0 for processes of the same user"
			: "a container needs --cap-add=SYS_PTRACE");
}

int check_visible(struct finding *f)
{
	if (!process_sees_all(f->ctx)) {
		finding_warn(f, "who has a device open is seen only if it is in this container");
		return finding_advise(f,
				      "run outside of the container, or give it the host's PIDs");
	}
	if (process_is_capable(f->ctx, CAP_SYS_PTRACE))
		return finding_pass(f, "who has a device open is seen, whoever it is");
	finding_warn(f, "who has a device open is seen only if it is this user");
	return finding_advise(f, "run as root");
}

/* ---- Nodes ------------------------------------------------------------------ */

/* A node that is there whether or not there is a device. @class is its entry in sysfs. */
static int check_node(struct finding *f, const char *name, const char *class, bool needed)
{
	char path[PATH_MAX], entry[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", f->ctx->devfs, name);
	snprintf(entry, sizeof(entry), "%s/class/misc/%s", f->ctx->sysfs, class);
	if (node_is_permitted(path))
		return finding_pass(f, "this user may open %s", path);
	if (access(path, F_OK) == 0) {
		(needed ? finding_fail : finding_warn)(f, "this user may not open %s", path);
		return finding_advise(
			f, "run as root, or give this user access: setfacl -m u:USER:rw %s", path);
	}
	if (access(entry, F_OK) && !needed)
		return finding_pass(f, "there is no %s, and nothing needs it now", path);
	if (access(entry, F_OK)) {
		finding_unknown(f, "%s is not there before VFIO is loaded", path);
		return finding_advise(f, "see kernel.vfio");
	}
	(needed ? finding_fail : finding_warn)(f, "the kernel has %s, and there is no node %s",
					       class, path);
	return finding_advise(f, "start udev, or in a container give it the node (--device=%s)",
			      path);
}

static bool is_permitted(const struct vfiomig_ctx *ctx, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", ctx->devfs, name);
	return node_is_permitted(path);
}

int check_container_node(struct finding *f)
{
	bool other = way_by_cdev(f->ctx) == WAY_OPEN && is_permitted(f->ctx, "iommu");

	return check_node(f, "vfio/vfio", "vfio", !other);
}

int check_iommufd_node(struct finding *f)
{
	bool other = way_by_group(f->ctx) == WAY_OPEN && is_permitted(f->ctx, "vfio/vfio");

	return check_node(f, "iommu", "iommu", !other && way_by_cdev(f->ctx) != WAY_NO);
}
