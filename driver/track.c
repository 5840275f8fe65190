// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracking the granules of BAR 2 to which the user writes in PRE_COPY.
 *
 * One rule makes this work: while writes are tracked, a page is mapped writable
 * only if its granules are set in the bitmap. So
 *
 *  - before a granule is read, its bit is cleared and its page is unmapped,
 *    both under memory_lock for writing. A later write faults and sets the bit
 *    again, and the result of an earlier write is in the memory that is read;
 *  - a write fault sets the bit and maps the page writable, both under
 *    memory_lock for reading. A read fault on a clean page maps the page
 *    read-only.
 *
 * No other order between reading the memory and the faults is needed. When
 * tracking starts, all bits are set, so nothing has to be unmapped.
 *
 * When tracking is off, faults do the same as those of vfio_pci_core, huge
 * pages included. A page that is still mapped read-only becomes writable by a
 * fault.
 *
 * Writes that do not go through the device's file are not tracked: writes by
 * the peers and the host, and DMA by other devices to this device's BAR.
 */

#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/vfio_pci_core.h>

#include "compat.h"
#include "format.h"
#include "hw.h"
#include "track.h"
#include "vfio_dev.h"

#define IVSHMEM_VFIO_REGION_OFFSET \
	VFIO_PCI_INDEX_TO_OFFSET(IVSHMEM_VFIO_MEMORY_BAR)

/* All bits are set now. From here on every write sets its bits. */
void ivshmem_vfio_track_start(struct ivshmem_vfio_device *ivdev)
{
	lockdep_assert_held(&ivdev->state_mutex);

	down_write(&ivdev->core.memory_lock);
	WRITE_ONCE(ivdev->tracking, true);
	up_write(&ivdev->core.memory_lock);
}

/*
 * A reset calls this with memory_lock held, so this does not take it. A fault
 * that is still running may set a bit later; see ivshmem_vfio_stream_begin().
 */
void ivshmem_vfio_track_stop(struct ivshmem_vfio_device *ivdev)
{
	lockdep_assert_held(&ivdev->state_mutex);

	WRITE_ONCE(ivdev->tracking, false);
}

/* The session is about to read this range: notice every write from now on */
void ivshmem_vfio_track_clean(struct ivshmem_vfio_device *ivdev, u64 offset,
			      size_t len)
{
	u64 start = round_down(offset, PAGE_SIZE);
	u64 end = round_up(offset + len, PAGE_SIZE);

	lockdep_assert_held(&ivdev->state_mutex);

	down_write(&ivdev->core.memory_lock);
	ivshmem_vfio_dirty_clear(&ivdev->dirty, offset / IVSHMEM_VFIO_GRANULE,
				 len / IVSHMEM_VFIO_GRANULE);
	if (ivdev->tracking && ivdev->mapping)
		unmap_mapping_range(ivdev->mapping,
				    IVSHMEM_VFIO_REGION_OFFSET + start,
				    end - start, true);
	up_write(&ivdev->core.memory_lock);
}

static void ivshmem_vfio_track_granules(struct ivshmem_vfio_device *ivdev,
					u64 offset, u64 len,
					unsigned long *first,
					unsigned long *count)
{
	u64 end = min(offset + len, ivshmem_vfio_hw_memory_size(ivdev));

	*first = offset / IVSHMEM_VFIO_GRANULE;
	*count = DIV_ROUND_UP_ULL(end, IVSHMEM_VFIO_GRANULE) - *first;
}

/* Only wake up poll() if there was nothing to read before */
static void ivshmem_vfio_track_set(struct ivshmem_vfio_device *ivdev,
				   unsigned long first, unsigned long count)
{
	lockdep_assert_held(&ivdev->core.memory_lock);

	if (ivshmem_vfio_dirty_set(&ivdev->dirty, first, count))
		wake_up_interruptible_poll(&ivdev->wait,
					   EPOLLIN | EPOLLRDNORM);
}

/*
 * May the user access the BAR? This is __vfio_pci_memory_enabled(), which is
 * not exported: "Caller should hold memory_lock".
 */
