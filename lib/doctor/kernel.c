// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel: its version, where that is what matters, and the parts of VFIO that it has. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "checks.h"
#include "device/module.h"
#include "device/sysfs.h"

struct release {
	unsigned int major, minor, patch;
	char text[65];
};

static bool parse(const char *text, struct release *r)
{
	r->patch = 0;
	return sscanf(text, "%u.%u.%u", &r->major, &r->minor, &r->patch) >= 2;
}

/* Returns whether the kernel's version has the usual form. */
static bool read_release(struct release *r)
{
	struct release debian;
	const char *word;
	struct utsname uts;

	if (uname(&uts))
		strcpy(uts.release, "?");
	snprintf(r->text, sizeof(r->text), "%s", uts.release);
	if (!parse(uts.release, r))
		return false;
	/* Debian's kernels are called 6.1.0-NUMBER, and have the version that they are in another
	 * place. */
	word = strstr(uts.version, "Debian ");
	if (!r->patch && word && parse(word + strlen("Debian "), &debian) &&
	    debian.major == r->major && debian.minor == r->minor)
		r->patch = debian.patch;
	return true;
}

/* Whether the version is at least this one. */
static bool is_since(const struct release *r, unsigned int major, unsigned int minor)
{
	return r->major > major || (r->major == major && r->minor >= minor);
}

/* Linux 6.1 made this class. Vendors give older kernels newer parts. */
static bool has_vfio_dev(const struct vfiomig_ctx *ctx)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/class/vfio-dev", ctx->sysfs);
	return access(path, F_OK) == 0;
}

int check_version(struct finding *f)
{
	struct release r = { .text = "" };

	if (!read_release(&r)) {
		finding_unknown(f, "the kernel's version is not known: it says '%s'", r.text);
		return finding_advise(
			f,
			"find out which it is: Linux 6.1 is the oldest one, and 6.2 has PRE_COPY");
	}
	if (!is_since(&r, 6, 1)) {
		if (has_vfio_dev(f->ctx))
			return finding_pass(f, "Linux %s, with a VFIO of Linux 6.1 or later",
					    r.text);
		finding_fail(f,
			     "Linux %s is too old: sysfs shows VFIO's devices since Linux 6.1 only",
			     r.text);
		return finding_advise(f, "boot Linux 6.1 or later");
	}
	if (is_since(&r, 6, 2))
		return finding_pass(f, "Linux %s", r.text);
	finding_warn(f,
		     "Linux %s has no PRE_COPY: a device is stopped as long as its state is read",
		     r.text);
	return finding_advise(
		f,
		"boot Linux 6.2 or later, with which some drivers read most of the state before");
}

/*
 * vfio_mig_get_next_state() of these kernels never returns for STOP_COPY to PRE_COPY and to
 * PRE_COPY_P2P: the commit "vfio: prevent infinite loop in vfio_mig_get_next_state() on blocked
 * arc", of Linux 7.2, mends it. @patch is the first version of the series that has it.
 */
static const struct {
	unsigned int major, minor, patch;
} mended[] = {
	{ 6, 12, 96 },
	{ 6, 18, 39 },
};

#define MENDED "Linux 7.2, 6.18.39 and 6.12.96 do not hang"

int check_hang(struct finding *f)
{
	const char *arc = "STOP_COPY -> PRE_COPY";
	struct release r = { .text = "" };

	if (!read_release(&r)) {
		finding_unknown(f, "whether the arc %s hangs the kernel is not known", arc);
		return finding_advise(f, MENDED);
	}
	/* An older kernel has no PRE_COPY, unless its distributor has put a newer VFIO into it. */
	if ((!is_since(&r, 6, 2) && (is_since(&r, 6, 1) || !has_vfio_dev(f->ctx))) ||
	    is_since(&r, 7, 2))
		return finding_pass(f, "the arc %s does not hang this kernel", arc);
	for (size_t i = 0; i < ARRAY_SIZE(mended); i++) {
		if (r.major != mended[i].major || r.minor != mended[i].minor)
			continue;
		if (r.patch >= mended[i].patch)
			return finding_pass(f, "the arc %s does not hang this kernel", arc);
		finding_warn(
			f,
			"the arc %s hangs this kernel for ever; vfiomig refuses it, another program may not",
			arc);
		return finding_advise(f, "boot Linux %u.%u.%u or later", r.major, r.minor,
				      mended[i].patch);
	}
	finding_unknown(
		f,
		"whether the arc %s hangs this kernel for ever cannot be told from its version; vfiomig refuses it, another program may not",
		arc);
	return finding_advise(f, MENDED);
}

#define BIND_ONE "\"vfiomig bind DEV\" gives a device one"

/* Say that it is not known whether the kernel has what @what names. */
static int not_indexed(struct finding *f, const char *what)
{
	finding_unknown(
		f,
		"whether the kernel has %s is not known: its modules, or their index, are not here",
		what);
	return finding_advise(f, "see modules.vfio-pci");
}

