// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * An open device, and a kernel that refuses to answer or to do one thing: the message is right, and
 * the device stays in its state. The kernel is replaced at ioctl(2), pread(2) and pwrite(2) (see
 * --wrap in the Makefile).
 */
#include <fcntl.h>
#include <limits.h>

#include "device/config.h"
#include "session.h"

#define CONFIG_SIZE 64

static struct {
	uint64_t flags;
	int state;
	int migration_error, state_error, region_error;
	int read_error, write_error;	    /* read_error is for one read only */
	bool short_config, no_write, stuck; /* stuck: read_error is for ever */
	uint8_t config[CONFIG_SIZE];
	int interrupted_writes, short_writes;
	int set_states, data_fd;
} kernel;

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	int to = mig->device_state;

	kernel.set_states++;
	kernel.state = to;
	mig->data_fd = -1;
	if (to == VFIOMIG_STATE_STOP_COPY || to == VFIOMIG_STATE_RESUMING) {
		mig->data_fd = kernel.data_fd = new_file("state", 5);
	}
	return 0;
}

static int feature(struct vfio_device_feature *feature)
{
	int ret = feature_answer(feature, kernel.flags, kernel.state, set_state);

	switch (feature->flags) {
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION:
		return refuse(kernel.migration_error);
	case VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE:
		return refuse(kernel.state_error);
	default:
		return ret;
	}
}

int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	void *arg;

	assert_int_equal(fd, dev->fd);
	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == VFIO_DEVICE_FEATURE)
		return feature(arg);
	assert_int_equal(request, VFIO_DEVICE_GET_REGION_INFO);
	((struct vfio_region_info *)arg)->size = CONFIG_SIZE;
	return refuse(kernel.region_error);
}

ssize_t __real_pread64(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off_t at);
ssize_t __wrap_pread64(int fd, void *buf, size_t size, off_t at)
{
	int error = kernel.read_error;

	/* A chunk of an image */
	if (fd != dev->fd)
		return __real_pread64(fd, buf, size, at);
	assert_true(at + size == CONFIG_SIZE);
	if (!kernel.stuck)
		kernel.read_error = 0;
	if (error)
		return refuse(error);
	if (kernel.short_config && at)
		return 0;
	/* The kernel may return less than it was asked for. */
	if (size > 10)
		size = 10;
	memcpy(buf, kernel.config + at, size);
	return size;
}

ssize_t __wrap_pwrite64(int fd, const void *buf, size_t size, off_t at);
ssize_t __wrap_pwrite64(int fd, const void *buf, size_t size, off_t at)
{
	assert_int_equal(fd, dev->fd);
	assert_in_range(at, 4, 5);
	assert_int_equal(at + size, 6);
	/* The first write is interrupted by a signal, the second one is short. */
	if (kernel.interrupted_writes) {
		kernel.interrupted_writes--;
		return refuse(EINTR);
	}
	if (kernel.write_error)
		return refuse(kernel.write_error);
	if (kernel.no_write)
		return 0;
	if (kernel.short_writes) {
		kernel.short_writes--;
		size = 1;
	}
	memcpy(kernel.config + at, buf, size);
	return size;
}

static int setup(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	kernel.flags = VFIOMIG_STOP_COPY;
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.data_fd = -1;
	open_session();
	return 0;
}

static void assert_fails(int result, int err, const char *says)
{
	assert_int_equal(result, err);
	assert_says(says);
}

/* ---- Migration support and state ----------------------------------------- */

static void test_no_migration(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	uint64_t flags;

	(void)state;
	/* "at least VFIO_MIGRATION_STOP_COPY must be set" */
	kernel.flags = VFIOMIG_P2P;
	assert_fails(vfiomig_device_get_migration(dev, &flags), -EOPNOTSUPP,
		     "has no migration support");
	kernel.migration_error = ENOTTY;
	assert_fails(vfiomig_device_get_migration(dev, &flags), -EOPNOTSUPP,
		     "has no migration support");
	/* After another error the device may have migration support. */
	kernel.migration_error = EIO;
	assert_fails(vfiomig_device_get_migration(dev, &flags), -EIO,
		     "VFIO_DEVICE_FEATURE_MIGRATION: Input/output error");
	assert_fails(vfiomig_device_drive(dev, VFIOMIG_STATE_STOP, NULL, NULL, NULL), -EIO,
		     "VFIO_DEVICE_FEATURE_MIGRATION");
	assert_fails(vfiomig_save(dev, -1, &opt, &r), -EIO, "VFIO_DEVICE_FEATURE_MIGRATION");
	assert_fails(vfiomig_restore(dev, -1, &opt, &r), -EIO, "VFIO_DEVICE_FEATURE_MIGRATION");
	assert_false(r.touched);
	/* The answer is not kept: the kernel is asked again. */
	kernel.migration_error = 0;
	kernel.flags = VFIOMIG_STOP_COPY;
	assert_int_equal(vfiomig_device_get_migration(dev, &flags), 0);
	assert_int_equal(kernel.set_states, 0);
}

