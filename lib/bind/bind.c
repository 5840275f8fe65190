// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From whatever driver a PCI function has to a VFIO driver, and back. First comes the plan for all
 * functions, which finds every reason not to begin, and then come the changes.
 */
#include <string.h>

#include "bind.h"
#include "device/module.h"
#include "device/node.h"
#include "device/variant.h"
#include "driver.h"
#include "member.h"
#include "record.h"
#include "usage.h"

static int check_name(struct vfiomig_ctx *ctx, const char *driver)
{
	if (driver[strspn(driver, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				  "0123456789_-+.")] == '\0' &&
	    driver[0] && driver[0] != '.' && strlen(driver) < 64)
		return 0;
	return ctx_fail(ctx, -EINVAL, "'%s' cannot be the name of a driver", driver);
}

/* @driver receives the driver that the function is to have: @wanted, or the best one. */
static int choose_driver(struct vfiomig_device *dev, const char *wanted, bool load, char **driver)
{
	_cleanup_free_ char *variant = NULL;
	int err;

	if (wanted)
		return driver_find(dev->ctx, wanted, load, driver);
	variant = variant_driver_for(dev);
	if (variant)
		return driver_find(dev->ctx, variant, load, driver);
	/* Somebody has chosen that one, which may be a driver without aliases, or of which the
	 * module was loaded by hand. vfio-pci would be no gain. */
	if (dev->sys.cdev && dev->sys.driver && strcmp(dev->sys.driver, "vfio-pci") != 0) {
		*driver = strdup(dev->sys.driver);
		return *driver ? 0 : ctx_fail_memory(dev->ctx);
	}
	err = driver_find(dev->ctx, "vfio-pci", load, driver);
	return err == -ENOENT ? -EOPNOTSUPP : err;
}

/* Read what the function is bound to, unless somebody else is changing that. */
static int read_present(struct member *m)
{
	int err = device_refresh(m->dev);

	if (!err)
		err = binding_read(m->dev, &m->was);
	if (!err && !m->was.driver && sysdev_is_changing(m->dev->ctx, &m->dev->sys))
		err = binding_fail_changing(m->dev);
	return err;
}

/* Whether the kernel takes @text for true as a module's parameter. One without a value is true. */
static bool is_true(const char *text)
{
	return !*text || strchr("yYtT1", *text) || strncasecmp(text, "on", 2) == 0;
}

bool bind_does_without_iommu(const struct vfiomig_ctx *ctx)
{
	char text[8];

	return module_get_parameter(ctx, "vfio", "enable_unsafe_noiommu_mode", text,
				    sizeof(text)) == 0 &&
	       is_true(text);
}

int bind_check_iommu(struct vfiomig_device *dev)
{
	if (dev->sys.group >= 0 || bind_does_without_iommu(dev->ctx))
		return 0;
	return ctx_fail(
		dev->ctx, -EOPNOTSUPP,
		"the device has no IOMMU group; enable the IOMMU (firmware setup, intel_iommu=on), or do without (enable_unsafe_noiommu_mode of vfio)");
}

/* Plan without loading a driver, because that alone may bind the function. */
static int plan_bind(struct member *m, const char *wanted, unsigned int flags, struct look *look)
{
	int err = read_present(m);

	if (!err)
		err = choose_driver(m->dev, wanted, false, &m->to.driver);
	if (err)
		return err;
	m->leave = m->dev->sys.cdev && m->was.driver && strcmp(m->was.driver, m->to.driver) == 0;
	if (m->leave)
		return 0;
	err = bind_check_iommu(m->dev);
	if (!err)
		err = binding_check_idle(m->dev, look, false);
	if (!err && !(flags & VFIOMIG_BIND_FORCE))
		err = usage_check(m->dev, look);
	return err;
}

static int load_driver(struct member *m, const char *wanted)
{
	int err;

	binding_clear(&m->to);
	err = choose_driver(m->dev, wanted, true, &m->to.driver);
	if (err)
		return err;
	m->to.override = strdup(m->to.driver);
	return m->to.override ? 0 : ctx_fail_memory(m->dev->ctx);
}

static int bind_one(struct member *m, int dir)
{
	int err = 0;

	/* When a function goes from one VFIO driver to another, the record of the driver before
	 * them stays. */
	if (!m->dev->sys.cdev || !record_exists(m->dev, dir)) {
		err = record_write(m->dev, dir, &m->was);
		m->recorded = !err;
	}
	if (err)
		return err;
	m->touched = true;
	err = binding_set(m->dev, &m->to, false);
	return err ? err : node_wait(m->dev);
}

/* Take the locks, unless this is a dry run. */
static int begin(struct members *members, unsigned int flags)
{
	struct vfiomig_ctx *ctx = members->list[0].dev->ctx;
	int err = 0;

	if (flags & VFIOMIG_BIND_DRY_RUN) {
		members->dir = records_peek(ctx);
		return 0;
	}
	for (size_t i = 0; i < members->n && !err; i++)
		err = binding_check_permitted(members->list[i].dev);
	if (!err)
		err = members_lock(members);
	if (err)
		return err;
	members->dir = records_open(ctx);
	return members->dir < 0 ? members->dir : 0;
}

