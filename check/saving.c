// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about the data_fd while the device is saved in STOP_COPY. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"
#include "stream.h"
#include "tests.h"

#define STEP (1U << 20)

static bool is_same(struct stream a, struct stream b)
{
	return a.size == b.size && a.digest == b.digest;
}

/* The stream of the device after a reset. Skips the test unless two of them are the same. */
static struct stream known_stream(struct run *run)
{
	struct stream first, second;

	enter(run, S(RUNNING));
	first = save_stream(run);
	enter(run, S(RUNNING));
	second = save_stream(run);
	enter(run, S(RUNNING));
	if (!is_same(first, second))
		test_skips(run, "two streams of the device after a reset differ");
	return first;
}

static void expect_stream(struct run *run, struct stream stream, struct stream known,
			  const char *how)
{
	expect(run, stream.size == known.size, "%s: the stream has %llu bytes instead of %llu", how,
	       (unsigned long long)stream.size, (unsigned long long)known.size);
	expect(run, stream.digest == known.digest, "%s: the bytes of the stream are others", how);
}

static void *room(struct run *run, size_t size)
{
	void *room = calloc(1, size);

	if (!room)
		test_skips(run, "out of memory");
	return room;
}

void end_is_permanent(struct run *run)
{
	int data_fd = go(run, S(STOP_COPY));
	char buf[4096];

	read_stream(run, data_fd, STEP, -1);
	for (int i = 0; i < 8; i++) {
		ssize_t n = read_data(run, data_fd, buf, sizeof(buf));

		expect(run, n == 0, "read() number %d after the end gives %s", i + 1,
		       n > 0 ? "data" : errno_name(n));
	}
}

void end_is_readable(struct run *run)
{
	int data_fd = go(run, S(STOP_COPY));
	struct pollfd p = { .fd = data_fd, .events = POLLIN };

	read_stream(run, data_fd, STEP, -1);
	for (int i = 0; i < 4; i++) {
		doing(run, "poll of the data_fd at the end of the stream");
		expect(run, poll(&p, 1, 0) == 1 && (p.revents & POLLIN),
		       "poll() at the end of the stream gives %#x", p.revents);
	}
}

void no_enomsg(struct run *run)
{
	static char buf[STEP];
	int data_fd;
	ssize_t n;

	if (has_state(run, S(PRE_COPY))) {
		struct digest *digest = digest_new(run);

		data_fd = go(run, S(PRE_COPY));
		read_precopy(run, data_fd, UINT64_MAX, -1, digest);
		digest_end(digest);
		go(run, S(STOP_COPY));
	} else {
		data_fd = go(run, S(STOP_COPY));
	}
	do {
		n = read_data(run, data_fd, buf, sizeof(buf));
		expect(run, n != -ENOMSG, "read() in STOP_COPY gives ENOMSG");
	} while (n > 0);
}

static ssize_t read_parts(struct run *run, int data_fd, struct digest *digest)
{
	static char parts[3][1000];
	const struct iovec iov[3] = { { parts[0], 7 }, { parts[1], 1000 }, { parts[2], 333 } };
	ssize_t n, left;

	doing(run, "readv of the data_fd in STOP_COPY");
	do {
		n = readv(data_fd, iov, 3);
	} while (n < 0 && errno == EINTR);
	expect(run, n >= 0, "readv() gives %s", errno_name(errno));
	left = n;
	for (int i = 0; i < 3 && left > 0; i++) {
		size_t part = (size_t)left < iov[i].iov_len ? (size_t)left : iov[i].iov_len;

		digest_add(digest, parts[i], part);
		left -= part;
	}
	return n;
}

static struct stream read_by_readv(struct run *run, int data_fd)
{
	struct digest *digest = digest_new(run);

	for (int i = 0; i < SMALL_CALLS_MAX; i++)
		if (!read_parts(run, data_fd, digest))
			break;
	read_more(run, data_fd, STEP, -1, digest);
	return digest_end(digest);
}

static struct stream read_by(struct run *run, int data_fd, size_t step)
{
	struct digest *digest = digest_new(run);
	char *buf = room(run, step);

