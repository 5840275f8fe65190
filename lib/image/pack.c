// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images without a device: made from raw state, and made raw state again. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "data.h"
#include "pack.h"
#include "transfer.h"

int pack_state(struct vfiomig_ctx *ctx, int in, int out, const struct vfiomig_options *opt,
	       struct vfiomig_result *result)
{
	_cleanup_close_ int pipe = fd_reopen_pipe(out);
	struct image image = { .fd = -1 };
	struct raw state;
	const struct reader file = { .read = raw_find, .fetch = raw_fetch, .from = &state };
	char *header;
	int err = raw_init(&state, ctx, in, "reading the state");

	result->expected = fd_file_size(in);
	if (!err)
		err = raw_peek(&state, opt->force);
	if (!err)
		err = meta_header(ctx, NULL, opt, result, &header);
	if (!err)
		err = image_begin(&image, ctx, pipe < 0 ? out : pipe, header);
	if (!err)
		err = transfer_out(opt, &state, raw_is_file(&state, opt->chunk_size) ? &file : NULL,
				   NULL, &image, result);
	if (!err)
		err = image_end(&image, &state);
	result->complete = !err;
	image_free(&image);
	raw_free(&state);
	return err;
}

/* ---- Several states ------------------------------------------------------ */

struct set {
	struct vfiomig_ctx *ctx;
	int count;
	struct raw states[VFIOMIG_SET_MAX];
	char whats[VFIOMIG_SET_MAX][300]; /* "reading the state of NAME" */
	struct member members[VFIOMIG_SET_MAX];
	struct vfiomig_result results[VFIOMIG_SET_MAX];
};

/* Which of the states a failure is of. */
static int name_failure(struct vfiomig_ctx *ctx, int err, const char *name)
{
	struct failure why = ctx_get_failure(ctx);

	return err == -EBADMSG || err == -ENODATA ? ctx_fail(ctx, err, "%s: %s", name, why.sentence)
						  : err;
}

static int open_states(struct set *set, const int ins[], const char *const names[],
		       const struct vfiomig_options *opt)
{
	int err = 0;

	for (int i = 0; !err && i < set->count; i++) {
		struct raw *state = &set->states[i];

		snprintf(set->whats[i], sizeof(set->whats[i]), "reading the state of %s", names[i]);
		err = raw_init(state, set->ctx, ins[i], set->whats[i]);
		if (!err)
			err = name_failure(set->ctx, raw_peek(state, opt->force), names[i]);
		set->results[i].expected = fd_file_size(ins[i]);
		set->members[i] = (struct member){
			.raw = state,
			.result = &set->results[i],
		};
	}
	return err;
}

static int begin_set(struct set *set, const char *const names[], int out,
		     const struct vfiomig_options *opt, struct image *image)
{
	const struct vfiomig_result *results[VFIOMIG_SET_MAX];
	char *header;
	int err;

	for (int i = 0; i < set->count; i++)
		results[i] = &set->results[i];
	err = meta_set_header(set->ctx, NULL, names, set->count, opt, results, &header);
	if (!err)
		err = image_begin(image, set->ctx, out, header);
	for (int i = 0; !err && i < set->count; i++)
		if (raw_is_file(&set->states[i], image->chunk_size))
			set->members[i].reader = (struct reader){ .read = raw_find,
								  .fetch = raw_fetch,
								  .from = &set->states[i] };
	return err;
}

int pack_set(struct vfiomig_ctx *ctx, const int ins[], const char *const names[], size_t count,
	     int out, const struct vfiomig_options *opt, struct vfiomig_result *result)
{
	_cleanup_close_ int pipe = fd_reopen_pipe(out);
	struct image image = { .fd = -1 };
	struct set *set;
	int err = image_check_names(ctx, names, count);

	if (err)
		return err;
	set = calloc(1, sizeof(*set));
	if (!set)
		return ctx_fail_memory(ctx);
	set->ctx = ctx;
	set->count = count;
	err = open_states(set, ins, names, opt);
	if (!err)
		err = begin_set(set, names, pipe < 0 ? out : pipe, opt, &image);
	if (!err)
		err = transfer_set_out(opt, set->members, set->count, &image, result);
	if (!err)
		err = image_end_set(&image);
	for (size_t i = 0; i < count; i++)
		raw_free(&set->states[i]);
	result->complete = !err;
	image_free(&image);
	free(set);
	return err;
}

/* ---- Unpacking ----------------------------------------------------------- */

/* An empty file, to which nobody appends. */
static bool is_new_file(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 && flags >= 0 &&
	       !(flags & O_APPEND) && lseek(fd, 0, SEEK_CUR) == 0;
}

int unpack_image(struct vfiomig_ctx *ctx, int in, int out, const struct vfiomig_options *opt,
		 struct vfiomig_result *result)
{
	_cleanup_close_ int pipe = fd_reopen_pipe(out);
	struct image image = { .fd = -1 };
	struct raw state;
	int device = -1, err = raw_init(&state, ctx, pipe < 0 ? out : pipe, "writing the state");

	if (!err)
		err = image_open(&image, ctx, in);
	if (!err)
		err = device = image_choose(&image, opt->device);
	if (device >= 0) {
		result->expected = meta_number(image_header(&image, device), "expected_bytes", 0);
		state.sparse = is_new_file(out);
		err = transfer_one_in(opt, &image, device, &state, result);
	}
	if (!err)
		err = raw_end(&state);
	result->complete = !err;
	image_free(&image);
	raw_free(&state);
	return err;
}
