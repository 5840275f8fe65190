// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of vfiomig.h that can fail. Each forgets what failed before, has the room that is
 * responsible do the work, and leaves a sentence if that failed and none if it did not. The rooms
 * themselves call each other's own functions, never these.
 */
#include "bind/bind.h"
#include "device/device.h"
#include "device/feature.h"
#include "device/node.h"
#include "device/rundir.h"
#include "device/token.h"
#include "doctor/doctor.h"
#include "holder/held.h"
#include "holder/holder.h"
#include "holder/use.h"
#include "holder/watcher.h"
#include "image/inspect.h"
#include "image/options.h"
#include "image/pack.h"
#include "migration/probe.h"
#include "migration/restore.h"
#include "migration/save.h"
#include "migration/state.h"
#include "records/diff.h"
#include "records/stream.h"

/* ---- Context ------------------------------------------------------------- */

EXPORT int vfiomig_set_rundir(struct vfiomig_ctx *ctx, const char *path)
{
	api_begin(ctx);
	return api_end(ctx, rundir_set(ctx, path));
}

/* Begin a function that asks something of an open device. */
static int begin_open(const struct vfiomig_device *dev)
{
	api_begin(dev->ctx);
	return device_check_open(dev);
}

/* ---- Devices ------------------------------------------------------------- */

EXPORT int vfiomig_device_new(struct vfiomig_ctx *ctx, const char *name,
			      struct vfiomig_device **dev)
{
	api_begin(ctx);
	return api_end(ctx, device_new(ctx, name, dev));
}

EXPORT int vfiomig_device_from_fds(struct vfiomig_ctx *ctx, const struct vfiomig_fds *fds,
				   struct vfiomig_device **dev)
{
	api_begin(ctx);
	return api_end(ctx, device_from_fds(ctx, fds, dev));
}

EXPORT int vfiomig_device_set_vf_token(struct vfiomig_device *dev, const char *uuid)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, device_set_vf_token(dev, uuid));
}

EXPORT int vfiomig_device_get_fds(const struct vfiomig_device *dev, struct vfiomig_fds *fds)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, device_get_fds(dev, fds));
}

EXPORT int vfiomig_device_foreach(struct vfiomig_ctx *ctx,
				  int (*fn)(struct vfiomig_device *dev, void *data), void *data)
{
	api_begin(ctx);
	return api_end_zero(ctx, device_foreach(ctx, fn, data));
}

EXPORT int vfiomig_device_get_opener(const struct vfiomig_device *dev, int *pid, char comm[16])
{
	int err;

	api_begin(dev->ctx);
	err = device_get_opener(dev, pid, comm);
	if (err == -ENOENT)
		ctx_fail(dev->ctx, err, "nobody is seen to have %s open", dev->name);
	return api_end(dev->ctx, err);
}

EXPORT int vfiomig_device_peek_state(const struct vfiomig_device *dev)
{
	int state;

	api_begin(dev->ctx);
	state = held_state(dev);
	if (state < 0) {
		/* That nobody holds the device is not the failure to tell. */
		api_begin(dev->ctx);
		state = state_from_debugfs(dev);
	}
	return api_end(dev->ctx, state);
}

EXPORT int vfiomig_device_foreach_use(struct vfiomig_ctx *ctx, unsigned int ms, vfiomig_use_fn fn,
				      void *data)
{
	api_begin(ctx);
	return api_end_zero(ctx, use_foreach(ctx, ms, fn, data));
}

EXPORT int vfiomig_device_get_use(struct vfiomig_device *dev, unsigned int ms, vfiomig_use_fn fn,
				  void *data)
{
	api_begin(dev->ctx);
	return api_end_zero(dev->ctx, use_get(dev, ms, fn, data));
}

EXPORT int vfiomig_probe_devices(struct vfiomig_ctx *ctx, struct vfiomig_device *const devices[],
				 size_t n, unsigned int ms, unsigned int flags, vfiomig_probe_fn fn,
				 void *data)
{
	api_begin(ctx);
	return api_end_zero(ctx, probe_devices(ctx, devices, n, ms, flags, fn, data));
}

