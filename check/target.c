// SPDX-License-Identifier: GPL-2.0-or-later
/* What is tested: the kernel, the driver, and what the device has. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <uapi.h>
#include <unistd.h>

#include "check.h"

/* Read the first line of a file below /sys; "" if there is none. */
static void read_line(const char *dir, const char *name, char *line, size_t size)
{
	char path[PATH_MAX];
	FILE *f;

	line[0] = '\0';
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return;
	if (!fgets(line, size, f))
		line[0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	fclose(f);
}

static void look_at_module(struct check_target *target)
{
	const char *syspath = vfiomig_device_get_syspath(target->device);
	char dir[PATH_MAX];

	if (!syspath || snprintf(dir, sizeof(dir), "%s/driver/module", syspath) >= (int)sizeof(dir))
		return;
	read_line(dir, "version", target->module_version, sizeof(target->module_version));
	read_line(dir, "srcversion", target->srcversion, sizeof(target->srcversion));
}

static bool has_config_space(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = { .argsz = sizeof(region),
					   .index = VFIO_PCI_CONFIG_REGION_INDEX };

	return ioctl(fd, VFIO_DEVICE_GET_INFO, &info) == 0 &&
	       (info.flags & VFIO_DEVICE_FLAGS_PCI) &&
	       ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &region) == 0 &&
	       (region.flags & VFIO_REGION_INFO_FLAG_READ) && region.size >= 64;
}

static bool has_interrupts(int fd)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	if (ioctl(fd, VFIO_DEVICE_GET_INFO, &info))
		return false;
	/* Those of PCI that come after MSI-X are no interrupts of the device. */
	if ((info.flags & VFIO_DEVICE_FLAGS_PCI) && info.num_irqs > VFIO_PCI_MSIX_IRQ_INDEX + 1)
		info.num_irqs = VFIO_PCI_MSIX_IRQ_INDEX + 1;
	for (unsigned int i = 0; i < info.num_irqs; i++) {
		struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = i };

		if (ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq) == 0 && irq.count &&
		    (irq.flags & VFIO_IRQ_INFO_EVENTFD))
			return true;
	}
	return false;
}

int check_target_look(struct vfiomig_ctx *ctx, struct vfiomig_device *dev,
		      struct check_target *target)
{
	int fd = vfiomig_device_get_fd(dev), err, kmsg;
	struct utsname uts;

	(void)ctx;
	memset(target, 0, sizeof(*target));
	target->device = dev;
	err = vfiomig_device_get_migration(dev, &target->flags);
	if (err)
		return err;
	uname(&uts);
	snprintf(target->kernel, sizeof(target->kernel), "%.63s %.60s", uts.release, uts.machine);
	snprintf(target->driver, sizeof(target->driver), "%s",
		 vfiomig_device_get_driver(dev) ?: "unknown");
	look_at_module(target);
	if (target->flags & VFIOMIG_P2P)
		target->supports |= NEEDS_P2P;
	if (target->flags & VFIOMIG_PRE_COPY)
		target->supports |= NEEDS_PRE_COPY;
	if (vfiomig_device_probe(dev, VFIO_DEVICE_FEATURE_MIG_DATA_SIZE))
		target->supports |= NEEDS_DATA_SIZE;
	if (vfiomig_device_probe(dev, VFIO_DEVICE_FEATURE_DMA_LOGGING_START))
		target->supports |= NEEDS_DMA_LOGGING;
	if (vfiomig_device_probe(dev, VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2))
		target->supports |= NEEDS_PRECOPY_INFOV2;
	if (has_config_space(fd))
		target->supports |= NEEDS_CONFIG_SPACE;
	if (has_interrupts(fd))
		target->supports |= NEEDS_INTERRUPTS;
	if (vfiomig_device_get_data_size(dev, &target->state_size))
		target->state_size = 0;
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	target->log_is_readable = kmsg >= 0;
	if (kmsg >= 0)
		close(kmsg);
	return 0;
}
