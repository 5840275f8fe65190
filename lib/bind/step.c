// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One step of binding. A driver's remove function may wait for its users without end, as a module's
 * first function may for its devices, and no signal ends that. So the step is done by a process of
 * its own (see apart.h), while this one says what it waits for, and can be interrupted.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

#include "device/apart.h"
#include "device/module.h"
#include "device/opener.h"
#include "device/process.h"
#include "device/sysfs.h"
#include "step.h"

#define QUIET_NS 3000000000ULL /* before the notice */
#define LOOK_NS	 1000000000ULL /* for the notice */
#define HURRY_NS 300000000ULL  /* after a signal */
#define GRACE_MS 500	       /* for a module, after a signal */

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

struct loading {
	const struct vfiomig_ctx *ctx;
	const char *module;
	int err;
};

static void do_load(void *arg)
{
	const struct sigaction usual = { .sa_handler = SIG_DFL };
	struct loading *l = arg;
	sigset_t typed;

	/* The configuration may have a command for this module. A shell that runs it needs standard
	 * streams, and all signals but those of the keyboard, which are for the parent. */
	while (open("/dev/null", O_RDWR) >= 0 && fcntl(STDERR_FILENO, F_GETFD) < 0)
		;
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &usual, NULL);
	sigemptyset(&typed);
	sigaddset(&typed, SIGINT);
	sigaddset(&typed, SIGQUIT);
	sigaddset(&typed, SIGHUP);
	sigprocmask(SIG_SETMASK, &typed, NULL);
	l->err = module_load(l->ctx, l->module);
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

/* Wait for the step, and give the notice. @dev is NULL if the step is not about one that somebody
 * may have open. */
static int wait_step(struct vfiomig_ctx *ctx, struct vfiomig_device *dev, const struct nodes *nodes,
		     const struct apart *a, const char *what, unsigned int grace_ms)
{
	int err = apart_wait(ctx, a, now_ns() + QUIET_NS);
	struct reason reason = { .known = !dev };

	if (err == -ETIMEDOUT) {
		if (dev)
			find_reason(dev, nodes, &reason, openers_look, LOOK_NS);
		ctx_notice(ctx, "still waiting for the kernel, which is %s%s", what, reason.text);
		err = apart_wait(ctx, a, UINT64_MAX);
	}
	if (err == -EINTR)
		err = apart_wait(NULL, a, now_ns() + grace_ms * 1000000ULL);
	if (!err)
		return 0;
	if (!reason.known)
		find_reason(dev, nodes, &reason, openers_look_back, HURRY_NS);
	return ctx_fail(ctx, -EINPROGRESS,
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
		err = wait_step(dev->ctx, dev, &nodes, &a, what, grace_ms);
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

int step_load(struct vfiomig_ctx *ctx, const char *module)
{
	struct loading *l = apart_alloc(sizeof(*l));
	struct apart a;
	char what[128];
	int err;

	if (!l)
		return -ENOMEM;
	*l = (struct loading){ .ctx = ctx, .module = module, .err = -EIO };
	snprintf(what, sizeof(what), "loading the module %s", module);
	err = apart_start_allocating(&a, do_load, l);
	if (!err)
		err = wait_step(ctx, NULL, NULL, &a, what, GRACE_MS);
	if (!err)
		err = l->err;
	if (err == -EINPROGRESS)
		apart_leave(&a);
	else
		apart_end(&a);
	apart_free(l, sizeof(*l));
	return err;
}
