// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Saves and restores of several devices: the order in which they take their arcs, and where they
 * are after each of these has failed, or a signal has come. The kernel is replaced at ioctl(2); a
 * data_fd is a file in memory.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "feature.h"
#include "image/pipeline.h"
#include "unit.h"

#define COUNT 3
#define ALL   (VFIOMIG_STOP_COPY | VFIOMIG_P2P | VFIOMIG_PRE_COPY)
#define S(x)  VFIOMIG_STATE_##x

/* A device, and the driver behind it. */
struct machine {
	struct vfiomig_device *dev;
	uint64_t flags;
	int state;
	char holds[64]; /* the device's state */
	off_t more;	/* up to there is more of it */
	int data_fd;	/* the test's own descriptor of it */
	int sets;
	int fail_at,
		fail_state; /* the SET_STATE that fails, and leaves it there (-1: where it was) */
	bool fail_reset;
	int refuses; /* what a write to its data_fd fails with */
	int busy;    /* it is not ready to be stopped before the others were asked so often */
	int asked, resets;
};

static struct {
	pthread_mutex_t lock;
	struct machine m[COUNT];
	struct arc {
		int who, from, to;
	} arcs[200];
	int nr_arcs;
	int interrupt_at;   /* the arc, of all devices, during which a signal comes */
	int interrupt_info; /* the same for VFIO_MIG_GET_PRECOPY_INFO */
	int infos;
	bool slow;	      /* memory is found slowly */
	_Atomic int prepared; /* for how many devices it was found */
	int early;	      /* arcs to a stop before it was for all */
} kernel = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool is_saving(int state)
{
	return state == S(STOP_COPY) || state == S(PRE_COPY) || state == S(PRE_COPY_P2P);
}

static int refuse(int error)
{
	errno = error;
	return -1;
}

/* ---- The kernel ------------------------------------------------------------ */

static int begin_data(struct machine *m, bool with_state)
{
	int fd = new_file(m->holds, with_state ? strlen(m->holds) : 0);

	/* Not the same byte for long: that would take no room in the image. */
	for (off_t at = sizeof(m->holds); with_state && at < m->more; at += 65536)
		assert_int_equal(pwrite(fd, "x", 1, at), 1);
	if (m->data_fd >= 0)
		close(m->data_fd);
	m->data_fd = dup(fd);
	return fd;
}

static void load(struct machine *m)
{
	ssize_t n = pread(m->data_fd, m->holds, sizeof(m->holds) - 1, 0);

	m->holds[n < 0 ? 0 : n] = '\0';
}

static int set_state(struct machine *m, struct vfio_device_feature_mig_state *mig)
{
	int from = m->state, to = mig->device_state;

	mig->data_fd = -1;
	if (++m->sets == m->fail_at) {
		m->state = m->fail_state < 0 ? from : m->fail_state;
		return refuse(EIO);
	}
	if (from == S(RESUMING))
		load(m);
	if (to == S(RESUMING) || (is_saving(to) && !is_saving(from)))
		mig->data_fd = begin_data(m, to != S(RESUMING));
	if (kernel.slow && to != S(PRE_COPY) && kernel.prepared < COUNT)
		kernel.early++;
	m->state = to;
	kernel.arcs[kernel.nr_arcs++] = (struct arc){ m - kernel.m, from, to };
	if (kernel.nr_arcs == kernel.interrupt_at)
		vfiomig_interrupt(ctx);
	return 0;
}

static int do_reset(struct machine *m)
{
	if (m->fail_reset)
		return refuse(ENOTTY);
	m->resets++;
	m->state = S(RUNNING);
	m->holds[0] = '\0';
	return 0;
}

/* Also of a data_fd: which device has the file. */
static struct machine *machine_of(int fd)
{
	struct stat a, b;

	for (int i = 0; i < COUNT; i++)
		if (kernel.m[i].dev->fd == fd)
			return &kernel.m[i];
	for (int i = 0; i < COUNT; i++)
		if (kernel.m[i].data_fd >= 0 && fstat(fd, &a) == 0 &&
		    fstat(kernel.m[i].data_fd, &b) == 0 && a.st_ino == b.st_ino)
			return &kernel.m[i];
	return NULL;
}

