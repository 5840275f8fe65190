// SPDX-License-Identifier: GPL-2.0-or-later
/* DMA logging, of a device that does no DMA. */
#include "emulate.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

int logging_start(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags)
{
	struct vfio_device_feature_dma_logging_control *control = (void *)feature->data;
	const struct vfio_device_feature_dma_logging_range *range =
		(void *)(uintptr_t)control->ranges;
	const char *dir = dir_of(t);
	uint64_t most = page_size() / sizeof(*range);

	(void)flags;
	if (!control->num_ranges || !control->page_size)
		return -EINVAL;
	if (control->num_ranges > setting(dir, "ranges", most))
		return -E2BIG;
	/* The kernel tells whether the memory is there. */
	if (syscall(SYS_access, range, F_OK) && errno == EFAULT)
		return -EFAULT;
	for (uint32_t i = 0; i < control->num_ranges; i++) {
		if (range[i].iova % control->page_size || range[i].length % control->page_size)
			return -EINVAL;
		if (range[i].iova + range[i].length < range[i].iova)
			return -EOVERFLOW;
		for (uint32_t k = 0; k < i; k++)
			if (range[i].iova < range[k].iova + range[k].length &&
			    range[k].iova < range[i].iova + range[i].length)
				return -EINVAL;
	}
	if (setting(dir, "logs", 0))
		return -EBUSY;
	write_text(dir, "logs", "1\n");
	return 0;
}

int logging_stop(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags)
{
	(void)feature;
	(void)flags;
	write_text(dir_of(t), "logs", "0\n");
	return 0;
}

int logging_report(const struct thing *t, struct vfio_device_feature *feature, uint64_t flags)
{
	struct vfio_device_feature_dma_logging_report *report = (void *)feature->data;

	(void)flags;
	if (report->page_size < 4096 || report->page_size & (report->page_size - 1))
		return -EINVAL;
	return setting(dir_of(t), "logs", 0) ? 0 : -EINVAL;
}