static bool ivshmem_vfio_memory_enabled(struct vfio_pci_core_device *core)
{
	u16 cmd = le16_to_cpup((__le16 *)&core->vconfig[PCI_COMMAND]);

	lockdep_assert_held(&core->memory_lock);

	return !core->pm_runtime_engaged &&
	       (__force int)core->pdev->current_state <
			(__force int)PCI_D3hot &&
	       (core->pdev->no_command_memory || (cmd & PCI_COMMAND_MEMORY));
}

static struct ivshmem_vfio_device *
ivshmem_vfio_vma_device(struct vm_area_struct *vma)
{
	struct vfio_pci_core_device *core = vma->vm_private_data;

	return container_of(core, struct ivshmem_vfio_device, core);
}

/* The offset in BAR 2 */
static u64 ivshmem_vfio_vma_offset(struct vm_area_struct *vma,
				   unsigned long addr)
{
	return (((u64)vma->vm_pgoff << PAGE_SHIFT) & VFIO_PCI_OFFSET_MASK) +
	       (addr - vma->vm_start);
}

static unsigned long ivshmem_vfio_pfn(struct ivshmem_vfio_device *ivdev,
				      u64 offset)
{
	return (pci_resource_start(ivdev->core.pdev, IVSHMEM_VFIO_MEMORY_BAR) +
		offset) >> PAGE_SHIFT;
}

/* The protection that vfio_pci_core_mmap() gives a mapping of the user */
static pgprot_t ivshmem_vfio_writable_prot(struct vm_area_struct *vma)
{
	pgprot_t prot = vm_get_page_prot(vma->vm_flags);

	return pgprot_decrypted(pgprot_noncached(prot));
}

/*
 * Map one page. vm_page_prot has no write bit, because there is a pfn_mkwrite.
 * This function decides whether the page gets one.
 */
static vm_fault_t ivshmem_vfio_map_page(struct ivshmem_vfio_device *ivdev,
					struct vm_fault *vmf, bool write)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = vmf->address & PAGE_MASK;
	u64 offset = ivshmem_vfio_vma_offset(vma, addr);
	unsigned long first, count;
	bool tracking = READ_ONCE(ivdev->tracking);
	pgprot_t prot = vma->vm_page_prot;

	ivshmem_vfio_track_granules(ivdev, offset, PAGE_SIZE, &first, &count);
	if (tracking && write)
		ivshmem_vfio_track_set(ivdev, first, count);
	if (!tracking ||
	    ivshmem_vfio_dirty_test(&ivdev->dirty, first, count))
		prot = ivshmem_vfio_writable_prot(vma);

	return vmf_insert_pfn_prot(vma, addr, ivshmem_vfio_pfn(ivdev, offset),
				   prot);
}

static vm_fault_t ivshmem_vfio_fault(struct vm_fault *vmf)
{
	struct ivshmem_vfio_device *ivdev = ivshmem_vfio_vma_device(vmf->vma);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&ivdev->core.memory_lock);
	if (ivshmem_vfio_memory_enabled(&ivdev->core))
		ret = ivshmem_vfio_map_page(ivdev, vmf,
					    vmf->flags & FAULT_FLAG_WRITE);
	up_read(&ivdev->core.memory_lock);

	return ret;
}

/*
 * A write to a page that is mapped read-only. The caller would make the page
 * writable only after memory_lock is released. By then the page may have been
 * sent and mapped again, clean and looking the same. So replace the mapping
 * here. If a read fault maps the page again first, there is one more fault.
 */
static vm_fault_t ivshmem_vfio_pfn_mkwrite(struct vm_fault *vmf)
{
	struct ivshmem_vfio_device *ivdev = ivshmem_vfio_vma_device(vmf->vma);
	vm_fault_t ret = VM_FAULT_SIGBUS;

	down_read(&ivdev->core.memory_lock);
	if (ivshmem_vfio_memory_enabled(&ivdev->core)) {
		zap_special_vma_range(vmf->vma, vmf->address & PAGE_MASK,
				      PAGE_SIZE);
		ret = ivshmem_vfio_map_page(ivdev, vmf, true);
	}
	up_read(&ivdev->core.memory_lock);

	return ret;
}

