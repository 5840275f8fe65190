/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine with two PCI functions that VFIO has, made of plain files: the
 * cdev of A is /dev/null by its number, and that of B is /dev/zero.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <dirent.h>

#include "tree.h"

#define A	   "0000:00:10.0"
#define B	   "0000:00:11.0"
#define STRANGER   4711 /* a process that only this machine's /proc has */
#define A_CDEV	   "dev/vfio/devices/vfio0"
#define MAKE_STUFF "class/vfio class/vfio-dev bus/pci/devices bus/pci/drivers dev/char proc/"

static int make_machine(void **state)
{
	(void)state;
	begin_tree();
	ctx->devfs = "dev";
	ctx->procfs = "proc";
	use_rundir(ctx, "run");
	sh("mkdir -p " MAKE_STUFF "%d/fd proc/%d/fd dev/vfio/devices", getpid(), STRANGER);
	sh("echo qemu >proc/%d/comm; touch dev/iommu dev/vfio/vfio", STRANGER);
	for (int i = 0; i < 2; i++)
		sh("d=$PWD/devices/pci0000:00/%s; mkdir -p $d/vfio-dev/vfio%d kernel/iommu_groups/%d/devices; ln -s $PWD/bus/pci $d/subsystem; ln -s $PWD/kernel/iommu_groups/%d $d/iommu_group; ln -s $d kernel/iommu_groups/%d/devices/; ln -s $d bus/pci/devices/; ln -s $PWD/class/vfio-dev $d/vfio-dev/vfio%d/subsystem; ln -s $d/vfio-dev/vfio%d class/vfio-dev/; ln -s $d/vfio-dev/vfio%d dev/char/1:%d; touch dev/vfio/%d dev/vfio/devices/vfio%d",
		   i ? B : A, i, 7 + i, 7 + i, 7 + i, i, i, i, i ? 5 : 3, 7 + i, i);
	return 0;
}

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(d))
		count++;
	closedir(d);
	return count;
}

static void assert_says(const char *part)
{
	if (!strstr(vfiomig_get_error(ctx), part))
		fail_msg("\"%s\" does not say \"%s\"", vfiomig_get_error(ctx), part);
}

#endif
