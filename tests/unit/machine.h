/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine made of plain files that has two PCI functions with a VFIO driver. The cdev of A has
 * the number of /dev/null, and that of B the number of /dev/zero.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include "tree.h"

#define A	 "0000:00:10.0"
#define B	 "0000:00:11.0"
#define SOCKET	 "run/" A ".sock" /* of a holder of A */
#define STRANGER 4711		  /* a process that exists only in this machine's /proc */
#define A_CDEV	 "dev/vfio/devices/vfio0"

static int make_machine(void **state)
{
	(void)state;
	begin_tree();
	sh("mkdir -p class/vfio dev/char dev/vfio/devices proc/%d/fd proc/%d/fd", getpid(),
	   STRANGER);
	sh("echo qemu >proc/%d/comm; touch dev/iommu dev/vfio/vfio", STRANGER);
	for (int i = 0; i < 2; i++) {
		add_function(i ? B : A, i, 7 + i);
		sh("ln -s $PWD/class/vfio-dev/vfio%d dev/char/1:%d; touch dev/vfio/%d dev/vfio/devices/vfio%d",
		   i, i ? 5 : 3, 7 + i, i);
	}
	return 0;
}

#endif