static int get_info(struct machine *m, struct vfio_precopy_info *info)
{
	bool busy = false;

	info->initial_bytes = 0;
	info->dirty_bytes = 0;
	m->asked++;
	/* The first copy of one is not over before the others were asked some times. */
	for (int i = 0; m->busy && i < COUNT; i++)
		busy = busy || (&kernel.m[i] != m && kernel.m[i].asked < m->busy);
	if (busy) {
		info->initial_bytes = UINT64_MAX / 8;
		lseek(m->data_fd, 0, SEEK_SET);
	}
	if (++kernel.infos == kernel.interrupt_info)
		vfiomig_interrupt(ctx);
	return 0;
}

static int answer(struct machine *m, struct vfio_device_feature *f)
{
	if (f->flags == (VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE))
		return set_state(m, (void *)f->data);
	return feature_answer(f, m->flags, m->state, NULL);
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct machine *m;
	va_list ap;
	void *arg;
	int ret;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	pthread_mutex_lock(&kernel.lock);
	m = machine_of(fd);
	if (!m)
		ret = refuse(EBADF);
	else if (request == VFIO_DEVICE_RESET)
		ret = do_reset(m);
	else if (request == VFIO_MIG_GET_PRECOPY_INFO)
		ret = get_info(m, arg);
	else
		ret = answer(m, arg);
	pthread_mutex_unlock(&kernel.lock);
	return ret;
}

/* Of a device that refuses its state */
static struct machine *refusing(int fd)
{
	struct machine *m;

	pthread_mutex_lock(&kernel.lock);
	m = machine_of(fd);
	pthread_mutex_unlock(&kernel.lock);
	return m && m->refuses ? m : NULL;
}

ssize_t __real_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count)
{
	const struct machine *m = refusing(fd);

	return m ? refuse(m->refuses) : __real_writev(fd, iov, count);
}

bool __wrap_vfiomig_device_owner_runs(const struct vfiomig_device *dev);
bool __wrap_vfiomig_device_owner_runs(const struct vfiomig_device *dev)
{
	(void)dev;
	return true;
}

void __real_pipeline_prepare(const struct chunk *chunk, uint64_t bytes);
void __wrap_pipeline_prepare(const struct chunk *chunk, uint64_t bytes);
void __wrap_pipeline_prepare(const struct chunk *chunk, uint64_t bytes)
{
	/* The others have time to go on. */
	if (kernel.slow && chunk->lane == 0)
		usleep(100000);
	__real_pipeline_prepare(chunk, bytes);
	kernel.prepared++;
}

/* ---- Fixtures --------------------------------------------------------------- */

static struct vfiomig_member members[COUNT];
static struct vfiomig_result results[COUNT], whole;
static size_t which;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(vfiomig_new(&ctx), 0);
	kernel.slow = false;
	kernel.prepared = kernel.early = 0;
	kernel.nr_arcs = kernel.interrupt_at = kernel.infos = kernel.interrupt_info = 0;
	for (int i = 0; i < COUNT; i++) {
		struct machine *m = &kernel.m[i];

		*m = (struct machine){
			.flags = ALL, .state = S(RUNNING), .data_fd = -1, .fail_state = -1
		};
		snprintf(m->holds, sizeof(m->holds), "the state of device %d", i);
		m->dev = feature_device(ctx, feature_null());
		assert_true(asprintf(&m->dev->name, "device-%d", i) > 0);
		results[i] = (struct vfiomig_result)VFIOMIG_RESULT_INIT;
		members[i] = (struct vfiomig_member){ m->dev, NULL, &results[i] };
	}
	whole = (struct vfiomig_result)VFIOMIG_RESULT_INIT;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < COUNT; i++) {
		if (kernel.m[i].data_fd >= 0)
			close(kernel.m[i].data_fd);
		vfiomig_device_unref(kernel.m[i].dev);
	}
	vfiomig_unref(ctx);
	return 0;
}

static void again(void)
{
	teardown(NULL);
	setup(NULL);
}

static struct vfiomig_options options(bool precopy)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;

	opt.no_precopy = !precopy;
	opt.threads = 1;
	return opt;
}

static int save_to(int fd, bool precopy, int leave)
{
	struct vfiomig_options opt = options(precopy);

	opt.leave = leave;
	return vfiomig_save_set(members, COUNT, fd, &opt, &whole, &which);
}

static int save(bool precopy, int leave)
{
	int fd = new_file("", 0), err = save_to(fd, precopy, leave);

	close(fd);
	return err;
}

