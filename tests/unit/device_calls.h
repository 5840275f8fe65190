/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Calls for the tables of calls.h: the functions of devices, holders and binding, on a machine of
 * plain files. Its functions A and B are open by descriptors, which /dev/null and /dev/zero stand
 * for; B has a holder if a call needs one.
 */
#ifndef DEVICE_CALLS_H
#define DEVICE_CALLS_H

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "holder/held.h"
#include "machine.h"

#define OTHER "0000:00:12.0" /* in the group of A, and bound to a driver that is not VFIO's */

/* What bind, unbind and peek_state look at. */
static void furnish_machine(void)
{
	make_machine(NULL);
	sh("mkdir bus/pci/drivers/vfio-pci bus/pci/drivers/e1000e; touch bus/pci/drivers_probe bus/pci/drivers/vfio-pci/unbind");
	sh("for d in " A " " B
	   "; do (cd devices/pci0000:00/$d; for f in vendor device subsystem_vendor subsystem_device class revision; do echo 0x1 >$f; done; echo '(null)' >driver_override; head -c 64 /dev/zero >config; ln -s ../../../bus/pci/drivers/vfio-pci driver) done");
	sh("mkdir devices/pci0000:00/" OTHER
	   "; ln -s ../../../bus/pci/drivers/e1000e devices/pci0000:00/" OTHER
	   "/driver; ln -s $PWD/devices/pci0000:00/" OTHER " kernel/iommu_groups/7/devices/");
	sh("mkdir -p kernel/debug/vfio/" A "/migration; echo STOP >kernel/debug/vfio/" A
	   "/migration/state");
	sh("ln -s dev/vfio/7 proc/%d/fd/3", STRANGER);
}

/* A call on the device called @name. */
#define CALL_NAMED(name, call)            \
	({                                \
		struct vfiomig_device *d; \
		int named_;               \
                                          \
		d = new_device(name);     \
		named_ = CALL(call);      \
		vfiomig_device_unref(d);  \
		named_;                   \
	})

/* The device behind the file at @path, which this process has open, and whether it is open here. */
static struct vfiomig_device *own_device(const char *path, bool is_open)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	struct vfiomig_device *d;

	fds.device = fd;
	assert_int_equal(vfiomig_device_from_fds(ctx, &fds, &d), 0);
	close(fd);
	if (is_open)
		assert_int_equal(vfiomig_device_open(d, 0), 0);
	return d;
}

static int with_own(bool is_open, int (*call)(struct vfiomig_device *d))
{
	struct vfiomig_device *d = own_device("/dev/null", is_open);
	int ret = call(d);

	vfiomig_device_unref(d);
	return ret;
}

/* ---- Devices -------------------------------------------------------------- */

static int new_named(const char *name)
{
	struct vfiomig_device *d = NULL;
	int err = CALL(vfiomig_device_new(ctx, name, &d));

	vfiomig_device_unref(d);
	return err;
}

static int device_new_good(void)
{
	return new_named(A);
}

static int device_new_bad(void)
{
	return new_named("nonsense");
}

static int new_from_fd(int fd)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;
	struct vfiomig_device *d = NULL;
	int err;

	fds.device = fd;
	err = CALL(vfiomig_device_from_fds(ctx, &fds, &d));
	vfiomig_device_unref(d);
	return err;
}

static int from_fds_good(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), err = new_from_fd(fd);

	close(fd);
	return err;
}

static int from_fds_bad(void)
{
	return new_from_fd(-1);
}

static int set_vf_token_good(void)
{
	return CALL_NAMED(A,
			  vfiomig_device_set_vf_token(d, "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"));
}

static int set_vf_token_bad(void)
{
	return CALL_NAMED(A, vfiomig_device_set_vf_token(d, "x"));
}

static int get_fds(struct vfiomig_device *d)
{
	struct vfiomig_fds fds = VFIOMIG_FDS_INIT;

	return CALL(vfiomig_device_get_fds(d, &fds));
}

static int get_fds_good(void)
{
	return with_own(true, get_fds);
}

