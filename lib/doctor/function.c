// SPDX-License-Identifier: LGPL-2.1-or-later
/* The device, as sysfs shows it, and what is in the way of opening it. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"
#include "bind/binding.h"
#include "checks.h"
#include "device/apart.h"
#include "device/feature.h"
#include "device/group.h"
#include "device/header.h"
#include "device/node.h"
#include "device/refusal.h"
#include "device/sysfs.h"
#include "device/token.h"
#include "device/variant.h"

int check_answers(struct finding *f)
{
	int type = header_read_type(f->dev), err;

	if (type >= 0)
		return finding_pass(f, "%s answers", f->dev->name);
	err = finding_take_error(f, type == -EIO || type == -EBUSY ? VFIOMIG_FAIL : VFIOMIG_UNKNOWN,
				 type, "");
	if (err)
		return err;
	return type == -EIO
		       ? finding_advise(
				 f,
				 "it may be without power, or have failed or been removed: see dmesg, and \"lspci -vs %s\"",
				 f->dev->name)
	       : type == -EBUSY
		       ? finding_advise(
				 f,
				 "the function may be in a reset: try again, and see dmesg if that does not end")
		       : finding_advise(f, "\"lspci -s %s\" tells whether it is still there",
					f->dev->name);
}

int check_device_iommu(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	int err;

	if (dev->sys.mdev_type)
		return finding_pass(f, "it needs no IOMMU of its own");
	if (dev->sys.group < 0) {
		err = bind_check_iommu(dev);
		if (err)
			return finding_take_error(f, VFIOMIG_FAIL, err, "see iommu.on");
	} else if (!node_is_noiommu(dev)) {
		return finding_pass(f, "it is in IOMMU group %d", dev->sys.group);
	}
	err = node_is_noiommu(dev) ? node_check_raw_io(dev) : 0;
	if (err)
		return finding_take_error(f, VFIOMIG_FAIL, err,
					  "give the container --cap-add=SYS_RAWIO");
	finding_warn(
		f,
		"it has no IOMMU, and VFIO is in its noiommu mode: nothing protects the host from its DMA");
	return finding_advise(f, "enable the IOMMU: see iommu.on");
}

static size_t count_members(const struct vfiomig_device *dev)
{
	struct dirent *entry;
	char path[PATH_MAX];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/iommu_group/devices", dev->sys.syspath);
	d = opendir(path);
	while (d && (entry = readdir(d)))
		n += sysfs_is_visible(entry);
	if (d)
		closedir(d);
	return n;
}

int check_viable(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	size_t n = count_members(dev);
	int err = refusal_other_driver(dev);

	if (err)
		return finding_take_error(f, VFIOMIG_FAIL, err,
					  "\"vfiomig bind --group\" binds all of them");
	if (dev->sys.group < 0)
		return finding_pass(f, "it is in no IOMMU group");
	if (n < 2)
		return finding_pass(f, "it is alone in IOMMU group %d", dev->sys.group);
	return finding_pass(
		f, "IOMMU group %d is viable: none of its %zu devices has a driver of the host's",
		dev->sys.group, n);
}

int check_device_reserved(struct finding *f)
{
	int err = refusal_reserved_region(f->dev);

	return err ? finding_take_error(f, VFIOMIG_FAIL, err, "ask the platform's vendor")
		   : finding_pass(f, "the firmware has reserved no memory for it");
}

int check_driver(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	_cleanup_free_ char *best = variant_driver_for(dev);
	const char *driver = dev->sys.driver;

	if (dev->sys.syspath && !dev->sys.cdev)
		return finding_take_error(f, VFIOMIG_FAIL, device_fail_not_bound(dev),
					  "see device.bind");
	if (!driver) {
		finding_unknown(f, "which driver it has is not known");
		return finding_advise(f, "name it by its address, or its UUID");
	}
	if (best && strcmp(best, driver) == 0)
		return finding_pass(f, "%s, the driver that fits it best", driver);
	/* It has no migration support for any device. */
	if (strcmp(driver, "vfio-pci") == 0)
		return finding_take_error(f, VFIOMIG_FAIL, feature_fail_no_migration(dev),
					  "see modules.fit");
	if (!best)
		return finding_pass(f, "%s", driver);
	finding_warn(f, "its driver is %s, and %s fits better", driver, best);
	return finding_advise(f, "\"vfiomig bind %s\" binds it to %s", dev->name, best);
}

static void note_driver(void *data, const struct vfiomig_binding *b)
{
	struct finding *f = data;

	finding_pass(f, "\"vfiomig bind %s\" can bind it to %s", b->device, b->to);
}