EXPORT int vfiomig_device_open(struct vfiomig_device *dev, unsigned int flags)
{
	bool was_open = dev->fd >= 0;
	int err;

	api_begin(dev->ctx);
	err = device_open(dev, flags);
	if (!err && !was_open && !dev->unbound && !(flags & VFIOMIG_OPEN_AS_IS))
		state_start_clean(dev);
	return api_end(dev->ctx, err);
}

EXPORT int vfiomig_devices_open(struct vfiomig_device *const devices[], size_t n,
				unsigned int flags, size_t *which)
{
	struct vfiomig_ctx *ctx;
	int err, failed = n;

	if (which)
		*which = n;
	if (!n)
		return 0;
	ctx = devices[0]->ctx;
	api_begin(ctx);
	err = devices_open(devices, n, flags, &failed);
	for (size_t i = 0; i < n && !err; i++)
		if (!devices[i]->unbound && !(flags & VFIOMIG_OPEN_AS_IS))
			state_start_clean(devices[i]);
	if (which)
		*which = failed;
	return api_end(ctx, err);
}

EXPORT int vfiomig_devices_close(struct vfiomig_device *const devices[], size_t n, int errors[])
{
	if (!n)
		return 0;
	api_begin(devices[0]->ctx);
	return api_end(devices[0]->ctx, devices_close(devices, n, errors));
}

EXPORT int vfiomig_device_close(struct vfiomig_device *dev)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, device_close(dev));
}

EXPORT int vfiomig_device_get_fd(const struct vfiomig_device *dev)
{
	api_begin(dev->ctx);
	if (dev->fd < 0)
		return api_end(dev->ctx, device_check_open(dev));
	return api_end(dev->ctx, dev->fd);
}

EXPORT int vfiomig_device_get_owner(const struct vfiomig_device *dev, int *pid, char comm[16])
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, device_get_owner(dev, pid, comm));
}

/* ---- Holders ------------------------------------------------------------- */

EXPORT int vfiomig_holder_new(struct vfiomig_device *dev, struct vfiomig_holder **holder)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, holder_new(dev, holder));
}

EXPORT int vfiomig_holder_fork(struct vfiomig_holder *holder)
{
	struct vfiomig_ctx *ctx = holder_ctx(holder);

	api_begin(ctx);
	return api_end(ctx, holder_fork(holder));
}

EXPORT int vfiomig_holder_serve(struct vfiomig_holder *holder)
{
	struct vfiomig_ctx *ctx = holder_ctx(holder);

	api_begin(ctx);
	return api_end(ctx, holder_serve(holder));
}

EXPORT int vfiomig_device_get_holder(const struct vfiomig_device *dev, int *pid)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, held_get_pid(dev, pid));
}

EXPORT int vfiomig_device_release(struct vfiomig_device *dev)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, held_release(dev));
}

/* ---- Watching ------------------------------------------------------------- */

EXPORT int vfiomig_watch_new(struct vfiomig_device *dev, int data_fd, unsigned int flags,
			     struct vfiomig_watch **watch)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, watcher_new(dev, data_fd, flags, watch));
}

EXPORT int vfiomig_watch_look(struct vfiomig_watch *watch, unsigned int ms,
			      const struct vfiomig_look **look)
{
	struct vfiomig_ctx *ctx = watcher_ctx(watch);

	api_begin(ctx);
	return api_end(ctx, watcher_look(watch, ms, look));
}

/* ---- Binding to drivers -------------------------------------------------- */

EXPORT int vfiomig_device_bind(struct vfiomig_device *dev, const char *driver, unsigned int flags,
			       vfiomig_binding_fn fn, void *data)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, bind_device(dev, driver, flags, fn, data));
}