static int get_no_fds(struct vfiomig_device *d)
{
	struct vfiomig_fds none = { .size = 0 };

	return CALL(vfiomig_device_get_fds(d, &none));
}

static int get_fds_bad(void)
{
	return with_own(true, get_no_fds);
}

static int visit(struct vfiomig_device *d, void *count)
{
	(void)d;
	++*(int *)count;
	return 0;
}

static int foreach_good(void)
{
	int count = 0, err = CALL(vfiomig_device_foreach(ctx, visit, &count));

	assert_true(err || count == 2);
	return err;
}

static int foreach_bad(void)
{
	int count = 0, err;

	ctx->sysfs = "/dev/null";
	err = CALL(vfiomig_device_foreach(ctx, visit, &count));
	ctx->sysfs = root;
	return err;
}

static int visit_use(void *count, const struct vfiomig_use *use)
{
	/* A stranger has the group of A open. */
	if (strcmp(vfiomig_device_get_name(use->device), A) == 0)
		assert_true(use->pid == STRANGER && strcmp(use->comm, "qemu") == 0);
	else
		assert_int_equal(use->pid, 0);
	++*(int *)count;
	return 0;
}

static int foreach_use_good(void)
{
	int count = 0, err = CALL(vfiomig_device_foreach_use(ctx, 60000, visit_use, &count));

	assert_true(err || count == 2);
	return err;
}

static int foreach_use_bad(void)
{
	int count = 0, err;

	ctx->sysfs = "/dev/null";
	err = CALL(vfiomig_device_foreach_use(ctx, 60000, visit_use, &count));
	ctx->sysfs = root;
	return err;
}

static int get_use_good(void)
{
	int count = 0, err;

	err = CALL_NAMED(A, vfiomig_device_get_use(d, 60000, visit_use, &count));
	assert_true(err || count == 1);
	return err;
}

static int refuse_use(void *count, const struct vfiomig_use *use)
{
	(void)count, (void)use;
	return -EDOM;
}

static int get_use_bad(void)
{
	return CALL_NAMED(A, vfiomig_device_get_use(d, 60000, refuse_use, NULL));
}

/* Nobody is seen to have B open, in a PID namespace that may not have all processes. debugfs tells
 * its state. */
static struct vfiomig_watch *watch;

static int begin_watch(void)
{
	sh("mkdir -p proc/self/ns kernel/debug/vfio/" B
	   "/migration; ln -sfn pid:[1] proc/self/ns/pid; echo STOP >kernel/debug/vfio/" B
	   "/migration/state");
	watch = NULL;
	return CALL_NAMED(B, vfiomig_watch_new(d, -1, 0, &watch));
}

static int end_watch(int err)
{
	vfiomig_watch_free(watch);
	sh("rm -rf proc/self kernel/debug/vfio/" B);
	return err;
}

static int watch_new_good(void)
{
	return end_watch(begin_watch());
}

static int watch_own(struct vfiomig_device *d)
{
	return CALL(vfiomig_watch_new(d, -1, 0, &watch));
}

static int watch_new_bad(void)
{
	return with_own(false, watch_own);
}

static int look_at_watch(bool is_good)
{
	const struct vfiomig_look *look;
	int err = begin_watch();

	if (err)
		return end_watch(err);
	if (!is_good)
		sh("rm -r kernel/debug/vfio/" B);
	err = CALL(vfiomig_watch_look(watch, 60000, &look));
	assert_true(err || look->state == VFIOMIG_STATE_STOP);
	return end_watch(err);
}

static int watch_look_good(void)
{
	return look_at_watch(true);
}

static int watch_look_bad(void)
{
	return look_at_watch(false);
}

static int visit_probe(void *count, const struct vfiomig_probe *probe)
{
	(void)probe;
	++*(int *)count;
	return 0;
}

static int probe_devices_good(void)
{
	int count = 0,
	    err = CALL_NAMED(A, vfiomig_probe_devices(ctx, &d, 1, 60000, 0, visit_probe, &count));

	assert_true(err || count == 1);
	return err;
}

