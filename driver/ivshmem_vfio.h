/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ivshmem VFIO variant driver: what its files share.
 *
 * A quotation in a comment of this driver is from include/uapi/linux/vfio.h,
 * unless the comment names another source.
 */
#ifndef IVSHMEM_VFIO_H
#define IVSHMEM_VFIO_H

#include <linux/fs.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/ratelimit.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/vfio_pci_core.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xxhash.h>

#include "compat.h"
#include "format.h"

#define IVSHMEM_VFIO_MEMORY_BAR	2

/* How many bytes are copied between user memory and the device at a time */
#define IVSHMEM_VFIO_WINDOW	SZ_64K
#define IVSHMEM_VFIO_WINDOW_GRANULES \
	(IVSHMEM_VFIO_WINDOW / IVSHMEM_VFIO_GRANULE)

struct ivshmem_vfio_migf;

/**
 * struct ivshmem_vfio_device - an ivshmem function that has a VFIO device
 * @core: the device of vfio_pci_core
 * @regs: BAR 0, mapped while the device is open
 * @memory: BAR 2, mapped while the device is open
 * @vectors: how many MSI-X vectors the device has
 * @notices: limits the rate of ivshmem_vfio_notice()
 * @state_mutex: protects the members below it, down to @access_lock. It is
 *	taken before the lock of a migration file, and that before
 *	core.memory_lock. Release it with ivshmem_vfio_state_mutex_unlock().
 * @state: the migration state
 * @migf: the migration file of the data transfer session, or NULL. A reset can
 *	end the session and leave the file here.
 * @logging: DMA logging was started
 * @irqs_masked: the interrupts are masked, and a PM reference is held
 * @ring: the device was loaded, and its vectors have still to fire
 * @access_lock: held for reading while the device is accessed. It protects the
 *	members below it, down to @reset_lock, and is taken inside of
 *	core.memory_lock.
 * @resetting: the PCI core is resetting the function
 * @resets: how many resets of the function have begun or were found out
 * @config_writes: how many calls of the user are under way in which
 *	vfio_pci_core may write to configuration space
 * @reset_lock: protects @deferred_reset
 * @deferred_reset: a reset has found @state_mutex taken
 */
struct ivshmem_vfio_device {
	struct vfio_pci_core_device core;
	void __iomem *regs;
	void __iomem *memory;
	unsigned int vectors;
	struct ratelimit_state notices;

	struct mutex state_mutex;	/* the migration state, see above */
	enum vfio_device_mig_state state;
	struct ivshmem_vfio_migf *migf;
	bool logging;
	bool irqs_masked;
	bool ring;

	struct rw_semaphore access_lock;
	bool resetting;
	unsigned int resets;
	unsigned int config_writes;

	spinlock_t reset_lock;		/* see ivshmem_vfio_pci_reset_done() */
	bool deferred_reset;
};

/**
 * struct ivshmem_vfio_regs - the registers that belong to the device state
 * @intr_mask: IntrMask
 * @intr_status: IntrStatus
 */
struct ivshmem_vfio_regs {
	u32 intr_mask;
	u32 intr_status;
};

/**
 * enum ivshmem_vfio_part - what comes next in a stream
 * @IVSHMEM_VFIO_PART_HEADER: the header
 * @IVSHMEM_VFIO_PART_RECORD: the head of a record
 * @IVSHMEM_VFIO_PART_MEM: the memory in a record
 * @IVSHMEM_VFIO_PART_REGS: the registers in a record
 * @IVSHMEM_VFIO_PART_END: the data of the end record
 * @IVSHMEM_VFIO_PART_DONE: nothing
 */
enum ivshmem_vfio_part {
	IVSHMEM_VFIO_PART_HEADER,
	IVSHMEM_VFIO_PART_RECORD,
	IVSHMEM_VFIO_PART_MEM,
	IVSHMEM_VFIO_PART_REGS,
	IVSHMEM_VFIO_PART_END,
	IVSHMEM_VFIO_PART_DONE,
};

/**
 * struct ivshmem_vfio_granules - which granules of BAR 2 are still to be sent
 * @hash: of each granule, as it was sent; 0 if the granule is to be sent. NULL
 *	in a session without PRE_COPY, which sends each granule once.
 * @count: the number of granules in BAR 2
 * @unsent: how many of them are to be sent
 * @runs: in how many records, of which none goes beyond its window
 * @found: how many granules the last round has marked
 * @found_runs: in how many records
 * @send: where the search for the next granule to be sent begins
 * @scan: where the round over the memory is that compares it with @hash;
 *	@count if no round is under way
 * @took: how long the present round, or the last one, has looked at the memory
 *	(nanoseconds)
 * @pause: how long it has to wait at least, if the last round has found nothing
 *	(jiffies)
 * @rescan_at: when the next round may begin (jiffies)
 */
