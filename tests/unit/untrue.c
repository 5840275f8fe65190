// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Calls that return success and have not done what they were asked for, and owners who reset a
 * device in the middle of a transfer: nothing of that may end as a success, and no part of a state
 * may be loaded. The kernel is replaced at ioctl(2) and, for the data_fd, at read(2), write(2) and
 * writev(2).
 */
#include <fcntl.h>
#include <sys/uio.h>

#include "clock.h"
#include "image/image.h"
#include "session.h"

#define ALL    (VFIOMIG_STOP_COPY | VFIOMIG_P2P | VFIOMIG_PRE_COPY)
#define STREAM "the state of a device"
#define LENGTH strlen(STREAM)
/* So many bytes of the stream can be read in PRE_COPY. */
#define FIRST  10

enum who {
	NOBODY,
	OWNER,	   /* resets the device */
	OWNER_TOO, /* and begins the same as we do */
};

static struct {
	uint64_t flags;
	int state;
	int set_states, get_states, resets;

	/* From the SET_STATE with the number @lie_at on, @lies of them do nothing but return 0, and
	 * leave the device in @lie_state (-1: where it was). */
	int lie_at, lies, lie_state;
	/* The same for those that fail with @error. */
	int fail_at, fails, error;
	bool reset_lies;
	int get_fails_at; /* the GET that fails */
	int get_resets;	  /* the GET before which the owner resets the device */
	int fd_at; /* the SET_STATE that returns a data_fd if it should not, and none otherwise */
	/* Somebody comes when so many bytes of the stream have been moved. */
	enum who comes;
	size_t comes_at;
	size_t breaks_at; /* the data_fd fails with ENODEV when so many bytes have been moved */
	int stuck;	  /* what the data_fd fails with for ever when 4 bytes have been moved */
	bool dead_ends;	  /* the data_fd of a session that is over gives the end of the stream */

	_Atomic int data_fd;
	size_t length; /* of the device's state */
	size_t moved;  /* bytes of it that were read or written in this session */
	bool alive;    /* the session of @data_fd */
	char got[64];  /* what was written */
	bool loaded;   /* the device has it */
} kernel;

static void owner_resets(void)
{
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.alive = false;
}

static void somebody_comes(void)
{
	if (kernel.comes == NOBODY || kernel.moved < kernel.comes_at)
		return;
	/* An owner who goes on does so in the state that the device is in now. */
	if (kernel.comes == OWNER)
		owner_resets();
	kernel.alive = false;
	kernel.comes = NOBODY;
}

/* The driver has given up, and the session with it: nobody has done anything to the device. */
static bool is_broken(void)
{
	return kernel.breaks_at && kernel.moved >= kernel.breaks_at;
}

/* Each try takes five seconds. */
static bool is_stuck(void)
{
	if (!kernel.stuck || kernel.moved < 4)
		return false;
	ahead += 5000000000;
	return true;
}

static bool runs; /* the owner */

bool __wrap_vfiomig_device_owner_runs(const struct vfiomig_device *owned);
bool __wrap_vfiomig_device_owner_runs(const struct vfiomig_device *owned)
{
	assert_ptr_equal(owned, dev);
	return runs;
}

/* ---- The data_fd ---------------------------------------------------------- */

ssize_t __real_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size);
ssize_t __wrap_read(int fd, void *buf, size_t size)
{
	size_t end;

	if (fd != kernel.data_fd || fd < 0)
		return __real_read(fd, buf, size);
	end = kernel.state == VFIOMIG_STATE_STOP_COPY ? kernel.length : FIRST;
	if (is_broken())
		return refuse(ENODEV);
	if (is_stuck())
		return refuse(kernel.stuck);
	if (!kernel.alive)
		return kernel.dead_ends ? 0 : refuse(ENODEV);
	if (end > kernel.length)
		end = kernel.length;
	if (kernel.moved >= end)
		return kernel.state == VFIOMIG_STATE_STOP_COPY ? 0 : refuse(ENOMSG);
	if (size > 4)
		size = 4;
	if (size > end - kernel.moved)
		size = end - kernel.moved;
	memcpy(buf, STREAM + kernel.moved, size);
	kernel.moved += size;
	somebody_comes();
	return size;
}