	for (int i = 0; i < SMALL_CALLS_MAX; i++) {
		ssize_t n = read_data(run, data_fd, buf, step);

		expect(run, n >= 0, "read() of %zu bytes gives %s", step, errno_name(n));
		if (n == 0)
			break;
		digest_add(digest, buf, n);
	}
	free(buf);
	read_more(run, data_fd, STEP, -1, digest);
	return digest_end(digest);
}

void segmentation_is_free(struct run *run)
{
	static const size_t steps[] = { 1, 3, 4096, 65537, 16 << 20 };
	struct stream known = known_stream(run);
	int data_fd;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		char how[64];

		snprintf(how, sizeof(how), "read in steps of %zu bytes", steps[i]);
		data_fd = enter(run, S(STOP_COPY));
		expect_stream(run, read_by(run, data_fd, steps[i]), known, how);
		close(data_fd);
	}
	data_fd = enter(run, S(STOP_COPY));
	expect_stream(run, read_by_readv(run, data_fd), known, "read by readv()");
}

void read_of_nothing(struct run *run)
{
	struct stream known = known_stream(run);
	int data_fd = enter(run, S(STOP_COPY));
	char byte;
	ssize_t n = read_data(run, data_fd, &byte, 0);

	expect(run, n == 0, "read() of 0 bytes gives %s", errno_name(n));
	expect_stream(run, read_stream(run, data_fd, STEP, -1), known, "after a read of 0 bytes");
}

void bad_pointer_of_read(struct run *run)
{
	struct stream known = known_stream(run);
	int data_fd = enter(run, S(STOP_COPY));
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t n = read_data(run, data_fd, nowhere, 4096);

	expect(run, n == -EFAULT, "read() into memory that is not there gives %s",
	       n >= 0 ? "success" : errno_name(n));
	expect_stream(run, read_stream(run, data_fd, STEP, -1), known, "after EFAULT");
}

void session_ends_with_the_arc(struct run *run)
{
	int data_fd = enter(run, S(STOP_COPY));
	char buf[512];
	ssize_t n = read_data(run, data_fd, buf, 1);

	go(run, S(STOP));
	n = read_data(run, data_fd, buf, sizeof(buf));
	expect(run, n < 0, "read() of the data_fd in STOP gives %s",
	       n ? "data" : "0, as if the stream were whole");
}

void close_before_the_arc(struct run *run)
{
	struct stream known = known_stream(run);
	int data_fd = enter(run, S(STOP_COPY));
	char byte;
	int err;

	read_data(run, data_fd, &byte, 1);
	close(data_fd);
	err = set_state(run, S(STOP), NULL);
	expect(run, !err, "STOP_COPY -> STOP without the data_fd gives %s", errno_name(err));
	err = set_state(run, S(RUNNING), NULL);
	expect(run, !err, "STOP -> RUNNING then gives %s", errno_name(err));
	expect_stream(run, save_stream(run), known, "a new session");
}

void abort_without_draining(struct run *run)
{
	struct stream known = known_stream(run);
	const uint64_t parts[] = { 0, known.size / 2 };

	for (size_t i = 0; i < 2; i++) {
		int data_fd = enter(run, S(STOP_COPY)), err;
		static char buf[STEP];
		uint64_t total = 0;

		while (total < parts[i]) {
			size_t step =
				parts[i] - total < sizeof(buf) ? parts[i] - total : sizeof(buf);
			ssize_t n = read_data(run, data_fd, buf, step);

			if (n <= 0)
				break;
			total += n;
		}
		err = set_state(run, S(STOP), NULL);
		expect(run, !err, "STOP_COPY -> STOP after %llu of %llu bytes gives %s",
		       (unsigned long long)total, (unsigned long long)known.size, errno_name(err));
		expect_state(run, S(STOP));
		close(data_fd);
	}
}

