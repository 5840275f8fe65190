/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The functions of vfiomig.h that can fail, each called once so that it succeeds and once so that
 * it fails. sentences.c looks at the sentence that is left, memory.c has each allocation fail.
 *
 * A function that is added to the library goes into one of the tables at the end of this file.
 */
#ifndef CALLS_H
#define CALLS_H

#include <sys/mman.h>

#include "feature.h"
#include "machine.h"

#define STATE_SIZE 200000

/* ---- A device, behind which the test is the kernel ------------------------ */

static struct {
	int state;
	int error; /* what each ioctl fails with, or 0 */
	int data_fd;
} kernel;

static struct vfiomig_device *dev;
static char device_state[STATE_SIZE];

static int set_state(struct vfio_device_feature_mig_state *mig)
{
	mig->data_fd = -1;
	kernel.state = mig->device_state;
	if (kernel.state == VFIOMIG_STATE_STOP_COPY || kernel.state == VFIOMIG_STATE_RESUMING) {
		size_t size = kernel.state == VFIOMIG_STATE_STOP_COPY ? STATE_SIZE : 0;

		close(kernel.data_fd);
		mig->data_fd = new_file(device_state, size);
		kernel.data_fd = dup(mig->data_fd);
	}
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
	/* A device of the machine has been opened, and has no features. */
	if (!dev) {
		errno = ENOTTY;
		return request == VFIO_DEVICE_FEATURE ? -1 : 0;
	}
	assert_int_equal(fd, dev->fd);
	if (kernel.error) {
		errno = kernel.error;
		return -1;
	}
	if (request == VFIO_DEVICE_RESET) {
		kernel.state = VFIOMIG_STATE_RUNNING;
		return 0;
	}
	if (feature->flags == (VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIG_DATA_SIZE)) {
		memcpy(feature->data, &(uint64_t){ STATE_SIZE }, 8);
		return 0;
	}
	return feature_answer(feature, VFIOMIG_STOP_COPY, kernel.state, set_state);
}

/* ---- What goes on around a call ------------------------------------------- */

/* Set by the program that includes this: called before and after the function under test. */
static void (*on_begin)(void), (*on_end)(void);

#define STALE "what failed before"

static void begin_call(void)
{
	strcpy(ctx->error, STALE);
	if (on_begin)
		on_begin();
}

static void end_call(void)
{
	if (on_end)
		on_end();
}

/* Call a function of the library; what is made for it, and looked at afterwards, is not part of the
 * test. */
#define CALL(call)             \
	({                     \
		int ret_;      \
                               \
		begin_call();  \
		ret_ = (call); \
		end_call();    \
		ret_;          \
	})

static void make_device(void)
{
	kernel.state = VFIOMIG_STATE_RUNNING;
	kernel.error = 0;
	kernel.data_fd = -1;
	dev = feature_device(ctx, feature_null());
	dev->name = strdup("0000:00:10.0");
	dev->sys.driver = strdup("a driver with a \"name\"");
}

static void free_device(void)
{
	kernel.error = 0;
	close(kernel.data_fd);
	vfiomig_device_unref(dev);
	dev = NULL;
}

/* Call a function of a device whose ioctls fail with @error. */
#define CALL_DEVICE(first_state, with_error, call) \
	({                                         \
		int err_;                          \
                                                   \
		make_device();                     \
		kernel.state = (first_state);      \
		kernel.error = (with_error);       \
		err_ = CALL(call);                 \
		free_device();                     \
		err_;                              \
	})

/* An image of the state, that is made here. */
static int new_image(void)
{
	int in = new_file(device_state, STATE_SIZE), out = new_file("", 0);

	assert_int_equal(vfiomig_pack(ctx, in, out, NULL, NULL), 0);
	close(in);
	lseek(out, 0, SEEK_SET);
	return out;
}

static void expect_state(int fd)
{
	static char got[STATE_SIZE + 1];

	assert_int_equal(pread(fd, got, sizeof(got), 0), STATE_SIZE);
	assert_memory_equal(got, device_state, STATE_SIZE);
}

