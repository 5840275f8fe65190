// SPDX-License-Identifier: LGPL-2.1-or-later
/* Who has the device open, and what it says when it is open. */
#include <dirent.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "bind/binding.h"
#include "checks.h"
#include "device/lock.h"
#include "device/node.h"
#include "device/process.h"
#include "device/refusal.h"
#include "device/sysfs.h"
#include "holder/use.h"
#include "migration/probe.h"

/* How long to look for users, and to wait for the device, in milliseconds. */
#define LOOK_MS	 1200
#define PROBE_MS 1600

static int take_use(void *data, const struct vfiomig_use *use)
{
	struct use *to = data;

	to->known = true;
	to->pid = use->pid;
	to->holder = use->holder;
	to->silent = use->silent;
	to->state = use->state;
	to->error = use->error;
	snprintf(to->comm, sizeof(to->comm), "%s", use->comm);
	snprintf(to->sentence, sizeof(to->sentence), "%s", use->sentence);
	return 0;
}

/* Find out who uses the device, unless that is known. Returns 0 or a negative errno. */
static int look(struct finding *f)
{
	int err;

	if (f->use.known)
		return 0;
	err = use_get(f->dev, LOOK_MS, take_use, &f->use);
	if (err == -ENOMEM || err == -EINTR)
		return err;
	if (err)
		f->use = (struct use){ .known = true, .state = -1, .error = err };
	if (f->use.pid && !f->use.holder)
		f->use.owner = owner_of(f->dev, f->use.pid, f->use.comm);
	f->use.worker = lock_owner(f->ctx, f->dev->name);
	return 0;
}

/* Say how to come to the device that a process has, which is no holder. @what: the command that is
 * to ask it, or NULL. */
static int advise_owner(struct finding *f, const char *what)
{
	const char *name = f->dev->name;
	int pid = f->use.pid;

	switch (f->use.owner) {
	case OWNER_AT_WORK:
		return finding_advise(
			f, "wait for that command (--wait); \"vfiomig watch %s\" follows it", name);
	case OWNER_UNBOUND:
	case OWNER_HAS_GROUP:
		return finding_advise(
			f, "wait until that process uses the device, or have it close the node");
	default:
		if (what)
			return finding_advise(f, "\"vfiomig %s pid:%d/%s\" asks it%s", what, pid,
					      name,
					      f->use.owner == OWNER_HIDDEN ? ", as root" : "");
		return finding_advise(f, "\"pid:%d/%s\" borrows it from there%s", pid, name,
				      f->use.owner == OWNER_HIDDEN ? ", as root" : "");
	}
}

static int somebody(struct finding *f)
{
	static const char *const has[] = {
		[OWNER_LENDS] = "the device or its group open",
		[OWNER_AT_WORK] = "it open, and is at work on it",
		[OWNER_UNBOUND] = "its cdev open, and has not bound it to an iommufd yet",
		[OWNER_HAS_GROUP] = "its group open, and not the device",
	};

	finding_warn(f, "busy: process %d (%s) has %s", f->use.pid, f->use.comm,
		     f->use.owner < ARRAY_SIZE(has) ? has[f->use.owner] : has[OWNER_LENDS]);
	return advise_owner(f, NULL);
}

/* A command works on the device that another process has. */
static int at_work(struct finding *f)
{
	char comm[16];

	process_comm(f->ctx, f->use.worker, comm);
	finding_warn(f, "busy: process %d (%s) is at work on it", f->use.worker, comm);
	return finding_advise(f, "wait for it (--wait); \"vfiomig watch %s\" follows it",
			      f->dev->name);
}

/* Whether this user sees whoever has the device open. */
static bool sees_everybody(const struct vfiomig_ctx *ctx)
{
	return process_sees_all(ctx) && process_is_capable(ctx, CAP_SYS_PTRACE);
}

/* What is the case with the process that the device was named by. @opener: the first process that
 * has the device open, or 0 */
static int judge_owner(struct finding *f, int pid, int opener)
{
	char comm[16], other[16];
	enum owner owner;

	process_comm(f->ctx, pid, comm);
	owner = owner_of(f->dev, pid, comm);
	switch (owner) {
	case OWNER_GONE:
		finding_fail(f, "there is no process %d", pid);
		break;
	case OWNER_UNBOUND:
	case OWNER_HAS_GROUP:
		finding_fail(f, "process %d (%s) has %s", pid, comm,
			     owner == OWNER_UNBOUND
				     ? "its cdev open, and has not bound it to an iommufd yet"
				     : "its group open, and not the device");
		return finding_advise(f, "wait until that process uses the device");
	default:
		if (opener == pid)
			return finding_pass(f, "process %d (%s) has it, and lends it", pid, comm);
		if (owner != OWNER_HAS_NONE) {
			finding_unknown(f, "process %d (%s) is not seen to have it open", pid,
					comm);
			return finding_advise(f, "\"vfiomig doctor --probe pid:%d/%s\" asks it",
					      pid, f->dev->name);
		}
		finding_fail(f, "process %d (%s) has not got it open", pid, comm);
		break;
	}
	if (!opener)
		return finding_advise(f, "\"vfiomig list\" shows who has which device open");
	process_comm(f->ctx, opener, other);
	return finding_advise(f, "process %d (%s) has it: \"pid:%d/%s\"", opener, other, opener,
			      f->dev->name);
}