static void test_no_state(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	kernel.state_error = EIO;
	assert_fails(vfiomig_device_get_state(dev), -EIO,
		     "cannot read the state: Input/output error");
	assert_fails(vfiomig_device_drive(dev, VFIOMIG_STATE_STOP, NULL, NULL, NULL), -EIO,
		     "cannot read the state");
	assert_fails(vfiomig_save(dev, -1, &opt, &r), -EIO, "cannot read the state");
	assert_int_equal(r.before, -EIO);
	assert_false(r.touched);
	assert_int_equal(kernel.set_states, 0);
}

/* ---- Driving it ---------------------------------------------------------- */

static int drive(int state)
{
	return vfiomig_device_drive(dev, state, NULL, NULL, NULL);
}

static void test_no_path(void **state)
{
	(void)state;
	assert_fails(drive(VFIOMIG_STATE_PRE_COPY), -EOPNOTSUPP,
		     "cannot go from RUNNING to PRE_COPY: the device does not support it");
	assert_fails(drive(-1), -EOPNOTSUPP, "does not support it");
	assert_fails(drive(VFIOMIG_NR_STATES), -EOPNOTSUPP, "does not support it");
	assert_fails(drive(VFIOMIG_STATE_ERROR), -EOPNOTSUPP, "ERROR is never a target");
	kernel.state = VFIOMIG_STATE_ERROR;
	assert_fails(drive(VFIOMIG_STATE_STOP), -EOPNOTSUPP,
		     "cannot go from ERROR to STOP: only a reset leads out of ERROR");
	dev->migration = 0;
	kernel.flags |= VFIOMIG_PRE_COPY;
	kernel.state = VFIOMIG_STATE_STOP_COPY;
	assert_fails(drive(VFIOMIG_STATE_PRE_COPY), -EOPNOTSUPP,
		     "cannot go from STOP_COPY to PRE_COPY: the protocol has no way");
	assert_int_equal(kernel.set_states, 0);
}

static int stop_there(void *data, int state, uint64_t ns)
{
	(void)ns;
	return state == *(int *)data ? -EIO : 0;
}

/* If the caller stops at a state, the session that this state has begun is closed. */
static void test_step_stops(void **state)
{
	int last = VFIOMIG_STATE_STOP_COPY, fd;

	(void)state;
	assert_fails(vfiomig_device_drive(dev, last, &fd, stop_there, &last), -EIO,
		     "stopped in STOP_COPY: Input/output error");
	assert_int_equal(fd, -1);
	assert_int_equal(fcntl(kernel.data_fd, F_GETFD), -1);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP_COPY);
}

/* ---- The configuration space --------------------------------------------- */

#define HEX "f41a101107011000"

static void test_config_read(void **state)
{
	uint8_t config[CONFIG_SIZE_MAX];

	(void)state;
	assert_int_equal(config_read(dev->fd, dev->info_flags, config), -ENOTTY);
	dev->info_flags = VFIO_DEVICE_FLAGS_PCI;
	assert_int_equal(config_read(dev->fd, dev->info_flags, config), CONFIG_SIZE);
	kernel.read_error = EINTR;
	assert_int_equal(config_read(dev->fd, dev->info_flags, config), CONFIG_SIZE);
	/* But not for ever. */
	kernel.read_error = EINTR;
	kernel.stuck = true;
	assert_int_equal(config_read(dev->fd, dev->info_flags, config), -EINTR);
	kernel.stuck = false;
	kernel.read_error = EIO;
	assert_int_equal(config_read(dev->fd, dev->info_flags, config), -EIO);
	kernel.short_config = true;
	assert_int_equal(config_read(dev->fd, dev->info_flags, config), -EIO);
	kernel.region_error = EINVAL;
	assert_int_equal(config_read(dev->fd, dev->info_flags, config), -EINVAL);
}

/*
 * Without its configuration space a function would not work after a restore, so no image is made.
 */