/* An image of the three devices, to be read from its beginning; they are then in another state. */
static int new_image(void)
{
	int fd = new_file("", 0);

	assert_int_equal(save_to(fd, false, -1), 0);
	lseek(fd, 0, SEEK_SET);
	kernel.nr_arcs = 0;
	for (int i = 0; i < COUNT; i++) {
		strcpy(kernel.m[i].holds, "what was there before");
		kernel.m[i].sets = 0;
		results[i] = (struct vfiomig_result)VFIOMIG_RESULT_INIT;
	}
	whole = (struct vfiomig_result)VFIOMIG_RESULT_INIT;
	return fd;
}

static int restore(int fd)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int err = vfiomig_restore_set(members, COUNT, fd, &opt, &whole, &which);

	close(fd);
	return err;
}

/* ---- Order ------------------------------------------------------------------ */

static int first_into(int who, int from, int state)
{
	for (int i = from; i < kernel.nr_arcs; i++)
		if (kernel.arcs[i].who == who && kernel.arcs[i].to == state)
			return i;
	return INT_MAX;
}

/* Since arc number @since, each device was in @before, and none in @after before that. */
static void assert_order(int since, int before, int after)
{
	int last = -1, first = INT_MAX;

	for (int i = 0; i < COUNT; i++) {
		int in = first_into(i, since, before), out = first_into(i, since, after);

		assert_true(in < INT_MAX);
		last = in > last ? in : last;
		first = out < first ? out : first;
	}
	assert_true(last < first);
}

static int last_into(int state)
{
	int last = -1;

	for (int i = 0; i < kernel.nr_arcs; i++)
		if (kernel.arcs[i].to == state)
			last = i;
	return last;
}

static void assert_way_up(int since)
{
	assert_order(since, S(STOP), S(RUNNING_P2P));
	assert_order(since, S(RUNNING_P2P), S(RUNNING));
}

static void test_save_order(void **state)
{
	(void)state;
	assert_int_equal(save(false, -1), 0);
	assert_order(0, S(RUNNING_P2P), S(STOP));
	assert_order(0, S(STOP_COPY), S(RUNNING));
	assert_way_up(last_into(S(STOP_COPY)));
	assert_true(whole.complete && whole.home && !whole.reset && !whole.precopy);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(kernel.m[i].state, S(RUNNING));
		assert_int_equal(results[i].bytes, strlen(kernel.m[i].holds));
		assert_true(results[i].complete && results[i].home);
		assert_true(whole.downtime_ns >= results[i].downtime_ns);
	}
	assert_int_equal(which, COUNT);
}

static void test_precopy_order(void **state)
{
	(void)state;
	assert_int_equal(save(true, -1), 0);
	assert_order(0, S(PRE_COPY_P2P), S(STOP_COPY));
	assert_way_up(last_into(S(STOP_COPY)));
	assert_true(whole.complete && whole.precopy && !whole.gave_up);
}

/* One that cannot be read while it runs, and one that is stopped already. */
static void test_mixed_order(void **state)
{
	(void)state;
	kernel.m[1].flags &= ~VFIOMIG_PRE_COPY;
	kernel.m[2].state = S(STOP);
	assert_int_equal(save(true, -1), 0);
	assert_true(first_into(0, 0, S(PRE_COPY_P2P)) < first_into(1, 0, S(STOP)));
	assert_true(first_into(1, 0, S(RUNNING_P2P)) < first_into(0, 0, S(STOP_COPY)));
	assert_true(first_into(0, 0, S(PRE_COPY)) < first_into(1, 0, S(RUNNING_P2P)));
	assert_int_equal(kernel.m[0].state, S(RUNNING));
	assert_int_equal(kernel.m[1].state, S(RUNNING));
	assert_int_equal(kernel.m[2].state, S(STOP));
}

/* The set stops when all can be stopped. Until then none does, and each is looked at again. */
static void test_waits_for_all(void **state)
{
	(void)state;
	kernel.m[1].busy = 3;
	assert_int_equal(save(true, -1), 0);
	assert_true(kernel.m[0].asked >= 3 && kernel.m[2].asked >= 3);
	assert_order(0, S(PRE_COPY_P2P), S(STOP_COPY));
}

