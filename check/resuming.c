// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about loading a stream in RESUMING. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "memory.h"
#include "stream.h"
#include "tests.h"

/* Where a stream was refused. */
enum refusal {
	LOADED,
	BY_WRITE,
	BY_ARC
};

/* Begin to load: reset, and go to RESUMING. */
static int begin(struct run *run)
{
	enter(run, S(RUNNING));
	return go(run, S(RESUMING));
}

/* End a session: SET_STATE to STOP. */
static enum refusal finish(struct run *run, int data_fd, int *err)
{
	*err = set_state(run, S(STOP), NULL);
	close(data_fd);
	return *err ? BY_ARC : LOADED;
}

/* Load what @load says into a device that was reset. */
static enum refusal try_load(struct run *run, const struct load *load, int *err)
{
	int data_fd = begin(run);

	*err = write_stream(run, data_fd, load);
	if (*err) {
		close(data_fd);
		return BY_WRITE;
	}
	return finish(run, data_fd, err);
}

static void expect_load(struct run *run, const struct load *load, const char *how)
{
	int err;
	enum refusal refusal = try_load(run, load, &err);

	expect(run, refusal == LOADED, "%s: %s gives %s", how,
	       refusal == BY_WRITE ? "write()" : "RESUMING -> STOP", errno_name(err));
	expect_state(run, S(STOP));
}

void load_in_any_steps(struct run *run)
{
	size_t steps[] = { 1, 3, 4096, 1 << 20 };

	reference_stream(run);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct load load = { .file = -1, .step = steps[i] };
		char how[64];

		snprintf(how, sizeof(how), "written in steps of %zu bytes", steps[i]);
		expect_load(run, &load, how);
	}
	expect_load(run, &(struct load){ .file = -1, .step = 65536, .with_writev = 3 },
		    "written by writev()");
}

void round_trip(struct run *run)
{
	struct load whole = { .file = -1 };
	struct stream first, second;

	reference_stream(run);
	enter(run, S(RUNNING));
	first = save_stream(run);
	note(run, "the stream of the device after a reset has %llu bytes",
	     (unsigned long long)run->shared->reference_size);
	expect_load(run, &whole, "the device's own stream");
	second = save_stream(run);
	/* This is no must: a stream may have times in it. */
	expect(run, first.size == second.size && first.digest == second.digest,
	       "saved, loaded and saved again, the stream is another one: %llu and %llu bytes; it may have times in it",
	       (unsigned long long)first.size, (unsigned long long)second.size);
}

static void expect_refusal(struct run *run, const struct load *load, const char *what)
{
	int err;

	expect(run, try_load(run, load, &err) != LOADED, "%s is loaded", what);
}

/* The lengths of streams that end too early. */
static void expect_early_ends_refused(struct run *run, uint64_t size, const char *when)
{
	const uint64_t lengths[] = { 0, 1, size / 2, size - 1 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		char what[128];

		if (lengths[i] >= size)
			continue;
		snprintf(what, sizeof(what), "a stream of %llu instead of %llu bytes%s",
			 (unsigned long long)lengths[i], (unsigned long long)size, when);
		/* An offset of the end, because 0 to 0 means the whole stream. */
		if (lengths[i] == 0) {
			int err, data_fd = begin(run);

			expect(run, finish(run, data_fd, &err) != LOADED, "%s is loaded", what);
		} else {
			expect_refusal(run, &(struct load){ .file = -1, .to = lengths[i] }, what);
		}
	}
}

void incomplete_is_refused(struct run *run)
{
	expect_early_ends_refused(run, reference_stream(run).size, "");
}

void bad_header_is_refused(struct run *run)
{
	uint64_t size = reference_stream(run).size;
	unsigned int accepted = 0;

	expect_refusal(run, &(struct load){ .file = -1, .invert = size < 16 ? size : 16 },
		       "a stream whose first 16 bytes are inverted");
	for (uint64_t i = 0; i < 64 && i < size; i++) {
		struct load load = { .file = -1, .invert_at = i, .invert = 1 };
		int err;

		accepted += try_load(run, &load, &err) == LOADED;
	}
	note(run, "each of the first bytes inverted alone: %u of %llu streams are loaded", accepted,
	     (unsigned long long)(size < 64 ? size : 64));
}

void too_long_is_refused(struct run *run)
{
	const struct load whole = { .file = -1 };
	int data_fd, err;
	char byte = 0;
	ssize_t n;

	reference_stream(run);
	data_fd = begin(run);
	err = write_stream(run, data_fd, &whole);
	if (err)
		test_skips(run, "the device refuses its own stream: %s", errno_name(err));
	n = write_data(run, data_fd, &byte, 1);
	expect(run, n < 0 || finish(run, data_fd, &err) != LOADED,
	       "a stream with one byte more is loaded");
	data_fd = begin(run);
	err = write_stream(run, data_fd, &whole) ?: write_stream(run, data_fd, &whole);
	expect(run, err || finish(run, data_fd, &err) != LOADED,
	       "a stream that comes twice is loaded");
}