static int named_by_user(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	char comm[16] = "";
	int pid, opener = 0;

	if (device_get_owner(dev, &pid, comm))
		return finding_pass(f, "it was named by who has it open");
	if (!dev->sys.syspath)
		return finding_pass(f, "process %d (%s) has it, and lends it", pid, comm);
	if (f->use.pid == pid && f->use.owner == OWNER_AT_WORK)
		return somebody(f);
	/* The nodes tell that without the driver, but not of a descriptor that was handed on. */
	device_get_opener(dev, &opener, (char[16]){ "" });
	return judge_owner(f, pid, opener);
}

static int nobody(struct finding *f)
{
	/* Another device of its group */
	int err = f->dev->sys.syspath ? node_check_unused(f->dev) : 0;

	if (err)
		return finding_take_error(
			f, VFIOMIG_WARN, err,
			"only one process at a time can have the devices of a group: wait until it has closed that one");
	if (f->use.error) {
		finding_unknown(f, "not all could be found out about who has it open: %s",
				f->use.error == -ETIMEDOUT ? "it took too long"
							   : strerror(-f->use.error));
		return finding_advise(f, "try again");
	}
	if (sees_everybody(f->ctx))
		return finding_pass(f, "nobody has it open");
	finding_unknown(f, "nobody is seen to have it open, and this user does not see everybody");
	return finding_advise(f, "run as root, outside of containers");
}

int check_users(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	const struct use *use = &f->use;
	int err;

	if (dev->sys.syspath && !dev->sys.driver && sysdev_is_changing(f->ctx, &dev->sys))
		return finding_take_error(
			f, VFIOMIG_FAIL, binding_fail_changing(dev),
			"wait for that; if it does not end, see dmesg: the driver hangs");
	err = look(f);
	if (err)
		return err;
	if (dev->origin.backend)
		return use->worker ? at_work(f) : named_by_user(f);
	if (use->silent)
		return finding_take(f, VFIOMIG_FAIL, use->sentence, "wait until it answers");
	if (use->worker && use->worker != use->pid)
		return at_work(f);
	if (use->holder)
		return finding_pass(f, "process %d holds it, and lends it", use->pid);
	return use->pid ? somebody(f) : nobody(f);
}

int check_bars(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	int err = look(f);

	if (err)
		return err;
	if (!dev->sys.cdev)
		return finding_pass(f, "its BARs are its driver's (%s)",
				    dev->sys.driver ? dev->sys.driver : "none");
	if (f->use.pid || f->use.silent)
		return finding_pass(f, "its BARs are of who has it open");
	err = refusal_claimed_bar(dev);
	if (!err)
		return finding_pass(f, "nobody has claimed its BARs");
	return finding_take_error(
		f, VFIOMIG_FAIL, err,
		"boot without the driver that has claimed it (console: video=efifb:off)");
}

/* ---- The state ------------------------------------------------------------------ */

static int unknown_state(struct finding *f)
{
	finding_unknown(f, "its state is not seen");
	if (f->use.silent || (f->dev->origin.backend && !f->dev->origin.pid))
		return finding_advise(f, "see device.users, and kernel.debugfs");
	if (f->use.worker)
		return finding_advise(f, "\"vfiomig watch %s\" follows it, or see kernel.debugfs",
				      f->dev->name);
	if (f->dev->origin.pid)
		return finding_advise(f,
				      "\"vfiomig state pid:%d/%s\" asks it, or see kernel.debugfs",
				      f->dev->origin.pid, f->dev->name);
	if (f->use.pid && !f->use.holder)
		return advise_owner(f, "state");
	return finding_advise(f, "\"vfiomig state %s\" asks it, or see kernel.debugfs",
			      f->dev->name);
}

int check_state(struct finding *f)
{
	const struct use *use = &f->use;
	const char *name;
	int err = look(f);

	if (err)
		return err;
	name = vfiomig_state_name(use->state);
	if (!use->pid && !use->silent && !f->dev->origin.backend)
		return finding_pass(f, "nobody is seen to have it open, so it has no state");
	switch (use->state) {
	case VFIOMIG_STATE_ERROR:
		finding_fail(f, "it is in ERROR");
		return finding_advise(
			f,
			"only a reset leads out of it: \"vfiomig state %s --reset\", or its owner",
			f->dev->name);
	case VFIOMIG_STATE_RESUMING:
		finding_warn(f, "it is in RESUMING: somebody is loading a state into it");
		return finding_advise(
			f,
			"wait for who does; if nobody does any more, only a reset leads out of it");
	case VFIOMIG_STATE_PRE_COPY:
	case VFIOMIG_STATE_PRE_COPY_P2P:
	case VFIOMIG_STATE_STOP_COPY:
		finding_warn(f, "it is in %s: somebody is saving it", name);
		return finding_advise(
			f,
			"wait for who does; if nobody does any more, \"vfiomig state %s RUNNING\"",
			f->dev->name);
	case VFIOMIG_STATE_STOP:
	case VFIOMIG_STATE_RUNNING:
	case VFIOMIG_STATE_RUNNING_P2P:
		return finding_pass(f, "it is in %s", name);
	default:
		return unknown_state(f);
	}
}

