// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about PRE_COPY. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stream.h"
#include "tests.h"

#define STEP (1U << 20)

static struct vfio_precopy_info info_of(struct run *run, int data_fd)
{
	struct vfio_precopy_info info = { 0 };
	int err = precopy_info(run, data_fd, &info);

	if (err)
		test_skips(run, "this needs VFIO_MIG_GET_PRECOPY_INFO, which gives %s",
			   errno_name(err));
	return info;
}

/* Load the stream in @file, which has @size bytes, and say why not if the device refuses it. */
static void expect_loads(struct run *run, int file, uint64_t size, const char *what)
{
	const struct load load = { .file = file, .to = size };
	int data_fd, err;

	enter(run, S(RUNNING));
	data_fd = go(run, S(RESUMING));
	err = write_stream(run, data_fd, &load);
	expect(run, !err, "%s: write() gives %s", what, errno_name(err));
	err = set_state(run, S(STOP), NULL);
	expect(run, !err, "%s: RESUMING -> STOP gives %s", what, errno_name(err));
	close(data_fd);
}

void precopy_gives_descriptor(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));

	expect(run, data_fd >= 0, "RUNNING -> PRE_COPY gives no data_fd, but %d", data_fd);
}

static void expect_no_new(struct run *run, int to)
{
	int from = run->state, data_fd, err = set_state(run, to, &data_fd);

	expect(run, !err, "%s -> %s gives %s", vfiomig_state_name(from), vfiomig_state_name(to),
	       errno_name(err));
	expect(run, data_fd == -1, "%s -> %s gives the data_fd %d", vfiomig_state_name(from),
	       vfiomig_state_name(to), data_fd);
}

void session_goes_on(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));
	char byte;
	ssize_t n;

	if (has_state(run, S(PRE_COPY_P2P))) {
		for (int i = 0; i < 10; i++) {
			expect_no_new(run, S(PRE_COPY_P2P));
			expect_no_new(run, S(PRE_COPY));
			n = read_data(run, data_fd, &byte, 1);
			expect(run, n >= 0 || is_temporary_end(n), "read() then gives %s",
			       errno_name(n));
		}
	}
	expect_no_new(run, S(STOP_COPY));
	read_stream(run, data_fd, STEP, -1);
}

void info_in_precopy_only(struct run *run)
{
	static const int states[] = { S(PRE_COPY), S(PRE_COPY_P2P) };
	struct vfio_precopy_info info = { 0 };
	int data_fd = -1, err;

	for (size_t i = 0; i < 2; i++) {
		if (!has_state(run, states[i]))
			continue;
		data_fd = enter(run, states[i]);
		err = precopy_info(run, data_fd, &info);
		expect(run, !err, "VFIO_MIG_GET_PRECOPY_INFO in %s gives %s",
		       vfiomig_state_name(states[i]), errno_name(err));
	}
	go(run, S(STOP_COPY));
	err = precopy_info(run, data_fd, &info);
	expect(run, err, "VFIO_MIG_GET_PRECOPY_INFO in STOP_COPY succeeds");
	warn_unless(run, err == -EINVAL, "VFIO_MIG_GET_PRECOPY_INFO in STOP_COPY gives %s",
		    errno_name(err));
	go(run, S(STOP));
	err = precopy_info(run, data_fd, &info);
	expect(run, err, "VFIO_MIG_GET_PRECOPY_INFO in STOP succeeds");
	data_fd = enter(run, S(RUNNING));
	data_fd = go(run, S(RESUMING));
	err = precopy_info(run, data_fd, &info);
	expect(run, err, "VFIO_MIG_GET_PRECOPY_INFO in RESUMING succeeds");
	warn_unless(run, err == -EINVAL || err == -ENOTTY,
		    "VFIO_MIG_GET_PRECOPY_INFO in RESUMING gives %s", errno_name(err));
}

void info_argsz(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY)), err;
	struct {
		struct vfio_precopy_info info;
		uint64_t beyond[4];
	} at;

	memset(&at, 0xa5, sizeof(at));
	at.info.argsz = 23;
	err = precopy_info(run, data_fd, &at.info);
	expect(run, err == -EINVAL, "an argsz of 23 gives %s", errno_name(err));
	at.info = (struct vfio_precopy_info){ .argsz = 24 };
	err = precopy_info(run, data_fd, &at.info);
	expect(run, !err, "an argsz of 24 gives %s", errno_name(err));
	at.info = (struct vfio_precopy_info){ .argsz = 4096 };
	err = precopy_info(run, data_fd, &at.info);
	expect(run, !err, "an argsz of 4096 gives %s", errno_name(err));
	for (size_t i = 0; i < 4; i++)
		expect(run, at.beyond[i] == 0xa5a5a5a5a5a5a5a5,
		       "VFIO_MIG_GET_PRECOPY_INFO wrote beyond its structure");
}