static void test_restore_order(void **state)
{
	int fd = new_image();

	(void)state;
	assert_int_equal(restore(fd), 0);
	assert_order(0, S(RUNNING_P2P), S(STOP));
	assert_order(0, S(STOP), S(RESUMING));
	assert_way_up(last_into(S(RESUMING)));
	/* The first STOP of the way up comes when all are in RESUMING. */
	assert_order(0, S(RESUMING), S(RUNNING));
	for (int i = 0; i < COUNT; i++) {
		char want[64];

		snprintf(want, sizeof(want), "the state of device %d", i);
		assert_string_equal(kernel.m[i].holds, want);
		assert_int_equal(kernel.m[i].state, S(RUNNING));
		assert_true(results[i].loaded && results[i].home);
	}
}

/* By other names, and in another order */
static void test_restore_names(void **state)
{
	struct vfiomig_member swapped[COUNT];
	int fd = new_image();

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		swapped[i] = members[COUNT - 1 - i];
		members[i].name = kernel.m[(i + 1) % COUNT].dev->name;
	}
	for (int i = 0; i < COUNT; i++)
		swapped[i].name = members[COUNT - 1 - i].name;
	assert_int_equal(vfiomig_restore_set(swapped, COUNT, fd, NULL, &whole, &which), 0);
	close(fd);
	for (int i = 0; i < COUNT; i++) {
		char want[64];

		snprintf(want, sizeof(want), "the state of device %d", (i + 1) % COUNT);
		assert_string_equal(kernel.m[i].holds, want);
	}
}

/* Whether all devices are back in RUNNING. */
static bool are_back(void)
{
	bool back = true;

	pthread_mutex_lock(&kernel.lock);
	for (int i = 0; i < COUNT; i++)
		back = back && first_into(i, 0, S(RUNNING)) < INT_MAX;
	pthread_mutex_unlock(&kernel.lock);
	return back;
}

/* Who takes the image begins when the devices are back, or after a minute. */
static void *take_late(void *arg)
{
	static char buf[65536];
	int *fd = arg;
	uint64_t until = now_ns() + 60000000000ULL;

	while (!are_back() && now_ns() < until)
		usleep(10000);
	*fd = are_back() ? *fd : -*fd;
	while (read(abs(*fd), buf, sizeof(buf)) > 0)
		;
	return NULL;
}

/* Those that have been read wait for the last one, which has all of the memory then. */
static void test_memory_for_the_last(void **state)
{
	pthread_t thread;
	int fds[2];

	(void)state;
	kernel.m[1].more = 150 << 20;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pthread_create(&thread, NULL, take_late, &fds[0]), 0);
	assert_int_equal(save_to(fds[1], false, -1), 0);
	close(fds[1]);
	pthread_join(thread, NULL);
	assert_in_range(results[1].bytes, 149 << 20, 150 << 20);
	assert_true(fds[0] > 0);
	close(fds[0]);
}

/* ---- Failures --------------------------------------------------------------- */

static void assert_all_home(int resets)
{
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(kernel.m[i].state, S(RUNNING));
		assert_int_equal(results[i].state, S(RUNNING));
		assert_true(results[i].home);
		if (resets >= 0)
			assert_int_equal(kernel.m[i].resets, resets);
		assert_int_equal(results[i].reset, kernel.m[i].resets > 0);
	}
}

/* Each arc of each device fails, and leaves it where it was, or in ERROR. */
static void fail_each_arc(bool precopy, int leave)
{
	for (int who = 0; who < COUNT; who++)
		for (int arc = 1; arc <= 6; arc++)
			for (int left = -1; left <= 0; left++) {
				int err;

				again();
				kernel.m[who].fail_at = arc;
				kernel.m[who].fail_state = left;
				err = save(precopy, leave);
				/* There is no such arc. */
				if (kernel.m[who].sets < arc) {
					assert_int_equal(err, 0);
					continue;
				}
				assert_int_equal(err, -EIO);
				assert_int_equal(which, who);
				assert_says("failed: Input/output error");
				assert_all_home(-1);
				for (int i = 0; i < COUNT; i++)
					assert_int_equal(kernel.m[i].resets, i == who && left == 0);
			}
}

static void test_save_arc_fails(void **state)
{
	(void)state;
	fail_each_arc(false, -1);
	fail_each_arc(true, -1);
}

