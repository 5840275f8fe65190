// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules about the states and the arcs between them. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "stream.h"
#include "tests.h"

/* STOP_COPY -> PRE_COPY and STOP_COPY -> PRE_COPY_P2P make kernels that are not mended hang. */
static bool is_trap(int from, int to)
{
	return from == S(STOP_COPY) && (to == S(PRE_COPY) || to == S(PRE_COPY_P2P));
}

/* Whether SET_STATE begins a data transfer session. */
static bool begins_session(int from, int to)
{
	if (from == to)
		return false;
	return to == S(RESUMING) || (is_saving(to) && !is_saving(from));
}

void running_after_open(struct run *run)
{
	open_device(run);
	expect_state(run, S(RUNNING));
}

void get_gives_no_descriptor(struct run *run)
{
	FOR_EACH_STATE(run, state)
	{
		struct vfio_device_feature_mig_state mig = { .data_fd = 0 };
		int err;

		enter(run, state);
		err = feature(run, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
			      &mig, sizeof(mig));
		expect(run, !err, "GET in %s gives %s", vfiomig_state_name(state), errno_name(err));
		expect(run, mig.data_fd == -1, "GET in %s gives the data_fd %d",
		       vfiomig_state_name(state), mig.data_fd);
	}
}

void arc_is_complete(struct run *run)
{
	FOR_EACH_STATE(run, state)
	{
		enter(run, state);
		expect_state(run, state);
	}
}

void no_spontaneous_change(struct run *run)
{
	FOR_EACH_STATE(run, state)
	{
		int data_fd = enter(run, state);

		for (int i = 0; i < 25; i++) {
			char byte;

			sleep_ms(10);
			if (is_saving(state) && data_fd >= 0)
				(void)!read(data_fd, &byte, 1);
			expect_state(run, state);
		}
		if (data_fd >= 0)
			close(data_fd);
	}
}

void set_to_itself(struct run *run)
{
	FOR_EACH_STATE(run, state)
	{
		int data_fd = enter(run, state), given, err = set_state(run, state, &given);
		char byte;

		expect(run, !err, "SET_STATE of %s in %s gives %s", vfiomig_state_name(state),
		       vfiomig_state_name(state), errno_name(err));
		expect(run, given == -1, "SET_STATE of %s in %s gives the data_fd %d",
		       vfiomig_state_name(state), vfiomig_state_name(state), given);
		expect_state(run, state);
		if (is_saving(state)) {
			ssize_t n = read_data(run, data_fd, &byte, 1);

			expect(run, n >= 0 || is_temporary_end(n),
			       "the data_fd of %s is dead then: read() gives %s",
			       vfiomig_state_name(state), errno_name(n));
		} else if (state == S(RESUMING)) {
			err = set_state(run, S(STOP), NULL);
			expect(run, !err,
			       "the stream is not loaded then: RESUMING -> STOP gives %s",
			       errno_name(err));
		}
		if (data_fd >= 0)
			close(data_fd);
	}
}

static void expect_refused(struct run *run, int from, int to)
{
	int data_fd, err = set_state(run, to, &data_fd);

	expect(run, err, "SET_STATE %s -> %s (%#x) succeeds", vfiomig_state_name(from),
	       vfiomig_state_name(to), to);
	expect_state(run, from);
}

void error_is_no_target(struct run *run)
{
	FOR_EACH_STATE(run, state)
	{
		int data_fd, err;

		enter(run, state);
		err = set_state(run, S(ERROR), &data_fd);
		expect(run, err == -EINVAL, "SET_STATE %s -> ERROR gives %s",
		       vfiomig_state_name(state), errno_name(err));
		expect_state(run, state);
	}
}

void unknown_states(struct run *run)
{
	static const unsigned int unknown[] = { 8, 9, 255, 0x7fffffff, 0xffffffff };

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		int data_fd, err = set_state(run, unknown[i], &data_fd);

		expect(run, err == -EINVAL, "SET_STATE of %#x gives %s", unknown[i],
		       errno_name(err));
		expect_state(run, S(RUNNING));
	}
}

void optional_states(struct run *run)
{
	bool any = false;

	for (int to = 1; to < VFIOMIG_NR_STATES; to++) {
		if (has_state(run, to))
			continue;
		any = true;
		FOR_EACH_STATE(run, from)
		{
			enter(run, from);
			if (!is_trap(from, to) || run->dangerous)
				expect_refused(run, from, to);
		}
	}
	if (!any)
		test_unsupported(run, "the device has all optional states");
}

