/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VFIO uAPI as far as this library uses it. A distribution's <linux/vfio.h>
 * can be older than the kernel that runs: Debian 12 ships that of 6.1. What a
 * header may lack is added here, in the kernel's names, guarded.
 */
#ifndef VFIOMIG_UAPI_H
#define VFIOMIG_UAPI_H

#include <linux/vfio.h>
#include <sys/ioctl.h>

/* Linux 6.2 */
#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_MIGRATION_PRE_COPY (1 << 2)
#endif

/* Linux 6.2 */
#ifndef VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length; /* bytes, estimated */
};
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE 9
#endif

/* Linux 6.5 */
#ifndef VFIO_DEVICE_FEATURE_BUS_MASTER
#define VFIO_DEVICE_FEATURE_BUS_MASTER 10
#endif

#endif