/* ---- Live update ----------------------------------------------------------------- */

/* Whether the kernel's VFIO can hand devices over to the next kernel. The symbol has a name for
 * everybody, and an address for root only. */
static bool has_handover(const struct vfiomig_ctx *ctx)
{
	char path[PATH_MAX], *line = NULL;
	bool found = false;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/kallsyms", ctx->procfs);
	f = fopen(path, "re");
	while (f && !found && getline(&line, &size, f) > 0)
		found = strstr(line, "vfio_pci_liveupdate");
	free(line);
	if (f)
		fclose(f);
	return found;
}

static int is_session(void *data, int number, const char *target)
{
	(void)data, (void)number;
	return strncmp(target, "anon_inode:[luo_session]", 24) == 0;
}

/* Returns the first process that has a session of a live update open, or 0. */
static int find_session(struct vfiomig_ctx *ctx)
{
	struct dirent *entry;
	int pid, found = 0;
	DIR *d = opendir(ctx->procfs);

	while (d && !found && (entry = readdir(d))) {
		pid = atoi(entry->d_name);
		if (pid > 0 && process_foreach_fd(ctx, pid, is_session, NULL) > 0)
			found = pid;
	}
	if (d)
		closedir(d);
	return found;
}

int check_live_update(struct finding *f)
{
	char path[PATH_MAX], comm[16];
	int pid;

	snprintf(path, sizeof(path), "%s/class/misc/liveupdate", f->ctx->sysfs);
	if (access(path, F_OK))
		return finding_pass(
			f, "no live update has it: the kernel has none; a kexec resets it");
	if (!has_handover(f->ctx))
		return finding_pass(
			f,
			"no live update has it: VFIO of this kernel takes no part in them; a kexec resets it");
	pid = find_session(f->ctx);
	if (pid) {
		process_comm(f->ctx, pid, comm);
		finding_unknown(
			f,
			"process %d (%s) has a session of a live update, and the kernel does not tell which devices are in it",
			pid, comm);
		return finding_advise(
			f,
			"ask that process; a device in a session stays open until the session ends");
	}
	if (sees_everybody(f->ctx))
		return finding_pass(f, "no live update has it: nobody has a session of one");
	finding_unknown(
		f, "whether a live update has it is not known: this user does not see everybody");
	return finding_advise(f, "run as root, outside of containers");
}

/* ---- With the device open ---------------------------------------------------------- */

/* "STOP_COPY P2P" */
static int supported(struct finding *f, uint64_t flags)
{
	return finding_pass(f, "STOP_COPY%s%s", flags & VFIOMIG_P2P ? " P2P" : "",
			    flags & VFIOMIG_PRE_COPY
				    ? " PRE_COPY"
				    : "; without PRE_COPY it is stopped as long as it is read");
}

static int take_answers(void *data, const struct vfiomig_probe *probe)
{
	struct finding *f = data;

	if (!probe->open && !probe->migration)
		return supported(f, probe->flags);
	if (probe->open == -EINTR)
		return -EINTR;
	return finding_take(
		f, probe->open || probe->migration == -EOPNOTSUPP ? VFIOMIG_FAIL : VFIOMIG_UNKNOWN,
		probe->sentence, "see the other lines about it, and dmesg");
}

int check_migration(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	int err;

	if (dev->sys.syspath && !dev->sys.cdev) {
		finding_unknown(f, "what it supports shows when it has a VFIO driver and is open");
		return finding_advise(f, "see device.driver");
	}
	if (!(f->flags & VFIOMIG_DIAGNOSE_PROBE)) {
		finding_unknown(f, "what it supports shows only when it is open");
		return finding_advise(f, "--probe opens it, which resets it if nobody has it open");
	}
	err = look(f);
	if (err)
		return err;
	/* What a process has is not borrowed unless the user says so, and a silent holder does not
	 * answer. */
	if (f->use.silent) {
		finding_unknown(f, "its holder does not answer");
		return finding_advise(f, "see device.users");
	}
	if (f->use.pid && !f->use.holder && !dev->origin.backend) {
		finding_unknown(f, "what it supports was not asked: process %d (%s) has it",
				f->use.pid, f->use.comm);
		return advise_owner(f, "doctor --probe");
	}
	err = probe_devices(f->ctx, &dev, 1, PROBE_MS, 0, take_answers, f);
	return err == -EINTR ? ctx_fail_interrupted(f->ctx) : err;
}