void descriptor_exactly(struct run *run)
{
	FOR_EACH_STATE(run, from)
	{
		FOR_EACH_STATE(run, to)
		{
			int session, data_fd, err;

			if (vfiomig_fsm_path(run->flags, from, to, NULL) < 1)
				continue;
			session = enter(run, from);
			err = set_state(run, to, &data_fd);
			if (err)
				continue; /* all_pairs() is about this */
			if (begins_session(from, to))
				expect(run, data_fd >= 0, "%s -> %s gives no data_fd, but %d",
				       vfiomig_state_name(from), vfiomig_state_name(to), data_fd);
			else
				expect(run, data_fd == -1, "%s -> %s gives the data_fd %d",
				       vfiomig_state_name(from), vfiomig_state_name(to), data_fd);
			if (data_fd >= 0)
				close(data_fd);
			if (session >= 0)
				close(session);
		}
	}
}

void failed_set_gives_nothing(struct run *run)
{
	static const unsigned int bad[] = { S(ERROR), 8, 0xffffffff };

	FOR_EACH_STATE(run, state)
	{
		unsigned int before, after;

		enter(run, state);
		before = count_descriptors(run);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			int data_fd, err = set_state(run, bad[i], &data_fd);

			expect(run, !err || data_fd == -1,
			       "SET_STATE %s -> %#x fails with %s, and gives the data_fd %d",
			       vfiomig_state_name(state), bad[i], errno_name(err), data_fd);
		}
		after = count_descriptors(run);
		expect(run, after == before, "the process has %u descriptors, and had %u", after,
		       before);
	}
}

void all_pairs(struct run *run)
{
	FOR_EACH_STATE(run, from)
	{
		FOR_EACH_STATE(run, to)
		{
			int arcs = vfiomig_fsm_path(run->flags, from, to, NULL), session, data_fd,
			    err;

			/* To itself: set_to_itself() is about this. */
			if (is_trap(from, to) || from == to)
				continue;
			session = enter(run, from);
			err = try_state(run, to, &data_fd);
			if (arcs < 0)
				expect(run, err, "SET_STATE %s -> %s succeeds",
				       vfiomig_state_name(from), vfiomig_state_name(to));
			else
				expect(run, !err, "SET_STATE %s -> %s gives %s",
				       vfiomig_state_name(from), vfiomig_state_name(to),
				       errno_name(err));
			expect_state(run, arcs < 0 ? from : to);
			if (data_fd >= 0)
				close(data_fd);
			if (session >= 0)
				close(session);
		}
	}
}

/* Save by one SET_STATE from RUNNING, or by one for each arc. */
static struct stream save_by(struct run *run, bool steps)
{
	int path[VFIOMIG_NR_STATES], data_fd = -1;
	int n = vfiomig_fsm_path(run->flags, S(RUNNING), S(STOP_COPY), path);
	struct stream stream;

	enter(run, S(RUNNING));
	if (!steps)
		data_fd = go(run, S(STOP_COPY));
	for (int i = 0; steps && i < n; i++) {
		int fd = go(run, path[i]);

		if (fd >= 0)
			data_fd = fd;
	}
	expect_state(run, S(STOP_COPY));
	stream = read_stream(run, data_fd, 1 << 20, -1);
	close(data_fd);
	return stream;
}

void combination_is_its_steps(struct run *run)
{
	struct stream first = save_by(run, false), again = save_by(run, false),
		      steps = save_by(run, true);

	if (first.size != again.size || first.digest != again.digest)
		test_skips(run, "two streams of the device after a reset differ");
	expect(run, steps.size == first.size && steps.digest == first.digest,
	       "the streams differ: %llu and %llu bytes", (unsigned long long)steps.size,
	       (unsigned long long)first.size);
}

void no_way_back_to_precopy(struct run *run)
{
	int data_fd = enter(run, S(STOP_COPY));
	char byte;
	ssize_t n;

	expect_refused(run, S(STOP_COPY), S(PRE_COPY));
	if (has_state(run, S(PRE_COPY_P2P)))
		expect_refused(run, S(STOP_COPY), S(PRE_COPY_P2P));
	n = read_data(run, data_fd, &byte, 1);
	expect(run, n >= 0, "the session has ended: read() gives %s", errno_name(n));
}

void failed_set_is_on_the_path(struct run *run)
{
	int err = fail_to_load(run, S(RUNNING)), state = get_state(run);

	if (!err)
		test_skips(run, "no SET_STATE was made to fail: the device loads nothing");
	expect(run,
	       state == S(RESUMING) || state == S(STOP) || state == S(RUNNING_P2P) ||
		       state == S(ERROR),
	       "RESUMING -> RUNNING fails with %s, and the device is in %s", errno_name(err),
	       vfiomig_state_name(state));
}