void mixed_streams(struct run *run)
{
	uint64_t size = reference_stream(run).size;
	int data_fd, err, other = new_file(run);
	struct stream second;

	/* Another session of the same device. */
	data_fd = enter(run, S(STOP_COPY));
	second = read_stream(run, data_fd, 1 << 20, other);
	close(data_fd);
	if (second.size != size)
		test_skips(run, "two streams of the device have different lengths");
	data_fd = begin(run);
	err = write_stream(run, data_fd, &(struct load){ .file = -1, .to = size / 2 })
		      ?: write_stream(
				 run, data_fd,
				 &(struct load){ .file = other, .from = size / 2, .to = size });
	note(run, "halves of two sessions: %s",
	     err || finish(run, data_fd, &err) != LOADED ? "refused" : "loaded");
}

void refusal_leaves_a_way_out(struct run *run)
{
	uint64_t size = reference_stream(run).size;
	const struct load half = { .file = -1, .to = size / 2 ?: 1 }, whole = { .file = -1 };
	int err, state;

	if (try_load(run, &half, &err) == LOADED)
		test_skips(run, "the device loads half of a stream");
	state = get_state(run);
	expect(run, state == S(RESUMING) || state == S(STOP) || state == S(ERROR),
	       "the device is in %s after it has refused a stream", vfiomig_state_name(state));
	note(run, "the device is in %s after it has refused a stream", vfiomig_state_name(state));
	err = reset_device(run);
	expect(run, !err, "VFIO_DEVICE_RESET in %s gives %s", vfiomig_state_name(state),
	       errno_name(err));
	expect_state(run, S(RUNNING));
	expect_load(run, &whole, "a good stream after a reset");
}

void reset_aborts_resuming(struct run *run)
{
	uint64_t size = reference_stream(run).size;
	const uint64_t parts[] = { 0, size / 2, size };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		int data_fd = begin(run), err = 0;
		char byte = 0;
		ssize_t n;

		if (parts[i])
			err = write_stream(run, data_fd,
					   &(struct load){ .file = -1, .to = parts[i] });
		if (err)
			test_skips(run, "the device refuses its own stream: %s", errno_name(err));
		err = reset_device(run);
		expect(run, !err, "VFIO_DEVICE_RESET in RESUMING gives %s", errno_name(err));
		expect_state(run, S(RUNNING));
		n = write_data(run, data_fd, &byte, 1);
		expect(run, n < 0, "write() to the data_fd after a reset succeeds");
		close(data_fd);
	}
}

void load_and_run(struct run *run)
{
	int data_fd = enter(run, S(RESUMING)), err = set_state(run, S(RUNNING), NULL);

	expect(run, !err, "RESUMING -> RUNNING with a whole stream gives %s", errno_name(err));
	expect_state(run, S(RUNNING));
	close(data_fd);
}

void write_after_the_end(struct run *run)
{
	int data_fd = enter(run, S(RESUMING));
	char byte = 0;
	ssize_t n;

	go(run, S(STOP));
	n = write_data(run, data_fd, &byte, 1);
	expect(run, n < 0, "write() to the data_fd in STOP succeeds");
	expect_state(run, S(STOP));
}

void bad_pointer_of_write(struct run *run)
{
	int data_fd, err;
	void *nowhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ssize_t n;

	reference_stream(run);
	data_fd = begin(run);
	n = write_data(run, data_fd, nowhere, 8);
	expect(run, n == -EFAULT, "write() from memory that is not there gives %s",
	       n >= 0 ? "success" : errno_name(n));
	err = reset_device(run);
	expect(run, !err, "VFIO_DEVICE_RESET then gives %s", errno_name(err));
	expect_state(run, S(RUNNING));
}

void write_counts(struct run *run)
{
	const struct load whole = { .file = -1, .step = 1000 };
	int err;

	reference_stream(run);
	/* write_stream() looks at each count. */
	if (try_load(run, &whole, &err) != LOADED)
		test_skips(run, "the device refuses its own stream: %s", errno_name(err));
}

/* A stream of nothing that any driver writes. */
void foreign_stream_is_refused(struct run *run)
{
	uint64_t size = reference_stream(run).size, done = 0;
	static char foreign[65536];
	int data_fd, err = 0;

	for (size_t i = 0; i < sizeof(foreign); i++)
		foreign[i] = "QEVM vfiomig "[i % 13];
	data_fd = begin(run);
	while (done < size && !err) {
		size_t step = size - done < sizeof(foreign) ? size - done : sizeof(foreign);
		ssize_t n = write_data(run, data_fd, foreign, step);

		if (n <= 0)
			err = n ?: -EIO;
		else
			done += n;
	}
	expect(run, err || finish(run, data_fd, &err) != LOADED,
	       "the stream of another device is loaded");
}

