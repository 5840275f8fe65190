/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The migration stream of an ivshmem device, as data_fd transports it:
 *
 *	header
 *	( record MEM, .length bytes of BAR 2 )*
 *	record REGS, struct ivshmem_vfio_regs_data
 *	record END, struct ivshmem_vfio_end_data
 *
 * All fields are little endian, and all parts are a multiple of eight bytes
 * long. Reserved fields are zero. A reader refuses a stream in which they are
 * not zero, so that later versions can give them a meaning.
 *
 * MEM records may be in any order. They may repeat a page that changed while
 * the device was in PRE_COPY; the last one counts. Together they cover BAR 2
 * completely. REGS are read when the device is stopped, so no MEM record
 * follows them. Nothing follows END.
 */
#ifndef IVSHMEM_VFIO_FORMAT_H
#define IVSHMEM_VFIO_FORMAT_H

#include <linux/build_bug.h>
#include <linux/sizes.h>
#include <linux/types.h>

/* "ivshmem\0" when the stream is looked at as bytes */
#define IVSHMEM_VFIO_MAGIC	0x006d656d68737669ULL
/*
 * Version 1 has zeros in place of vectors and revision. It is still read, and
 * no longer written.
 */
#define IVSHMEM_VFIO_VERSION	2

/*
 * The granule of MEM records. It is defined by the format, and not by
 * PAGE_SIZE, so that kernels with different page sizes can exchange streams.
 */
#define IVSHMEM_VFIO_GRANULE	SZ_4K

/* The maximum length of one MEM record */
#define IVSHMEM_VFIO_MEM_MAX	SZ_1M

/**
 * struct ivshmem_vfio_header - the beginning of a stream
 * @magic: %IVSHMEM_VFIO_MAGIC
 * @version: %IVSHMEM_VFIO_VERSION, or an older one
 * @granule: %IVSHMEM_VFIO_GRANULE
 * @memory_size: of BAR 2
 * @vectors: how many MSI-X vectors the device has; ivshmem-plain has none
 * @revision: of the PCI function
 *
 * The device that is loaded must be equal in the last three.
 */
struct ivshmem_vfio_header {
	__le64 magic;
	__le32 version;
	__le32 granule;
	__le64 memory_size;
	__le32 vectors;
	__le32 revision;
};

static_assert(sizeof(struct ivshmem_vfio_header) == 32);

/**
 * enum ivshmem_vfio_record_type - what a record has
 * @IVSHMEM_VFIO_RECORD_MEM: memory
 * @IVSHMEM_VFIO_RECORD_REGS: the registers
 * @IVSHMEM_VFIO_RECORD_END: what proves that the stream is whole
 */
enum ivshmem_vfio_record_type {
	IVSHMEM_VFIO_RECORD_MEM = 1,
	IVSHMEM_VFIO_RECORD_REGS = 2,
	IVSHMEM_VFIO_RECORD_END = 3,
};

/**
 * struct ivshmem_vfio_record - the head of a record
 * @type: enum ivshmem_vfio_record_type
 * @reserved: zero
 * @offset: MEM: where in BAR 2, else zero
 * @length: of the data, which follows
 */
struct ivshmem_vfio_record {
	__le32 type;
	__le32 reserved;
	__le64 offset;
	__le64 length;
};

static_assert(sizeof(struct ivshmem_vfio_record) == 24);

/**
 * struct ivshmem_vfio_regs_data - the data of a REGS record
 * @intr_mask: IntrMask
 * @intr_status: IntrStatus
 */
struct ivshmem_vfio_regs_data {
	__le32 intr_mask;
	__le32 intr_status;
};

static_assert(sizeof(struct ivshmem_vfio_regs_data) == 8);

/**
 * struct ivshmem_vfio_end_data - the data of an END record
 * @length: of all that is before this structure
 * @digest: of all that is before this structure; xxh64 with seed 0
 */
struct ivshmem_vfio_end_data {
	__le64 length;
	__le64 digest;
};

static_assert(sizeof(struct ivshmem_vfio_end_data) == 16);

#endif /* IVSHMEM_VFIO_FORMAT_H */