/* What a function that succeeded has written is the image. */
static void expect_image(int fd)
{
	int out = new_file("", 0);

	lseek(fd, 0, SEEK_SET);
	assert_int_equal(vfiomig_unpack(ctx, fd, out, NULL, NULL), 0);
	expect_state(out);
	close(out);
}

/* ---- Context --------------------------------------------------------------- */

static int set_rundir_good(void)
{
	int err = CALL(vfiomig_set_rundir(ctx, "/run/vfiomig"));

	/* That of the machine again */
	use_rundir(ctx, "run");
	return err;
}

static int set_rundir_bad(void)
{
	return CALL(vfiomig_set_rundir(ctx, "run"));
}

/* ---- Features of an open device -------------------------------------------- */

static uint64_t number;

static int get_migration_good(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, 0, vfiomig_device_get_migration(dev, &number));
}

static int get_migration_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, ENOTTY,
			   vfiomig_device_get_migration(dev, &number));
}

static int get_data_size_good(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, 0, vfiomig_device_get_data_size(dev, &number));
}

static int get_data_size_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, EIO, vfiomig_device_get_data_size(dev, &number));
}

/* ---- Driving the state ------------------------------------------------------ */

static int get_state_good(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, 0, vfiomig_device_get_state(dev));
}

static int get_state_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, EIO, vfiomig_device_get_state(dev));
}

static int set_state_good(void)
{
	int fd = -1;
	int err = CALL_DEVICE(VFIOMIG_STATE_STOP, 0,
			      vfiomig_device_set_state(dev, VFIOMIG_STATE_STOP_COPY, &fd));

	close(fd);
	return err;
}

static int set_state_bad(void)
{
	int fd;

	return CALL_DEVICE(VFIOMIG_STATE_STOP, 0,
			   vfiomig_device_set_state(dev, VFIOMIG_STATE_PRE_COPY, &fd));
}

static int drive_good(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, 0,
			   vfiomig_device_drive(dev, VFIOMIG_STATE_STOP_COPY, NULL, NULL, NULL));
}

static int drive_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, 0,
			   vfiomig_device_drive(dev, VFIOMIG_STATE_ERROR, NULL, NULL, NULL));
}

static int reset_good(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_ERROR, 0, vfiomig_device_reset(dev));
}

static int reset_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_ERROR, ENOTTY, vfiomig_device_reset(dev));
}

/* By way of STOP: the straight way is refused, which leaves no sentence. */
static int walk_home_good(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_STOP_COPY, 0,
			   vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING));
}

static int walk_home_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RESUMING, 0,
			   vfiomig_device_walk_home(dev, VFIOMIG_STATE_RUNNING));
}

static int reset_home_good(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_ERROR, 0,
			   vfiomig_device_reset_home(dev, VFIOMIG_STATE_STOP, NULL));
}

static int reset_home_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_ERROR, EIO,
			   vfiomig_device_reset_home(dev, VFIOMIG_STATE_STOP, NULL));
}

/* ---- Transfers --------------------------------------------------------------- */

static const struct vfiomig_options compress = {
	.size = sizeof(struct vfiomig_options),
	.leave = -1,
	.level = 1,
	.threads = 1,
	.chunk_size = VFIOMIG_CHUNK_SIZE_MIN,
};

static int save_good(void)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fd = new_file("", 0), err;

	make_device();
	err = CALL(vfiomig_save(dev, fd, &compress, &r));
	/* Whatever failed, the device is home, and was not reset. */
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_true(!r.touched || (r.home && !r.reset));
	assert_int_equal(r.complete, !err);
	if (!err)
		expect_image(fd);
	free_device();
	close(fd);
	return err;
}

static int save_bad(void)
{
	return CALL_DEVICE(VFIOMIG_STATE_RUNNING, 0, vfiomig_save(dev, -1, NULL, NULL));
}

static int restore_good(void)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int fd = new_image(), err;

	make_device();
	err = CALL(vfiomig_restore(dev, fd, &compress, &r));
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_int_equal(r.loaded, !err);
	if (!err)
		expect_state(kernel.data_fd);
	free_device();
	close(fd);
	return err;
}