void reset_ends_the_session(struct run *run)
{
	int data_fd = enter(run, S(STOP_COPY)), err;
	char buf[512];
	ssize_t n;

	read_data(run, data_fd, buf, 1);
	err = reset_device(run);
	expect(run, !err, "VFIO_DEVICE_RESET in STOP_COPY gives %s", errno_name(err));
	expect_state(run, S(RUNNING));
	n = read_data(run, data_fd, buf, sizeof(buf));
	expect(run, n < 0, "read() of the data_fd after a reset gives %s",
	       n ? "data" : "0, as if the stream were whole");
}

void descriptor_outlives_device(struct run *run)
{
	char buf[512];
	int data_fd;
	ssize_t n;

	open_device(run);
	data_fd = go(run, S(STOP_COPY));
	read_data(run, data_fd, buf, 1);
	close_device(run);
	n = read_data(run, data_fd, buf, sizeof(buf));
	expect(run, n < 0, "read() of the data_fd after the device is closed gives %s",
	       n ? "data" : "0, as if the stream were whole");
	doing(run, "closing the data_fd after the device");
	close(data_fd);
}

void session_is_one(struct run *run)
{
	int data_fd = enter(run, S(STOP_COPY)), second, err = set_state(run, S(STOP_COPY), &second);

	expect(run, !err && second == -1,
	       "a second SET_STATE of STOP_COPY gives %s and the data_fd %d", errno_name(err),
	       second);
	close(data_fd);
}

/* ---- Signals, other processes and threads ----------------------------------- */

static void ignore_it(int signal)
{
	(void)signal;
}

void signals_lose_nothing(struct run *run)
{
	struct stream known = known_stream(run);
	struct itimerspec every = { { 0, 1000000 }, { 0, 1000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct sigaction action = { .sa_handler = ignore_it };
	sigset_t usr1;
	timer_t timer;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigaction(SIGUSR1, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &every, NULL))
		test_skips(run, "no timer can be made: %s", errno_name(errno));
	for (int i = 0; i < 5; i++) {
		struct stream stream;
		int data_fd;

		/* An arc that is interrupted is another matter. */
		sigprocmask(SIG_BLOCK, &usr1, NULL);
		data_fd = enter(run, S(STOP_COPY));
		sigprocmask(SIG_UNBLOCK, &usr1, NULL);
		stream = read_by(run, data_fd, 4096);
		expect_stream(run, stream, known, "under a signal each millisecond");
		close(data_fd);
	}
}

void another_process_reads(struct run *run)
{
	struct stream known = known_stream(run), stream;
	int data_fd = enter(run, S(STOP_COPY)), pipes[2], status;
	pid_t pid;

	if (pipe(pipes))
		test_skips(run, "no pipe can be made: %s", errno_name(errno));
	pid = fork();
	if (pid < 0)
		test_skips(run, "no process can be made: %s", errno_name(errno));
	if (pid == 0) {
		/* The descriptor that it has is another one of the same file. */
		stream = read_stream(run, dup(data_fd), STEP, -1);
		(void)!write(pipes[1], &stream, sizeof(stream));
		_exit(0);
	}
	close(pipes[1]);
	if (read(pipes[0], &stream, sizeof(stream)) != sizeof(stream))
		_exit(0); /* that process has said why */
	waitpid(pid, &status, 0);
	expect_stream(run, stream, known, "read by another process");
}

/* ---- Two readers ---- */

/* How much two threads read side by side. One reads what comes after. */
#define TOGETHER   (1U << 20)
#define PIECE	   4096
#define PIECES_MAX 512

/* What one of the threads has read, piece by piece. */
struct reader {
	struct run *run;
	int data_fd;
	_Atomic uint64_t *total; /* of both */
	char *buf;
	unsigned int pieces;
	size_t ends[PIECES_MAX + 1]; /* where each piece ends in the buffer; the first one is 0 */
	int err;
};

static void *read_on_and_on(void *data)
{
	struct reader *reader = data;

	while (reader->pieces < PIECES_MAX && *reader->total < TOGETHER) {
		size_t used = reader->ends[reader->pieces];
		ssize_t n = read(reader->data_fd, reader->buf + used, PIECE);

		beat(reader->run);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			reader->err = -errno;
		if (n <= 0)
			break;
		reader->ends[++reader->pieces] = used + n;
		*reader->total += n;
	}
	return NULL;
}

/* Whether the pieces from @i and @k on, in some order, are the bytes of @known after the pieces
 * before. @seen has what was tried already. */
static bool fits(const char *known, const struct reader readers[2], unsigned int i, unsigned int k,
		 bool *seen)
{
	const char *at = known + readers[0].ends[i] + readers[1].ends[k];
	const unsigned int next[2] = { i, k };

	if (i == readers[0].pieces && k == readers[1].pieces)
		return true;
	if (seen[i * (PIECES_MAX + 1) + k])
		return false;
	seen[i * (PIECES_MAX + 1) + k] = true;
	for (int r = 0; r < 2; r++) {
		const struct reader *reader = &readers[r];
		size_t begin = reader->ends[next[r]];

		if (next[r] < reader->pieces &&
		    !memcmp(at, reader->buf + begin, reader->ends[next[r] + 1] - begin) &&
		    fits(known, readers, i + !r, k + r, seen))
			return true;
	}
	return false;
}

static void read_together(struct run *run, int data_fd, struct reader readers[2])
{
	static _Atomic uint64_t total;
	pthread_t threads[2];

	doing(run, "two threads that read the data_fd");
	for (int i = 0; i < 2; i++) {
		readers[i] = (struct reader){ .run = run,
					      .data_fd = data_fd,
					      .total = &total,
					      .buf = room(run, TOGETHER + 2 * PIECE) };
		if (pthread_create(&threads[i], NULL, read_on_and_on, &readers[i]))
			test_skips(run, "no thread can be made");
	}
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++)
		expect(run, !readers[i].err, "read() of one of two threads gives %s",
		       errno_name(readers[i].err));
}

