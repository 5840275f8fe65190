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

static bool is_label(const struct piece *piece)
{
	return piece->frame && piece->size == LABEL_FRAME && get_le32(piece->data) == MAGIC_LABEL;
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

/* The sums over the chunks of a device that are in its trailer. */
struct sums {
	uint64_t bytes, frames;
	XXH3_state_t *state;
	XXH64_state_t *image;
};

/* An image that is put right. Of one device, that is the first one. */
struct image_sums {
	struct sums devices[VFIOMIG_SET_MAX];
	unsigned int device; /* the next chunk's */
	uint64_t bytes, frames;
	XXH64_state_t *metadata;
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

static void put_text(struct piece *piece, const char *text, int n)
{
	piece->size = 8 + n + SEAL;
	piece->data = realloc(piece->data, piece->size);
	put_le32(piece->data, MAGIC_TRAILER);
	memcpy(piece->data + 8, text, n);
}

/* @device: its number in a set, with its key and a comma, or "". */
static void put_trailer(struct piece *piece, const struct sums *sums, const char *device)
{
	XXH128_hash_t state = XXH3_128bits_digest(sums->state);
	char text[300];
	int n = snprintf(text, sizeof(text),
			 "{%s\"bytes\":%" PRIu64 ",\"frames\":%" PRIu64
			 ",\"digest\":\"xxh128:%016" PRIx64 "%016" PRIx64
			 "\",\"frames_digest\":\"xxh64:%016" PRIx64 "\"}",
			 device, sums->bytes, sums->frames, state.high64, state.low64,
			 (uint64_t)XXH64_digest(sums->image));

	put_text(piece, text, n);
}

static void put_set_trailer(struct piece *piece, const struct image_sums *sums,
			    unsigned int devices)
{
	char text[300];
	int n = snprintf(text, sizeof(text),
			 "{\"devices\":%u,\"bytes\":%" PRIu64 ",\"frames\":%" PRIu64
			 ",\"metadata_digest\":\"xxh64:%016" PRIx64 "\"}",
			 devices, sums->bytes, sums->frames,
			 (uint64_t)XXH64_digest(sums->metadata));

	put_text(piece, text, n);
}

/* The number after this key in a text, or -1. */
static int number_after(const struct piece *piece, const char *key)
{
	const char *text = (char *)piece->data + 8;
	size_t length = piece->size - 8 - SEAL;
	const char *at = memmem(text, length, key, strlen(key));

	return at ? atoi(at + strlen(key)) : -1;
}

static void put_any_trailer(struct piece *piece, struct image_sums *sums)
{
	int device = number_after(piece, "\"device\":"),
	    devices = number_after(piece, "\"devices\":");
	char key[32] = "";

	if (devices >= 0) {
		put_set_trailer(piece, sums, devices);
		return;
	}
	if (device >= 0)
		snprintf(key, sizeof(key), "\"device\":%d,", device);
	put_trailer(piece, &sums->devices[device >= 0 ? device % VFIOMIG_SET_MAX : 0], key);
}

static void put_label(struct image_sums *sums, struct piece *piece)
{
	unsigned int device = get_le32(piece->data + 8);

	sums->device = device % VFIOMIG_SET_MAX;
	frame_put_label(piece->data, device, sums->devices[sums->device].frames);
}

static struct image_sums *new_sums(void)
{
	struct image_sums *sums = calloc(1, sizeof(*sums));

	sums->metadata = XXH64_createState();
	XXH64_reset(sums->metadata, 0);
	for (int i = 0; i < VFIOMIG_SET_MAX; i++) {
		struct sums *s = &sums->devices[i];

		s->state = XXH3_createState();
		s->image = XXH64_createState();
		XXH3_128bits_reset(s->state);
		XXH64_reset(s->image, 0);
	}
	return sums;
}

static void free_sums(struct image_sums *sums)
{
	for (int i = 0; i < VFIOMIG_SET_MAX; i++) {
		XXH3_freeState(sums->devices[i].state);
		XXH64_freeState(sums->devices[i].image);
	}
	XXH64_freeState(sums->metadata);
	free(sums);
}

static void put_chunk(struct image_sums *sums, struct piece *piece)
{
	struct sums *s = &sums->devices[sums->device];
	uint64_t before = s->bytes;

	sum_chunk(s, piece, rand() % 8);
	sums->bytes += s->bytes - before;
	sums->frames++;
}

static void put_meta(struct image_sums *sums, struct piece *piece, bool trailer)
{
	if (get_le32(piece->data) == MAGIC_TRAILER && trailer) {
		put_any_trailer(piece, sums);
		seal(piece);
	} else if (rand() % 8) {
		seal(piece);
	}
	XXH64_update(sums->metadata, piece->data + 8, piece->size - 8 - SEAL);
}

static void put_right(struct pieces *p)
{
	struct image_sums *sums = new_sums();
	/* Do not always replace a trailer that was mutated. */
	bool trailer = rand() % 2;

	for (size_t i = 0; i < p->count; i++) {
		struct piece *piece = &p->list[i];

		if (is_label(piece) && rand() % 16)
			put_label(sums, piece);
		if (is_chunk(piece))
			put_chunk(sums, piece);
		if (is_meta(piece))
			put_meta(sums, piece, trailer);
	}
	free_sums(sums);
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