static void test_config_is_no_detail(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int image = memfd_create("image", MFD_CLOEXEC);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	dev->info_flags = VFIO_DEVICE_FLAGS_PCI;
	kernel.read_error = EIO;
	assert_fails(vfiomig_save(dev, image, &opt, &r), -EIO,
		     "cannot read the configuration space: Input/output error");
	assert_false(r.touched);
	assert_int_equal(lseek(image, 0, SEEK_END), 0);
	assert_int_equal(kernel.set_states, 0);
	close(image);
}

static void put16(int at, uint16_t value)
{
	kernel.config[at] = value & 0xff;
	kernel.config[at + 1] = value >> 8;
}

static int command(void)
{
	return kernel.config[4] | kernel.config[5] << 8;
}

static void test_config_write(void **state)
{
	(void)state;
	/* A device that is not a PCI function has no command register. */
	assert_int_equal(config_restore_command(dev, HEX), 0);
	dev->info_flags = VFIO_DEVICE_FLAGS_PCI;
	assert_int_equal(config_restore_command(dev, HEX), 0);
	assert_int_equal(command(), 0x0006);
	put16(4, 0);
	kernel.interrupted_writes = kernel.short_writes = 1;
	assert_int_equal(config_restore_command(dev, HEX), 0);
	assert_int_equal(kernel.interrupted_writes + kernel.short_writes, 0);
	assert_int_equal(command(), 0x0006);
	kernel.no_write = true;
	assert_fails(config_restore_command(dev, HEX), -EIO,
		     "cannot write the PCI command register: Input/output error");
	kernel.interrupted_writes = INT_MAX;
	assert_fails(config_restore_command(dev, HEX), -EINTR,
		     "cannot write the PCI command register: Interrupted system call");
	kernel.interrupted_writes = 0;
	kernel.write_error = EPERM;
	assert_fails(config_restore_command(dev, HEX), -EPERM,
		     "cannot write the PCI command register: Operation not permitted");
	kernel.read_error = EIO;
	assert_fails(config_restore_command(dev, HEX), -EIO,
		     "cannot read the configuration space: Input/output error");
	kernel.region_error = EINVAL;
	assert_fails(config_restore_command(dev, HEX), -EINVAL,
		     "cannot find the configuration space: Invalid argument");
}

/* Of the command register, these three bits are the saved ones, and all others stay. */
static void test_command_bits(void **state)
{
	static const struct {
		unsigned int now, bar, bar_at;
		const char *saved;
		unsigned int then;
	} cases[] = {
		/* No I/O ports: that bit has no meaning, and stays, too. */
		{ 0x0000, 0xfebf0000, 0x10, "f41a10110701", 0x0006 },
		{ 0x0403, 0xfebf0000, 0x10, "f41a1011f8fa", 0x0401 },
		{ 0x0403, 0xfebf0000, 0x10, "f41a1011ffff", 0x0407 },
		{ 0x0407, 0xfebf0000, 0x10, "f41a10110000", 0x0401 },
		/* The upper half of an address is no register of its own. */
		{ 0x0000, 0x0000000c, 0x10, "f41a10110701", 0x0006 },
		{ 0x0000, 0x0000c001, 0x24, "f41a10110700", 0x0007 },
		{ 0xffff, 0x0000c001, 0x10, "f41a10110000", 0xfff8 },
		/* No saved register, as after --raw */
		{ 0x0000, 0xfebf0000, 0x10, NULL, 0x0006 },
		{ 0x0403, 0xfebf0000, 0x10, NULL, 0x0407 },
		{ 0x0000, 0x0000c001, 0x18, NULL, 0x0007 },
	};

	(void)state;
	dev->info_flags = VFIO_DEVICE_FLAGS_PCI;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memset(kernel.config, 0, sizeof(kernel.config));
		put16(4, cases[i].now);
		put16(cases[i].bar_at, cases[i].bar);
		/* The upper half of an address of 64 bits may be odd. */
		if (cases[i].bar & 4)
			put16(cases[i].bar_at + 4, 0x0001);
		assert_int_equal(config_restore_command(dev, cases[i].saved), 0);
		assert_int_equal(command(), cases[i].then);
	}
}

static int restore(bool raw)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fd = new_file("state", 5), image = new_file("", 0), err;

	opt.raw = raw;
	if (!raw) {
		assert_int_equal(vfiomig_pack(ctx, fd, image, NULL, &r), 0);
		lseek(image, 0, SEEK_SET);
	}
	err = vfiomig_restore(dev, raw ? fd : image, &opt, &r);
	close(fd);
	close(image);
	return err;
}