/* One that is not left as it was to be takes the others back, too. */
static void test_leave_fails(void **state)
{
	(void)state;
	fail_each_arc(false, S(STOP));
	again();
	assert_int_equal(save(false, S(STOP)), 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(kernel.m[i].state, S(STOP));
}

/* Also after a failure none runs before all have left STOP. */
static void test_way_home_order(void **state)
{
	(void)state;
	kernel.m[1].fail_at = 3;
	assert_int_equal(save(false, -1), -EIO);
	assert_order(last_into(S(STOP_COPY)), S(RUNNING_P2P), S(RUNNING));
}

static void test_lost(void **state)
{
	(void)state;
	kernel.m[2].fail_at = 3;
	kernel.m[2].fail_state = S(ERROR);
	kernel.m[2].fail_reset = true;
	assert_int_equal(save(false, -1), -EIO);
	assert_int_equal(results[2].state, S(ERROR));
	assert_false(results[2].home || whole.home);
	for (int i = 0; i < 2; i++)
		assert_true(results[i].home && kernel.m[i].state == S(RUNNING));
}

static void test_full_disk(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(save_to(fd, false, S(STOP)), -ENOSPC);
	close(fd);
	assert_int_equal(which, COUNT);
	assert_all_home(0);
	assert_int_equal(kernel.nr_arcs, 0);
}

/*
 * Each arc of a restore fails: those before RESUMING cost nobody anything, and after that no device
 * keeps what was loaded.
 */
static void test_restore_arc_fails(void **state)
{
	(void)state;
	for (int who = 0; who < COUNT; who++)
		for (int arc = 1; arc <= 6; arc++) {
			int fd;

			again();
			fd = new_image();
			kernel.m[who].fail_at = arc;
			assert_int_equal(restore(fd), -EIO);
			assert_int_equal(which, who);
			assert_says("failed: Input/output error");
			assert_all_home(-1);
			for (int i = 0; i < COUNT; i++) {
				bool kept = !kernel.m[i].resets;

				assert_string_equal(kernel.m[i].holds,
						    kept ? "what was there before" : "");
				assert_false(results[i].loaded);
				if (arc < 3)
					assert_true(kept);
				if (arc > 3)
					assert_false(kept);
			}
		}
}

/* The arc out of RESUMING fails, and the device is in STOP all the same: nobody knows what it has
 * loaded, so that it does not run with that. */
static void test_loads_half(void **state)
{
	(void)state;
	for (int who = 0; who < COUNT; who++) {
		int fd;

		again();
		fd = new_image();
		kernel.m[who].fail_at = 4;
		kernel.m[who].fail_state = S(STOP);
		assert_int_equal(restore(fd), -EIO);
		assert_int_equal(which, who);
		assert_says("arc RESUMING -> STOP failed");
		assert_all_home(1);
	}
}

/* A device that refuses its state is the one that has failed. */
static void test_refuses(void **state)
{
	(void)state;
	for (int who = 0; who < COUNT; who++) {
		int fd;

		again();
		fd = new_image();
		kernel.m[who].refuses = EINVAL;
		assert_int_equal(restore(fd), -EINVAL);
		assert_int_equal(which, who);
		assert_says("the device refused its state: Invalid argument");
		assert_all_home(1);
	}
}

/* Its owner may have reset it and begun another restore: that one is left alone. */
static void test_owner_goes_on(void **state)
{
	static const struct backend borrowed = {
		.name = "a test",
		.flags = BACKEND_SESSION_GOES_ON | BACKEND_OWNER_MAY_SAVE,
	};
	int fd = new_image();

	(void)state;
	kernel.m[1].dev->backend = &borrowed;
	kernel.m[1].refuses = ENODEV;
	assert_int_equal(restore(fd), -ENOTRECOVERABLE);
	assert_int_equal(which, 1);
	assert_says("is running, and may have reset it and begun another restore");
	assert_int_equal(kernel.m[1].resets, 0);
	assert_int_equal(results[1].state, S(RESUMING));
	assert_false(results[1].home);
	for (int i = 0; i < COUNT; i += 2)
		assert_true(results[i].home && kernel.m[i].resets == 1);
}

/* The image comes through a pipe, and is damaged at one place: nothing of it is loaded. */
static void test_damaged(void **state)
{
	char image[16384];
	ssize_t size;
	int fd = new_image();

	(void)state;
	size = read(fd, image, sizeof(image));
	assert_in_range(size, 1, sizeof(image) - 1);
	close(fd);
	for (ssize_t at = size - 600; at < size; at += 7) {
		int fds[2];

		again();
		assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		image[at] ^= 1;
		assert_int_equal(write(fds[1], image, size), size);
		close(fds[1]);
		assert_int_equal(restore(fds[0]), -EBADMSG);
		image[at] ^= 1;
		assert_all_home(-1);
		for (int i = 0; i < COUNT; i++) {
			assert_false(results[i].loaded);
			assert_int_equal(first_into(i, last_into(S(RESUMING)), S(STOP)), INT_MAX);
		}
	}
}

/* A signal comes with each arc, and while the devices wait for each other. */
static void interrupt_each_arc(bool precopy)
{
	int all;

	again();
	assert_int_equal(save(precopy, -1), 0);
	all = kernel.nr_arcs;
	for (int arc = 1; arc <= all; arc++) {
		int err;

		again();
		kernel.interrupt_at = arc;
		err = save(precopy, -1);
		assert_true(err == 0 || err == -EINTR);
		assert_int_equal(whole.complete, !err);
		assert_all_home(0);
	}
}

static void test_interrupted(void **state)
{
	(void)state;
	interrupt_each_arc(false);
	interrupt_each_arc(true);
	again();
	kernel.m[1].busy = INT_MAX;
	kernel.interrupt_info = 20;
	assert_int_equal(save(true, -1), -EINTR);
	assert_says("interrupted by a signal");
	assert_all_home(0);
}

static void test_restore_interrupted(void **state)
{
	int all, fd = new_image();

	(void)state;
	assert_int_equal(restore(fd), 0);
	all = kernel.nr_arcs;
	for (int arc = 1; arc <= all; arc++) {
		int err;

		again();
		fd = new_image();
		kernel.interrupt_at = arc;
		err = restore(fd);
		assert_true(err == 0 || err == -EINTR);
		assert_all_home(-1);
		for (int i = 0; i < COUNT; i++)
			assert_int_equal(results[i].loaded, !err);
	}
}

/* ---- What is refused before a device is touched ------------------------------ */

static void assert_refused(int result, int err, const char *says)
{
	assert_int_equal(result, err);
	assert_says(says);
	assert_int_equal(kernel.nr_arcs, 0);
	for (int i = 0; i < COUNT; i++)
		assert_int_equal(kernel.m[i].resets, 0);
}

/* No device is stopped while memory is found for another one: all with PRE_COPY, some, none. */
static void test_memory_first(void **state)
{
	(void)state;
	for (int live = COUNT; live >= 0; live--) {
		again();
		kernel.slow = true;
		for (int i = live; i < COUNT; i++)
			kernel.m[i].flags = VFIOMIG_STOP_COPY | VFIOMIG_P2P;
		assert_int_equal(save(true, -1), 0);
		assert_int_equal(kernel.prepared, COUNT);
		assert_int_equal(kernel.early, 0);
	}
}

static void test_no_p2p(void **state)
{
	struct vfiomig_options opt = options(false);
	int fd = new_file("", 0);

	(void)state;
	kernel.m[1].flags = VFIOMIG_STOP_COPY;
	assert_refused(save_to(fd, false, -1), -EPROTONOSUPPORT, "device-1 has no P2P states");
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	opt.no_p2p = true;
	assert_int_equal(vfiomig_save_set(members, COUNT, fd, &opt, &whole, &which), 0);
	assert_all_home(0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(vfiomig_restore_set(members, COUNT, fd, &opt, &whole, &which), 0);
	assert_all_home(0);
	close(fd);
}

static void test_names_refused(void **state)
{
	int fd = new_image();

	(void)state;
	assert_refused(vfiomig_restore_set(members, COUNT - 1, fd, NULL, &whole, &which),
		       -EDESTADDRREQ, "no device was given for device-2; the image is of device-0");
	lseek(fd, 0, SEEK_SET);
	assert_refused(vfiomig_restore(kernel.m[0].dev, fd, NULL, &whole), -EDESTADDRREQ,
		       "no device was given for device-1");
	lseek(fd, 0, SEEK_SET);
	members[1].name = "another";
	assert_refused(vfiomig_restore_set(members, COUNT, fd, NULL, &whole, &which), -EDESTADDRREQ,
		       "the image has no device another");
	lseek(fd, 0, SEEK_SET);
	members[1].name = "device-0";
	assert_refused(vfiomig_restore_set(members, COUNT, fd, NULL, &whole, &which), -EDESTADDRREQ,
		       "two devices were given for device-0");
	close(fd);
}

static void test_one_image(void **state)
{
	int fd = new_file("", 0);

	(void)state;
	assert_int_equal(vfiomig_save(kernel.m[0].dev, fd, NULL, &whole), 0);
	kernel.nr_arcs = 0;
	lseek(fd, 0, SEEK_SET);
	assert_refused(vfiomig_restore_set(members, 2, fd, NULL, &whole, &which), -EDESTADDRREQ,
		       "the image is of one device, not of 2");
	lseek(fd, 0, SEEK_SET);
	members[0].name = "device-1";
	assert_refused(vfiomig_restore_set(members, 1, fd, NULL, &whole, &which), -EDESTADDRREQ,
		       "the image has no device device-1: it is of device-0");
	lseek(fd, 0, SEEK_SET);
	members[0].name = "device-0";
	assert_int_equal(vfiomig_restore_set(members, 1, fd, NULL, &whole, &which), 0);
	close(fd);
}

static void test_set_refused(void **state)
{
	struct vfiomig_options opt = options(false);

	(void)state;
	members[2].device = members[0].device;
	which = 7;
	assert_int_equal(vfiomig_save_set(NULL, 0, -1, NULL, NULL, &which), -EINVAL);
	assert_int_equal(which, 0);
	which = 7;
	assert_int_equal(vfiomig_restore_set(NULL, 0, -1, NULL, NULL, &which), -EINVAL);
	assert_int_equal(which, 0);
	assert_refused(save(false, -1), -ENOTUNIQ, "device-0 was given twice");
	assert_int_equal(which, 2);
	members[2].device = kernel.m[2].dev;
	assert_int_equal(vfiomig_new(&members[1].device->ctx), 0);
	assert_refused(save(false, -1), -EINVAL, "a set has devices of one context");
	vfiomig_unref(members[1].device->ctx);
	members[1].device->ctx = ctx;
	opt.raw = true;
	assert_refused(vfiomig_save_set(members, COUNT, -1, &opt, &whole, &which), -EINVAL,
		       "raw state is of one device");
	assert_refused(vfiomig_save_set(members, VFIOMIG_SET_MAX + 1, -1, NULL, &whole, &which),
		       -EINVAL, "65 devices are more than the 64 of a set");
	kernel.m[1].state = S(ERROR);
	assert_refused(save(false, -1), -EUCLEAN, "the device is in ERROR");
	assert_int_equal(which, 1);
}

/* A refusal is about one device, and the states of all are told as they were read. */
static void test_refused_states(void **state)
{
	(void)state;
	for (int who = 0; who < COUNT; who++) {
		int fd;

		again();
		fd = new_image();
		kernel.m[who].state = S(ERROR);
		kernel.m[(who + 1) % COUNT].state = S(STOP);
		assert_refused(restore(fd), -EUCLEAN, "the device is in ERROR");
		assert_int_equal(which, who);
		assert_refused(save(false, -1), -EUCLEAN, "the device is in ERROR");
		assert_int_equal(which, who);
		for (int i = 0; i < COUNT; i++) {
			assert_int_equal(results[i].state, kernel.m[i].state);
			assert_int_equal(results[i].before, kernel.m[i].state);
			assert_true(results[i].home && !results[i].touched);
		}
		assert_true(whole.home && !whole.touched);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_save_order),
		TEST(test_precopy_order),
		TEST(test_mixed_order),
		TEST(test_waits_for_all),
		TEST(test_restore_order),
		TEST(test_restore_names),
		TEST(test_memory_for_the_last),
		TEST(test_save_arc_fails),
		TEST(test_leave_fails),
		TEST(test_way_home_order),
		TEST(test_lost),
		TEST(test_full_disk),
		TEST(test_restore_arc_fails),
		TEST(test_damaged),
		TEST(test_interrupted),
		TEST(test_restore_interrupted),
		TEST(test_memory_first),
		TEST(test_no_p2p),
		TEST(test_names_refused),
		TEST(test_one_image),
		TEST(test_set_refused),
		TEST(test_refuses),
		TEST(test_owner_goes_on),
		TEST(test_loads_half),
		TEST(test_refused_states),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