static int probe_devices_bad(void)
{
	return CALL_NAMED(A, vfiomig_probe_devices(ctx, &d, 1, 60000, 2, visit_probe, NULL));
}

static int opener_of_device(const char *name)
{
	char comm[16];
	int pid;

	return CALL_NAMED(name, vfiomig_device_get_opener(d, &pid, comm));
}

static int get_opener_good(void)
{
	return opener_of_device(A);
}

static int get_opener_bad(void)
{
	return opener_of_device(B);
}

static int peek_state_good(void)
{
	int state = CALL_NAMED(A, vfiomig_device_peek_state(d));

	assert_true(state < 0 || state == VFIOMIG_STATE_STOP);
	return state;
}

static int peek_state_bad(void)
{
	return CALL_NAMED(B, vfiomig_device_peek_state(d));
}

static int open_it(struct vfiomig_device *d)
{
	return CALL(vfiomig_device_open(d, 0));
}

static int open_good(void)
{
	return with_own(false, open_it);
}

static int open_bad(void)
{
	return CALL_NAMED(A, vfiomig_device_open(d, ~0U));
}

static int open_all(struct vfiomig_device *d)
{
	return CALL(vfiomig_devices_open(&d, 1, 0, NULL));
}

static int devices_open_good(void)
{
	return with_own(false, open_all);
}

static int devices_open_bad(void)
{
	return CALL_NAMED(A, vfiomig_devices_open(&d, 1, ~0U, NULL));
}

static int close_it(struct vfiomig_device *d)
{
	return CALL(vfiomig_device_close(d));
}

static int close_good(void)
{
	return with_own(true, close_it);
}

/* As if a holder had lent the device, and ended since. */
static void orphan(struct vfiomig_device *d)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	close(ends[1]);
	d->backend = &backend_holder;
	d->claim = ends[0];
}

static int close_orphan(struct vfiomig_device *d)
{
	orphan(d);
	return close_it(d);
}

static int close_bad(void)
{
	return with_own(true, close_orphan);
}

static int close_all(struct vfiomig_device *d)
{
	return CALL(vfiomig_devices_close(&d, 1, NULL));
}

static int devices_close_good(void)
{
	return with_own(true, close_all);
}

static int close_all_orphans(struct vfiomig_device *d)
{
	orphan(d);
	return close_all(d);
}

static int devices_close_bad(void)
{
	return with_own(true, close_all_orphans);
}

static int get_fd_of(struct vfiomig_device *d)
{
	return CALL(vfiomig_device_get_fd(d));
}

static int get_fd_good(void)
{
	return with_own(true, get_fd_of);
}

static int get_fd_bad(void)
{
	return with_own(false, get_fd_of);
}

static int get_owner_good(void)
{
	char comm[16];
	int pid;

	return CALL_NAMED("pid:4711/" A, vfiomig_device_get_owner(d, &pid, comm));
}

static int get_owner_bad(void)
{
	char comm[16];
	int pid;

	return CALL_NAMED(A, vfiomig_device_get_owner(d, &pid, comm));
}

/* ---- Binding --------------------------------------------------------------- */

static int get_obstacle_good(void)
{
	char name[256], driver[256];
	int err = CALL_NAMED(A, vfiomig_device_get_obstacle(d, name, driver));

	assert_true(err || strcmp(name, OTHER) == 0);
	return err;
}

static int get_obstacle_bad(void)
{
	char name[256], driver[256];

	return CALL_NAMED(B, vfiomig_device_get_obstacle(d, name, driver));
}

/* There is nothing to do: bindmem.c has binding itself without memory. */
static int bind_good(void)
{
	return CALL_NAMED(A, vfiomig_device_bind(d, "vfio-pci", 0, NULL, NULL));
}

static int bind_bad(void)
{
	return CALL_NAMED(A, vfiomig_device_bind(d, "../vfio-pci", 0, NULL, NULL));
}

static int unbind_good(void)
{
	return CALL_NAMED(B, vfiomig_device_unbind(d, 0, NULL, NULL));
}