/* Neither raw state nor an image that was packed has a command register. */
static void test_no_command(void **state)
{
	static const struct backend borrowed = { .name = "a test",
						 .flags = BACKEND_OWNER_HAS_REGISTERS };

	(void)state;
	dev->info_flags = VFIO_DEVICE_FLAGS_PCI;
	for (int raw = 0; raw <= 1; raw++) {
		put16(4, 0x0400);
		assert_int_equal(restore(raw), 0);
		assert_int_equal(command(), 0x0406);
	}
	/* What the device's owner has made of it stays. */
	dev->backend = &borrowed;
	put16(4, 0x0400);
	assert_int_equal(restore(true), 0);
	assert_int_equal(command(), 0x0400);
}

/* ---- Saving and restoring ------------------------------------------------ */

static void test_bounds(void **state)
{
#define SIZE .size = sizeof(struct vfiomig_options)
	static const struct {
		struct vfiomig_options opt;
		const char *says;
	} wrong[] = {
		{ { SIZE, .threads = -1 }, "-1 threads are out of bounds" },
		{ { SIZE, .threads = VFIOMIG_THREADS_MAX + 1 }, "out of bounds" },
		{ { SIZE, .leave = -2 }, "there is no state -2 to leave the device in" },
		{ { SIZE, .leave = VFIOMIG_NR_STATES }, "there is no state 8" },
		{ { SIZE, .level = -1 }, "there is no compression level -1" },
		{ { SIZE, .level = VFIOMIG_LEVEL_MAX + 1 }, "no compression level" },
		{ { SIZE, .chunk_size = VFIOMIG_CHUNK_SIZE_MIN - 1 }, "is not from 64 KiB to" },
		{ { SIZE, .chunk_size = VFIOMIG_CHUNK_SIZE_MAX + 1 }, "is not from 64 KiB to" },
	};
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_fails(vfiomig_save(dev, -1, &wrong[i].opt, &r), -EINVAL, wrong[i].says);
		assert_false(r.touched);
		assert_fails(vfiomig_restore(dev, -1, &wrong[i].opt, &r), -EINVAL, wrong[i].says);
		assert_false(r.touched);
	}
	assert_int_equal(kernel.set_states, 0);
}

/* The device is not left in another state unless the image is whole, however little is missing. */
static void test_no_room_for_the_trailer(void **state)
{
	struct vfiomig_options opt = { .size = sizeof(struct vfiomig_options),
				       .leave = VFIOMIG_STATE_STOP };
	int image = memfd_create("image", MFD_CLOEXEC);
	struct rlimit before, limit;
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	off_t size;

	(void)state;
	assert_int_equal(vfiomig_save(dev, image, &opt, &r), 0);
	assert_int_equal(kernel.state, VFIOMIG_STATE_STOP);
	kernel.state = VFIOMIG_STATE_RUNNING;
	size = lseek(image, 0, SEEK_END);
	assert_int_equal(ftruncate(image, 0), 0);
	lseek(image, 0, SEEK_SET);
	getrlimit(RLIMIT_FSIZE, &before);
	limit = before;
	limit.rlim_cur = size - 1;
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_fails(vfiomig_save(dev, image, &opt, &r), -EFBIG,
		     "writing the image: File too large");
	setrlimit(RLIMIT_FSIZE, &before);
	assert_false(r.complete);
	assert_true(r.touched && r.home && !r.reset);
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	close(image);
}

static void test_unreadable_image(void **state)
{
	struct vfiomig_options opt = VFIOMIG_OPTIONS_INIT;
	int directory = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;

	(void)state;
	for (int i = 0; i < 2; i++) {
		opt.raw = i;
		assert_fails(vfiomig_restore(dev, directory, &opt, &r), -EISDIR,
			     "reading the image: Is a directory");
		assert_false(r.touched);
	}
	assert_int_equal(kernel.set_states, 0);
	close(directory);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, close_session)
	const struct CMUnitTest tests[] = {
		TEST(test_no_migration),
		TEST(test_no_state),
		TEST(test_no_path),
		TEST(test_step_stops),
		TEST(test_config_read),
		TEST(test_config_is_no_detail),
		TEST(test_config_write),
		TEST(test_command_bits),
		TEST(test_no_command),
		TEST(test_bounds),
		TEST(test_no_room_for_the_trailer),
		TEST(test_unreadable_image),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