void error_needs_reset(struct run *run)
{
	int err = fail_to_load(run, S(STOP));

	if (!err || get_state(run) != S(ERROR))
		test_skips(run, "no way was found to bring the device to ERROR");
	for (int to = 1; to < VFIOMIG_NR_STATES; to++) {
		int data_fd;

		err = set_state(run, to, &data_fd);
		expect(run, err, "SET_STATE ERROR -> %s succeeds", vfiomig_state_name(to));
	}
	expect_state(run, S(ERROR));
	err = reset_device(run);
	expect(run, !err, "VFIO_DEVICE_RESET in ERROR gives %s", errno_name(err));
	expect_state(run, S(RUNNING));
}

/* ---- The data_fd ------------------------------------------------------------ */

/* Call @fn for each kind of data_fd that the device has. */
static void for_each_session(struct run *run, void (*fn)(struct run *run, int data_fd, int state))
{
	static const int states[] = { S(STOP_COPY), S(PRE_COPY), S(RESUMING) };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		int data_fd;

		if (!has_state(run, states[i]))
			continue;
		enter(run, S(RUNNING));
		data_fd = go(run, states[i]);
		fn(run, data_fd, states[i]);
		close(data_fd);
	}
}

static void expect_cloexec(struct run *run, int data_fd, int state)
{
	expect(run, fcntl(data_fd, F_GETFD) & FD_CLOEXEC, "the data_fd of %s is inherited by exec",
	       vfiomig_state_name(state));
}

void descriptor_is_cloexec(struct run *run)
{
	for_each_session(run, expect_cloexec);
}

static void expect_direction(struct run *run, int data_fd, int state)
{
	int mode = fcntl(data_fd, F_GETFL) & O_ACCMODE;
	bool saves = state != S(RESUMING);
	char byte = 0;
	ssize_t n;

	expect(run, mode == (saves ? O_RDONLY : O_WRONLY), "the data_fd of %s has the mode %d",
	       vfiomig_state_name(state), mode);
	n = saves ? write_data(run, data_fd, &byte, 1) : read_data(run, data_fd, &byte, 1);
	expect(run, n == -EBADF, "%s of the data_fd of %s gives %s", saves ? "write()" : "read()",
	       vfiomig_state_name(state), n >= 0 ? "a byte" : errno_name(n));
}

void descriptor_has_a_direction(struct run *run)
{
	for_each_session(run, expect_direction);
}