static int unbind_it(struct vfiomig_device *d)
{
	return CALL(vfiomig_device_unbind(d, 0, NULL, NULL));
}

static int unbind_bad(void)
{
	return with_own(false, unbind_it);
}

/* ---- Holders ---------------------------------------------------------------- */

/* A process that holds B. It serves when this returns. */
static int start_holder(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct vfiomig_device *d = own_device("/dev/zero", false);
	struct vfiomig_holder *holder;
	int pid = fork(), served_by;

	assert_true(pid >= 0);
	if (!pid)
		_exit(vfiomig_device_open(d, 0) || vfiomig_holder_new(d, &holder) ||
		      vfiomig_holder_serve(holder));
	vfiomig_device_unref(d);
	d = new_device(B);
	while (vfiomig_device_get_holder(d, &served_by))
		nanosleep(&moment, NULL);
	vfiomig_device_unref(d);
	return pid;
}

static void end_process(int pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	sh("rm -f run/*.sock run/*.lock");
}

static int get_holder_good(void)
{
	int holder = start_holder(), pid = 0;
	int err = CALL_NAMED(B, vfiomig_device_get_holder(d, &pid));

	assert_true(err || pid == holder);
	end_process(holder);
	return err;
}

static int get_holder_bad(void)
{
	int pid;

	return CALL_NAMED(A, vfiomig_device_get_holder(d, &pid));
}

static int release_good(void)
{
	int holder = start_holder();
	int err = CALL_NAMED(B, vfiomig_device_release(d));

	end_process(holder);
	return err;
}

static int release_bad(void)
{
	return CALL_NAMED(A, vfiomig_device_release(d));
}

static int new_holder(struct vfiomig_device *d)
{
	struct vfiomig_holder *holder = NULL;
	int err = CALL(vfiomig_holder_new(d, &holder));

	vfiomig_holder_free(holder);
	return err;
}

static int holder_new_good(void)
{
	return with_own(true, new_holder);
}

static int holder_new_bad(void)
{
	return with_own(false, new_holder);
}

static int fork_holder(struct vfiomig_device *d)
{
	struct vfiomig_holder *holder;
	int pid;

	assert_int_equal(vfiomig_holder_new(d, &holder), 0);
	pid = CALL(vfiomig_holder_fork(holder));
	/* What the caller had given is closed in the child. */
	if (!pid) {
		int bad = d->origin.fd != -1 || d->origin.given.device != -1;

		vfiomig_interrupt(ctx);
		vfiomig_holder_serve(holder);
		_exit(bad);
	}
	if (pid > 0) {
		int how;

		assert_int_equal(waitpid(pid, &how, 0), pid);
		assert_int_equal(how, 0);
		sh("rm -f run/*.sock run/*.lock");
	}
	vfiomig_holder_free(holder);
	return pid;
}

static int holder_fork_good(void)
{
	return with_own(true, fork_holder);
}

static int interrupted(int (*call)(struct vfiomig_device *d))
{
	int err;

	vfiomig_interrupt(ctx);
	err = with_own(true, call);
	vfiomig_resume(ctx);
	return err;
}

static int holder_fork_bad(void)
{
	return interrupted(fork_holder);
}

static int serve_device(struct vfiomig_device *d)
{
	struct vfiomig_holder *holder;
	int err;

	assert_int_equal(vfiomig_holder_new(d, &holder), 0);
	err = CALL(vfiomig_holder_serve(holder));
	vfiomig_holder_free(holder);
	return err;
}

/* Another process releases the device. */
static int holder_serve_good(void)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	struct vfiomig_device *d = new_device(A);
	int pid = fork(), err;

	assert_true(pid >= 0);
	if (!pid) {
		while (vfiomig_device_release(d))
			nanosleep(&moment, NULL);
		_exit(0);
	}
	err = with_own(true, serve_device);
	end_process(pid);
	vfiomig_device_unref(d);
	return err;
}

static int holder_serve_bad(void)
{
	return interrupted(serve_device);
}

#endif