void garbage_is_refused(struct run *run)
{
	static char zeros[1 << 20];
	uint64_t total = 0, bound = 2 * plausible_size(run) + (64U << 20), before, now;
	int data_fd = begin(run), err;
	ssize_t n = 0;

	before = available_memory(run);
	do {
		n = write_data(run, data_fd, zeros, sizeof(zeros));
		if (n > 0)
			total += n;
		/* Before the driver has taken all memory. */
		now = available_memory(run);
		expect(run, before < now + bound,
		       "the driver keeps %llu bytes of what is no stream, after %llu bytes of it",
		       (unsigned long long)(before - now), (unsigned long long)total);
	} while (n > 0 && total < 2 * bound);
	note(run, "%llu bytes of zeros are taken, then write() gives %s", (unsigned long long)total,
	     n < 0 ? errno_name(n) : "no error");
	expect(run, n < 0 || finish(run, data_fd, &err) != LOADED, "zeros are loaded");
}

void killed_while_resuming(struct run *run)
{
	pid_t pid;
	int status;

	open_device(run);
	reference_stream(run);
	close_device(run);
	pid = fork();
	if (pid < 0)
		test_skips(run, "no process can be made: %s", errno_name(errno));
	if (pid == 0) {
		int data_fd;

		open_device(run);
		data_fd = go(run, S(RESUMING));
		(void)write_stream(
			run, data_fd,
			&(struct load){ .file = -1, .to = run->shared->reference_size / 2 ?: 1 });
		raise(SIGKILL);
	}
	waitpid(pid, &status, 0);
	if (!WIFSIGNALED(status))
		_exit(0); /* that process has said why */
	open_device(run);
	expect_state(run, S(RUNNING));
}

void resuming_from_running(struct run *run)
{
	int data_fd, err;

	enter(run, S(RUNNING));
	err = set_state(run, S(RESUMING), &data_fd);
	expect(run, !err, "RUNNING -> RESUMING gives %s", errno_name(err));
	expect(run, data_fd >= 0, "RUNNING -> RESUMING gives no data_fd");
	expect_state(run, S(RESUMING));
}

void refused_write_refuses_the_session(struct run *run)
{
	uint64_t size = reference_stream(run).size, begin_at = size < 16 ? size : 16;
	int data_fd = begin(run), err, wrote;

	wrote = write_stream(run, data_fd,
			     &(struct load){ .file = -1, .to = begin_at, .invert = begin_at });
	if (!wrote && begin_at < size)
		wrote = write_stream(run, data_fd,
				     &(struct load){ .file = -1, .from = begin_at, .to = size });
	if (!wrote)
		test_skips(run, "write() takes a stream with a bad header");
	/* The rest, as if nothing had happened. */
	(void)write_stream(run, data_fd,
			   &(struct load){ .file = -1, .from = begin_at, .to = size });
	expect(run, finish(run, data_fd, &err) != LOADED,
	       "write() has refused the stream with %s, and RESUMING -> STOP loads it",
	       errno_name(wrote));
}

void each_session_is_checked(struct run *run)
{
	uint64_t size = reference_stream(run).size;
	int data_fd, err;

	close(enter(run, S(RESUMING)));
	go(run, S(STOP));
	data_fd = go(run, S(RESUMING));
	err = write_stream(
		run, data_fd,
		&(struct load){ .file = -1, .to = size / 2 ?: 1, .invert = size < 16 ? size : 16 });
	expect(run, err || finish(run, data_fd, &err) != LOADED,
	       "a bad stream is loaded after a good one");
}

void no_leftovers(struct run *run)
{
	uint64_t size = reference_stream(run).size;

	expect_early_ends_refused(run, size, "");
	/* After a save */
	for (int loaded = 0; loaded < 2; loaded++) {
		const uint64_t lengths[] = { 1, size / 2, size - 1 };

		for (size_t i = 0; i < 3; i++) {
			int data_fd, err;

			if (!lengths[i] || lengths[i] >= size)
				continue;
			if (loaded) {
				close(enter(run, S(RESUMING)));
				go(run, S(STOP));
			} else {
				enter(run, S(RUNNING));
				save_stream(run);
			}
			data_fd = go(run, S(RESUMING));
			err = write_stream(run, data_fd,
					   &(struct load){ .file = -1, .to = lengths[i] });
			expect(run, err || finish(run, data_fd, &err) != LOADED,
			       "%llu of %llu bytes are loaded after a %s",
			       (unsigned long long)lengths[i], (unsigned long long)size,
			       loaded ? "load" : "save");
		}
	}
}
