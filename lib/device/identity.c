// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which device a descriptor is. A cdev tells it by its device number, and newer kernels tell it in
 * fdinfo. Otherwise there is only evidence: the groups that the process has open, and what the
 * device reports of itself (see facts.h).
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "facts.h"
#include "identity.h"
#include "process.h"
#include "sysfs.h"

struct search {
	struct vfiomig_ctx *ctx;
	int pid;
	int *groups; /* that the process has open, each once */
	size_t nr_groups;
	const struct sysdev **candidates;
	size_t count;
};

/* No file has a name like this: the link of a file is its path. */
static bool is_anonymous(const char *target)
{
	return strcmp(target, "anon_inode:[vfio-device]") == 0;
}

bool identity_may_be_device(const char *target)
{
	const char *cdev = strrchr(target, '/');
	size_t length = cdev ? cdev - target : 0, folder = strlen("/vfio/devices");

	return is_anonymous(target) ||
	       (length >= folder &&
		strncmp(target + length - folder, "/vfio/devices/", folder + 1) == 0);
}

static const char *name_of(const char *syspath)
{
	return strrchr(syspath, '/') + 1;
}

int identity_add(struct vfiomig_ctx *ctx, struct identity *identity, const char *syspath)
{
	char **all = reallocarray(identity->syspath, identity->count + 1, sizeof(*all));
	char *copy = strdup(syspath);
	size_t i = identity->count;

	if (all)
		identity->syspath = all;
	if (!all || !copy) {
		free(copy);
		return ctx_fail_memory(ctx);
	}
	for (; i > 0 && strcmp(name_of(all[i - 1]), name_of(syspath)) > 0; i--)
		all[i] = all[i - 1];
	all[i] = copy;
	identity->count++;
	return 0;
}

/* Find the directory that sysfs has for the character device of this number. */
static bool char_device(const struct vfiomig_ctx *ctx, dev_t rdev, char real[PATH_MAX])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/dev/char/%u:%u", ctx->sysfs, major(rdev), minor(rdev));
	return realpath(path, real);
}

/* A cdev: .../0000:3b:00.1/vfio-dev/vfio0 */
static int from_cdev(struct vfiomig_ctx *ctx, dev_t rdev, struct identity *identity)
{
	char real[PATH_MAX];

	if (!char_device(ctx, rdev, real) || !sysfs_links_to(real, "subsystem", "vfio-dev"))
		return -ENOTTY;
	*strrchr(real, '/') = '\0';
	*strrchr(real, '/') = '\0';
	return identity_add(ctx, identity, real);
}

/* Newer kernels have a line "vfio-device-syspath: /sys/devices/..."; without one, return
 * -ENOENT. */
static int from_fdinfo(struct vfiomig_ctx *ctx, int fd, struct identity *identity)
{
	char path[PATH_MAX], line[PATH_MAX], real[PATH_MAX];
	int err = -ENOENT;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/fdinfo/%d", ctx->procfs, getpid(), fd);
	f = fopen(path, "re");
	if (!f && is_exhausted(errno))
		return ctx_fail(ctx, -errno, "cannot read %s: %m", path);
	while (f && err && fgets(line, sizeof(line), f)) {
		char *value = line + strlen("vfio-device-syspath:");

		if (strncmp(line, "vfio-device-syspath:", value - line) != 0)
			continue;
		value += strspn(value, " \t");
		value[strcspn(value, "\n")] = '\0';
		if (realpath(value, real))
			err = identity_add(ctx, identity, real);
	}
	if (f)
		fclose(f);
	return err;
}

/* The number of the group whose node has this directory in sysfs: .../vfio/7, .../vfio/noiommu-7 */
static bool group_of_node(const char *real, int *group)
{
	const char *name = strrchr(real, '/') + 1;

	return sysfs_links_to(real, "subsystem", "vfio") &&
	       (sscanf(name, "%d", group) == 1 || sscanf(name, "noiommu-%d", group) == 1);
}

static bool has_group(const struct search *search, int group)
{
	for (size_t i = 0; i < search->nr_groups; i++)
		if (search->groups[i] == group)
			return true;
	return false;
}

/* Note the number of the group, if this descriptor of the process is one. */
static int note_group(void *data, int number, const char *target)
{
	struct search *search = data;
	char path[PATH_MAX], real[PATH_MAX];
	int group, *all;
	mode_t type;
	dev_t rdev;

	if (!process_fd_is_path(target))
		return 0;
	snprintf(path, sizeof(path), "%s/%d/fd/%d", search->ctx->procfs, search->pid, number);
	if (!process_fd_type(AT_FDCWD, path, &type, &rdev) || type != S_IFCHR ||
	    !char_device(search->ctx, rdev, real) || !group_of_node(real, &group) ||
	    has_group(search, group))
		return 0;
	all = reallocarray(search->groups, search->nr_groups + 1, sizeof(*all));
	if (!all)
		return ctx_fail_memory(search->ctx);
	search->groups = all;
	all[search->nr_groups++] = group;
	return 0;
}

