// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The pipelines: which stages stand between the state and what is stored of it.
 *
 *	save, pack:      raw_read -> frame_encode -> image_write
 *	restore, unpack: image_read -> frame_decode -> raw_write
 *
 * Without a container, raw_read and raw_write stand at both ends.
 */
#include <sched.h>
#include <string.h>

#include "migration/precopy.h"
#include "transfer.h"

/* A thread for each processor that we may run on, as many as can be asked for.
 * A very large machine has more than there is room for in the set. */
static int nr_threads(void)
{
	cpu_set_t set;
	long cpus = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
								 : sysconf(_SC_NPROCESSORS_ONLN);

	if (cpus > VFIOMIG_THREADS_MAX)
		return VFIOMIG_THREADS_MAX;
	return cpus < 1 ? 1 : cpus;
}

int options_check(struct vfiomig_ctx *ctx, const struct vfiomig_options *given,
		  struct vfiomig_options *opt)
{
	*opt = given ? *given : (struct vfiomig_options)VFIOMIG_OPTIONS_INIT;
	if (!opt->downtime_ms)
		opt->downtime_ms = 300;
	if (!opt->chunk_size)
		opt->chunk_size = CHUNK_SIZE_DEFAULT;
	if (opt->threads < 0 || opt->threads > VFIOMIG_THREADS_MAX)
		return ctx_fail(ctx, -EINVAL, "%d threads are out of bounds", opt->threads);
	if (opt->level < 0 || opt->level > VFIOMIG_LEVEL_MAX)
		return ctx_fail(ctx, -EINVAL, "there is no compression level %d", opt->level);
	if (opt->chunk_size < VFIOMIG_CHUNK_SIZE_MIN || opt->chunk_size > VFIOMIG_CHUNK_SIZE_MAX)
		return ctx_fail(ctx, -EINVAL, "a chunk size of %zu is not from %u KiB to %u MiB",
				opt->chunk_size, VFIOMIG_CHUNK_SIZE_MIN >> 10,
				VFIOMIG_CHUNK_SIZE_MAX >> 20);
	return 0;
}

/* What the user is shown while a pipeline runs. */
struct progress {
	const struct vfiomig_options *opt;
	const struct raw *state;
	uint64_t total;
};

static void tick(void *data)
{
	const struct progress *p = data;

	p->opt->progress(p->opt->progress_data, p->state->bytes, p->total);
}

static int run(const struct pipeline *p, const struct vfiomig_options *opt, const struct raw *state,
	       struct vfiomig_result *result)
{
	struct progress progress = { opt, state, result->expected };
	uint64_t start = now_ns();
	int err;

	p->ctx->tick = opt->progress ? tick : NULL;
	p->ctx->tick_data = &progress;
	err = pipeline_run(p);
	p->ctx->tick = NULL;
	result->ns = now_ns() - start;
	result->bytes = state->bytes;
	return err;
}

/* Bytes as they are, from one end to the other. */
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

int transfer_out(const struct vfiomig_options *opt, struct raw *from, struct precopy *live,
		 struct raw *to, struct image *image, struct vfiomig_result *result)
{
	struct frame_how how = { .ctx = from->ctx,
				 .level = opt->level,
				 .chunk_size = opt->chunk_size };
	struct pipeline p = plain(opt, from, to);

	from->chunk_size = opt->chunk_size;
	if (live) {
		p.read = precopy_read;
		p.from = live;
	}
	if (image) {
		/* Storing is copying: one keeps up with reader and writer, and
		 * fewer chunks stay in the processor's caches. */
		if (!opt->level && !opt->threads)
			p.threads = 1;
		p.out_room = frame_room(opt->chunk_size, opt->level);
		p.iov_room = frame_pieces(opt->chunk_size);
		p.work = frame_encode;
		p.worker_new = frame_encoder_new;
		p.worker_free = frame_encoder_free;
		p.how = &how;
		p.write = image_write;
		p.to = image;
	}
	return run(&p, opt, from, result);
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
		p.read = image_read;
		p.from = image;
		p.work = frame_decode;
		p.worker_new = frame_decoder_new;
		p.worker_free = frame_decoder_free;
		p.how = &how;
	}
	err = run(&p, opt, to, result);
	if (!err && image)
		err = image_check(image, to);
	result->complete = !err;
	return err;
}
