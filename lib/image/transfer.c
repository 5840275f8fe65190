// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pipelines: which stages stand between the state and the image.
 *
 *	save, pack:      raw_read -> frame_encode -> digest_out -> image_write
 *	restore, unpack: image_read -> frame_decode -> digest_in -> raw_write
 *
 * Without a container, raw_read and raw_write stand at both ends, and nobody asks for a digest.
 */
#include <sched.h>
#include <string.h>

#include "transfer.h"

/* Two digests go over a transfer with an image: one over the state, and one over the frames. */
struct digests {
	struct raw *state;
	struct image *image;
};

static void digest_out(void *data, const struct chunk *c)
{
	const struct digests *d = data;

	if (c->zero)
		raw_add_zeros(d->state, c->in_size);
	else
		raw_add(d->state, c->in, c->in_size);
	for (int i = 0; i < c->iov_count; i++) {
		size_t skip = i ? 0 : SIZE_FRAME;

		image_add(d->image, (char *)c->iov[i].iov_base + skip, c->iov[i].iov_len - skip);
	}
}

static void digest_in(void *data, const struct chunk *c)
{
	const struct digests *d = data;

	image_add(d->image, c->in, c->in_size);
	for (int i = 0; i < c->iov_count; i++)
		raw_add(d->state, c->iov[i].iov_base, c->iov[i].iov_len);
}

/* A thread for each processor that this process may run on, up to the limit. A very large machine
 * has more processors than the set has room for. */
static int nr_threads(void)
{
	cpu_set_t set;
	long cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
								 : sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus > VFIOMIG_THREADS_MAX)
		return VFIOMIG_THREADS_MAX;
	return cpus < 1 ? 1 : cpus;
}

/* Run the pipeline, which moves @state, and tell the caller how far it is. */
static int run(const struct pipeline *p, const struct raw *state, struct vfiomig_result *result)
{
	struct progress *progress = &p->ctx->progress;
	uint64_t start = now_ns();
	int err;

	progress->expected = result->expected;
	/* What was read ahead is not moved yet. */
	progress->bytes = p->moved ? &p->moved->bytes : &state->bytes;
	err = pipeline_run(p);
	result->bytes = *progress->bytes;
	/* Without what came after it, the way home of a device. */
	result->ns = (p->moved && p->moved->at_ns ? p->moved->at_ns : now_ns()) - start;
	progress->bytes = NULL;
	progress->moved = result->bytes;
	return err;
}

/* A pipeline that moves bytes as they are. */
static struct pipeline plain(const struct vfiomig_options *opt, struct raw *from, struct raw *to)
{
	return (struct pipeline){
		.ctx = from ? from->ctx : to->ctx,
		.threads = opt->threads ? opt->threads : nr_threads(),
		.in_room = opt->chunk_size,
		.iov_room = 1,
		.read = raw_read,
		.from = from,
		.write = raw_write,
		.to = to,
	};
}

int transfer_out(const struct vfiomig_options *opt, struct raw *from, const struct reader *reader,
		 struct raw *to, struct image *image, struct vfiomig_result *result)
{
	struct frame_how how = { .ctx = from->ctx,
				 .level = opt->level,
				 .chunk_size = opt->chunk_size };
	struct digests digests = { from, image };
	struct pipeline p = plain(opt, from, to);
	struct moved moved = { 0 };

	p.moved = &moved;
	from->chunk_size = opt->chunk_size;
	if (reader) {
		p.read = reader->read;
		p.fetch = reader->fetch;
		p.ahead = reader->ahead;
		p.end = reader->end;
		p.from = reader->from;
		/* A device's reader does: it stops the device, and takes it home. */
		p.takes_arcs = reader->end;
	}
	if (image) {
		p.out_room = frame_room(opt->chunk_size, opt->level);
		p.worker_room = frame_encoder_room(opt->chunk_size, opt->level);
		p.iov_room = frame_pieces(opt->chunk_size);
		p.work = frame_encode;
		p.worker_new = frame_encoder_new;
		p.worker_free = frame_encoder_free;
		p.how = &how;
		p.digest = digest_out;
		p.digests = &digests;
		p.write = image_write;
		p.to = image;
	}
	return run(&p, from, result);
}

int transfer_in(const struct vfiomig_options *opt, struct raw *from, struct image *image,
		struct raw *to, struct vfiomig_result *result)
{
	struct frame_how how = { .ctx = to->ctx };
	struct digests digests = { to, image };
	struct pipeline p = plain(opt, from, to);
	int err;

	if (from)
		from->chunk_size = opt->chunk_size;
	if (image) {
		how.chunk_size = image->chunk_size;
		how.stored = !image->compressed;
		p.in_room = frame_size_max(image->chunk_size);
		p.out_room = image->chunk_size;
		p.worker_room = frame_decoder_room();
		p.iov_room = frame_pieces(image->chunk_size);
		p.read = image_read;
		p.fetch = image_fetch;
		p.from = image;
		p.work = frame_decode;
		p.worker_new = frame_decoder_new;
		p.worker_free = frame_decoder_free;
		p.how = &how;
		p.digest = digest_in;
		p.digests = &digests;
	}
	err = run(&p, to, result);
	if (!err && image)
		err = image_check(image, to);
	result->complete = !err;
	return err;
}