static int restore_bad(void)
{
	int fd = new_file("", 0);
	int err = CALL_DEVICE(VFIOMIG_STATE_RUNNING, 0, vfiomig_restore(dev, fd, NULL, NULL));

	close(fd);
	return err;
}

static int save_set_good(void)
{
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	struct vfiomig_member member = { .result = &r };
	int fd = new_file("", 0), err;
	size_t which;

	make_device();
	member.device = dev;
	err = CALL(vfiomig_save_set(&member, 1, fd, &compress, NULL, &which));
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	assert_true(!r.touched || (r.home && !r.reset));
	if (!err)
		expect_image(fd);
	free_device();
	close(fd);
	return err;
}

static int save_set_bad(void)
{
	struct vfiomig_member member = { 0 };
	int err;

	make_device();
	member.device = dev;
	err = CALL(vfiomig_save_set(&member, VFIOMIG_SET_MAX + 1, -1, NULL, NULL, NULL));
	free_device();
	return err;
}

static int restore_set_good(void)
{
	struct vfiomig_member member = { 0 };
	int fd = new_image(), err;

	make_device();
	member.device = dev;
	err = CALL(vfiomig_restore_set(&member, 1, fd, &compress, NULL, NULL));
	assert_int_equal(kernel.state, VFIOMIG_STATE_RUNNING);
	if (!err)
		expect_state(kernel.data_fd);
	free_device();
	close(fd);
	return err;
}

static int restore_set_bad(void)
{
	struct vfiomig_member member = { .name = "another" };
	int fd = new_file("", 0), err;

	make_device();
	member.device = dev;
	err = CALL(vfiomig_restore_set(&member, 1, fd, NULL, NULL, NULL));
	free_device();
	close(fd);
	return err;
}

static int pack_good(void)
{
	int in = new_file(device_state, STATE_SIZE), out = new_file("", 0);
	int err = CALL(vfiomig_pack(ctx, in, out, &compress, NULL));

	if (!err)
		expect_image(out);
	close(in);
	close(out);
	return err;
}

static int pack_bad(void)
{
	return CALL(vfiomig_pack(ctx, -1, -1, NULL, NULL));
}

static int pack_set_good(void)
{
	static const char *const names[] = { "a", "b" };
	int ins[] = { new_file(device_state, STATE_SIZE), new_file(device_state, STATE_SIZE) };
	int out = new_file("", 0);
	struct vfiomig_result r = VFIOMIG_RESULT_INIT;
	int err = CALL(vfiomig_pack_set(ctx, ins, names, 2, out, &compress, &r));

	if (!err)
		assert_int_equal(r.bytes, 2 * STATE_SIZE);
	close(ins[0]);
	close(ins[1]);
	close(out);
	return err;
}

static int pack_set_bad(void)
{
	static const int ins[] = { -1, -1 };
	static const char *const names[] = { "a", "a" };

	return CALL(vfiomig_pack_set(ctx, ins, names, 2, -1, NULL, NULL));
}

static int unpack_good(void)
{
	int in = new_image(), out = new_file("", 0);
	int err = CALL(vfiomig_unpack(ctx, in, out, &compress, NULL));

	if (!err)
		expect_state(out);
	close(in);
	close(out);
	return err;
}

static int unpack_bad(void)
{
	return CALL(vfiomig_unpack(ctx, -1, -1, NULL, NULL));
}

/* ---- Looking into images ------------------------------------------------------ */

static int image_open_good(void)
{
	struct vfiomig_image *image = NULL;
	int fd = new_image();
	int err = CALL(vfiomig_image_open(ctx, fd, &image));

	if (!err)
		assert_non_null(strstr(vfiomig_image_get_header(image), "\"format\":1"));
	vfiomig_image_free(image);
	close(fd);
	return err;
}

static int image_open_bad(void)
{
	struct vfiomig_image *image;

	return CALL(vfiomig_image_open(ctx, -1, &image));
}

