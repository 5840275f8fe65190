// SPDX-License-Identifier: LGPL-2.1-or-later
/* Images without a device: made from raw state, and made raw state again. */
#include <fcntl.h>
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
	int err = raw_init(&state, ctx, pipe < 0 ? out : pipe, "writing the state");

	if (!err)
		err = image_open(&image, ctx, in);
	if (!err) {
		result->expected = meta_number(image.header, "expected_bytes", 0);
		state.sparse = is_new_file(out);
		err = transfer_in(opt, NULL, &image, &state, result);
	}
	if (!err)
		err = raw_end(&state);
	result->complete = !err;
	image_free(&image);
	raw_free(&state);
	return err;
}
