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
#define LOOK_NS	 1000000000ULL /* for the notice */
#define HURRY_NS 300000000ULL  /* after a signal */

struct writing {
	const char *dir, *name, *text;
	int err;
};

static void do_write(void *arg)
{
	struct writing *w = arg;

	/* A driver's probe function may wait in such a way that SIGKILL makes it fail, and then the
	 * function is left without a driver. So nothing ends a step that has begun. */
	apart_outlive();
	w->err = sysfs_write(w->dir, w->name, w->text);
}

/* Who may keep the kernel waiting. */
struct reason {
	bool known;
	char text[128]; /* "; process 12 (pulseaudio) has ... open", or "" */
};

static void
find_reason(struct vfiomig_device *dev, const struct nodes *nodes, struct reason *reason,
	    int (*look)(struct vfiomig_ctx *ctx, uint64_t until, struct openers **openers),
	    uint64_t ns)
{
	char node[64] = "the device", comm[16];
	struct openers *openers;
	int pid = 0, err = look(dev->ctx, now_ns() + ns, &openers);

	if (openers) {
		pid = openers_of_device(openers, dev);
		if (!pid)
			pid = openers_of_nodes(openers, nodes, node);
	}
	openers_free(openers);
	reason->known = pid || !err;
	if (!pid)
		return;
	process_comm(dev->ctx, pid, comm);
	snprintf(reason->text, sizeof(reason->text), "; process %d (%s) has %s open", pid, comm,
		 node);
}

/* Wait for the step, and give the notice. */
static int wait_step(struct vfiomig_device *dev, const struct nodes *nodes, const struct apart *a,
		     const char *what, unsigned int grace_ms)
{
	int err = apart_wait(dev->ctx, a, now_ns() + QUIET_NS);
	struct reason reason = { .known = false };

	if (err == -ETIMEDOUT) {
		find_reason(dev, nodes, &reason, openers_look, LOOK_NS);
		ctx_notice(dev->ctx, "still waiting for the kernel, which is %s%s", what,
			   reason.text);
		err = apart_wait(dev->ctx, a, UINT64_MAX);
	}
	if (err == -EINTR)
		err = apart_wait(NULL, a, now_ns() + grace_ms * 1000000ULL);
	if (!err)
		return 0;
	if (!reason.known)
		find_reason(dev, nodes, &reason, openers_look_back, HURRY_NS);
	return ctx_fail(dev->ctx, -EINPROGRESS,
			"interrupted by a signal while the kernel was %s, which it goes on with%s",
			what, reason.text);
}

int step_write(struct vfiomig_device *dev, const char *dir, const char *name, const char *text,
	       const char *what, unsigned int grace_ms)
{
	struct writing *w = apart_alloc(sizeof(*w));
	struct nodes nodes;
	struct apart a;
	int err;

	if (!w)
		return -ENOMEM;
	/* A driver takes its nodes out of sysfs before it waits for those who have one open. */
	nodes_read(dev, &nodes);
	*w = (struct writing){ .dir = dir, .name = name, .text = text, .err = -EIO };
	err = apart_start(&a, do_write, w);
	if (!err)
		err = wait_step(dev, &nodes, &a, what, grace_ms);
	if (!err)
		err = w->err;
	if (err == -EINPROGRESS)
		apart_leave(&a);
	else
		apart_end(&a);
	apart_free(w, sizeof(*w));
	nodes_free(&nodes);
	return err;
}