/* Open an image, cut most of it off if @cut, and look into it. */
static int look(bool verify, bool cut)
{
	struct vfiomig_image *image;
	int fd = new_image(), err;

	assert_int_equal(vfiomig_image_open(ctx, fd, &image), 0);
	if (cut)
		assert_int_equal(ftruncate(fd, lseek(fd, 0, SEEK_CUR) + 1000), 0);
	if (verify)
		err = CALL(vfiomig_image_verify(image, &compress, NULL));
	else
		err = CALL(vfiomig_image_skim(image));
	if (!err)
		assert_non_null(strstr(vfiomig_image_get_trailer(image), "\"bytes\":200000"));
	vfiomig_image_free(image);
	close(fd);
	return err;
}

static int image_skim_good(void)
{
	return look(false, false);
}

static int image_skim_bad(void)
{
	return look(false, true);
}

static int image_verify_good(void)
{
	return look(true, false);
}

static int image_verify_bad(void)
{
	return look(true, true);
}

static int ignore_record(void *data, const struct vfiomig_record *record)
{
	(void)data;
	(void)record;
	return 0;
}

static int walk_good(void)
{
	int fd = new_image(),
	    err = CALL(vfiomig_walk(ctx, fd, NULL, &compress, ignore_record, NULL));

	close(fd);
	return err;
}

static int walk_bad(void)
{
	return CALL(vfiomig_walk(ctx, -1, "mlx5", NULL, ignore_record, NULL));
}

/* ---- What migration needs ------------------------------------------------------ */

static int ignore_diagnosis(void *data, const struct vfiomig_diagnosis *diagnosis)
{
	(void)data;
	(void)diagnosis;
	return 0;
}

static int diagnose_good(void)
{
	return CALL(vfiomig_diagnose(ctx, NULL, 0, ignore_diagnosis, NULL));
}

static int diagnose_bad(void)
{
	return CALL(vfiomig_diagnose(ctx, NULL, 0x80, ignore_diagnosis, NULL));
}

static int ignore_difference(void *data, const struct vfiomig_difference *difference)
{
	(void)data;
	(void)difference;
	return 0;
}

static int diff_good(void)
{
	int fds[2] = { new_image(), new_image() },
	    err = CALL(vfiomig_diff(ctx, fds, NULL, NULL, ignore_difference, NULL));

	close(fds[0]);
	close(fds[1]);
	return err;
}

static int diff_bad(void)
{
	int fds[2] = { new_image(), -1 },
	    err = CALL(vfiomig_diff(ctx, fds, NULL, NULL, ignore_difference, NULL));

	close(fds[0]);
	return err;
}

#include "device_calls.h"

/* ---- The tables --------------------------------------------------------------- */

