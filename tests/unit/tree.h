/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Trees of plain files that stand for sysfs, procfs and /dev. */
#ifndef TREE_H
#define TREE_H

#include "unit.h"

static char root[] = "/tmp/vfiomig-unit.XXXXXX";

/* Run a shell command in the tree. It must succeed. */
__attribute__((format(printf, 1, 2))) static void sh(const char *fmt, ...)
{
	char command[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

/*
 * Make an empty directory and go there: it is the sysfs of a new context, and "dev", "proc" and
 * "run" in it are the other directories that the context looks at.
 */
static void begin_tree(void)
{
	strcpy(root + strlen(root) - 6, "XXXXXX");
	assert_non_null(mkdtemp(root));
	assert_int_equal(chdir(root), 0);
	assert_int_equal(vfiomig_new(&ctx), 0);
	ctx->sysfs = root;
	ctx->devfs = "dev";
	ctx->procfs = "proc";
	use_rundir(ctx, "run");
}

/*
 * Add a PCI function that a VFIO driver is bound to. Its cdev is vfio@number; it is in an IOMMU
 * group of its own or shares one.
 */
static inline void add_function(const char *name, int number, int group)
{
	sh("mkdir -p class/vfio-dev bus/pci/devices bus/pci/drivers kernel/iommu_groups/%d/devices",
	   group);
	sh("d=$PWD/devices/pci0000:00/%s; g=$PWD/kernel/iommu_groups/%d; mkdir -p $d/vfio-dev/vfio%d; ln -s $PWD/bus/pci $d/subsystem; ln -s $g $d/iommu_group; ln -s $d $g/devices/; ln -s $d bus/pci/devices/; ln -s $PWD/class/vfio-dev $d/vfio-dev/vfio%d/subsystem; ln -s $d/vfio-dev/vfio%d class/vfio-dev/",
	   name, group, number, number, number);
}

static int remove_tree(void **state)
{
	(void)state;
	vfiomig_unref(ctx);
	assert_int_equal(chdir("/"), 0);
	sh("rm -r %s", root);
	return 0;
}

#endif