static void expect_stream(struct run *run, int data_fd, int state)
{
	const char *name = vfiomig_state_name(state);
	char byte = 0, path[64], link[128];
	bool saves = state != S(RESUMING);
	ssize_t n;
	void *at;

	doing(run, "lseek of the data_fd in %s", name);
	expect(run, lseek(data_fd, 0, SEEK_CUR) < 0 && errno == ESPIPE,
	       "lseek() on the data_fd of %s does not give ESPIPE", name);
	doing(run, "pread or pwrite of the data_fd in %s", name);
	n = saves ? pread(data_fd, &byte, 1, 0) : pwrite(data_fd, &byte, 1, 0);
	expect(run, n < 0 && errno == ESPIPE, "%s on the data_fd of %s does not give ESPIPE",
	       saves ? "pread()" : "pwrite()", name);
	doing(run, "mmap of the data_fd in %s", name);
	at = mmap(NULL, 4096, saves ? PROT_READ : PROT_WRITE, MAP_SHARED, data_fd, 0);
	expect(run, at == MAP_FAILED, "mmap() of the data_fd of %s succeeds", name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", data_fd);
	n = readlink(path, link, sizeof(link) - 1);
	link[n < 0 ? 0 : n] = '\0';
	expect(run, strncmp(link, "anon_inode:", 11) == 0, "the data_fd of %s is \"%s\"", name,
	       link);
}

void descriptor_is_a_stream(struct run *run)
{
	for_each_session(run, expect_stream);
}

static void expect_no_ioctl(struct run *run, int data_fd, int state)
{
	doing(run, "an unknown ioctl of the data_fd in %s", vfiomig_state_name(state));
	expect(run, ioctl(data_fd, _IO(VFIO_TYPE, 255), NULL) < 0 && errno == ENOTTY,
	       "an unknown ioctl on the data_fd of %s gives %s", vfiomig_state_name(state),
	       errno_name(errno));
}

void unknown_ioctl(struct run *run)
{
	for_each_session(run, expect_no_ioctl);
}

/* ---- Several at once, and at random --------------------------------------- */

struct getter {
	struct run *run;
	_Atomic bool *ends;
	int bad; /* what GET gave that is no state, or 0 */
};

static void *get_on_and_on(void *data)
{
	struct getter *getter = data;

	while (!*getter->ends) {
		uint64_t buf[2] = { 0 };
		struct vfio_device_feature *feature = (void *)buf;
		struct vfio_device_feature_mig_state *mig = (void *)feature->data;

		feature->argsz = sizeof(buf);
		feature->flags = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
		if (feature_at(getter->run, feature))
			getter->bad = -errno;
		else if (mig->device_state >= VFIOMIG_NR_STATES)
			getter->bad = mig->device_state;
	}
	return NULL;
}

#define NR_GETTERS     8
#define ROUNDS	       20
#define ROUNDS_SECONDS 2 /* a device with a large state goes round less often */

void concurrent_get(struct run *run)
{
	struct getter getters[NR_GETTERS];
	pthread_t threads[NR_GETTERS];
	_Atomic bool ends = false;
	double end;

	reference_stream(run);
	for (int i = 0; i < NR_GETTERS; i++) {
		getters[i] = (struct getter){ .run = run, .ends = &ends };
		if (pthread_create(&threads[i], NULL, get_on_and_on, &getters[i]))
			test_skips(run, "no thread can be made");
	}
	end = seconds() + ROUNDS_SECONDS;
	for (int round = 0; round < ROUNDS && (round == 0 || seconds() < end); round++) {
		FOR_EACH_STATE(run, state)
		{
			int data_fd = enter(run, state);

			if (data_fd >= 0)
				close(data_fd);
		}
	}
	ends = true;
	for (int i = 0; i < NR_GETTERS; i++) {
		pthread_join(threads[i], NULL);
		expect(run, !getters[i].bad, "GET beside a SET gives %d", getters[i].bad);
	}
}

struct setter {
	struct run *run;
	_Atomic bool *ends;
	uint64_t seed;
	/* The first SET_STATE that has failed, or that gave a data_fd of no session */
	int err, state;
	bool gave_data_fd;
};

static void *set_on_and_on(void *data)
{
	static const int states[] = { S(RUNNING), S(STOP), S(STOP_COPY) };
	struct setter *setter = data;
	struct run own = *setter->run;

	own.seed = setter->seed;
	while (!*setter->ends) {
		uint64_t buf[2] = { 0 };
		struct vfio_device_feature *feature = (void *)buf;
		struct vfio_device_feature_mig_state *mig = (void *)feature->data;

		int state = states[random_number(&own) % 3], err;

		feature->argsz = sizeof(buf);
		feature->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
		mig->device_state = state;
		err = feature_at(&own, feature);
		beat(&own);
		if (err == -EINTR || err == -EAGAIN || err == -EBUSY)
			continue;
		if (!err && mig->data_fd >= 0)
			close(mig->data_fd);
		setter->state = state;
		setter->err = err;
		setter->gave_data_fd = !err && state != S(STOP_COPY) && mig->data_fd != -1;
		if (err || setter->gave_data_fd)
			break;
	}
	return NULL;
}

void concurrent_set(struct run *run)
{
	struct setter setters[2];
	pthread_t threads[2];
	_Atomic bool ends = false;
	int state, err;

	for (int i = 0; i < 2; i++) {
		setters[i] = (struct setter){ .run = run, .ends = &ends, .seed = run->seed + i };
		if (pthread_create(&threads[i], NULL, set_on_and_on, &setters[i]))
			test_skips(run, "no thread can be made");
	}
	sleep_ms(1000);
	ends = true;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	/* In whatever order they come, there is a path to each of these states. */
	for (int i = 0; i < 2; i++) {
		expect(run, !setters[i].err, "SET_STATE of %s beside another SET_STATE gives %s",
		       vfiomig_state_name(setters[i].state), errno_name(setters[i].err));
		expect(run, !setters[i].gave_data_fd,
		       "SET_STATE of %s beside another SET_STATE gives a data_fd",
		       vfiomig_state_name(setters[i].state));
	}
	state = get_state(run);
	expect(run, state == S(RUNNING) || state == S(STOP) || state == S(STOP_COPY),
	       "the device is in %s, where nobody has sent it", vfiomig_state_name(state));
	err = set_state(run, S(RUNNING), NULL);
	expect(run, !err, "SET_STATE %s -> RUNNING gives %s then", vfiomig_state_name(state),
	       errno_name(err));
}

#define WALK_STEPS 1000

/* Where SET_STATE may leave the device. */
static void expect_step(struct run *run, int from, int to, int err)
{
	int now = get_state(run);

	if (vfiomig_fsm_path(run->flags, from, to, NULL) < 0) {
		expect(run, err, "SET_STATE %s -> %s succeeds", vfiomig_state_name(from),
		       vfiomig_state_name(to));
		expect(run, now == from,
		       "the device is in %s after a SET_STATE %s -> %s that failed",
		       vfiomig_state_name(now), vfiomig_state_name(from), vfiomig_state_name(to));
	} else if (from == S(RESUMING) && err) {
		/* A session that has got nothing: the device may refuse to end it. */
		expect(run, now == from || now == S(ERROR) || now == S(STOP),
		       "the device is in %s after a SET_STATE %s -> %s that failed",
		       vfiomig_state_name(now), vfiomig_state_name(from), vfiomig_state_name(to));
	} else {
		expect(run, !err, "SET_STATE %s -> %s gives %s", vfiomig_state_name(from),
		       vfiomig_state_name(to), errno_name(err));
		expect(run, now == to, "the device is in %s after SET_STATE %s -> %s",
		       vfiomig_state_name(now), vfiomig_state_name(from), vfiomig_state_name(to));
	}
}

void random_walk(struct run *run)
{
	int session = -1, steps;
	bool stuck = false;

	for (steps = 0; steps < WALK_STEPS; steps++) {
		int from = run->state, to = random_number(run) % VFIOMIG_NR_STATES, data_fd, err;

		if (is_trap(from, to))
			continue;
		/* A SET_STATE in ERROR makes the kernel warn. */
		if (random_number(run) % 16 == 0 || stuck ||
		    (from == S(ERROR) && !run->dangerous)) {
			stuck = false;
			err = reset_device(run);
			expect(run, !err, "VFIO_DEVICE_RESET in %s gives %s",
			       vfiomig_state_name(from), errno_name(err));
			expect_state(run, S(RUNNING));
			continue;
		}
		err = try_state(run, to, &data_fd);
		expect_step(run, from, to, err);
		/* Only a reset leads out of RESUMING, if the device has got nothing to load. */
		stuck = err && run->state == S(RESUMING);
		if (!err && data_fd >= 0) {
			if (session >= 0)
				close(session);
			session = data_fd;
		}
		/* The reads and writes of a session belong to the walk. */
		if (session >= 0 && random_number(run) % 2) {
			char buf[512] = { 0 };

			if (is_saving(run->state))
				(void)read_data(run, session, buf, random_number(run) % 512);
		}
	}
	note(run, "%d steps, --seed=%llu repeats them", steps, (unsigned long long)run->first_seed);
}

/* ---- Durations -------------------------------------------------------------- */

#define TIMES	      5
#define TIMES_SECONDS 0.2 /* an arc that takes long is tried less often */

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* How long an arc takes, in milliseconds, each time that it succeeds. Returns how often that is. */
static unsigned int time_arc(struct run *run, int from, int to, double ms[TIMES])
{
	double end = seconds() + TIMES_SECONDS, begin;
	unsigned int n = 0;

	for (int i = 0; i < TIMES && (i == 0 || seconds() < end); i++) {
		int session = enter(run, from), data_fd, err;

		begin = seconds();
		err = set_state(run, to, &data_fd);
		if (!err)
			ms[n++] = (seconds() - begin) * 1e3;
		if (!err && data_fd >= 0)
			close(data_fd);
		if (session >= 0)
			close(session);
	}
	qsort(ms, n, sizeof(ms[0]), by_size);
	return n;
}

void arc_times(struct run *run)
{
	double longest = 0, ms[TIMES];
	char where[64] = "";

	FOR_EACH_STATE(run, from)
	{
		FOR_EACH_STATE(run, to)
		{
			const char *names[2] = { vfiomig_state_name(from), vfiomig_state_name(to) };
			unsigned int n;

			if (vfiomig_fsm_path(run->flags, from, to, NULL) != 1)
				continue;
			n = time_arc(run, from, to, ms);
			if (!n)
				continue;
			note(run, "%s -> %s: %.3f ms (%.3f to %.3f)", names[0], names[1], ms[n / 2],
			     ms[0], ms[n - 1]);
			if (ms[n - 1] > longest) {
				longest = ms[n - 1];
				snprintf(where, sizeof(where), "%s -> %s", names[0], names[1]);
			}
		}
	}
	warn_unless(run, longest < 1000, "the arc %s takes %.1f s", where, longest / 1000);
}