static void report(const struct members *members, unsigned int flags, vfiomig_binding_fn fn,
		   void *data)
{
	bool dry_run = flags & VFIOMIG_BIND_DRY_RUN;

	for (size_t i = 0; i < members->n && fn; i++) {
		const struct member *m = &members->list[i];
		const struct vfiomig_binding binding = {
			.device = m->dev->name,
			.from = m->was.driver,
			.to = dry_run && !m->leave ? m->to.driver : m->dev->sys.driver,
			.lost = m->lost,
			.unchanged = m->leave,
			.unknown = dry_run && m->kernel_chooses,
		};

		fn(data, &binding);
	}
}

static int check_flags(struct vfiomig_ctx *ctx, unsigned int flags, unsigned int known)
{
	if (!(flags & ~known))
		return 0;
	return ctx_fail(ctx, -EINVAL, "flags 0x%x for binding a device are unknown",
			flags & ~known);
}

int bind_device(struct vfiomig_device *dev, const char *driver, unsigned int flags,
		vfiomig_binding_fn fn, void *data)
{
	struct members members = { .dir = -1 };
	struct look look = { .made = false };
	int err = check_flags(dev->ctx, flags,
			      VFIOMIG_BIND_GROUP | VFIOMIG_BIND_DRY_RUN | VFIOMIG_BIND_FORCE);

	if (!err && driver)
		err = check_name(dev->ctx, driver);

	if (!err)
		err = members_collect(dev, flags & VFIOMIG_BIND_GROUP, &members);
	if (!err)
		err = begin(&members, flags);
	for (size_t i = 0; i < members.n && !err; i++)
		err = plan_bind(&members.list[i], driver, flags, &look);
	look_clear(&look);
	if (!(flags & VFIOMIG_BIND_DRY_RUN)) {
		for (size_t i = 0; i < members.n && !err; i++)
			if (!members.list[i].leave)
				err = load_driver(&members.list[i], driver);
		if (!err)
			err = members_change(&members, bind_one);
	}
	if (!err)
		report(&members, flags, fn, data);
	members_clear(&members);
	return err;
}

/* Find the driver that the function had before. If the kernel no longer has it, let the kernel
 * choose. */
static int find_former(struct member *m, bool load)
{
	char *driver;
	int err;

	if (!m->to.driver)
		return 0;
	err = driver_find(m->dev->ctx, m->to.driver, load, &driver);
	if (err == -ENOENT) {
		m->lost = m->to.driver;
		m->to.driver = NULL;
		m->kernel_chooses = true;
		return 0;
	}
	if (err)
		return err;
	free(m->to.driver);
	m->to.driver = driver;
	return 0;
}

static int plan_unbind(struct member *m, int dir, struct look *look)
{
	int err = read_present(m);
	bool vfio = m->dev->sys.cdev, noted;

	if (!err)
		err = record_read(m->dev, dir, &m->to);
	noted = !err;
	if (err && err != -ENOENT)
		return err;
	/* Somebody else has taken the function from VFIO already. If it has no driver now, it still
	 * gets back the one that it had. */
	m->leave = !vfio && (!noted || m->was.driver);
	if (m->leave)
		return 0;
	m->kernel_chooses = !noted;
	err = find_former(m, false);
	if (!err)
		err = usage_check_virtual_functions(m->dev);
	return err ? err : binding_check_idle(m->dev, look, false);
}

static int unbind_one(struct member *m, int dir)
{
	int err = find_former(m, true);

	(void)dir;
	if (err)
		return err;
	m->touched = true;
	return m->kernel_chooses ? binding_set_default(m->dev) : binding_set(m->dev, &m->to, false);
}

int unbind_device(struct vfiomig_device *dev, unsigned int flags, vfiomig_binding_fn fn, void *data)
{
	bool dry_run = flags & VFIOMIG_BIND_DRY_RUN;
	struct members members = { .dir = -1 };
	struct look look = { .made = false };
	int err = check_flags(dev->ctx, flags, VFIOMIG_BIND_GROUP | VFIOMIG_BIND_DRY_RUN);

	if (!err)
		err = members_collect(dev, flags & VFIOMIG_BIND_GROUP, &members);
	if (!err && dry_run && geteuid())
		err = ctx_fail(dev->ctx, -EPERM,
			       "not permitted: which driver it had before is known to root");
	if (!err)
		err = begin(&members, flags);
	for (size_t i = 0; i < members.n && !err; i++)
		err = plan_unbind(&members.list[i], members.dir, &look);
	look_clear(&look);
	if (!err && !dry_run)
		err = members_change(&members, unbind_one);
	/* Remove the records also of functions that are bound to another driver by now. */
	for (size_t i = 0; i < members.n && !err && !dry_run; i++)
		record_remove(members.list[i].dev, members.dir);
	if (!err)
		report(&members, flags, fn, data);
	members_clear(&members);
	return err;
}