/* The functions that can fail. Each is called by CALL() or CALL_DEVICE(). */
static const struct {
	const char *name;
	int (*good)(void); /* succeeds; fails only without memory */
	int (*bad)(void);  /* fails */
} calls[] = {
	{ "vfiomig_set_rundir", set_rundir_good, set_rundir_bad },
	{ "vfiomig_device_new", device_new_good, device_new_bad },
	{ "vfiomig_device_from_fds", from_fds_good, from_fds_bad },
	{ "vfiomig_device_set_vf_token", set_vf_token_good, set_vf_token_bad },
	{ "vfiomig_device_get_fds", get_fds_good, get_fds_bad },
	{ "vfiomig_device_foreach", foreach_good, foreach_bad },
	{ "vfiomig_device_foreach_use", foreach_use_good, foreach_use_bad },
	{ "vfiomig_device_get_use", get_use_good, get_use_bad },
	{ "vfiomig_watch_new", watch_new_good, watch_new_bad },
	{ "vfiomig_watch_look", watch_look_good, watch_look_bad },
	{ "vfiomig_probe_devices", probe_devices_good, probe_devices_bad },
	{ "vfiomig_device_get_opener", get_opener_good, get_opener_bad },
	{ "vfiomig_device_peek_state", peek_state_good, peek_state_bad },
	{ "vfiomig_device_open", open_good, open_bad },
	{ "vfiomig_devices_open", devices_open_good, devices_open_bad },
	{ "vfiomig_device_close", close_good, close_bad },
	{ "vfiomig_devices_close", devices_close_good, devices_close_bad },
	{ "vfiomig_device_get_fd", get_fd_good, get_fd_bad },
	{ "vfiomig_device_get_owner", get_owner_good, get_owner_bad },
	{ "vfiomig_device_get_obstacle", get_obstacle_good, get_obstacle_bad },
	{ "vfiomig_device_bind", bind_good, bind_bad },
	{ "vfiomig_device_unbind", unbind_good, unbind_bad },
	{ "vfiomig_device_get_holder", get_holder_good, get_holder_bad },
	{ "vfiomig_device_release", release_good, release_bad },
	{ "vfiomig_holder_new", holder_new_good, holder_new_bad },
	{ "vfiomig_holder_fork", holder_fork_good, holder_fork_bad },
	{ "vfiomig_holder_serve", holder_serve_good, holder_serve_bad },
	{ "vfiomig_device_get_migration", get_migration_good, get_migration_bad },
	{ "vfiomig_device_get_data_size", get_data_size_good, get_data_size_bad },
	{ "vfiomig_device_get_state", get_state_good, get_state_bad },
	{ "vfiomig_device_set_state", set_state_good, set_state_bad },
	{ "vfiomig_device_drive", drive_good, drive_bad },
	{ "vfiomig_device_reset", reset_good, reset_bad },
	{ "vfiomig_device_walk_home", walk_home_good, walk_home_bad },
	{ "vfiomig_device_reset_home", reset_home_good, reset_home_bad },
	{ "vfiomig_save", save_good, save_bad },
	{ "vfiomig_restore", restore_good, restore_bad },
	{ "vfiomig_save_set", save_set_good, save_set_bad },
	{ "vfiomig_restore_set", restore_set_good, restore_set_bad },
	{ "vfiomig_pack", pack_good, pack_bad },
	{ "vfiomig_pack_set", pack_set_good, pack_set_bad },
	{ "vfiomig_unpack", unpack_good, unpack_bad },
	{ "vfiomig_image_open", image_open_good, image_open_bad },
	{ "vfiomig_image_skim", image_skim_good, image_skim_bad },
	{ "vfiomig_image_verify", image_verify_good, image_verify_bad },
	{ "vfiomig_walk", walk_good, walk_bad },
	{ "vfiomig_diagnose", diagnose_good, diagnose_bad },
	{ "vfiomig_diff", diff_good, diff_bad },
};

/* The functions that cannot fail, or have no context to leave a sentence in. */
static const char *const no_calls[] = {
	"vfiomig_version",
	"vfiomig_new",
	"vfiomig_ref",
	"vfiomig_unref",
	"vfiomig_get_error",
	"vfiomig_set_log",
	"vfiomig_set_notice",
	"vfiomig_interrupt",
	"vfiomig_resume",
	"vfiomig_state_name",
	"vfiomig_state_from_name",
	"vfiomig_fsm_supports",
	"vfiomig_fsm_path",
	"vfiomig_device_ref",
	"vfiomig_device_unref",
	"vfiomig_device_get_name",
	"vfiomig_device_get_syspath",
	"vfiomig_device_get_bus",
	"vfiomig_device_get_driver",
	"vfiomig_device_get_cdev",
	"vfiomig_device_get_mdev_type",
	"vfiomig_device_get_group",
	"vfiomig_device_get_pci_id",
	"vfiomig_device_is_borrowed",
	"vfiomig_device_owner_runs",
	"vfiomig_device_set_via",
	"vfiomig_device_set_wait",
	"vfiomig_device_get_info_flags",
	"vfiomig_device_probe",
	"vfiomig_feature_name",
	"vfiomig_watch_free",
	"vfiomig_holder_free",
	"vfiomig_holder_get_path",
	"vfiomig_holder_set_notify",
	"vfiomig_image_free",
	"vfiomig_image_get_header",
	"vfiomig_image_get_trailer",
	"vfiomig_image_get_devices",
	"vfiomig_image_get_device_trailer",
	"vfiomig_image_get_size",
	"vfiomig_format_name",
	"vfiomig_verdict_name",
	"vfiomig_format_is_known",
};

static inline int make_state(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < STATE_SIZE; i++)
		device_state[i] = i * i % 251;
	furnish_machine();
	return 0;
}

#endif
