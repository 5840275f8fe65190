/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The frames of an image: see vfiomig-image(5). Each frame follows a small skippable frame that has
 * its size, as in the files of pzstd.
 */
#ifndef VFIOMIG_FRAME_H
#define VFIOMIG_FRAME_H

#include "pipeline.h"

#define MAGIC_SIZE	   0x184D2A50u /* pzstd's skippable frame: 4 bytes, a size */
#define MAGIC_HEADER	   0x184D2A5Au /* skippable: the header */
#define MAGIC_TRAILER	   0x184D2A5Bu /* skippable: the trailer */
#define MAGIC_LABEL	   0x184D2A5Cu /* skippable: which device of a set the next chunk is of */
#define MAGIC_ZSTD	   0xFD2FB528u

#define SIZE_FRAME	   12 /* length of the frame that has a size */
#define LABEL_FRAME	   24 /* length of the frame that has a label */

#define CHUNK_SIZE_DEFAULT (4u << 20)

#define LEVEL_MAX	   19

static inline uint32_t get_le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void put_le32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		p[i] = value >> (8 * i);
}

/* Write the twelve bytes at @p that announce a frame of @size bytes. */
void frame_put_size(uint8_t *p, size_t size);
/* Write a label at @p: the next chunk is this one of this device. */
void frame_put_label(uint8_t *p, uint32_t device, uint64_t number);
/* Read it. Returns whether it is whole, and as it was written. */
bool frame_get_label(const uint8_t *p, uint32_t *device, uint64_t *number);

/* The room that a chunk of this size needs in a pipeline that makes frames: bytes at chunk->out,
 * and pieces at chunk->iov. */
size_t frame_room(size_t chunk_size, int level);
int frame_pieces(size_t chunk_size);
/* The largest number of bytes that the frame of such a chunk may have in an image. */
size_t frame_size_max(size_t chunk_size);

/* The memory that an encoder of this level, or a decoder, needs for chunks of this size. */
size_t frame_encoder_room(size_t chunk_size, int level);
size_t frame_decoder_room(void);

/* How workers encode or decode. */
struct frame_how {
	struct vfiomig_ctx *ctx;
	int level;   /* 0 to store */
	bool stored; /* to decode: no frame may be compressed */
	size_t chunk_size;
	const char *const *names; /* to decode: those of the lanes, or NULL; for messages */
};

/* The stages of a pipeline: chunk->in becomes chunk->iov. */
void *frame_encoder_new(const void *how);
void frame_encoder_free(void *encoder);
int frame_encode(void *encoder, struct chunk *chunk);

void *frame_decoder_new(const void *how);
void frame_decoder_free(void *decoder);
int frame_decode(void *decoder, struct chunk *chunk);

#endif