int check_vfio(struct finding *f)
{
	struct vfiomig_ctx *ctx = f->ctx;
	size_t n = count_devices(ctx);

	if (n)
		return finding_pass(f, "VFIO is loaded, and %zu device%s", n,
				    n == 1 ? " has a VFIO driver" : "s have VFIO drivers");
	if (has_vfio_dev(ctx))
		return finding_pass(f, "VFIO is loaded; no device has a VFIO driver");
	if (module_exists(ctx, "vfio")) {
		finding_warn(f, "VFIO is not loaded");
		return finding_advise(f, "\"vfiomig bind DEV\" loads it with the device's driver");
	}
	if (!modules_are_indexed(ctx))
		return not_indexed(f, "VFIO");
	finding_fail(f, "the kernel has no VFIO");
	return finding_advise(
		f, "boot a kernel that was built with VFIO, or install the rest of its modules");
}

int check_group_way(struct finding *f)
{
	enum way group = way_by_group(f->ctx), cdev = way_by_cdev(f->ctx);

	if (group == WAY_OPEN)
		return finding_pass(f, "devices can be opened through groups, with type1");
	if (cdev == WAY_OPEN)
		return finding_pass(f,
				    "the kernel has no type1 loaded; devices are opened by cdev");
	if (group == WAY_LOADABLE) {
		finding_warn(f, "vfio_iommu_type1, for groups, is not loaded");
		return finding_advise(f, "modprobe vfio_iommu_type1");
	}
	if (!modules_are_indexed(f->ctx))
		return not_indexed(f, "type1");
	if (cdev != WAY_NO) {
		finding_warn(f, "the kernel has no type1, so groups cannot be used");
		return finding_advise(f, "cdevs may do: see kernel.cdev");
	}
	finding_fail(f, "the kernel has neither type1 nor cdevs: no device can be opened");
	return finding_advise(
		f,
		"boot a kernel that was built with VFIO_IOMMU_TYPE1, or IOMMUFD and VFIO_DEVICE_CDEV");
}

int check_cdev_way(struct finding *f)
{
	enum way group = way_by_group(f->ctx), cdev = way_by_cdev(f->ctx);

	if (cdev == WAY_OPEN)
		return finding_pass(f, "devices can be opened through cdevs, with iommufd");
	if (group == WAY_OPEN)
		return finding_pass(f, "%s; devices are opened by group",
				    cdev == WAY_NO ? "the kernel has no cdevs (VFIO_DEVICE_CDEV)"
				    : cdev == WAY_LOADABLE
					    ? "iommufd, for cdevs, is not loaded"
					    : "no device shows yet whether there are cdevs");
	if (cdev == WAY_LOADABLE) {
		finding_warn(f, "iommufd, for cdevs, is not loaded");
		return finding_advise(f, "modprobe iommufd");
	}
	if (cdev == WAY_UNKNOWN) {
		finding_unknown(
			f, "whether the kernel has cdevs shows when a device has a VFIO driver");
		return finding_advise(f, BIND_ONE);
	}
	if (!modules_are_indexed(f->ctx))
		return not_indexed(f, "iommufd");
	finding_warn(f, "the kernel has no cdevs (VFIO_DEVICE_CDEV)");
	return finding_advise(f, "groups do as well: see kernel.group");
}

/* Whether a directory can be opened: 0 or a negative errno. @empty receives whether nothing is in
 * it. */
static int look_into(const char *path, bool *empty)
{
	struct dirent *entry;
	DIR *d = opendir(path);

	*empty = true;
	if (!d)
		return -errno;
	while ((entry = readdir(d)))
		*empty &= !sysfs_is_visible(entry);
	closedir(d);
	return 0;
}

int check_debugfs(struct finding *f)
{
	char dir[PATH_MAX], vfio[PATH_MAX + 8];
	bool empty;
	int err;

	snprintf(dir, sizeof(dir), "%s/kernel/debug", f->ctx->sysfs);
	snprintf(vfio, sizeof(vfio), "%s/vfio", dir);
	if (access(vfio, F_OK) == 0)
		return finding_pass(f, "the states of open devices can be seen from outside");
	err = look_into(dir, &empty);
	if (err == -EACCES || err == -EPERM) {
		finding_unknown(f, "only root may look into debugfs");
		return finding_advise(f, "run as root");
	}
	if (err || empty) {
		finding_warn(
			f,
			"debugfs is not mounted: the state of a device that another process has open is not seen");
		return finding_advise(f, "mount -t debugfs debugfs %s", dir);
	}
	if (!count_devices(f->ctx)) {
		finding_unknown(
			f,
			"whether the kernel has VFIO_DEBUGFS shows when a device has a VFIO driver");
		return finding_advise(f, BIND_ONE);
	}
	finding_warn(
		f,
		"the kernel has no VFIO_DEBUGFS (Linux 6.8): the state of a device that another process has open is not seen");
	return finding_advise(f, "\"vfiomig state pid:PID/DEV\" asks the device itself");
}