struct ivshmem_vfio_granules {
	u64 *hash;
	unsigned long count;
	unsigned long unsent;
	unsigned long runs;
	unsigned long found;
	unsigned long found_runs;
	unsigned long send;
	unsigned long scan;
	u64 took;
	unsigned long pause;
	unsigned long rescan_at;
};

/**
 * struct ivshmem_vfio_migf - a migration file, which is what data_fd refers to
 * @filp: the file. The session holds a reference, so that the user may close
 *	data_fd before the session ends.
 * @ivdev: the device, which may be used only with @lock held, and not after the
 *	session has ended
 * @user_lock: serialises read() or write() of several threads. It is held while
 *	user memory is accessed, which may take as long as the user likes.
 *	Therefore nothing that others wait for is done under this lock alone.
 * @lock: protects the members below it. It is held for one window at a time,
 *	and never while user memory is accessed.
 * @ended: the session has ended. A reset sets this without @lock.
 * @resets: ivdev->resets when the session began
 * @part: what comes next in the stream
 * @length: of the stream so far
 * @digest: of the stream so far
 * @regs: RESUMING: the registers that have arrived
 * @buf: one window of the memory
 * @small: a part of the stream that is not memory
 * @piece: what the user can read next, or where the user's next bytes go
 * @pos: how many bytes of @piece were read or have arrived
 * @len: of @piece
 * @precopy: saving: the device is in PRE_COPY or PRE_COPY_P2P
 * @granules: saving: what is left to be sent
 * @window: saving: the first granule in @buf
 * @pending: saving: those granules in @buf for which no record has begun
 * @run: saving: the first granule in @buf of the present record
 * @run_len: saving: how many granules the present record has
 * @rescan: saving: looks at the memory while poll() waits
 * @wait: saving: where poll() waits
 * @version: RESUMING: the version of the stream
 * @have_regs: RESUMING: @regs is set
 * @err: RESUMING: -EINVAL when the stream was refused; saving: the error of the
 *	worker, which nobody has been told yet; or 0
 * @arrived: RESUMING: a bitmap of the granules that have arrived
 * @missing: RESUMING: how many have not
 * @offset: RESUMING: where in BAR 2 the next bytes go
 * @left: RESUMING: how many bytes of the present record have not arrived
 */
struct ivshmem_vfio_migf {
	struct file *filp;
	struct ivshmem_vfio_device *ivdev;
	struct mutex user_lock;		/* one read() or write() at a time */

	struct mutex lock;		/* the session */
	bool ended;
	unsigned int resets;
	enum ivshmem_vfio_part part;
	u64 length;
	struct xxh64_state digest;
	struct ivshmem_vfio_regs regs;
	u8 *buf;
	u8 small[64] __aligned(8);
	u8 *piece;
	size_t pos;
	size_t len;

	bool precopy;
	struct ivshmem_vfio_granules granules;
	unsigned long window;
	unsigned long pending;
	unsigned int run;
	unsigned int run_len;
	struct delayed_work rescan;
	wait_queue_head_t wait;

	u32 version;
	bool have_regs;
	int err;
	unsigned long *arrived;
	unsigned long missing;
	u64 offset;
	u64 left;
};

/**
 * ivshmem_vfio_notice() - note something about a migration in the kernel's log
 * @ivdev: the device
 * @fmt: as of printk(), without a newline
 *
 * Users can cause notices as often as they like, so there is a limit. It is the
 * device's own, so that the user of another device cannot use it up.
 */
#define ivshmem_vfio_notice(ivdev, fmt, ...) do {			\
	struct ivshmem_vfio_device *_ivdev = (ivdev);			\
									\
	if (__ratelimit(&_ivdev->notices))				\
		pci_notice(_ivdev->core.pdev, "migration: " fmt "\n",	\
			   ##__VA_ARGS__);				\
} while (0)

/**
 * ivshmem_vfio_size_mem() - the length of memory in a stream
 * @granules: how many granules
 * @runs: in how many records
 *
 * Return: the number of bytes.
 */
static inline u64 ivshmem_vfio_size_mem(unsigned long granules,
					unsigned long runs)
{
	return (u64)granules * IVSHMEM_VFIO_GRANULE +
	       (u64)runs * sizeof(struct ivshmem_vfio_record);
}

/**
 * to_ivdev() - the device of this driver that a VFIO device is a part of
 * @vdev: the VFIO device
 *
 * Return: the device.
 */
static inline struct ivshmem_vfio_device *to_ivdev(struct vfio_device *vdev)
{
	return container_of(vdev, struct ivshmem_vfio_device, core.vdev);
}

