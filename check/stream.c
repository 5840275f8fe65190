// SPDX-License-Identifier: GPL-2.0-or-later
/* Whole streams of a device. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>
#include <xxhash.h>

#include "stream.h"

#define BUFFER (1U << 20)

static void *buffer(struct run *run)
{
	static void *buf;

	if (!buf && posix_memalign(&buf, 4096, BUFFER))
		test_skips(run, "out of memory");
	return buf;
}

int nameless_file(void)
{
	const char *dirs[] = { getenv("TMPDIR"), "/var/tmp", "/tmp" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		int file = dirs[i] ? open(dirs[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600) : -1;

		if (file >= 0)
			return file;
	}
	return -errno;
}

/* A stream that does not fit should not fill the file system, which may be in memory. */
static void expect_room(struct run *run, int file)
{
	uint64_t room, size = run->target->state_size;
	struct statvfs st;

	if (fstatvfs(file, &st))
		return;
	room = (uint64_t)st.f_bavail * st.f_frsize;
	if (room / 2 < size)
		test_skips(run,
			   "there is no room for a state of %llu bytes; TMPDIR names another place",
			   (unsigned long long)size);
}

int new_file(struct run *run)
{
	int file = nameless_file();

	if (file < 0)
		test_skips(run, "there is no place for a temporary file: %s", errno_name(file));
	expect_room(run, file);
	return file;
}

/* ---- Digests --------------------------------------------------------------- */

struct digest {
	XXH3_state_t *state;
	uint64_t size;
};

struct digest *digest_new(struct run *run)
{
	struct digest *digest = calloc(1, sizeof(*digest));

	if (digest)
		digest->state = XXH3_createState();
	if (!digest || !digest->state)
		test_skips(run, "out of memory");
	XXH3_64bits_reset(digest->state);
	return digest;
}

void digest_add(struct digest *digest, const void *buf, size_t size)
{
	XXH3_64bits_update(digest->state, buf, size);
	digest->size += size;
}

struct stream digest_end(struct digest *digest)
{
	struct stream stream = { digest->size, XXH3_64bits_digest(digest->state) };

	XXH3_freeState(digest->state);
	free(digest);
	return stream;
}

/* ---- Reading --------------------------------------------------------------- */

static bool is_zero(const char *buf, size_t size)
{
	return !buf[0] && !memcmp(buf, buf + 1, size - 1);
}

static void keep(struct run *run, int file, const char *buf, size_t size)
{
	while (file >= 0 && size) {
		/* What is zero is a hole, and takes no room. */
		off_t at = is_zero(buf, size) ? lseek(file, size, SEEK_CUR) : -1;
		ssize_t n = at < 0		  ? write(file, buf, size)
			    : ftruncate(file, at) ? -1
						  : (ssize_t)size;

		if (n < 0)
			test_skips(run, "the stream cannot be kept in a temporary file: %s",
				   errno_name(errno));
		buf += n;
		size -= n;
	}
}

uint64_t plausible_size(const struct run *run)
{
	uint64_t size = run->target->state_size;

	return size <= INT64_MAX / 4 ? size : 0;
}

static void expect_end(struct run *run, uint64_t bytes)
{
	uint64_t size = run->target->state_size, known = plausible_size(run);

	expect(run, bytes <= (known ? 4 * known + (64U << 20) : UNKNOWN_SIZE_MAX),
	       "the stream in STOP_COPY has not ended after %llu bytes, and MIG_DATA_SIZE %s %llu",
	       (unsigned long long)bytes, size ? "said" : "is", (unsigned long long)size);
}

void read_more(struct run *run, int data_fd, size_t step, int file, struct digest *digest)
{
	char *buf = buffer(run);

	if (step > BUFFER)
		step = BUFFER;
	for (;;) {
		ssize_t n = read_data(run, data_fd, buf, step);

		expect(run, n >= 0, "read() fails with %s after %llu bytes", errno_name(n),
		       (unsigned long long)digest->size);
		if (n == 0)
			return;
		digest_add(digest, buf, n);
		expect_end(run, digest->size);
		keep(run, file, buf, n);
	}
}

struct stream read_stream(struct run *run, int data_fd, size_t step, int file)
{
	struct digest *digest = digest_new(run);

	read_more(run, data_fd, step, file, digest);
	return digest_end(digest);
}

void expect_quiet(struct run *run, uint64_t bytes)
{
	uint64_t size = plausible_size(run) ?: 1ULL << 32;

	if (bytes > 4 * size + (64U << 20))
		test_skips(run, "the device has always more to say: it is not quiet");
}