static ssize_t take(const void *buf, size_t size)
{
	if (!kernel.alive || is_broken())
		return refuse(ENODEV);
	if (is_stuck())
		return refuse(kernel.stuck);
	if (size > 4)
		size = 4;
	assert_true(kernel.moved + size < sizeof(kernel.got));
	memcpy(kernel.got + kernel.moved, buf, size);
	kernel.moved += size;
	somebody_comes();
	return size;
}

ssize_t __real_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size);
ssize_t __wrap_write(int fd, const void *buf, size_t size)
{
	return fd == kernel.data_fd && fd >= 0 ? take(buf, size) : __real_write(fd, buf, size);
}

ssize_t __real_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count);
ssize_t __wrap_writev(int fd, const struct iovec *iov, int count)
{
	if (fd != kernel.data_fd || fd < 0)
		return __real_writev(fd, iov, count);
	return take(iov->iov_base, iov->iov_len);
}

/* ---- The ioctls ----------------------------------------------------------- */

static bool is_saving(int state)
{
	return state == VFIOMIG_STATE_PRE_COPY || state == VFIOMIG_STATE_PRE_COPY_P2P ||
	       state == VFIOMIG_STATE_STOP_COPY;
}

static int new_data_fd(void)
{
	kernel.data_fd = memfd_create("data_fd", MFD_CLOEXEC);
	assert_true(kernel.data_fd >= 0);
	kernel.moved = 0;
	kernel.alive = true;
	return kernel.data_fd;
}

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	int from = kernel.state, to = mig->device_state, n = ++kernel.set_states;
	bool starts = to == VFIOMIG_STATE_RESUMING || (is_saving(to) && !is_saving(from));

	mig->data_fd = -1;
	if (kernel.fail_at && n >= kernel.fail_at && n < kernel.fail_at + kernel.fails)
		return refuse(kernel.error);
	if (kernel.lie_at && n >= kernel.lie_at && n < kernel.lie_at + kernel.lies &&
	    kernel.lie_state != to) {
		if (kernel.lie_state >= 0)
			kernel.state = kernel.lie_state;
		return 0;
	}
	if (from == to)
		return 0;
	assert_int_equal(vfiomig_fsm_path(kernel.flags, from, to, NULL), 1);
	if (from == VFIOMIG_STATE_RESUMING) {
		/* Nothing but all of the stream is loaded, and what another owner writes is his. */
		assert_true(kernel.alive);
		assert_string_equal(kernel.got, STREAM);
		kernel.loaded = true;
	}
	if (!is_saving(to))
		kernel.alive = false;
	if (starts != (n == kernel.fd_at))
		mig->data_fd = new_data_fd();
	kernel.state = to;
	return 0;
}

static int reset(void)
{
	kernel.resets++;
	if (kernel.reset_lies)
		return 0;
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.alive = false;
	return 0;
}

static int get_info(struct vfio_precopy_info *info)
{
	if (!kernel.alive || !is_saving(kernel.state))
		return refuse(EINVAL);
	info->initial_bytes = kernel.moved < FIRST ? FIRST - kernel.moved : 0;
	info->dirty_bytes = 0;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct vfio_device_feature *feature;
	va_list ap;

	va_start(ap, request);
	feature = va_arg(ap, void *);
	va_end(ap);
	if (request == VFIO_MIG_GET_PRECOPY_INFO)
		return get_info((void *)feature);
	assert_int_equal(fd, dev->fd);
	if (request == VFIO_DEVICE_RESET)
		return reset();
	assert_int_equal(request, VFIO_DEVICE_FEATURE);
	if (feature->flags == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)) {
		kernel.get_states++;
		if (kernel.get_states == kernel.get_fails_at)
			return refuse(EIO);
		if (kernel.get_states == kernel.get_resets)
			owner_resets();
	}
	return feature_answer(feature, kernel.flags, kernel.state, set_state);
}

/* ---- Fixtures ------------------------------------------------------------- */

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	runs = false;
	kernel.flags = ALL;
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.lies = kernel.fails = 1;
	kernel.lie_state = kernel.data_fd = -1;
	kernel.length = LENGTH;
	open_session();
	return 0;
}

static void again(void)
{
	close_session(NULL);
	setup(NULL);
}

enum what {
	SAVE,
	SAVE_RAW,
	SAVE_LIVE,
	RESTORE,
	RESTORE_PIPE,
	RESTORE_RAW,
	NR_WHATS
};

static bool is_save(enum what what)
{
	return what <= SAVE_LIVE;
}