EXPORT int vfiomig_device_unbind(struct vfiomig_device *dev, unsigned int flags,
				 vfiomig_binding_fn fn, void *data)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, unbind_device(dev, flags, fn, data));
}

EXPORT int vfiomig_diagnose(struct vfiomig_ctx *ctx, struct vfiomig_device *dev, unsigned int flags,
			    vfiomig_diagnosis_fn fn, void *data)
{
	api_begin(ctx);
	return api_end_zero(ctx, doctor_diagnose(ctx, dev, flags, fn, data));
}

EXPORT int vfiomig_device_get_obstacle(const struct vfiomig_device *dev, char name[256],
				       char driver[256])
{
	int err;

	api_begin(dev->ctx);
	err = node_get_obstacle(dev, name, driver);
	if (err == -ENOENT)
		ctx_fail(dev->ctx, err, "nothing keeps the group of %s from being used", dev->name);
	return api_end(dev->ctx, err);
}

/* ---- Features of an open device ------------------------------------------ */

EXPORT int vfiomig_device_get_migration(struct vfiomig_device *dev, uint64_t *flags)
{
	int err = begin_open(dev);

	return api_end(dev->ctx, err ? err : feature_migration(dev, flags));
}

EXPORT int vfiomig_device_get_data_size(struct vfiomig_device *dev, uint64_t *bytes)
{
	int err = begin_open(dev);

	return api_end(dev->ctx, err ? err : feature_data_size(dev, bytes));
}

/* ---- Driving the state --------------------------------------------------- */

EXPORT int vfiomig_device_get_state(struct vfiomig_device *dev)
{
	int err = begin_open(dev);

	return api_end(dev->ctx, err ? err : state_get(dev));
}

EXPORT int vfiomig_device_set_state(struct vfiomig_device *dev, int state, int *data_fd)
{
	int err = begin_open(dev);

	return api_end(dev->ctx, err ? err : state_set(dev, state, data_fd));
}

EXPORT int vfiomig_device_drive(struct vfiomig_device *dev, int state, int *data_fd,
				int (*step)(void *data, int state, uint64_t ns), void *data)
{
	int err = begin_open(dev);

	return api_end_zero(dev->ctx, err ? err : state_drive(dev, state, data_fd, step, data));
}

EXPORT int vfiomig_device_reset(struct vfiomig_device *dev)
{
	int err = begin_open(dev);

	return api_end(dev->ctx, err ? err : state_reset(dev));
}

EXPORT int vfiomig_device_walk_home(struct vfiomig_device *dev, int home)
{
	int err = begin_open(dev);

	return api_end(dev->ctx, err ? err : state_walk_home(dev, home));
}

EXPORT int vfiomig_device_reset_home(struct vfiomig_device *dev, int home, bool *reset)
{
	int err = begin_open(dev);
	bool done = false;

	if (!err)
		err = state_reset_home(dev, home, &done);
	if (reset)
		*reset = done;
	return api_end(dev->ctx, err);
}

/* ---- Transfers ----------------------------------------------------------- */

/* A transfer, with copies of its options and its result that are as large as they are here. */
struct call {
	struct vfiomig_ctx *ctx;
	struct vfiomig_options opt;
	struct vfiomig_result result, *given;
};

static int call_begin(struct call *call, struct vfiomig_ctx *ctx,
		      const struct vfiomig_options *options, struct vfiomig_result *result)
{
	int err;

	*call = (struct call){ .ctx = ctx, .result = { .before = -1, .state = -1 } };
	api_begin(ctx);
	err = result_check(ctx, result);
	if (err)
		return err;
	call->given = result;
	err = options_read(ctx, options, &call->opt);
	if (!err)
		ctx->progress = (struct progress){ .fn = call->opt.progress,
						   .data = call->opt.progress_data,
						   .caller = pthread_self() };
	return err;
}

static int call_end(struct call *call, int err)
{
	call->ctx->progress = (struct progress){ 0 };
	result_write(call->given, &call->result);
	return api_end_zero(call->ctx, err);
}

