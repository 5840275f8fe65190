// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A descriptor has no name. But a PCI function shows its ids and the sizes of its BARs, and VFIO
 * tells which functions a hot reset of it would reset as well.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "apart.h"
#include "facts.h"

#define RESET_MAX 4096 /* functions */
#define READ_NS	  1000000000ULL

/* What the process that reads has found out. */
struct reading {
	struct vfiomig_ctx *ctx;
	int fd;
	bool done;
	struct account account;
	struct facts facts;
	bool has_reset;
	union {
		struct vfio_pci_hot_reset_info info;
		char space[sizeof(struct vfio_pci_hot_reset_info) +
			   RESET_MAX * sizeof(struct vfio_pci_dependent_device)];
	} reset;
};

/* ---- In a process of its own --------------------------------------------- */

static void read_bars(struct reading *r)
{
	for (int i = 0; i < PCI_STD_NUM_BARS; i++) {
		struct vfio_region_info info = {
			.argsz = sizeof(info),
			.index = VFIO_PCI_BAR0_REGION_INDEX + i,
		};

		if (ctx_ioctl(r->ctx, r->fd, VFIO_DEVICE_GET_REGION_INFO, &info) == 0)
			r->facts.bar[i] = info.size;
	}
}

/* The first call tells how many functions there are, and the second one which. */
static void read_reset(struct reading *r)
{
	struct vfio_pci_hot_reset_info *info = &r->reset.info;

	info->argsz = sizeof(*info);
	if (ctx_ioctl(r->ctx, r->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info) == 0 ||
	    errno != ENOSPC || info->count > RESET_MAX)
		return;
	info->argsz = sizeof(*info) + info->count * sizeof(info->devices[0]);
	r->has_reset = ctx_ioctl(r->ctx, r->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info) == 0 &&
		       info->count <= RESET_MAX;
}

static void read_all(void *arg)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct reading *r = arg;

	r->ctx->account = &r->account;
	if (ctx_ioctl(r->ctx, r->fd, VFIO_DEVICE_GET_INFO, &info) == 0) {
		ctx_doing(r->ctx, "a read of its configuration space");
		r->facts.has_config =
			config_read(r->fd, info.flags, r->facts.config) > PCI_SUBSYSTEM_ID;
		read_bars(r);
		read_reset(r);
	}
	r->done = true;
}

/* ---- Having it read ------------------------------------------------------ */

static int take(struct vfiomig_ctx *ctx, const struct reading *r, struct facts *facts)
{
	size_t size =
		sizeof(r->reset.info) + r->reset.info.count * sizeof(r->reset.info.devices[0]);

	*facts = r->facts;
	if (!r->has_reset)
		return 0;
	facts->reset = malloc(size);
	if (!facts->reset)
		return ctx_fail_memory(ctx);
	memcpy(facts->reset, &r->reset, size);
	return 0;
}

/* @left: the process that read, if nothing ends it; or 0 */
static int fail_reading(struct vfiomig_ctx *ctx, const struct reading *r, int err, int left)
{
	const char *doing = r->account.doing;
	char rest[128] = "";

	if (left)
		snprintf(
			rest, sizeof(rest),
			"; process %d, which waits for that, was killed, and has the device open until the kernel lets it go",
			left);
	if (err == -EINTR && !*rest)
		return ctx_fail_interrupted(ctx);
	if (err == -EINTR)
		return ctx_fail(ctx, err, "interrupted by a signal while %s did not return%s",
				*doing ? doing : "the kernel", rest);
	if (err == -ETIMEDOUT && !*doing)
		return ctx_fail(ctx, err,
				"cannot tell which device it is: it could not be asked in time%s",
				rest);
	if (err == -ETIMEDOUT)
		return ctx_fail(ctx, err, "cannot tell which device it is: %s does not return%s",
				doing, rest);
	return ctx_fail(ctx, err, "cannot tell which device it is: %s", strerror(-err));
}

