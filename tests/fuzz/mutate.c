// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the fuzzer mutates images.
 *
 * Nearly every byte of an image is covered by a checksum or a digest, so that an image with random
 * changes would hardly ever get past the first of them. Therefore this mutator changes frames
 * rather than bytes. After that it corrects lengths, checksums and the trailer, most of the time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
/* ZSTD_d_forceIgnoreChecksum needs this. */
#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>

#include "fuzz.h"
#include "image/frame.h"
#include "image/meta.h"

#define SEAL 24 /* the checksum after the JSON text of header and trailer, in bytes */

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* ---- The mutator --------------------------------------------------------- */

#define PIECES_MAX 64

/*
 * The frames of an image, without their size frames. The last piece can be a rest that does not
 * look like a frame.
 */
struct piece {
	uint8_t *data;
	size_t size;
	bool frame;
};

struct pieces {
	struct piece list[PIECES_MAX];
	size_t count;
};

static void add(struct pieces *p, const uint8_t *data, size_t size, bool frame)
{
	struct piece *piece = &p->list[p->count++];

	/* One byte more, because malloc(0) may return NULL. */
	piece->data = malloc(size + 1);
	memcpy(piece->data, data, size);
	piece->size = size;
	piece->frame = frame;
}

static struct pieces take_apart(const uint8_t *data, size_t size)
{
	struct pieces p = { 0 };

	while (size > SIZE_FRAME && p.count < PIECES_MAX / 2 && get_le32(data) == MAGIC_SIZE) {
		size_t n = get_le32(data + 8);

		if (n < 8 || n > size - SIZE_FRAME)
			break;
		add(&p, data + SIZE_FRAME, n, true);
		data += SIZE_FRAME + n;
		size -= SIZE_FRAME + n;
	}
	if (size)
		add(&p, data, size, false);
	return p;
}

static bool is_meta(const struct piece *piece)
{
	return piece->frame && piece->size >= 8 + SEAL &&
	       (get_le32(piece->data) == MAGIC_HEADER || get_le32(piece->data) == MAGIC_TRAILER);
}

static bool is_chunk(const struct piece *piece)
{
	return piece->frame && piece->size >= 9 && get_le32(piece->data) == MAGIC_ZSTD;
}

static void mutate_piece(struct piece *piece, size_t more)
{
	/* In the header and the trailer, mutate the JSON text only. */
	size_t from = is_meta(piece) ? 8 : 0;
	size_t seal = from ? SEAL : 0;
	size_t size = piece->size - from - seal;
	size_t room = size + more;

	piece->data = realloc(piece->data, from + room + SEAL + 1);
	size = LLVMFuzzerMutate(piece->data + from, size, room);
	memset(piece->data + from + size, ' ', seal);
	piece->size = from + size + seal;
}

static void mutate_order(struct pieces *p, size_t i, int how)
{
	struct piece *piece = &p->list[i];
	struct piece *other = &p->list[rand() % p->count];
	struct piece tmp = *piece;

	switch (how) {
	case 0:
		free(piece->data);
		p->count--;
		memmove(piece, piece + 1, (p->count - i) * sizeof(*piece));
		break;
	case 1:
		add(p, piece->data, piece->size, piece->frame);
		break;
	default:
		*piece = *other;
		*other = tmp;
	}
}

/* ---- Correcting ---------------------------------------------------------- */

static void put_le64_hex(char *to, uint64_t value)
{
	char text[17];

	snprintf(text, sizeof(text), "%016" PRIx64, value);
	memcpy(to, text, 16);
}

static void seal(struct piece *piece)
{
	size_t length = piece->size - 8 - SEAL;
	char *text = (char *)piece->data + 8;

	put_le32(piece->data + 4, piece->size - 8);
	memcpy(text + length, "\nxxh64:", 7);
	put_le64_hex(text + length + 7, XXH64(text, length, 0));
	text[piece->size - 8 - 1] = '\n';
}

/* The sums over all chunks that are in the trailer. */
struct sums {
	uint64_t bytes, frames;
	XXH3_state_t *state;
	XXH64_state_t *image;
};

static void sum_chunk(struct sums *sums, struct piece *piece, bool fix)
{
	static uint8_t out[8 << 20];
	ZSTD_DCtx *dctx = ZSTD_createDCtx();
	size_t n;

	ZSTD_DCtx_setParameter(dctx, ZSTD_d_forceIgnoreChecksum, ZSTD_d_ignoreChecksum);
	n = ZSTD_decompressDCtx(dctx, out, sizeof(out), piece->data, piece->size);
	ZSTD_freeDCtx(dctx);
	if (!ZSTD_isError(n)) {
		if (fix)
			put_le32(piece->data + piece->size - 4, XXH64(out, n, 0));
		XXH3_128bits_update(sums->state, out, n);
		sums->bytes += n;
	}
	XXH64_update(sums->image, piece->data, piece->size);
	sums->frames++;
}

static void put_trailer(struct piece *piece, const struct sums *sums)
{
	XXH128_hash_t state = XXH3_128bits_digest(sums->state);
	char text[256];
	int n = snprintf(text, sizeof(text),
			 "{\"bytes\":%" PRIu64 ",\"frames\":%" PRIu64
			 ",\"digest\":\"xxh128:%016" PRIx64 "%016" PRIx64
			 "\",\"frames_digest\":\"xxh64:%016" PRIx64 "\"}",
			 sums->bytes, sums->frames, state.high64, state.low64,
			 (uint64_t)XXH64_digest(sums->image));

	piece->size = 8 + n + SEAL;
	piece->data = realloc(piece->data, piece->size);
	put_le32(piece->data, MAGIC_TRAILER);
	memcpy(piece->data + 8, text, n);
	seal(piece);
}

static void put_right(struct pieces *p)
{
	struct sums sums = {
		.state = XXH3_createState(),
		.image = XXH64_createState(),
	};
	/* Do not always replace a trailer that was mutated. */
	bool trailer = rand() % 2;

	XXH3_128bits_reset(sums.state);
	XXH64_reset(sums.image, 0);
	for (size_t i = 0; i < p->count; i++) {
		struct piece *piece = &p->list[i];

		if (is_chunk(piece))
			sum_chunk(&sums, piece, rand() % 8);
		if (!is_meta(piece))
			continue;
		if (get_le32(piece->data) == MAGIC_TRAILER && trailer)
			put_trailer(piece, &sums);
		else if (rand() % 8)
			seal(piece);
	}
	XXH3_freeState(sums.state);
	XXH64_freeState(sums.image);
}

static size_t put_together(struct pieces *p, uint8_t *data, size_t max)
{
	size_t at = 0;

	for (size_t i = 0; i < p->count; i++) {
		struct piece *piece = &p->list[i];
		size_t head = piece->frame ? SIZE_FRAME : 0;

		if (at + head + piece->size <= max) {
			if (head)
				frame_put_size(data + at, piece->size);
			memcpy(data + at + head, piece->data, piece->size);
			at += head + piece->size;
		}
		free(piece->data);
	}
	return at;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned int seed)
{
	struct pieces p;
	size_t i;
	int how;

	srand(seed);
	how = rand() % 16;
	p = take_apart(data, size);
	/* At times mutate the bytes, without regard to checksums. */
	if (how == 3 || !p.count) {
		for (i = 0; i < p.count; i++)
			free(p.list[i].data);
		return LLVMFuzzerMutate(data, size, max);
	}
	i = rand() % p.count;
	if (how < 3)
		mutate_order(&p, i, how);
	else
		mutate_piece(&p.list[i], max > size ? max - size : 0);
	put_right(&p);
	return put_together(&p, data, max);
}
