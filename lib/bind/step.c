// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One step of binding. A driver's remove function may wait for its users without end, and no signal
 * ends that. So the write is done by a process of its own (see apart.h), while this one says what
 * it waits for, and can be interrupted.
 */
#include <stdio.h>

#include "device/apart.h"
#include "device/opener.h"
#include "device/process.h"
#include "device/sysfs.h"
#include "step.h"

#define QUIET_NS 3000000000ULL /* before the notice */
#define LOOK_NS	 1000000000ULL

struct writing {
	const char *dir, *name, *text;
	int err;
};

static void do_write(void *arg)
{
	struct writing *w = arg;

	w->err = sysfs_write(w->dir, w->name, w->text);
}

/* @who receives who may keep the kernel waiting: "; process 12 (pulseaudio) has ... open". */
static void find_reason(struct vfiomig_device *dev, char *who, size_t size)
{
	char node[64] = "the device", comm[16];
	struct openers *openers;
	int pid = 0;

	who[0] = '\0';
	openers_look(dev->ctx, now_ns() + LOOK_NS, &openers);
	if (openers) {
		pid = openers_of_device(openers, dev);
		if (!pid)
			pid = openers_below(openers, dev, node);
	}
	openers_free(openers);
	if (!pid)
		return;
	process_comm(dev->ctx, pid, comm);
	snprintf(who, size, "; process %d (%s) has %s open", pid, comm, node);
}

/* Wait for the step, and give the notice. */
static int wait_step(struct vfiomig_device *dev, const struct apart *a, const char *what,
		     unsigned int grace_ms)
{
	int err = apart_wait(dev->ctx, a, now_ns() + QUIET_NS);
	char who[128];

	if (err == -ETIMEDOUT) {
		find_reason(dev, who, sizeof(who));
		ctx_notice(dev->ctx, "still waiting for the kernel, which is %s%s", what, who);
		err = apart_wait(dev->ctx, a, UINT64_MAX);
	}
	if (err == -EINTR)
		err = apart_wait(NULL, a, now_ns() + grace_ms * 1000000ULL);
	if (!err)
		return 0;
	find_reason(dev, who, sizeof(who));
	return ctx_fail(dev->ctx, -EINPROGRESS,
			"interrupted by a signal while the kernel was %s, which it goes on with%s",
			what, who);
}

int step_write(struct vfiomig_device *dev, const char *dir, const char *name, const char *text,
	       const char *what, unsigned int grace_ms)
{
	struct writing *w = apart_alloc(sizeof(*w));
	struct apart a;
	int err;

	if (!w)
		return -ENOMEM;
	*w = (struct writing){ .dir = dir, .name = name, .text = text, .err = -EIO };
	err = apart_start(&a, do_write, w);
	if (!err)
		err = wait_step(dev, &a, what, grace_ms);
	if (!err)
		err = w->err;
	apart_end(&a);
	apart_free(w, sizeof(*w));
	return err;
}