void two_readers(struct run *run)
{
	struct stream known = known_stream(run), rest, known_rest;
	static struct reader readers[2];
	size_t total, done = 0;
	char *bytes;
	int data_fd = enter(run, S(STOP_COPY));

	read_together(run, data_fd, readers);
	rest = read_stream(run, data_fd, STEP, -1);
	close(data_fd);
	total = readers[0].ends[readers[0].pieces] + readers[1].ends[readers[1].pieces];
	expect(run, total + rest.size == known.size,
	       "two threads read %zu bytes, and %llu bytes are left then, of a stream of %llu",
	       total, (unsigned long long)rest.size, (unsigned long long)known.size);
	bytes = room(run, total + 1);
	data_fd = enter(run, S(STOP_COPY));
	while (done < total) {
		ssize_t n = read_data(run, data_fd, bytes + done, total - done);

		if (n <= 0)
			test_skips(run, "read() gives %s", errno_name(n));
		done += n;
	}
	known_rest = read_stream(run, data_fd, STEP, -1);
	expect(run, fits(bytes, readers, 0, 0, room(run, (PIECES_MAX + 1) * (PIECES_MAX + 1))),
	       "what two threads have read is not each byte of the stream once");
	expect(run, is_same(rest, known_rest),
	       "the bytes are others that come after what two threads have read");
}

void nonblocking_reads(struct run *run)
{
	int data_fd = enter(run, S(STOP_COPY));
	struct pollfd p = { .fd = data_fd, .events = POLLIN };
	unsigned int again = 0, untrue = 0;
	uint64_t total = 0;
	char buf[65536];

	fcntl(data_fd, F_SETFL, O_RDONLY | O_NONBLOCK);
	for (;;) {
		bool ready = poll(&p, 1, 0) == 1;
		ssize_t n = read_data(run, data_fd, buf, sizeof(buf));

		if (n == 0)
			break;
		if (n == -EAGAIN) {
			again++;
			untrue += ready;
			poll(&p, 1, 100);
			continue;
		}
		warn_unless(run, n > 0, "read() with O_NONBLOCK gives %s", errno_name(n));
		untrue += !ready;
		total += n;
	}
	note(run,
	     "with O_NONBLOCK: %llu bytes, EAGAIN %u times, poll() and read() disagree %u times",
	     (unsigned long long)total, again, untrue);
}

