// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pipelines: which stages stand between the state and the image.
 *
 *	save, pack:      raw_read -> frame_encode -> image_write
 *	restore, unpack: image_read -> frame_decode -> raw_write
 *
 * Without a container, raw_read and raw_write stand at both ends.
 */
#include <sched.h>
#include <string.h>

#include "transfer.h"

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
	progress->bytes = &state->bytes;
	err = pipeline_run(p);
	progress->bytes = NULL;
	progress->moved = state->bytes;
	result->ns = now_ns() - start;
	result->bytes = state->bytes;
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
	struct pipeline p = plain(opt, from, to);

	from->chunk_size = opt->chunk_size;
	if (reader) {
		p.read = reader->read;
		p.from = reader->from;
	}
	if (image) {
		/* Storing is copying: one worker keeps up with the reader and the writer, and with
		 * fewer chunks under way more of each stays in the processor's caches. */
		if (!opt->level && !opt->threads)
			p.threads = 1;
		p.out_room = frame_room(opt->chunk_size, opt->level);
		p.worker_room = frame_encoder_room(opt->chunk_size, opt->level);
		p.iov_room = frame_pieces(opt->chunk_size);
		p.work = frame_encode;
		p.worker_new = frame_encoder_new;
		p.worker_free = frame_encoder_free;
		p.how = &how;
		p.write = image_write;
		p.to = image;
	}
	return run(&p, from, result);
}

int transfer_in(const struct vfiomig_options *opt, struct raw *from, struct image *image,
		struct raw *to, struct vfiomig_result *result)
{
	struct frame_how how = { .ctx = to->ctx };
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
		p.read = image_read;
		p.from = image;
		p.work = frame_decode;
		p.worker_new = frame_decoder_new;
		p.worker_free = frame_decoder_free;
		p.how = &how;
	}
	err = run(&p, to, result);
	if (!err && image)
		err = image_check(image, to);
	result->complete = !err;
	return err;
}