/* A transfer of several devices. */
struct set_call {
	struct call call;
	size_t n;
	struct vfiomig_device *devices[VFIOMIG_SET_MAX];
	const char *names[VFIOMIG_SET_MAX];
	struct vfiomig_result own[VFIOMIG_SET_MAX];
	struct vfiomig_result *results[VFIOMIG_SET_MAX], *given[VFIOMIG_SET_MAX];
	int failed; /* the device that the failure is about, or @n */
};

/* Take the devices, and see whether they can be saved or restored together. */
static int take_members(struct set_call *s, const struct vfiomig_member *members)
{
	struct vfiomig_ctx *ctx = s->call.ctx;
	int err = 0;

	for (size_t i = 0; i < s->n && !err; i++) {
		s->failed = i;
		s->own[i] = s->call.result;
		s->results[i] = &s->own[i];
		s->devices[i] = members[i].device;
		s->names[i] = members[i].name;
		err = result_check(ctx, members[i].result);
		if (!err)
			s->given[i] = members[i].result;
		if (!err && members[i].device->ctx != ctx)
			err = ctx_fail(ctx, -EINVAL, "a set has devices of one context");
		if (!err)
			err = device_check_open(members[i].device);
	}
	if (err)
		return err;
	s->failed = s->n;
	if (s->call.opt.raw && s->n > 1)
		return ctx_fail(ctx, -EINVAL, "raw state is of one device");
	return devices_check(s->devices, s->n, &s->failed);
}

static int set_call_begin(struct set_call **sp, const struct vfiomig_member *members, size_t n,
			  const struct vfiomig_options *options, struct vfiomig_result *result)
{
	struct vfiomig_ctx *ctx = members[0].device->ctx;
	struct set_call *s = calloc(1, sizeof(*s));
	int err;

	*sp = s;
	api_begin(ctx);
	if (!s)
		return ctx_fail_memory(ctx);
	err = call_begin(&s->call, ctx, options, result);
	if (!err && n > VFIOMIG_SET_MAX)
		err = ctx_fail(ctx, -EINVAL, "%zu devices are more than the %d of a set", n,
			       VFIOMIG_SET_MAX);
	if (err)
		return err;
	s->n = n;
	return take_members(s, members);
}

static int set_call_end(struct set_call *s, const struct vfiomig_member *members, int err,
			size_t *which)
{
	struct vfiomig_ctx *ctx = members[0].device->ctx;

	if (which && s && err && s->n)
		*which = s->failed;
	if (!s)
		return api_end_zero(ctx, err);
	for (size_t i = 0; i < s->n; i++)
		result_write(s->given[i], &s->own[i]);
	err = call_end(&s->call, err);
	free(s);
	return err;
}

EXPORT int vfiomig_save_set(const struct vfiomig_member members[], size_t n, int fd,
			    const struct vfiomig_options *options, struct vfiomig_result *result,
			    size_t *which)
{
	struct set_call *s;
	int err;

	if (which)
		*which = n;
	if (!n)
		return -EINVAL;
	err = set_call_begin(&s, members, n, options, result);
	for (size_t i = 0; i < n && !err && !s->call.opt.raw; i++) {
		err = device_check_identity(s->devices[i]);
		if (err)
			s->failed = i;
	}
	if (!err)
		err = save_devices(s->devices, n, fd, &s->call.opt, s->results, &s->call.result,
				   &s->failed);
	return set_call_end(s, members, err, which);
}

EXPORT int vfiomig_restore_set(const struct vfiomig_member members[], size_t n, int fd,
			       const struct vfiomig_options *options, struct vfiomig_result *result,
			       size_t *which)
{
	struct set_call *s;
	int err;

	if (which)
		*which = n;
	if (!n)
		return -EINVAL;
	err = set_call_begin(&s, members, n, options, result);
	if (!err)
		err = restore_devices(s->devices, s->names, n, fd, &s->call.opt, s->results,
				      &s->call.result, &s->failed);
	return set_call_end(s, members, err, which);
}