static int save(enum what what, struct vfiomig_result *r)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int err, fd = new_file("", 0);
	char got[4096];
	ssize_t n;

	opt.no_precopy = what != SAVE_LIVE;
	opt.raw = what == SAVE_RAW;
	err = vfiomig_save(dev, fd, &opt, r);
	n = pread(fd, got, sizeof(got), 0);
	/* An image that is taken for complete is complete. */
	if (r->complete && opt.raw) {
		assert_int_equal(n, LENGTH);
		assert_memory_equal(got, STREAM, LENGTH);
	} else if (r->complete) {
		assert_non_null(memmem(got, n, STREAM, LENGTH));
		assert_non_null(memmem(got, n, "\"digest\"", 8));
	}
	close(fd);
	return err;
}

/* Pack @text into a new file, which is to be read from its beginning. */
static int packed(const char *text)
{
	int from = new_file(text, strlen(text)), to = new_file("", 0);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	assert_int_equal(vfiomig_pack(ctx, from, to, NULL, &r), 0);
	close(from);
	lseek(to, 0, SEEK_SET);
	return to;
}

/* The reading end of a pipe that has what is in the file @fd, which is closed. */
static int piped(int fd)
{
	char image[4096];
	ssize_t n = __real_read(fd, image, sizeof(image));
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(__real_write(fds[1], image, n), n);
	close(fds[1]);
	close(fd);
	return fds[0];
}

static int restore_from(int fd, bool raw, struct vfiomig_result *r)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int err;

	opt.raw = raw;
	err = vfiomig_restore(dev, fd, &opt, r);
	close(fd);
	return err;
}

static int restore(enum what what, struct vfiomig_result *r)
{
	int fd = what == RESTORE_RAW ? new_file(STREAM, LENGTH) : packed(STREAM);

	if (what == RESTORE_PIPE)
		fd = piped(fd);
	return restore_from(fd, what == RESTORE_RAW, r);
}

static int transfer(enum what what, struct vfiomig_result *r)
{
	int err;

	*r = (struct vfiomig_result)VFIOMIG_RESULT_INIT;
	err = is_save(what) ? save(what, r) : restore(what, r);
	/* Whatever comes of it, what is reported is what is the case. */
	assert_int_equal(r->state, kernel.state);
	if (!is_save(what)) {
		assert_true(kernel.loaded || !r->loaded);
		assert_false(err == -ENOTRECOVERABLE && r->loaded);
		assert_true(err || kernel.loaded);
	}
	assert_true(err || r->complete);
	return err;
}

/* How many SET_STATE ioctls this one takes if all is well. */
static int count_arcs(enum what what)
{
	struct vfiomig_result r;

	again();
	assert_int_equal(transfer(what, &r), 0);
	assert_true(r.home && !r.reset);
	assert_int_equal(kernel.resets, 0);
	return kernel.set_states;
}

/* ---- Arcs ----------------------------------------------------------------- */

/* Each arc in turn returns 0 and leads to each state, or nowhere. */
static void test_arcs(void **state)
{
	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		int arcs = count_arcs(what);

		for (int arc = 1; arc <= arcs; arc++) {
			for (int left = -1; left < VFIOMIG_NR_STATES; left++) {
				struct vfiomig_result r;
				int err;

				again();
				kernel.lie_at = arc;
				kernel.lie_state = left;
				err = transfer(what, &r);
				if (!err) {
					/* It had led where it should. */
					assert_int_equal(kernel.resets, 0);
					continue;
				}
				assert_true(r.touched && r.home);
				assert_int_equal(r.reset,
						 kernel.resets > 0 || err == -ENOTRECOVERABLE);
				if (left == VFIOMIG_STATE_ERROR) {
					assert_true(r.reset);
					assert_says(" but the device is in ERROR");
				}
			}
		}
	}
}

/* The arc that loads the state is told from others: it returns 0, and the device stays. */
static void test_load(void **state)
{
	struct vfiomig_result r;

	(void)state;
	kernel.lie_at = 4;
	assert_int_equal(transfer(RESTORE, &r), -EPROTO);
	assert_says("arc RESUMING -> STOP returned success, but the device is in RESUMING");
	assert_true(r.reset && r.home && !r.loaded);
}

static int nothing(void *data, int state, uint64_t ns)
{
	(void)ns;
	assert_int_equal(state, kernel.state);
	++*(int *)data;
	return 0;
}

