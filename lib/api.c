// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The functions of vfiomig.h that can fail, in its order. Each forgets what failed before, has the
 * room that is responsible do the work, and leaves a sentence if that failed and none if it did
 * not. The rooms themselves call each other's own functions, never these.
 */
#include "bind/bind.h"
#include "device/device.h"
#include "device/node.h"
#include "device/rundir.h"
#include "holder/held.h"
#include "holder/holder.h"
#include "migration/state.h"

/* ---- Context ------------------------------------------------------------- */

EXPORT int vfiomig_set_rundir(struct vfiomig_ctx *ctx, const char *path)
{
	api_begin(ctx);
	return api_end(ctx, rundir_set(ctx, path));
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

EXPORT int vfiomig_device_foreach(struct vfiomig_ctx *ctx,
				  int (*fn)(struct vfiomig_device *dev, void *data), void *data)
{
	api_begin(ctx);
	return api_end(ctx, device_foreach(ctx, fn, data));
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
	return api_end(dev->ctx, state < 0 ? state_from_debugfs(dev) : state);
}

EXPORT int vfiomig_device_open(struct vfiomig_device *dev, unsigned int flags)
{
	bool was_open = dev->fd >= 0;
	int err;

	api_begin(dev->ctx);
	err = device_open(dev, flags);
	if (!err && !was_open && !dev->unbound && !device_is(dev, BACKEND_SESSION_GOES_ON))
		state_start_clean(dev);
	return api_end(dev->ctx, err);
}

EXPORT int vfiomig_device_close(struct vfiomig_device *dev)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, device_close(dev));
}

EXPORT int vfiomig_device_get_fd(const struct vfiomig_device *dev)
{
	api_begin(dev->ctx);
	return api_end(dev->ctx, dev->fd >= 0 ? dev->fd : device_fail_closed(dev));
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

/* ---- Driving the state --------------------------------------------------- */

/* ---- Transfers ----------------------------------------------------------- */

/* ---- Looking into images ------------------------------------------------- */
