// SPDX-License-Identifier: LGPL-2.1-or-later
/* The data_fds of other processes. */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "datafd.h"
#include "process.h"

/*
 * Of Linux 6.12 to 7.3. VFIO_MIG_GET_PRECOPY_INFO is no mere question to all of them. When all
 * that there was has been read, mlx5 has its device save what has changed since, which ends the
 * session if it fails; and it tells only once that a new first copy has begun. virtio reads the
 * device's state again, at most once a second, which its limiter counts.
 */
static const struct kind {
	const char *name, *driver;
	bool may_be_asked, counts;
} kinds[] = {
	{ "mlx5vf_mig", "mlx5_vfio_pci", false, true },
	{ "virtiovf_mig", "virtio_vfio_pci", false, true },
	{ "hisi_acc_vf_mig", "hisi_acc_vfio_pci", true, true },
	{ "qat_vf_mig", "qat_vfio_pci", true, true },
	{ "xe_vfio_mig", "xe-vfio-pci", true, false },
	{ "pds_vfio_lm", "pds_vfio_pci", true, true },
	{ "mtty_mig", "mtty", true, true },
	{ "ivshmem_vfio_mig", "ivshmem_vfio_pci", true, false },
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

bool datafd_may_be_asked(const char *name)
{
	const struct kind *kind = find_kind(name);

	return kind && kind->may_be_asked;
}

/* Whether the name, which may be that of a driver which is not known here, is one of a data_fd. */
static bool is_data(const char *name, const char *driver)
{
	const struct kind *kind = find_kind(name);

	/* Every VMM with KVM has "kvm-vfio". */
	if (!kind)
		return strcmp(name, "[vfio-device]") != 0 && strncmp(name, "kvm", 3) != 0 &&
		       (strstr(name, "mig") || strstr(name, "vfio"));
	if (!driver || strcmp(kind->driver, driver) == 0)
		return true;
	/* Another known driver has the device. */
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].driver, driver) == 0)
			return false;
	return true;
}

struct search {
	struct vfiomig_ctx *ctx;
	int pid;
	const char *driver;
	bool writes;
	struct datafd *list;
	size_t count, max;
};

/* Read the position and the mode of the file. Returns false if the descriptor is gone, or is not
 * one that is only read or only written, as each data_fd is. */
static bool read_fdinfo(const struct search *search, struct datafd *d)
{
	char path[PATH_MAX];
	unsigned int flags;
	bool known;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/fdinfo/%d", search->ctx->procfs, search->pid,
		 d->number);
	f = fopen(path, "re");
	known = f && fscanf(f, "pos: %" SCNu64 " flags: %o", &d->moved, &flags) == 2;
	if (f)
		fclose(f);
	d->writes = known && (flags & O_ACCMODE) == O_WRONLY;
	return known && (flags & O_ACCMODE) != O_RDWR;
}

static int consider(void *data, int number, const char *target)
{
	const char *prefix = "anon_inode:", *name = target + strlen(prefix);
	struct datafd d = { .number = number };
	struct search *search = data;
	const struct kind *kind;

	if (strncmp(target, prefix, name - target) != 0 || !is_data(name, search->driver))
		return 0;
	snprintf(d.name, sizeof(d.name), "%s", name);
	if (!read_fdinfo(search, &d) || d.writes != search->writes)
		return 0;
	kind = find_kind(name);
	d.counts = kind ? kind->counts : d.moved > 0;
	if (search->count < search->max)
		search->list[search->count] = d;
	search->count++;
	return 0;
}

int datafd_find(struct vfiomig_ctx *ctx, int pid, const char *driver, bool writes,
		struct datafd *list, size_t max)
{
	struct search search = {
		.ctx = ctx, .pid = pid, .driver = driver, .writes = writes, .list = list, .max = max
	};
	int err = process_foreach_fd(ctx, pid, consider, &search);

	return err ? err : (int)search.count;
}