static void test_drive(void **state)
{
	int steps = 0, fd;

	(void)state;
	kernel.lie_at = 2;
	assert_int_equal(vfiomig_device_drive(dev, VFIOMIG_STATE_STOP, &fd, nothing, &steps),
			 -EPROTO);
	assert_int_equal(steps, 1);
	assert_int_equal(fd, -1);
	assert_says("arc RUNNING_P2P -> STOP returned success, but the device is in RUNNING_P2P");

	again();
	kernel.lie_at = 1;
	assert_int_equal(vfiomig_device_set_state(dev, VFIOMIG_STATE_RUNNING_P2P, NULL), -EPROTO);
	assert_says("arc RUNNING -> RUNNING_P2P returned success, but the device is in RUNNING");
}

/* No arc, no session: a state to itself needs no data_fd, whichever state that is. */
static void test_itself(void **state)
{
	(void)state;
	for (int s = VFIOMIG_STATE_STOP; s < VFIOMIG_NR_STATES; s++) {
		int fd;

		again();
		kernel.state = s;
		assert_int_equal(vfiomig_device_set_state(dev, s, &fd), 0);
		assert_int_equal(fd, -1);
		assert_int_equal(kernel.state, s);
		assert_int_equal(vfiomig_device_drive(dev, s, &fd, NULL, NULL), 0);
		assert_int_equal(fd, -1);
	}
}

/* The way home goes on from where an arc has left the device, and ends in what GET says. */
static void test_walk_home(void **state)
{
	(void)state;
	kernel.state = VFIOMIG_STATE_STOP_COPY;
	kernel.lie_at = 2;
	assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);

	again();
	kernel.state = VFIOMIG_STATE_STOP_COPY;
	kernel.lie_at = 2;
	kernel.lies = 100;
	assert_int_equal(vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING), -EPROTO);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
}

/* ---- Resets --------------------------------------------------------------- */

/* A reset that does nothing leaves the device in RESUMING: what it was given must not be loaded. */
static void test_reset(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	bool reset = true;
	int fd;

	(void)state;
	kernel.reset_lies = true;
	kernel.state = VFIOMIG_STATE_STOP;
	assert_int_equal(vfiomig_device_reset(dev), -EPROTO);
	assert_says("VFIO_DEVICE_RESET returned success, but the device is in STOP");
	kernel.state = VFIOMIG_STATE_ERROR;
	assert_int_equal(vfiomig_device_reset_home(dev, VFIOMIG_STATE_RUNNING, &reset), -EPROTO);
	assert_false(reset);

	/* set_state() checks that nothing else is loaded than STREAM. */
	again();
	kernel.reset_lies = true;
	fd = packed("another state");
	assert_true(lseek(fd, -2, SEEK_END) > 0);
	assert_int_equal(__real_write(fd, "x", 1), 1);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(restore_from(piped(fd), false, &r), -EBADMSG);
	assert_false(r.home);
	assert_false(r.reset);
	assert_int_equal(r.state, VFIOMIG_STATE_RESUMING);
}

/* ---- Owners --------------------------------------------------------------- */

/* The owner resets the device after each byte of the stream. */
static void test_owner(void **state)
{
	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		for (size_t at = 1; at <= LENGTH; at++) {
			for (int dead_ends = 0; dead_ends <= 1; dead_ends++) {
				struct vfiomig_result r;

				again();
				kernel.comes_at = at;
				kernel.comes = OWNER;
				kernel.dead_ends = dead_ends;
				assert_int_equal(transfer(what, &r), -ENOTRECOVERABLE);
				assert_says("somebody else has reset the device");
				assert_true(r.reset && r.home && !r.loaded);
				assert_false(r.complete && is_save(what));
				assert_int_equal(kernel.resets, 0);
			}
		}
	}
}

/* Or each time that the state is read: save() and transfer() look at what then is a success. */
static void test_owner_between(void **state)
{
	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		int gets, lost = 0;

		count_arcs(what);
		gets = kernel.get_states;
		for (int get = 1; get <= gets; get++) {
			for (int dead_ends = 0; dead_ends <= 1; dead_ends++) {
				struct vfiomig_result r;
				int err;

				again();
				kernel.get_resets = get;
				kernel.dead_ends = dead_ends;
				err = transfer(what, &r);
				assert_true(r.home);
				assert_int_equal(err == -ENOTRECOVERABLE, r.reset);
				lost += err == -ENOTRECOVERABLE;
			}
		}
		assert_true(lost > 4);
	}
}