/* What a bind would say, which asks everything that can be asked before something is changed. */
int check_bind(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	int err;

	if (dev->sys.cdev)
		return finding_pass(f, "it has a VFIO driver already");
	if (bind_check_iommu(dev)) {
		finding_fail(f, "it cannot be bound to a VFIO driver without an IOMMU");
		return finding_advise(f, "see device.iommu");
	}
	err = bind_device(dev, NULL, VFIOMIG_BIND_DRY_RUN, note_driver, f);
	if (!err)
		err = binding_check_permitted(dev);
	return err ? finding_take_error(f, VFIOMIG_FAIL, err,
					"mend that first, and bind the device then")
		   : 0;
}

/* The number of virtual functions that the physical function has, or -1. The kernel tells that with
 * the device's lock held. */
static long count_virtual(const struct vfiomig_device *dev)
{
	char text[32] = "";
	int err = apart_read_text(dev->ctx, dev->sys.syspath, "sriov_numvfs", text, sizeof(text),
				  now_ns() + APART_PATIENCE);

	return err ? -1 : strtol(text, NULL, 0);
}

static int physical(struct finding *f)
{
	_cleanup_free_ char *best = variant_driver_for(f->dev);
	long n = count_virtual(f->dev);

	if (n < 0) {
		finding_unknown(
			f, "it is a physical function; how many virtual ones it has is not told");
		return finding_advise(f, "\"cat %s/sriov_numvfs\" waits for its driver",
				      f->dev->sys.syspath);
	}
	if (n || best)
		return finding_pass(f, "it is a physical function, with %ld virtual ones", n);
	finding_warn(f, "it is a physical function, and only virtual ones have variant drivers");
	return finding_advise(f, "echo N >%s/sriov_numvfs makes virtual ones", f->dev->sys.syspath);
}

static int virtual(struct finding *f, const struct sriov *s)
{
	if (s->driver && !s->is_vfio)
		return finding_pass(f, "it is a virtual function of %s, which has %s", s->physical,
				    s->driver);
	finding_warn(
		f,
		"it is a virtual function of %s, which has %s: most variant drivers need its own driver there",
		s->physical, s->driver ? s->driver : "no driver");
	return finding_advise(f, "\"vfiomig unbind %s\" gives it back, or modprobe its driver",
			      s->physical);
}

int check_sriov(struct finding *f)
{
	struct sriov s = sriov_look(f->dev);

	if (s.physical)
		virtual(f, &s);
	else if (s.is_physical)
		physical(f);
	else
		finding_pass(f, "it is no function of SR-IOV");
	sriov_free(&s);
	return 0;
}

int check_token(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	struct sriov s = sriov_look(dev);
	bool wanted = s.physical && s.is_vfio;
	bool may_be = s.is_physical && dev->sys.cdev && count_virtual(dev) > 0;
	int err = 0;

	sriov_free(&s);
	if (token_is_set(dev))
		err = token_refusal(dev, -EINVAL);
	else if (wanted || may_be)
		err = token_refusal(dev, -EACCES);
	if (err)
		return finding_take_error(f, may_be ? VFIOMIG_WARN : VFIOMIG_FAIL, err,
					  token_is_set(dev) ? "do without --vf-token"
							    : "give --vf-token");
	if (token_is_set(dev))
		return finding_pass(f, "a VF token is given; the kernel compares it at the open");
	return finding_pass(f, "no VF token is wanted");
}

/* ---- Its nodes ---------------------------------------------------------------- */

static bool is_permitted_by_cdev(const struct vfiomig_device *dev, char path[PATH_MAX])
{
	char iommufd[PATH_MAX];

	snprintf(path, PATH_MAX, "%s/vfio/devices/%s", dev->ctx->devfs, dev->sys.cdev);
	snprintf(iommufd, sizeof(iommufd), "%s/iommu", dev->ctx->devfs);
	return node_is_permitted(path) && node_is_permitted(iommufd);
}

int check_device_nodes(struct finding *f)
{
	struct vfiomig_device *dev = f->dev;
	char path[PATH_MAX], missing[PATH_MAX];

	if (!dev->sys.cdev) {
		finding_unknown(f, "it gets nodes in %s/vfio with a VFIO driver", dev->ctx->devfs);
		return finding_advise(f, "see device.driver");
	}
	if (dev->via != VFIOMIG_VIA_GROUP && is_permitted_by_cdev(dev, path))
		return finding_pass(f, "this user may open %s", path);
	if (dev->via != VFIOMIG_VIA_CDEV && group_is_permitted(dev)) {
		node_group_path(dev, path);
		return finding_pass(f, "this user may open %s", path);
	}
	if (node_is_missing(dev, missing)) {
		finding_fail(f, "the kernel has registered %s, and there is no such node", missing);
		return finding_advise(
			f, "start udev, or in a container give it the node (--device=%s)", missing);
	}
	if (dev->via == VFIOMIG_VIA_GROUP || access(path, F_OK))
		node_group_path(dev, path);
	return finding_take_error(f, VFIOMIG_FAIL, node_fail_permission(dev, path, EACCES),
				  "let the container, or the security module, allow that");
}
