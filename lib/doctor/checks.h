/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The checks. Each looks at one thing, and leaves a verdict and what it has seen in the finding.
 * Each returns 0, or a negative errno with a sentence if there is no memory or the context was
 * interrupted. A new check is a function here, and a line in the table in doctor.c.
 */
#ifndef VFIOMIG_CHECKS_H
#define VFIOMIG_CHECKS_H

#include "finding.h"

/* kernel.c */
int check_version(struct finding *f);
int check_hang(struct finding *f);
int check_vfio(struct finding *f);
int check_group_way(struct finding *f);
int check_cdev_way(struct finding *f);
int check_debugfs(struct finding *f);

/* iommu.c */
int check_iommu(struct finding *f);
int check_remapping(struct finding *f);
int check_reserved(struct finding *f);

/* modules.c */
int check_vfio_pci(struct finding *f);
int check_variants(struct finding *f);
int check_fit(struct finding *f);

/* process.c */
int check_memlock(struct finding *f);
int check_files(struct finding *f);
int check_rundir(struct finding *f);
int check_ptrace(struct finding *f);
int check_visible(struct finding *f);
int check_container_node(struct finding *f);
int check_iommufd_node(struct finding *f);

/* function.c: what sysfs says of the device */
int check_answers(struct finding *f);
int check_device_iommu(struct finding *f);
int check_viable(struct finding *f);
int check_device_reserved(struct finding *f);
int check_driver(struct finding *f);
int check_bind(struct finding *f);
int check_sriov(struct finding *f);
int check_token(struct finding *f);
int check_device_nodes(struct finding *f);

/* session.c: who has the device open, and what it says when it is open */
int check_users(struct finding *f);
int check_bars(struct finding *f);
int check_state(struct finding *f);
int check_live_update(struct finding *f);
int check_migration(struct finding *f);

/* Whether the ways to open a device are there. ways.c */
enum way {
	WAY_NO,
	WAY_UNKNOWN,  /* that shows only when a device has a VFIO driver */
	WAY_LOADABLE, /* once a module is loaded */
	WAY_OPEN
};

enum way way_by_group(const struct vfiomig_ctx *ctx);
enum way way_by_cdev(const struct vfiomig_ctx *ctx);
/* The number of devices that have a VFIO driver. */
size_t count_devices(const struct vfiomig_ctx *ctx);
/* Whether the kernel has an IOMMU that is on. */
bool has_iommu(const struct vfiomig_ctx *ctx);

#endif