/* main.c */
void ivshmem_vfio_state_mutex_unlock(struct ivshmem_vfio_device *ivdev);
int ivshmem_vfio_init_device(struct vfio_device *vdev);
void ivshmem_vfio_release_device(struct vfio_device *vdev);
int ivshmem_vfio_open_device(struct vfio_device *vdev);
void ivshmem_vfio_close_device(struct vfio_device *vdev);
long ivshmem_vfio_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg);
ssize_t ivshmem_vfio_write(struct vfio_device *vdev, const char __user *buf,
			   size_t count, loff_t *ppos);
extern const struct vfio_device_ops ivshmem_vfio_ops;
extern const struct vfio_migration_ops ivshmem_vfio_mig_ops;

/* lm.c */
struct file *
ivshmem_vfio_set_device_state(struct vfio_device *vdev,
			      enum vfio_device_mig_state new_state);
int ivshmem_vfio_get_device_state(struct vfio_device *vdev,
				  enum vfio_device_mig_state *state);

/* log.c */
extern const struct vfio_log_ops ivshmem_vfio_log_ops;

/* migf.c */
struct ivshmem_vfio_migf *
ivshmem_vfio_migf_begin(struct ivshmem_vfio_device *ivdev,
			const struct file_operations *fops, int flags);
void ivshmem_vfio_migf_end(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_migf_kill(struct ivshmem_vfio_migf *migf);
bool ivshmem_vfio_migf_alive(struct ivshmem_vfio_migf *migf);
int ivshmem_vfio_migf_release(struct inode *inode, struct file *filp);
void ivshmem_vfio_migf_account(struct ivshmem_vfio_migf *migf,
			       const void *data, size_t len);

/* save.c */
struct file *ivshmem_vfio_save_begin(struct ivshmem_vfio_device *ivdev,
				     bool precopy);
void ivshmem_vfio_save_stop(struct ivshmem_vfio_migf *migf);
int ivshmem_vfio_get_data_size(struct vfio_device *vdev,
			       unsigned long *stop_copy_length);
u64 ivshmem_vfio_save_left(struct ivshmem_vfio_migf *migf);
u64 ivshmem_vfio_save_estimate(struct ivshmem_vfio_migf *migf);
bool ivshmem_vfio_save_has_data(struct ivshmem_vfio_migf *migf);

/* granules.c */
int ivshmem_vfio_granules_init(struct ivshmem_vfio_granules *granules,
			       u64 memory_size, bool precopy);
void ivshmem_vfio_granules_free(struct ivshmem_vfio_granules *granules);
void ivshmem_vfio_scan_begin(struct ivshmem_vfio_migf *migf);
bool ivshmem_vfio_scanning(const struct ivshmem_vfio_migf *migf);
bool ivshmem_vfio_scan_is_due(struct ivshmem_vfio_migf *migf);
int ivshmem_vfio_scan_window(struct ivshmem_vfio_migf *migf);
int ivshmem_vfio_load_window(struct ivshmem_vfio_migf *migf);
unsigned int ivshmem_vfio_count_runs(unsigned long window);

/* precopy.c */
long ivshmem_vfio_precopy_ioctl(struct file *filp, unsigned int cmd,
				unsigned long arg);
__poll_t ivshmem_vfio_precopy_poll(struct file *filp,
				   struct poll_table_struct *wait);
void ivshmem_vfio_precopy_rescan(struct work_struct *work);

/* resume.c */
struct file *ivshmem_vfio_resume_begin(struct ivshmem_vfio_device *ivdev);
int ivshmem_vfio_resume_end(struct ivshmem_vfio_device *ivdev);

/* hw.c */
int ivshmem_vfio_hw_check(struct pci_dev *pdev);
int ivshmem_vfio_hw_map(struct ivshmem_vfio_device *ivdev);
u64 ivshmem_vfio_hw_memory_size(struct ivshmem_vfio_device *ivdev);
int ivshmem_vfio_hw_read_memory(struct ivshmem_vfio_device *ivdev,
				unsigned int resets, u64 offset,
				void *buf, size_t len);
int ivshmem_vfio_hw_write_memory(struct ivshmem_vfio_device *ivdev,
				 unsigned int resets, u64 offset,
				 const void *buf, size_t len);
int ivshmem_vfio_hw_save_regs(struct ivshmem_vfio_device *ivdev,
			      unsigned int resets,
			      struct ivshmem_vfio_regs *regs);
int ivshmem_vfio_hw_load_regs(struct ivshmem_vfio_device *ivdev,
			      unsigned int resets,
			      const struct ivshmem_vfio_regs *regs);
int ivshmem_vfio_hw_mask_irqs(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_unmask_irqs(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_irqs_unmasked(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_ring(struct ivshmem_vfio_device *ivdev);
int ivshmem_vfio_hw_reset(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_reset_begin(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_reset_end(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_config_begin(struct ivshmem_vfio_device *ivdev);
void ivshmem_vfio_hw_config_end(struct ivshmem_vfio_device *ivdev);

#endif /* IVSHMEM_VFIO_H */
