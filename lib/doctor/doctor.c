// SPDX-License-Identifier: LGPL-2.1-or-later
/* The table of checks, and going through it. */
#include <string.h>

#include "checks.h"
#include "doctor.h"

enum {
	OF_DEVICE = 1 << 0, /* only with a device */
	OF_SYSFS = 1 << 1,  /* of which sysfs is needed, so that it has to be known which it is */
	OF_PCI = 1 << 2,    /* only for a PCI function */
	OF_IOMMU = 1 << 3,  /* not for a mediated device, which needs no IOMMU of its own */
};

static const struct check {
	const char *name;
	unsigned int needs;
	int (*fn)(struct finding *f);
} checks[] = {
	{ "kernel.version", 0, check_version },
	{ "kernel.hang", 0, check_hang },
	{ "kernel.vfio", 0, check_vfio },
	{ "kernel.group", 0, check_group_way },
	{ "kernel.cdev", 0, check_cdev_way },
	{ "kernel.debugfs", 0, check_debugfs },
	{ "iommu.on", OF_IOMMU, check_iommu },
	{ "iommu.remapping", OF_IOMMU, check_remapping },
	{ "iommu.reserved", OF_IOMMU, check_reserved },
	{ "modules.vfio-pci", OF_PCI, check_vfio_pci },
	{ "modules.variants", OF_PCI, check_variants },
	{ "modules.fit", OF_PCI, check_fit },
	{ "limits.memlock", 0, check_memlock },
	{ "limits.files", 0, check_files },
	{ "run.directory", 0, check_rundir },
	{ "process.ptrace", 0, check_ptrace },
	{ "process.visible", 0, check_visible },
	{ "nodes.group", 0, check_container_node },
	{ "nodes.cdev", 0, check_iommufd_node },
	{ "device.answers", OF_DEVICE | OF_SYSFS | OF_PCI, check_answers },
	{ "device.iommu", OF_DEVICE | OF_SYSFS, check_device_iommu },
	{ "device.group", OF_DEVICE | OF_SYSFS, check_viable },
	{ "device.reserved", OF_DEVICE | OF_SYSFS | OF_PCI, check_device_reserved },
	{ "device.driver", OF_DEVICE, check_driver },
	{ "device.bind", OF_DEVICE | OF_SYSFS | OF_PCI, check_bind },
	{ "device.sriov", OF_DEVICE | OF_SYSFS | OF_PCI, check_sriov },
	{ "device.vf-token", OF_DEVICE | OF_SYSFS | OF_PCI, check_token },
	{ "device.nodes", OF_DEVICE | OF_SYSFS, check_device_nodes },
	{ "device.users", OF_DEVICE, check_users },
	{ "device.bars", OF_DEVICE | OF_SYSFS | OF_PCI, check_bars },
	{ "device.state", OF_DEVICE, check_state },
	{ "device.live-update", OF_DEVICE, check_live_update },
	{ "device.migration", OF_DEVICE, check_migration },
};

/* Whether the check is one for this device, or for the host if there is none. */
static bool is_for(const struct check *check, const struct vfiomig_device *dev)
{
	if (!dev)
		return !(check->needs & OF_DEVICE);
	if ((check->needs & OF_IOMMU) && dev->sys.mdev_type)
		return false;
	/* The bus of a descriptor may not be known. */
	return !(check->needs & OF_PCI) || !dev->sys.bus || strcmp(dev->sys.bus, "pci") == 0;
}

static int run(const struct check *check, struct finding *f)
{
	f->what[0] = f->advice[0] = '\0';
	if (!(check->needs & OF_SYSFS) || f->dev->sys.syspath)
		return check->fn(f);
	finding_unknown(f, "it is not known which device of sysfs %s is", f->dev->name);
	return finding_advise(f, "name it by its address, or its UUID");
}

static int check_arguments(struct vfiomig_ctx *ctx, const struct vfiomig_device *dev,
			   unsigned int flags)
{
	if (flags & ~VFIOMIG_DIAGNOSE_PROBE)
		return ctx_fail(ctx, -EINVAL, "flags 0x%x for looking at a device are unknown",
				flags & ~VFIOMIG_DIAGNOSE_PROBE);
	if (dev && dev->fd >= 0)
		return ctx_fail(ctx, -EBUSY, "busy: this process has the device open");
	return 0;
}

int doctor_diagnose(struct vfiomig_ctx *ctx, struct vfiomig_device *dev, unsigned int flags,
		    vfiomig_diagnosis_fn fn, void *data)
{
	struct finding f = { .ctx = ctx, .dev = dev, .flags = flags };
	int ret = check_arguments(ctx, dev, flags);

	for (size_t i = 0; i < ARRAY_SIZE(checks) && !ret; i++) {
		struct vfiomig_diagnosis d = { .check = checks[i].name };

		if (!is_for(&checks[i], dev))
			continue;
		if (ctx->interrupted)
			return ctx_fail_interrupted(ctx);
		ret = run(&checks[i], &f);
		if (ret)
			break;
		d.verdict = f.verdict;
		d.what = f.what;
		d.advice = f.advice;
		ret = fn(data, &d);
	}
	return ret;
}