void initial_bytes_at_first(struct run *run)
{
	struct vfio_precopy_info info = info_of(run, go(run, S(PRE_COPY)));

	expect(run, info.initial_bytes > 0,
	       "the first VFIO_MIG_GET_PRECOPY_INFO has no initial_bytes");
	note(run, "initial_bytes are %llu at first", (unsigned long long)info.initial_bytes);
}

void no_dirty_bytes_at_first(struct run *run)
{
	struct vfio_precopy_info info = info_of(run, go(run, S(PRE_COPY)));

	expect(run, info.dirty_bytes == 0,
	       "the first VFIO_MIG_GET_PRECOPY_INFO has %llu dirty_bytes",
	       (unsigned long long)info.dirty_bytes);
}

/* How many calls a test makes at most, if the device has a lot to say. */
#define CALLS_MAX 2000

/* So many bytes of a read() that about so many calls go over all that the device has at first. */
static size_t step_of(const struct vfio_precopy_info *info, size_t least)
{
	uint64_t part = info->initial_bytes / 64;

	return part < least ? least : part < STEP ? part : STEP;
}

/* Whether a test has seen enough of a device that changes all the time. What the driver says of the
 * size may be nonsense. */
static bool is_enough(uint64_t total, const struct vfio_precopy_info *first)
{
	return total > UNKNOWN_SIZE_MAX || total / 2 > first->initial_bytes + (16U << 20);
}

void initial_bytes_decrease(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));
	struct vfio_precopy_info before = info_of(run, data_fd), now;
	static char buf[STEP];
	size_t step = step_of(&before, 64);

	for (int i = 0; i < CALLS_MAX && before.initial_bytes; i++) {
		ssize_t n = read_data(run, data_fd, buf, step);

		if (is_temporary_end(n)) {
			expect(run, before.initial_bytes == 0,
			       "read() says that there is nothing more, and initial_bytes are %llu",
			       (unsigned long long)before.initial_bytes);
			break;
		}
		expect(run, n > 0, "read() gives %s", errno_name(n));
		now = info_of(run, data_fd);
		if (!(now.flags & VFIO_PRECOPY_INFO_REINIT))
			expect(run, now.initial_bytes <= before.initial_bytes,
			       "initial_bytes grow from %llu to %llu while data is read",
			       (unsigned long long)before.initial_bytes,
			       (unsigned long long)now.initial_bytes);
		before = now;
	}
}

void info_has_no_side_effects(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));
	struct vfio_precopy_info first = info_of(run, data_fd), now;

	for (int i = 0; i < 1000; i++) {
		now = info_of(run, data_fd);
		expect(run, now.initial_bytes == first.initial_bytes,
		       "initial_bytes change from %llu to %llu, and nothing was read",
		       (unsigned long long)first.initial_bytes,
		       (unsigned long long)now.initial_bytes);
	}
	expect_state(run, S(PRE_COPY));
}

/* Read until the device has nothing more. Returns what the last read() gave. */
static ssize_t drain(struct run *run, int data_fd)
{
	static char buf[STEP];
	uint64_t total = 0;
	ssize_t n;

	while ((n = read_data(run, data_fd, buf, sizeof(buf))) > 0)
		expect_quiet(run, total += n);
	return n;
}

void temporary_end_is_enomsg(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));
	ssize_t n = drain(run, data_fd);

	expect(run, n == -ENOMSG, "when there is nothing more for now, read() gives %s",
	       n ? errno_name(n) : "0, which means that the stream has ended for ever");
}

void info_and_read_agree(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));
	struct vfio_precopy_info first = info_of(run, data_fd), info;
	size_t step = step_of(&first, 4096);
	static char buf[STEP];
	uint64_t total = 0;
	ssize_t n;

	while (!is_enough(total, &first)) {
		info = info_of(run, data_fd);
		n = read_data(run, data_fd, buf, step);
		if (info.initial_bytes || info.dirty_bytes)
			expect(run, n > 0,
			       "%llu initial_bytes and %llu dirty_bytes are left, and read() gives %s",
			       (unsigned long long)info.initial_bytes,
			       (unsigned long long)info.dirty_bytes, n ? errno_name(n) : "0");
		if (n <= 0)
			return;
		total += n;
	}
}

void no_poll_at_temporary_end(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));
	struct pollfd p = { .fd = data_fd, .events = POLLIN };

	if (drain(run, data_fd) != -ENOMSG)
		test_skips(run, "read() does not give ENOMSG");
	doing(run, "poll of the data_fd at the temporary end");
	expect(run, poll(&p, 1, 100) == 0,
	       "poll() says that there is something to be read, and read() gives ENOMSG");
}

/* How much is read in PRE_COPY */
enum part {
	NOTHING,
	A_BYTE,
	HALF,
	ALL,
};