static int find_candidates(struct search *search, const struct sysdevs *all)
{
	search->candidates = calloc(all->count + 1, sizeof(*search->candidates));
	if (!search->candidates)
		return ctx_fail_memory(search->ctx);
	/* A process may have closed all of its groups. */
	for (size_t i = 0; i < all->count; i++)
		if (!search->nr_groups || has_group(search, all->list[i].group))
			search->candidates[search->count++] = &all->list[i];
	return 0;
}

/*
 * Keep the candidates that the facts fit. If there is none, keep all of them, because a variant
 * driver may show another face of the device than sysfs does.
 */
static bool narrow(struct search *search, const struct facts *facts,
		   bool (*fits)(const struct sysdev *s, const struct facts *facts))
{
	size_t kept = 0;

	for (size_t i = 0; i < search->count; i++)
		kept += fits(search->candidates[i], facts);
	if (!kept)
		return false;
	kept = 0;
	for (size_t i = 0; i < search->count; i++)
		if (fits(search->candidates[i], facts))
			search->candidates[kept++] = search->candidates[i];
	search->count = kept;
	return true;
}

static void weigh(struct search *search, const struct facts *facts)
{
	if (!narrow(search, facts, facts_fit_ids) && !narrow(search, facts, facts_fit_vendor))
		narrow(search, facts, facts_fit_no_function);
	narrow(search, facts, facts_fit_bars);
	narrow(search, facts, facts_fit_reset);
}

static int from_evidence(struct vfiomig_ctx *ctx, int pid, int fd, struct identity *identity)
{
	struct search search = { .ctx = ctx, .pid = pid };
	struct sysdevs all = { .count = 0 };
	struct facts facts;
	int err;

	err = process_foreach_fd(ctx, pid, note_group, &search);
	if (!err)
		err = sysdevs_read(ctx, &all);
	if (!err)
		err = find_candidates(&search, &all);
	if (!err && search.count > 1) {
		err = facts_read(ctx, fd, &facts);
		if (!err)
			weigh(&search, &facts);
		facts_free(&facts);
	}
	for (size_t i = 0; i < search.count && !err; i++)
		err = identity_add(ctx, identity, search.candidates[i]->syspath);
	free(search.candidates);
	free(search.groups);
	sysdevs_free(&all);
	return err;
}

static int from_device(struct vfiomig_ctx *ctx, int pid, int fd, struct identity *identity)
{
	int err = from_fdinfo(ctx, fd, identity);

	return err == -ENOENT ? from_evidence(ctx, pid, fd, identity) : err;
}

/* The kernel adds this to the path of a file that has no name any more. */
static bool is_deleted(const char *target)
{
	const char *end = " (deleted)";
	size_t length = strlen(target), rest = strlen(end);

	return length >= rest && strcmp(target + length - rest, end) == 0;
}

int identity_find(struct vfiomig_ctx *ctx, int pid, int fd, struct identity *identity)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct stat st = { .st_mode = 0 };
	ssize_t n;
	int err;

	*identity = (struct identity){ .count = 0 };
	snprintf(path, sizeof(path), "%s/%d/fd/%d", ctx->procfs, getpid(), fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = '\0';
	if (fstat(fd, &st) == 0 && S_ISCHR(st.st_mode))
		err = from_cdev(ctx, st.st_rdev, identity);
	else if (!is_anonymous(target))
		err = -ENOTTY;
	else
		err = from_device(ctx, pid, fd, identity);
	/* While somebody takes the device from VFIO, sysfs has no cdev for it any more. */
	if (err == -ENOTTY && S_ISCHR(st.st_mode) && is_deleted(target) &&
	    identity_may_be_device(target))
		err = from_device(ctx, pid, fd, identity);
	if (err == -ENOTTY)
		return ctx_fail(ctx, err, "%s is not a VFIO device",
				n < 0 ? "the descriptor" : target);
	return err;
}

bool identity_has(const struct identity *identity, const char *syspath)
{
	for (size_t i = 0; i < identity->count; i++)
		if (strcmp(identity->syspath[i], syspath) == 0)
			return true;
	return false;
}

void identity_free(struct identity *identity)
{
	for (size_t i = 0; i < identity->count; i++)
		free(identity->syspath[i]);
	free(identity->syspath);
	*identity = (struct identity){ .count = 0 };
}
