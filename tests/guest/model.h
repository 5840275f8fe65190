/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A reader of an ivshmem device's stream, for the C programs that test in the guest. It follows
 * driver/format.h, and shares no code with the driver.
 */
#ifndef MODEL_H
#define MODEL_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define MODEL_MAGIC    0x006d656d68737669ULL
#define MODEL_VERSION  2u
#define MODEL_GRANULE  4096u
#define MODEL_REVISION 1u
#define MODEL_MEM_MAX  (1u << 20)

enum {
	MODEL_MEM = 1,
	MODEL_REGS = 2,
	MODEL_END = 3
};

enum {
	MODEL_HEADER_SIZE = 32,
	MODEL_RECORD_SIZE = 24,
	MODEL_REGS_SIZE = 8,
	MODEL_END_SIZE = 16
};

/* The state of a device after a stream. */
struct model {
	uint64_t size;
	unsigned char *memory;
	bool *covered; /* whether the stream has had this granule */
	uint32_t intr_mask, intr_status;
};

static inline uint32_t model_le32(const unsigned char *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static inline uint64_t model_le64(const unsigned char *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return le64toh(value);
}

static inline bool model_header(const struct model *m, const unsigned char *s)
{
	uint64_t device = model_le64(s + 24);
	uint32_t version = model_le32(s + 8);

	/* An ivshmem-plain device has no vectors. Version 1 does not tell of the device. */
	return model_le64(s) == MODEL_MAGIC && model_le32(s + 12) == MODEL_GRANULE &&
	       model_le64(s + 16) == m->size &&
	       ((version == MODEL_VERSION && device == (uint64_t)MODEL_REVISION << 32) ||
		(version == 1 && device == 0));
}

static inline bool model_mem(struct model *m, uint64_t offset, uint64_t length,
			     const unsigned char *data)
{
	if (!length || length > MODEL_MEM_MAX || length % MODEL_GRANULE || offset % MODEL_GRANULE ||
	    offset >= m->size || length > m->size - offset)
		return false;
	memcpy(m->memory + offset, data, length);
	for (uint64_t i = 0; i < length / MODEL_GRANULE; i++)
		m->covered[offset / MODEL_GRANULE + i] = true;
	return true;
}

static inline bool model_is_covered(const struct model *m)
{
	for (uint64_t i = 0; i < m->size / MODEL_GRANULE; i++)
		if (!m->covered[i])
			return false;
	return true;
}

/* Returns whether a device must accept this stream. If so, @m has its memory and registers. */
static inline bool model_read(struct model *m, const unsigned char *s, size_t size)
{
	bool have_regs = false;
	size_t at = MODEL_HEADER_SIZE;

	memset(m->covered, 0, m->size / MODEL_GRANULE * sizeof(*m->covered));
	if (size < at || !model_header(m, s))
		return false;
	while (size - at >= MODEL_RECORD_SIZE) {
		const unsigned char *record = s + at;
		const unsigned char *data = record + MODEL_RECORD_SIZE;
		uint32_t type = model_le32(record);
		uint64_t offset = model_le64(record + 8);
		uint64_t length = model_le64(record + 16);

		at += MODEL_RECORD_SIZE;
		if (model_le32(record + 4) || length > size - at)
			return false;
		if (type == MODEL_MEM) {
			if (have_regs || !model_mem(m, offset, length, data))
				return false;
		} else if (type == MODEL_REGS) {
			if (have_regs || offset || length != MODEL_REGS_SIZE ||
			    !model_is_covered(m))
				return false;
			m->intr_mask = model_le32(data);
			m->intr_status = model_le32(data + 4);
			have_regs = true;
		} else {
			return type == MODEL_END && have_regs && !offset &&
			       length == MODEL_END_SIZE && length == size - at &&
			       model_le64(data) == at && model_le64(data + 8) == XXH64(s, at, 0);
		}
		at += length;
	}
	return false;
}

static inline struct model model_new(uint64_t size)
{
	return (struct model){
		.size = size,
		.memory = calloc(1, size),
		.covered = calloc(size / MODEL_GRANULE, sizeof(bool)),
	};
}

static inline void model_free(struct model *m)
{
	free(m->memory);
	free(m->covered);
}

#endif