EXPORT int vfiomig_save(struct vfiomig_device *dev, int fd, const struct vfiomig_options *options,
			struct vfiomig_result *result)
{
	struct vfiomig_result whole = { 0 }, *own;
	struct call call;
	int err = call_begin(&call, dev->ctx, options, result), failed;

	own = &call.result;
	if (!err)
		err = device_check_open(dev);
	if (!err && !call.opt.raw)
		err = device_check_identity(dev);
	if (!err)
		err = save_devices(&dev, 1, fd, &call.opt, &own, &whole, &failed);
	return call_end(&call, err);
}

EXPORT int vfiomig_restore(struct vfiomig_device *dev, int fd,
			   const struct vfiomig_options *options, struct vfiomig_result *result)
{
	struct vfiomig_result whole = { 0 }, *own;
	struct call call;
	int err = call_begin(&call, dev->ctx, options, result), failed;

	own = &call.result;
	if (!err)
		err = device_check_open(dev);
	if (!err)
		err = restore_devices(&dev, NULL, 1, fd, &call.opt, &own, &whole, &failed);
	return call_end(&call, err);
}

EXPORT int vfiomig_pack(struct vfiomig_ctx *ctx, int in, int out,
			const struct vfiomig_options *options, struct vfiomig_result *result)
{
	struct call call;
	int err = call_begin(&call, ctx, options, result);

	if (!err)
		err = pack_state(ctx, in, out, &call.opt, &call.result);
	return call_end(&call, err);
}

EXPORT int vfiomig_pack_set(struct vfiomig_ctx *ctx, const int ins[], const char *const names[],
			    size_t count, int out, const struct vfiomig_options *options,
			    struct vfiomig_result *result)
{
	struct call call;
	int err = call_begin(&call, ctx, options, result);

	if (!err)
		err = pack_set(ctx, ins, names, count, out, &call.opt, &call.result);
	return call_end(&call, err);
}

EXPORT int vfiomig_unpack(struct vfiomig_ctx *ctx, int in, int out,
			  const struct vfiomig_options *options, struct vfiomig_result *result)
{
	struct call call;
	int err = call_begin(&call, ctx, options, result);

	if (!err)
		err = unpack_image(ctx, in, out, &call.opt, &call.result);
	return call_end(&call, err);
}

/* ---- Looking into images ------------------------------------------------- */

EXPORT int vfiomig_image_open(struct vfiomig_ctx *ctx, int fd, struct vfiomig_image **image)
{
	api_begin(ctx);
	return api_end(ctx, inspect_open(ctx, fd, image));
}

EXPORT int vfiomig_image_skim(struct vfiomig_image *image)
{
	api_begin(image->ctx);
	return api_end(image->ctx, inspect_skim(image));
}

EXPORT int vfiomig_image_verify(struct vfiomig_image *image, const struct vfiomig_options *options,
				struct vfiomig_result *result)
{
	struct call call;
	int err = call_begin(&call, image->ctx, options, result);

	if (!err)
		err = inspect_verify(image, &call.opt, &call.result);
	return call_end(&call, err);
}

EXPORT int vfiomig_walk(struct vfiomig_ctx *ctx, int fd, const char *driver,
			const struct vfiomig_options *options, vfiomig_record_fn fn, void *data)
{
	struct call call;
	int err = call_begin(&call, ctx, options, NULL);

	if (!err)
		err = stream_walk(ctx, fd, driver, &call.opt, fn, data);
	return call_end(&call, err);
}

EXPORT int vfiomig_diff(struct vfiomig_ctx *ctx, const int fds[2], const char *driver,
			const struct vfiomig_options *options, vfiomig_difference_fn fn, void *data)
{
	struct call call;
	int err = call_begin(&call, ctx, options, NULL);

	if (!err)
		err = diff_states(ctx, fds, driver, &call.opt, fn, data);
	return call_end(&call, err);
}