int facts_read(struct vfiomig_ctx *ctx, int fd, struct facts *facts)
{
	struct reading *r = apart_alloc(sizeof(*r));
	uint64_t until = now_ns() + READ_NS;
	struct apart a;
	int err, pid;

	*facts = (struct facts){ .has_config = false };
	if (!r)
		return ctx_fail_memory(ctx);
	r->ctx = ctx;
	r->fd = fd;
	err = apart_start_with(&a, read_all, r, &(int){ fd }, 1);
	if (!err)
		err = apart_wait(ctx, &a, until);
	/* Others may have the processors. */
	if (err == -ETIMEDOUT)
		err = apart_wait(ctx, &a, until + apart_delay_ns(ctx, &a));
	pid = a.pid;
	if (apart_end(&a))
		pid = 0;
	if (!err && !r->done)
		err = -EIO;
	err = err ? fail_reading(ctx, r, err, pid) : take(ctx, r, facts);
	apart_free(r, sizeof(*r));
	return err;
}

void facts_free(struct facts *facts)
{
	free(facts->reset);
	facts->reset = NULL;
}

static uint16_t word(const struct facts *facts, int at)
{
	return facts->config[at] | facts->config[at + 1] << 8;
}

bool facts_pci_id(int fd, uint32_t info_flags, struct vfiomig_pci_id *id)
{
	struct facts facts = { .has_config = true };

	if (config_read(fd, info_flags, facts.config) <= PCI_SUBSYSTEM_ID)
		return false;
	*id = (struct vfiomig_pci_id){
		.vendor = word(&facts, PCI_VENDOR_ID),
		.device = word(&facts, PCI_DEVICE_ID),
		.subsystem_vendor = word(&facts, PCI_SUBSYSTEM_VENDOR_ID),
		.subsystem_device = word(&facts, PCI_SUBSYSTEM_ID),
		.class_code = word(&facts, PCI_CLASS_DEVICE) << 8 | facts.config[PCI_CLASS_PROG],
		.revision = facts.config[PCI_REVISION_ID],
	};
	return true;
}

bool facts_fit_vendor(const struct sysdev *s, const struct facts *facts)
{
	return s->is_pci && facts->has_config && word(facts, PCI_VENDOR_ID) == s->pci.vendor;
}

bool facts_fit_ids(const struct sysdev *s, const struct facts *facts)
{
	return facts_fit_vendor(s, facts) && word(facts, PCI_DEVICE_ID) == s->pci.device &&
	       word(facts, PCI_SUBSYSTEM_VENDOR_ID) == s->pci.subsystem_vendor &&
	       word(facts, PCI_SUBSYSTEM_ID) == s->pci.subsystem_device &&
	       facts->config[PCI_REVISION_ID] == s->pci.revision;
}

bool facts_fit_no_function(const struct sysdev *s, const struct facts *facts)
{
	(void)facts;
	return !s->is_pci;
}

bool facts_fit_bars(const struct sysdev *s, const struct facts *facts)
{
	uint64_t first, last, flags;
	char path[PATH_MAX];
	bool fit = true;
	FILE *f;

	snprintf(path, sizeof(path), "%s/resource", s->syspath);
	f = fopen(path, "re");
	if (!f)
		return false;
	for (int i = 0; i < PCI_STD_NUM_BARS && fit; i++) {
		if (fscanf(f, "%" SCNx64 " %" SCNx64 " %" SCNx64, &first, &last, &flags) != 3)
			fit = false;
		else
			fit = facts->bar[i] == (last ? last - first + 1 : 0);
	}
	fclose(f);
	return fit;
}

bool facts_fit_reset(const struct sysdev *s, const struct facts *facts)
{
	unsigned int domain, bus, slot, function;

	if (!facts->reset || sscanf(s->name, "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4)
		return false;
	for (uint32_t i = 0; i < facts->reset->count; i++) {
		const struct vfio_pci_dependent_device *d = &facts->reset->devices[i];

		if (d->segment == domain && d->bus == bus && d->devfn == (slot << 3 | function))
			return true;
	}
	return false;
}