uint64_t read_precopy(struct run *run, int data_fd, uint64_t max, int file, struct digest *digest)
{
	char *buf = buffer(run);
	uint64_t total = 0;

	while (total < max) {
		size_t step = max - total < BUFFER ? max - total : BUFFER;
		ssize_t n = read_data(run, data_fd, buf, step);

		if (is_temporary_end(n))
			break;
		expect(run, n > 0, "read() in %s fails with %s after %llu bytes",
		       vfiomig_state_name(run->state), errno_name(n), (unsigned long long)total);
		digest_add(digest, buf, n);
		keep(run, file, buf, n);
		expect_quiet(run, total += n);
	}
	return total;
}

struct stream save_stream(struct run *run)
{
	int data_fd = go(run, S(STOP_COPY));
	struct stream stream = read_stream(run, data_fd, BUFFER, -1);

	go(run, S(STOP));
	close(data_fd);
	return stream;
}

/* The first test that needs the stream saves it for all that come after. */
struct stream reference_stream(struct run *run)
{
	if (!run->shared->has_reference) {
		int data_fd, err = reset_device(run);

		expect_room(run, run->reference);
		if (err)
			test_skips(run, "the device cannot be reset: %s", errno_name(err));
		if (ftruncate(run->reference, 0) || lseek(run->reference, 0, SEEK_SET))
			test_skips(run, "the temporary file cannot be emptied: %s",
				   errno_name(errno));
		data_fd = go(run, S(STOP_COPY));
		run->shared->reference_size =
			read_stream(run, data_fd, BUFFER, run->reference).size;
		close(data_fd);
		err = reset_device(run);
		if (err)
			test_skips(run, "the device cannot be reset: %s", errno_name(err));
		run->shared->has_reference = true;
	}
	return (struct stream){ .size = run->shared->reference_size };
}

/* ---- Writing --------------------------------------------------------------- */

static ssize_t write_parts(struct run *run, int data_fd, char *buf, size_t size, unsigned int parts)
{
	struct iovec iov[8];
	size_t each = size / parts;
	ssize_t n;

	for (unsigned int i = 0; i < parts; i++) {
		iov[i].iov_base = buf + i * each;
		iov[i].iov_len = i == parts - 1 ? size - i * each : each;
	}
	doing(run, "writev to the data_fd in %s", vfiomig_state_name(run->state));
	do {
		n = writev(data_fd, iov, parts);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Invert the bytes of @buf, which begins at @at in the stream, that are to be inverted. */
static void invert(char *buf, uint64_t at, size_t size, const struct load *load)
{
	for (size_t i = 0; i < size; i++)
		if (at + i >= load->invert_at && at + i - load->invert_at < load->invert)
			buf[i] = ~buf[i];
}

/* How much of @size bytes the next write() is given, when @done bytes of the stream were written
 * and @left are left. */
static size_t step_at(const struct load *load, uint64_t done, uint64_t left, size_t size)
{
	uint64_t edge = load->step * (SMALL_CALLS_MAX / 2);
	bool small = load->step && (done < edge || left <= edge);

	return small && load->step < size ? load->step : size;
}

int write_stream(struct run *run, int data_fd, const struct load *load)
{
	int file = load->file >= 0 ? load->file : run->reference;
	uint64_t at = load->from, to = load->to;
	char *buf = buffer(run);

	if (!at && !to)
		to = run->shared->reference_size;
	while (at < to) {
		size_t size = to - at < BUFFER ? to - at : BUFFER, done = 0;
		ssize_t n = pread(file, buf, size, at);

		if (n <= 0)
			test_skips(run, "the temporary file cannot be read: %s", errno_name(errno));
		size = n;
		invert(buf, at, size, load);
		while (done < size) {
			size_t step =
				step_at(load, at + done - load->from, to - at - done, size - done);

			n = load->with_writev > 1 && step > load->with_writev
				    ? write_parts(run, data_fd, buf + done, step, load->with_writev)
				    : write_data(run, data_fd, buf + done, step);
			if (n < 0)
				return n;
			expect(run, n > 0 && (size_t)n <= step, "write() of %zu bytes returns %zd",
			       step, n);
			done += n;
		}
		at += size;
	}
	return 0;
}

int enter(struct run *run, int state)
{
	const struct load whole = { .file = -1 };
	int data_fd, err;

	if (state == S(RESUMING))
		reference_stream(run);
	err = reset_device(run);
	if (err)
		test_skips(run, "the device cannot be reset: %s", errno_name(err));
	if (state == S(RUNNING))
		return -1;
	data_fd = go(run, state);
	if (state == S(RESUMING)) {
		err = write_stream(run, data_fd, &whole);
		if (err)
			test_skips(run, "the device refuses its own stream: %s", errno_name(err));
	}
	return data_fd;
}

int fail_to_load(struct run *run, int to)
{
	int session, data_fd, err;

	enter(run, S(RUNNING));
	session = go(run, S(RESUMING));
	err = set_state(run, to, &data_fd);
	close(session);
	return err;
}
