// SPDX-License-Identifier: LGPL-2.1-or-later
/* The IOMMU of the host. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "bind/bind.h"
#include "checks.h"
#include "device/refusal.h"
#include "device/sysfs.h"

/* The groups that VFIO makes for devices without an IOMMU have this name. */
static bool is_made_by_vfio(const char *dir)
{
	char name[32];

	return sysfs_read_text(dir, "name", name, sizeof(name)) == 0 &&
	       strcmp(name, "vfio-noiommu") == 0;
}

/*
 * Call @fn for each group of the IOMMU, in the order of their numbers, until it does not return 0.
 * Returns that.
 */
static int foreach_group(const struct vfiomig_ctx *ctx, int (*fn)(void *data, const char *dir),
			 void *data)
{
	char path[PATH_MAX], dir[PATH_MAX + NAME_MAX + 2];
	struct dirent **entries;
	int n, ret = 0;

	snprintf(path, sizeof(path), "%s/kernel/iommu_groups", ctx->sysfs);
	n = scandir(path, &entries, sysfs_is_visible, versionsort);
	if (n < 0)
		return errno == ENOMEM ? -ENOMEM : 0;
	for (int i = 0; i < n; i++) {
		snprintf(dir, sizeof(dir), "%s/%s", path, entries[i]->d_name);
		if (!ret && !is_made_by_vfio(dir))
			ret = fn(data, dir);
		free(entries[i]);
	}
	free(entries);
	return ret;
}

static int count_one(void *data, const char *dir)
{
	(void)dir;
	++*(size_t *)data;
	return 0;
}

static size_t count_groups(const struct vfiomig_ctx *ctx)
{
	size_t n = 0;

	foreach_group(ctx, count_one, &n);
	return n;
}

bool has_iommu(const struct vfiomig_ctx *ctx)
{
	_cleanup_free_ char *name = sysfs_first_entry(ctx->sysfs, "class/iommu");

	/* Not every architecture has the class. */
	return name || count_groups(ctx);
}

int check_iommu(struct finding *f)
{
	_cleanup_free_ char *name = sysfs_first_entry(f->ctx->sysfs, "class/iommu");
	size_t n = count_groups(f->ctx);

	if (name || n)
		return finding_pass(f, "the IOMMU is on%s%s%s: %zu group%s", name ? " (" : "",
				    name ? name : "", name ? ")" : "", n, n == 1 ? "" : "s");
	if (bind_does_without_iommu(f->ctx)) {
		finding_warn(
			f,
			"no IOMMU is on, and VFIO is in its noiommu mode: nothing protects the host from a device's DMA");
		return finding_advise(
			f,
			"enable the IOMMU in the firmware's setup, and boot with intel_iommu=on on Intel");
	}
	finding_fail(f, "no IOMMU is on: VFIO takes no PCI device");
	return finding_advise(
		f,
		"enable it in the firmware's setup (VT-d, AMD-Vi, SMMU), boot with intel_iommu=on on Intel, and see dmesg | grep -i -e DMAR -e IOMMU");
}

/* There is no remapping, and a module is told to do without. */
static int allowed(struct finding *f, const char *only)
{
	finding_warn(
		f,
		"interrupts are not remapped, which allow_unsafe_interrupts permits%s: a device can send any interrupt",
		only);
	return finding_advise(
		f,
		"enable interrupt remapping in the firmware's setup (VT-d, AMD-Vi), if it is there");
}

int check_remapping(struct finding *f)
{
	bool type1 = refusal_allows_unsafe(f->ctx, "vfio_iommu_type1");
	bool iommufd = refusal_allows_unsafe(f->ctx, "iommufd");
	bool cdev = way_by_cdev(f->ctx) == WAY_OPEN;

	switch (refusal_get_remapping(f->ctx)) {
	case REMAPPING_ON:
		return finding_pass(f, "interrupts are remapped");
	case REMAPPING_UNKNOWN:
		finding_unknown(
			f,
			"this platform does not tell whether it isolates the interrupts of devices; VFIO refuses a device if it does not");
		return finding_advise(f, "\"vfiomig doctor --probe DEV\" tries it");
	default:
		break;
	}
	if (!has_iommu(f->ctx)) {
		finding_unknown(f, "whether interrupts can be remapped shows when the IOMMU is on");
		return finding_advise(f, "see iommu.on");
	}
	if (type1 && (iommufd || !cdev))
		return allowed(f, "");
	if (type1 || iommufd)
		return allowed(f, type1 ? " for --via=group only" : " for --via=cdev only");
	finding_fail(f, "interrupts are not remapped: VFIO takes no device of this platform");
	return finding_advise(
		f,
		"enable it in the firmware's setup, and boot without intremap=off; or allow it: echo Y >%s/module/%s/parameters/allow_unsafe_interrupts",
		f->ctx->sysfs, cdev ? "iommufd" : "vfio_iommu_type1");
}

struct reserved {
	size_t n;
	char list[64]; /* the numbers of the first ones */
};

static int note_reserved(void *data, const char *dir)
{
	unsigned long long first, last;
	struct reserved *r = data;
	char path[PATH_MAX + NAME_MAX + 32];
	size_t length = strlen(r->list);

	snprintf(path, sizeof(path), "%s/reserved_regions", dir);
	if (refusal_find_reserved(path, &first, &last))
		return 0;
	r->n++;
	if (r->n <= 4)
		snprintf(r->list + length, sizeof(r->list) - length, "%s%s", length ? ", " : "",
			 strrchr(dir, '/') + 1);
	else if (r->n == 5)
		snprintf(r->list + length, sizeof(r->list) - length, ", ...");
	return 0;
}

int check_reserved(struct finding *f)
{
	struct reserved r = { .n = 0 };

	foreach_group(f->ctx, note_reserved, &r);
	if (!r.n)
		return finding_pass(f, "the firmware has reserved no memory for a device");
	finding_warn(
		f, "the firmware has reserved memory for the devices of %s %s: VFIO refuses these",
		r.n == 1 ? "IOMMU group" : "the IOMMU groups", r.list);
	return finding_advise(
		f,
		"ask the platform's vendor, if one of them is to be migrated; reserved_regions in %s/kernel/iommu_groups/N tells which memory",
		f->ctx->sysfs);
}