static const struct backend borrowed = { .name = "a test",
					 .flags =
						 BACKEND_SESSION_GOES_ON | BACKEND_OWNER_MAY_SAVE };

/* And begins a restore or a save: that is left alone. Of a device of our own it is ended. */
static void test_owner_goes_on(void **state)
{
	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		for (size_t at = 1; at <= LENGTH; at++) {
			for (int own = 0; own <= 1; own++) {
				struct vfiomig_result r;
				int there;

				again();
				if (!own)
					dev->backend = &borrowed;
				runs = true;
				kernel.comes_at = at;
				kernel.comes = OWNER_TOO;
				there = transfer(what, &r);
				assert_int_equal(there, own ? -ENODEV : -ENOTRECOVERABLE);
				assert_int_equal(r.reset, own && !is_save(what));
				assert_false(r.loaded);
				assert_int_equal(r.home, own);
				assert_int_equal(kernel.resets, own && !is_save(what));
				if (!own)
					assert_says("is running, and may have reset it and begun");
			}
		}
	}
}

/* The data_fd fails with ENODEV, as mlx5's does, but nobody has reset the device. Where no owner is
 * seen running, that is the driver's failure: the device goes home. */
static void test_broken(void **state)
{
	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		for (size_t at = 1; at <= LENGTH; at++) {
			for (int own = 0; own <= 1; own++) {
				struct vfiomig_result r;

				again();
				if (!own)
					dev->backend = &borrowed;
				kernel.breaks_at = at;
				assert_int_equal(transfer(what, &r), -ENODEV);
				assert_says("No such device");
				assert_true(r.home && !r.loaded);
				assert_int_equal(r.reset, !is_save(what));
				assert_int_equal(kernel.resets, !is_save(what));
				assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
			}
		}
	}
}

/* If something else has failed, that is what is told. But the state is lost all the same. */
static void test_owner_and_signal(void **state)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(__real_write(fds[1], "half", 4), 4);
	kernel.comes = OWNER;
	kernel.comes_at = 1;
	kernel.state = VFIOMIG_STATE_STOP;
	interrupt_on_alarm();
	alarm(1);
	assert_int_equal(restore_from(fds[0], true, &r), -EINTR);
	assert_says("interrupted by a signal");
	close(fds[1]);
}

/* ---- Descriptors ---------------------------------------------------------- */

static void test_data_fd(void **state)
{
	/* The arc to RESUMING, which is the third one, and those to STOP_COPY and to PRE_COPY. */
	static const int starts[NR_WHATS] = { 3, 3, 1, 3, 3, 3 };
	int before = count_fds();

	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		int arcs = count_arcs(what);

		for (int arc = 1; arc <= arcs; arc++) {
			bool live = what == SAVE_LIVE && arc <= 3;
			struct vfiomig_result r;
			int err;

			again();
			kernel.fd_at = arc;
			err = transfer(what, &r);
			if (arc == starts[what]) {
				assert_int_equal(err, -EPROTO);
				assert_says(" came without a data_fd");
				assert_true(r.home && !r.complete);
			} else if (live) {
				/* Which of the two has the rest of the state is not known. */
				assert_int_equal(err, -EPROTO);
				assert_says("although the session goes on");
				assert_true(r.home && !r.complete && !r.reset);
			} else {
				assert_int_equal(err, 0);
			}
			assert_int_equal(count_fds(), before);
		}
	}
}

/* ---- What is worth a second try ------------------------------------------- */

static void test_again(void **state)
{
	static const int errors[] = { EINTR, EAGAIN, EBUSY };

	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		int arcs = count_arcs(what);

		for (int arc = 1; arc <= arcs; arc++) {
			struct vfiomig_result r;

			again();
			kernel.fail_at = arc;
			kernel.error = errors[arc % 3];
			assert_int_equal(transfer(what, &r), 0);
			assert_true(r.home && !r.reset);
			assert_int_equal(kernel.resets, 0);

			again();
			kernel.fail_at = arc;
			kernel.fails = 2;
			kernel.error = errors[arc % 3];
			/* Nobody has broken the arc off, so EINTR is the driver's failure. */
			assert_int_equal(transfer(what, &r),
					 errors[arc % 3] == EINTR ? -EIO : -errors[arc % 3]);
			assert_says("arc ");
			assert_true(r.home);
		}
	}
}