#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
/* The mapping is writable, if the user may write at all */
static vm_fault_t ivshmem_vfio_map_huge(struct vm_fault *vmf,
					unsigned int order, unsigned long pfn)
{
	switch (order) {
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	case PMD_ORDER:
		return vmf_insert_pfn_pmd(vmf, ivshmem_vfio_huge_pfn(pfn),
					  true);
#endif
#ifdef CONFIG_ARCH_SUPPORTS_PUD_PFNMAP
	case PUD_ORDER:
		return vmf_insert_pfn_pud(vmf, ivshmem_vfio_huge_pfn(pfn),
					  true);
#endif
	default:
		return VM_FAULT_FALLBACK;
	}
}

static vm_fault_t ivshmem_vfio_huge_fault(struct vm_fault *vmf,
					  unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ivshmem_vfio_device *ivdev = ivshmem_vfio_vma_device(vma);
	unsigned long addr = vmf->address & ~((PAGE_SIZE << order) - 1);
	vm_fault_t ret = VM_FAULT_FALLBACK;
	unsigned long pfn;

	if (addr < vma->vm_start || addr + (PAGE_SIZE << order) > vma->vm_end)
		return ret;

	pfn = ivshmem_vfio_pfn(ivdev, ivshmem_vfio_vma_offset(vma, addr));
	if (!IS_ALIGNED(pfn, 1UL << order))
		return ret;

	down_read(&ivdev->core.memory_lock);
	if (!ivshmem_vfio_memory_enabled(&ivdev->core))
		ret = VM_FAULT_SIGBUS;
	else if (!READ_ONCE(ivdev->tracking))
		ret = ivshmem_vfio_map_huge(vmf, order, pfn);
	up_read(&ivdev->core.memory_lock);

	return ret;
}
#endif

static const struct vm_operations_struct ivshmem_vfio_memory_vm_ops = {
	.fault = ivshmem_vfio_fault,
#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP
	.huge_fault = ivshmem_vfio_huge_fault,
#endif
	.pfn_mkwrite = ivshmem_vfio_pfn_mkwrite,
};

int ivshmem_vfio_track_mmap(struct vfio_device *vdev,
			    struct vm_area_struct *vma)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	int ret;

	ret = vfio_pci_core_mmap(vdev, vma);
	if (ret)
		return ret;

	if (VFIO_PCI_OFFSET_TO_INDEX((u64)vma->vm_pgoff << PAGE_SHIFT) !=
	    IVSHMEM_VFIO_MEMORY_BAR)
		return 0;

	vma->vm_ops = &ivshmem_vfio_memory_vm_ops;

	/* All files of the device have the same mapping */
	down_write(&ivdev->core.memory_lock);
	ivdev->mapping = vma->vm_file->f_mapping;
	up_write(&ivdev->core.memory_lock);

	return 0;
}

/*
 * Set the bits after the memory has been written. In the other order, a session
 * could read the old memory in between and clear the bits. A write that fails
 * does not say how much it has written, so all of its bits are set.
 */
ssize_t ivshmem_vfio_track_write(struct vfio_device *vdev,
				 const char __user *buf, size_t count,
				 loff_t *ppos)
{
	struct ivshmem_vfio_device *ivdev = to_ivdev(vdev);
	u64 offset = *ppos & VFIO_PCI_OFFSET_MASK;
	u64 index = VFIO_PCI_OFFSET_TO_INDEX(*ppos);
	unsigned long first, granules;
	ssize_t ret;

	ret = vfio_pci_core_write(vdev, buf, count, ppos);

	if (index != IVSHMEM_VFIO_MEMORY_BAR || !count ||
	    offset >= ivshmem_vfio_hw_memory_size(ivdev))
		return ret;

	ivshmem_vfio_track_granules(ivdev, offset, ret > 0 ? ret : count,
				    &first, &granules);
	down_read(&ivdev->core.memory_lock);
	if (READ_ONCE(ivdev->tracking))
		ivshmem_vfio_track_set(ivdev, first, granules);
	up_read(&ivdev->core.memory_lock);

	return ret;
}