/* ---- What is in the stream ------------------------------------------------- */

/* Whether the stream's format has no meaning for these bytes. */
static bool is_unused(const struct vfiomig_record *record)
{
	if (record->kind == VFIOMIG_RECORD_OPAQUE)
		return !strcmp(record->name, "unused") || !strcmp(record->name, "beyond the end");
	return record->kind == VFIOMIG_RECORD_FIELD &&
	       (strstr(record->name, "reserved") || strstr(record->name, "padding"));
}

static int expect_unused_is_zero(void *data, const struct vfiomig_record *record)
{
	struct run *run = data;
	static char buf[65536];
	uint64_t end = record->offset + record->size;

	beat(run);
	for (uint64_t at = record->offset; is_unused(record) && at < end;) {
		size_t size = end - at < sizeof(buf) ? end - at : sizeof(buf);
		ssize_t n = pread(run->reference, buf, size, at);

		if (n <= 0)
			test_skips(run, "the temporary file cannot be read: %s", errno_name(errno));
		for (ssize_t i = 0; i < n; i++)
			expect(run, !buf[i], "the stream has the byte %#x at %llu, which is %s",
			       (unsigned char)buf[i], (unsigned long long)(at + i), record->name);
		at += n;
		beat(run);
	}
	return 0;
}

void unused_is_zero(struct run *run)
{
	const char *driver = run->target->driver;
	int err;

	if (!vfiomig_format_is_known(driver))
		test_skips(run, "the format of this driver's streams is not known");
	reference_stream(run);
	doing(run, "going through the records of the stream");
	lseek(run->reference, 0, SEEK_SET);
	err = vfiomig_walk(run->ctx, run->reference, driver, NULL, expect_unused_is_zero, run);
	if (err)
		test_skips(run, "the stream cannot be gone through: %s",
			   vfiomig_get_error(run->ctx));
}

/* ---- Figures ---------------------------------------------------------------- */

void size_estimate(struct run *run)
{
	struct vfio_device_feature_mig_data_size running = { 0 }, stopped = { 0 };
	uint32_t flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE;
	struct stream stream;
	int err = feature(run, flags, &running, sizeof(running));

	if (err)
		test_skips(run, "MIG_DATA_SIZE in RUNNING gives %s", errno_name(err));
	go(run, S(STOP));
	err = feature(run, flags, &stopped, sizeof(stopped));
	if (err)
		test_skips(run, "MIG_DATA_SIZE in STOP gives %s", errno_name(err));
	stream = save_stream(run);
	note(run, "the stream has %llu bytes; the estimate was %llu in RUNNING and %llu in STOP",
	     (unsigned long long)stream.size, (unsigned long long)running.stop_copy_length,
	     (unsigned long long)stopped.stop_copy_length);
	warn_unless(run, stream.size <= stopped.stop_copy_length,
		    "the stream has %llu bytes, more than the estimate of %llu",
		    (unsigned long long)stream.size, (unsigned long long)stopped.stop_copy_length);
}

void throughput(struct run *run)
{
	double begin = seconds(), first, end;
	struct digest *digest = digest_new(run);
	struct stream stream;
	char byte;
	int data_fd = go(run, S(STOP_COPY));

	if (read_data(run, data_fd, &byte, 1) == 1)
		digest_add(digest, &byte, 1);
	first = seconds();
	read_more(run, data_fd, STEP, -1, digest);
	end = seconds();
	stream = digest_end(digest);
	note(run, "%llu bytes in %.3f ms, the first one after %.3f ms: %.0f MB/s",
	     (unsigned long long)stream.size, (end - begin) * 1e3, (first - begin) * 1e3,
	     stream.size / 1e6 / (end - first > 1e-9 ? end - first : 1e-9));
}

static void save_nothing(struct run *run)
{
	close(enter(run, S(STOP_COPY)));
}

void sessions_leave_nothing(struct run *run)
{
	expect_no_growth(run, save_nothing, "sessions");
}