static void test_get_again(void **state)
{
	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		int gets;

		count_arcs(what);
		gets = kernel.get_states;
		for (int get = 1; get <= gets; get++) {
			struct vfiomig_result r;

			again();
			kernel.get_fails_at = get;
			assert_int_equal(transfer(what, &r), 0);
			assert_true(r.home && !r.reset);
			assert_int_equal(kernel.resets, 0);
		}
	}
}

static void test_unknown_state(void **state)
{
	(void)state;
	kernel.state = VFIOMIG_NR_STATES;
	assert_int_equal(vfiomig_device_get_state(dev), -EPROTO);
	assert_says("the driver reports state 8, which is none");
	kernel.state = -2;
	assert_int_equal(vfiomig_device_get_state(dev), -EPROTO);
}

/* ---- No state ------------------------------------------------------------- */

static void test_empty_save(void **state)
{
	(void)state;
	for (enum what what = SAVE; what <= SAVE_LIVE; what++) {
		struct vfiomig_result r;

		again();
		kernel.length = 0;
		assert_int_equal(transfer(what, &r), -EPROTO);
		assert_says("the device's state is empty");
		assert_true(r.home && !r.reset && !r.complete);
	}
}

/* An image without chunks, which is whole otherwise. */
static int empty_image(void)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct image image;
	struct raw state;
	char *header;
	int fd = new_file("", 0);

	opt.chunk_size = VFIOMIG_CHUNK_SIZE_MIN;
	assert_int_equal(raw_init(&state, ctx, -1, ""), 0);
	assert_int_equal(meta_header(ctx, NULL, &opt, &r, &header), 0);
	assert_int_equal(image_begin(&image, ctx, fd, header), 0);
	assert_int_equal(image_end(&image, &state), 0);
	image_free(&image);
	raw_free(&state);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void test_empty_restore(void **state)
{
	(void)state;
	for (int pipe = 0; pipe <= 1; pipe++) {
		for (int raw = 0; raw <= 1; raw++) {
			struct vfiomig_result r = VFIOMIG_RESULT_INIT;
			int fd = raw ? new_file("", 0) : empty_image();

			if (pipe)
				fd = piped(fd);
			assert_int_equal(restore_from(fd, raw, &r), -ENODATA);
			assert_says(raw ? "the input is empty" : "the image has no state in it");
			assert_false(r.touched);
		}
	}
	assert_int_equal(kernel.set_states, 0);
}

static void count_notice(void *count, const char *line)
{
	assert_non_null(strstr(line, "fails again and again"));
	++*(int *)count;
}

/* A data_fd that fails with EINTR or EAGAIN for ever. The user is told, and it has an end. */
static void test_stuck(void **state)
{
	static const int errors[] = { EINTR, EAGAIN };

	(void)state;
	for (enum what what = 0; what < NR_WHATS; what++) {
		for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
			struct vfiomig_result r;
			int told = 0;

			again();
			kernel.stuck = errors[i];
			vfiomig_set_notice(ctx, count_notice, &told);
			assert_int_equal(transfer(what, &r), -ETIMEDOUT);
			/* Whoever closes the device reads, too, and the clock runs fast. */
			kernel.stuck = 0;
			vfiomig_set_notice(ctx, NULL, NULL);
			assert_says("for 30 seconds each try has failed with EINTR or EAGAIN");
			assert_int_equal(told, 1);
			assert_true(r.home);
			assert_int_equal(r.reset, !is_save(what));
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, close_session)
	const struct CMUnitTest tests[] = {
		TEST(test_arcs),	  TEST(test_load),
		TEST(test_drive),	  TEST(test_walk_home),
		TEST(test_reset),	  TEST(test_owner),
		TEST(test_owner_between), TEST(test_owner_goes_on),
		TEST(test_data_fd),	  TEST(test_owner_and_signal),
		TEST(test_again),	  TEST(test_get_again),
		TEST(test_unknown_state), TEST(test_empty_save),
		TEST(test_empty_restore), TEST(test_broken),
		TEST(test_itself),	  TEST(test_stuck),
	};

	return cmocka_run_group_tests_name("untrue", tests, NULL, NULL);
}