/* Save by way of PRE_COPY, of which this part of the initial bytes is read, into @file. Returns the
 * bytes of the stream. */
static uint64_t save_with_precopy(struct run *run, int file, enum part part)
{
	int data_fd = enter(run, S(PRE_COPY));
	struct vfio_precopy_info info = info_of(run, data_fd);
	const uint64_t bytes[] = {
		[NOTHING] = 0, [A_BYTE] = 1, [HALF] = info.initial_bytes / 2, [ALL] = UINT64_MAX
	};
	struct digest *digest = digest_new(run);

	read_precopy(run, data_fd, bytes[part], file, digest);
	go(run, S(STOP_COPY));
	read_more(run, data_fd, STEP, file, digest);
	close(data_fd);
	return digest_end(digest).size;
}

void precopy_is_part_of_the_stream(struct run *run)
{
	int file = new_file(run);
	uint64_t size = save_with_precopy(run, file, ALL);

	expect_loads(run, file, size, "what was read in PRE_COPY and STOP_COPY");
}

void precopy_can_be_left_early(struct run *run)
{
	static const struct {
		enum part part;
		const char *what;
	} cases[] = {
		{ NOTHING, "a stream of which nothing was read in PRE_COPY" },
		{ A_BYTE, "a stream of which one byte was read in PRE_COPY" },
		{ HALF, "a stream of which half of the initial bytes were read in PRE_COPY" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int file = new_file(run);
		uint64_t size = save_with_precopy(run, file, cases[i].part);

		expect_loads(run, file, size, cases[i].what);
		close(file);
	}
}

void precopy_session_ends(struct run *run)
{
	for (int i = 0; i < 100; i++) {
		int data_fd = go(run, S(PRE_COPY));
		char byte;
		ssize_t n;

		go(run, S(RUNNING));
		n = read_data(run, data_fd, &byte, 1);
		expect(run, n < 0 && n != -ENOMSG, "read() of the data_fd in RUNNING gives %s",
		       n > 0 ? "data" : errno_name(n));
		close(data_fd);
	}
}

void no_precopy_without_the_flag(struct run *run)
{
	static const int targets[] = { S(PRE_COPY), S(PRE_COPY_P2P) };

	if (has_state(run, S(PRE_COPY)))
		test_unsupported(run, "the device has PRE_COPY");
	for (int from = 1; from < VFIOMIG_NR_STATES; from++) {
		if (!has_state(run, from) || from == S(STOP_COPY))
			continue;
		for (size_t i = 0; i < 2; i++) {
			int data_fd, err;

			enter(run, from);
			err = set_state(run, targets[i], &data_fd);
			expect(run, err, "SET_STATE %s -> %s succeeds", vfiomig_state_name(from),
			       vfiomig_state_name(targets[i]));
			expect_state(run, from);
		}
	}
}

void precopy_by_combination(struct run *run)
{
	static const int from[] = { S(STOP), S(RUNNING_P2P) };

	for (size_t i = 0; i < 2; i++) {
		int data_fd, err;

		if (!has_state(run, from[i]))
			continue;
		enter(run, from[i]);
		err = set_state(run, S(PRE_COPY), &data_fd);
		expect(run, !err, "%s -> PRE_COPY gives %s", vfiomig_state_name(from[i]),
		       errno_name(err));
		expect(run, data_fd >= 0, "%s -> PRE_COPY gives no data_fd",
		       vfiomig_state_name(from[i]));
		close(data_fd);
	}
}

void reset_in_precopy(struct run *run)
{
	static const int states[] = { S(PRE_COPY), S(PRE_COPY_P2P) };

	for (size_t i = 0; i < 2; i++) {
		int data_fd, err;
		char byte;
		ssize_t n;

		if (!has_state(run, states[i]))
			continue;
		data_fd = enter(run, states[i]);
		read_data(run, data_fd, &byte, 1);
		err = reset_device(run);
		expect(run, !err, "VFIO_DEVICE_RESET in %s gives %s", vfiomig_state_name(states[i]),
		       errno_name(err));
		expect_state(run, S(RUNNING));
		n = read_data(run, data_fd, &byte, 1);
		expect(run, n < 0 && n != -ENOMSG, "read() of the data_fd after a reset gives %s",
		       n > 0 ? "data" : errno_name(n));
		close(data_fd);
	}
}

void info_flags(struct run *run)
{
	struct vfio_precopy_info info = { .flags = 0 };
	int data_fd = go(run, S(PRE_COPY)), err = precopy_info(run, data_fd, &info);

	if (!err)
		note(run, "flags of 0 come back as %#x", info.flags);
	info = (struct vfio_precopy_info){ .flags = ~0U };
	err = precopy_info(run, data_fd, &info);
	note(run, "flags of 0xffffffff give %s and come back as %#x", errno_name(err), info.flags);
}

/* ---- MIG_PRECOPY_INFOv2 ------------------------------------------------------ */

#define INFOV2 VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2

void infov2_can_be_set(struct run *run)
{
	uint64_t data = 0;
	int err = feature(run, VFIO_DEVICE_FEATURE_SET | INFOV2, NULL, 0);

	expect(run, !err, "SET of MIG_PRECOPY_INFOv2 gives %s", errno_name(err));
	err = feature(run, VFIO_DEVICE_FEATURE_SET | INFOV2, NULL, 0);
	expect(run, !err, "SET of MIG_PRECOPY_INFOv2 for the second time gives %s",
	       errno_name(err));
	err = feature(run, VFIO_DEVICE_FEATURE_SET | INFOV2, &data, sizeof(data));
	expect(run, !err, "SET of MIG_PRECOPY_INFOv2 with data gives %s", errno_name(err));
	err = feature(run, VFIO_DEVICE_FEATURE_GET | INFOV2, NULL, 0);
	expect(run, err == -EINVAL, "GET of MIG_PRECOPY_INFOv2 gives %s", errno_name(err));
}

static void opt_in(struct run *run)
{
	int err = feature(run, VFIO_DEVICE_FEATURE_SET | INFOV2, NULL, 0);

	if (err)
		test_skips(run, "SET of MIG_PRECOPY_INFOv2 gives %s", errno_name(err));
}

void infov2_flags_are_zero(struct run *run)
{
	struct vfio_precopy_info info = { .flags = ~0U };
	int data_fd, err;

	opt_in(run);
	data_fd = go(run, S(PRE_COPY));
	err = precopy_info(run, data_fd, &info);
	expect(run, !err, "VFIO_MIG_GET_PRECOPY_INFO with flags of 0xffffffff gives %s",
	       errno_name(err));
	expect(run, !(info.flags & ~VFIO_PRECOPY_INFO_REINIT),
	       "flags of 0xffffffff come back as %#x", info.flags);
}

/* Read the session to its temporary end, and look at each VFIO_MIG_GET_PRECOPY_INFO. */
static unsigned int look_for_reinit(struct run *run,
				    void (*fn)(struct run *run,
					       const struct vfio_precopy_info *info, int data_fd))
{
	struct vfio_precopy_info first, info;
	static char buf[STEP];
	unsigned int seen = 0;
	uint64_t total = 0;
	int data_fd;
	ssize_t n;

	opt_in(run);
	data_fd = go(run, S(PRE_COPY));
	info = first = info_of(run, data_fd);
	while (!is_enough(total, &first)) {
		if (info.flags & VFIO_PRECOPY_INFO_REINIT) {
			seen++;
			fn(run, &info, data_fd);
		}
		n = read_data(run, data_fd, buf, step_of(&first, 4096));
		if (n <= 0)
			break;
		total += n;
		info = info_of(run, data_fd);
	}
	return seen;
}

static void expect_new_start(struct run *run, const struct vfio_precopy_info *info, int data_fd)
{
	(void)data_fd;
	expect(run, info->dirty_bytes == 0, "with REINIT dirty_bytes are %llu",
	       (unsigned long long)info->dirty_bytes);
	warn_unless(run, info->initial_bytes > 0, "with REINIT initial_bytes are 0");
}

void reinit_starts_again(struct run *run)
{
	if (!look_for_reinit(run, expect_new_start))
		test_unsupported(run, "the device has not set REINIT");
}

static void expect_edge(struct run *run, const struct vfio_precopy_info *info, int data_fd)
{
	struct vfio_precopy_info next = info_of(run, data_fd);

	(void)info;
	expect(run, !(next.flags & VFIO_PRECOPY_INFO_REINIT),
	       "REINIT is set again in the next VFIO_MIG_GET_PRECOPY_INFO");
}

void reinit_is_an_edge(struct run *run)
{
	if (!look_for_reinit(run, expect_edge))
		test_unsupported(run, "the device has not set REINIT");
}

void precopy_is_as_large_as_said(struct run *run)
{
	int data_fd = go(run, S(PRE_COPY));
	struct vfio_precopy_info first = info_of(run, data_fd), info;
	uint64_t said = first.initial_bytes, total = 0, dirty = 0;
	static char buf[STEP];

	while (!is_enough(total, &first)) {
		ssize_t n = read_data(run, data_fd, buf, step_of(&first, 4096));

		if (n <= 0)
			break;
		total += n;
		info = info_of(run, data_fd);
		if (info.dirty_bytes > dirty)
			said += info.dirty_bytes - dirty;
		dirty = info.dirty_bytes;
	}
	note(run, "%llu bytes were read, %llu were said to be there", (unsigned long long)total,
	     (unsigned long long)said);
}
