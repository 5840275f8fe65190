// SPDX-License-Identifier: GPL-2.0-or-later
/* The device under test: its calls, each noted before it is made, and how a test ends. */
#include <assert.h>
#include <dirent.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

/* ---- How a test ends ----------------------------------------------------- */

static void set_reason(struct run *run, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void set_reason(struct run *run, const char *fmt, va_list ap)
{
	struct check_result *result = &run->shared->result;

	vsnprintf(result->reason, sizeof(result->reason), fmt, ap);
}

static __attribute__((noreturn)) void end(struct run *run, enum check_status status)
{
	run->shared->result.status = status;
	run->shared->ended = true;
	_exit(0);
}

static void note_place(struct run *run, const char *file, int line, const char *condition)
{
	struct check_result *result = &run->shared->result;

	snprintf(result->where, sizeof(result->where), "%s:%d", file, line);
	snprintf(result->condition, sizeof(result->condition), "%s", condition);
}

void test_fails(struct run *run, const char *file, int line, const char *condition, const char *fmt,
		...)
{
	enum check_level level = run->shared->result.rule->level;
	va_list ap;

	note_place(run, file, line, condition);
	va_start(ap, fmt);
	set_reason(run, fmt, ap);
	va_end(ap);
	end(run, level == MUST ? CHECK_FAIL : CHECK_WARN);
}

void test_warns(struct run *run, const char *file, int line, const char *condition, const char *fmt,
		...)
{
	va_list ap;

	note_place(run, file, line, condition);
	va_start(ap, fmt);
	set_reason(run, fmt, ap);
	va_end(ap);
	end(run, CHECK_WARN);
}

void test_skips(struct run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_reason(run, fmt, ap);
	va_end(ap);
	end(run, CHECK_SKIP);
}

void test_unsupported(struct run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_reason(run, fmt, ap);
	va_end(ap);
	end(run, CHECK_UNSUPPORTED);
}

static void add_line(struct check_result *result, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void add_line(struct check_result *result, const char *fmt, va_list ap)
{
	static const char cut[] = "...\n";
	size_t length = strlen(result->notes), room = sizeof(result->notes) - length;
	int n = vsnprintf(result->notes + length, room, fmt, ap);

	/* What has no room is cut off. */
	if (n >= 0 && (size_t)n + 2 <= room)
		strcat(result->notes, "\n");
	else if (n >= 0 && room > sizeof(cut))
		strcpy(result->notes + sizeof(result->notes) - sizeof(cut), cut);
	else
		result->notes[length] = '\0';
}

void add_note(struct check_result *result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(result, fmt, ap);
	va_end(ap);
}

void note(struct run *run, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(&run->shared->result, fmt, ap);
	va_end(ap);
}

void beat(struct run *run)
{
	run->shared->beats++;
}

void doing(struct run *run, const char *fmt, ...)
{
	va_list ap;

	beat(run);
	va_start(ap, fmt);
	vsnprintf(run->shared->result.doing, sizeof(run->shared->result.doing), fmt, ap);
	va_end(ap);
	/* The reads and writes of a stream are many. */
	if (run->verbose && strncmp(fmt, "read of", 7) != 0 && strncmp(fmt, "write to", 8) != 0)
		fprintf(stderr, "vfiomig: check: %s\n", run->shared->result.doing);
}

const char *errno_name(int err)
{
	return err ? strerrorname_np(err < 0 ? -err : err) ?: "an unknown errno" : "0";
}

/* ---- Calls ----------------------------------------------------------------- */

static const char *feature_text(uint32_t flags, char text[64])
{
	unsigned int number = flags & VFIO_DEVICE_FEATURE_MASK;
	const char *name = vfiomig_feature_name(number);

	snprintf(text, 64, "%s%s%s%s", flags & VFIO_DEVICE_FEATURE_PROBE ? "PROBE " : "",
		 flags & VFIO_DEVICE_FEATURE_GET ? "GET " : "",
		 flags & VFIO_DEVICE_FEATURE_SET ? "SET " : "", name ?: "of an unknown feature");
	return text;
}

int feature_at(struct run *run, struct vfio_device_feature *at)
{
	return ioctl(run->fd, VFIO_DEVICE_FEATURE, at) ? -errno : 0;
}

int feature_argsz(struct run *run, uint32_t flags, uint32_t argsz, void *data, size_t size)
{
	uint64_t buf[16] = { 0 }; /* aligned for every structure of the uAPI */
	struct vfio_device_feature *feature = (void *)buf;
	char text[64];
	int err;

	if (sizeof(*feature) + size > sizeof(buf))
		return -E2BIG;
	feature->argsz = argsz;
	feature->flags = flags;
	if (size)
		memcpy(feature->data, data, size);
	doing(run, "VFIO_DEVICE_FEATURE %s", feature_text(flags, text));
	err = feature_at(run, feature);
	if (size)
		memcpy(data, feature->data, size);
	return err;
}

int feature(struct run *run, uint32_t flags, void *data, size_t size)
{
	return feature_argsz(run, flags, sizeof(struct vfio_device_feature) + size, data, size);
}

static void note_state(struct run *run, int state)
{
	struct check_result *result = &run->shared->result;

	run->state = state;
	if (result->path_length && result->path[result->path_length - 1] == state)
		return;
	if (result->path_length == CHECK_PATH_MAX) {
		memmove(result->path, result->path + 1, CHECK_PATH_MAX - 1);
		result->path_length--;
		result->path_cut = true;
	}
	result->path[result->path_length++] = state;
}

int get_state(struct run *run)
{
	struct vfio_device_feature_mig_state mig = { 0 };
	int err = feature(run, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, &mig,
			  sizeof(mig));

	if (err)
		return err;
	note_state(run, mig.device_state > 255 ? 255 : mig.device_state);
	return mig.device_state;
}

int set_state(struct run *run, int state, int *data_fd)
{
	struct vfio_device_feature_mig_state mig = { .device_state = state, .data_fd = -2 };
	uint64_t buf[2] = { 0 };
	struct vfio_device_feature *feature = (void *)buf;
	int err;

	static_assert(sizeof(buf) == sizeof(*feature) + sizeof(mig), "the structure has no holes");
	feature->argsz = sizeof(buf);
	feature->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	memcpy(feature->data, &mig, sizeof(mig));
	if (state >= 0 && state < VFIOMIG_NR_STATES)
		doing(run, "SET_STATE %s -> %s", vfiomig_state_name(run->state),
		      vfiomig_state_name(state));
	else
		doing(run, "SET_STATE %s -> %#x", vfiomig_state_name(run->state), state);
	err = feature_at(run, feature);
	memcpy(&mig, feature->data, sizeof(mig));
	if (data_fd)
		*data_fd = mig.data_fd;
	else if (!err && mig.data_fd >= 0)
		close(mig.data_fd);
	if (!err)
		note_state(run, state);
	return err;
}

int try_state(struct run *run, int state, int *data_fd)
{
	int from = run->state, err = set_state(run, state, data_fd);

	if ((err == -EINTR || err == -EAGAIN || err == -EBUSY) && get_state(run) == from)
		err = set_state(run, state, data_fd);
	return err;
}

int reset_device(struct run *run)
{
	doing(run, "VFIO_DEVICE_RESET in %s", vfiomig_state_name(run->state));
	if (ioctl(run->fd, VFIO_DEVICE_RESET))
		return -errno;
	note_state(run, S(RUNNING));
	return 0;
}

int precopy_info(struct run *run, int data_fd, struct vfio_precopy_info *info)
{
	info->argsz = info->argsz ?: sizeof(*info);
	doing(run, "VFIO_MIG_GET_PRECOPY_INFO in %s", vfiomig_state_name(run->state));
	return ioctl(data_fd, VFIO_MIG_GET_PRECOPY_INFO, info) ? -errno : 0;
}

ssize_t read_data(struct run *run, int data_fd, void *buf, size_t size)
{
	ssize_t n;

	doing(run, "read of the data_fd in %s", vfiomig_state_name(run->state));
	do {
		n = read(data_fd, buf, size);
	} while (n < 0 && errno == EINTR);
	expect(run, n < 0 || (size_t)n <= size, "read() of %zu bytes returns %zd", size, n);
	return n < 0 ? -errno : n;
}

ssize_t write_data(struct run *run, int data_fd, const void *buf, size_t size)
{
	ssize_t n;

	doing(run, "write to the data_fd in %s", vfiomig_state_name(run->state));
	do {
		n = write(data_fd, buf, size);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* ---- Steps ----------------------------------------------------------------- */

bool has_state(const struct run *run, int state)
{
	return vfiomig_fsm_supports(run->flags, state);
}

bool is_temporary_end(ssize_t n)
{
	return n == 0 || n == -ENOMSG || n == -EAGAIN;
}

bool is_saving(int state)
{
	return state == S(PRE_COPY) || state == S(PRE_COPY_P2P) || state == S(STOP_COPY);
}

int go(struct run *run, int state)
{
	int from = run->state, data_fd, err = try_state(run, state, &data_fd);

	if (err)
		test_skips(run, "this needs the arc %s -> %s, which fails: %s",
			   vfiomig_state_name(from), vfiomig_state_name(state), errno_name(err));
	return data_fd;
}

void expect_state(struct run *run, int state)
{
	int now = get_state(run);

	expect(run, now >= 0, "GET of the state fails: %s", errno_name(now));
	expect(run, now == state, "the device is in %s instead of %s", vfiomig_state_name(now),
	       vfiomig_state_name(state));
}

void open_device(struct run *run)
{
	int err;

	doing(run, "opening the device");
	err = vfiomig_device_open(run->device, VFIOMIG_OPEN_AS_IS | VFIOMIG_OPEN_KEEP_LOCK);
	if (err)
		test_skips(run, "the device cannot be opened again: %s",
			   vfiomig_get_error(run->ctx));
	run->fd = vfiomig_device_get_fd(run->device);
	note_state(run, S(RUNNING));
}

void close_device(struct run *run)
{
	doing(run, "closing the device in %s", vfiomig_state_name(run->state));
	vfiomig_device_close(run->device);
	run->fd = -1;
}

unsigned int count_descriptors(struct run *run)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (!dir)
		test_skips(run, "/proc/self/fd cannot be read: %s", errno_name(errno));
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void sleep_ms(unsigned int ms)
{
	poll(NULL, 0, ms);
}

/* SplitMix64, which is enough to choose states and sizes, and the same everywhere. */
uint64_t random_number(struct run *run)
{
	uint64_t z = run->seed += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}
