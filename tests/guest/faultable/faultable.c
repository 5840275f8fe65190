// SPDX-License-Identifier: GPL-2.0-only
/*
 * Functions of the driver that can be made to fail by the kernel's fault
 * injection (Documentation/fault-injection). Real hardware fails, but the
 * emulated device hardly ever does, so t-faults.sh needs this. It is a part of
 * the module only in the guests of the tests.
 */

#include <linux/error-injection.h>

#include "ivshmem_vfio.h"

ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_map, ERRNO);
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_read_memory, ERRNO);
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_write_memory, ERRNO);
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_save_regs, ERRNO);
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_load_regs, ERRNO);
ALLOW_ERROR_INJECTION(ivshmem_vfio_hw_mask_irqs, ERRNO);
ALLOW_ERROR_INJECTION(ivshmem_vfio_migf_begin, ERRNO);
