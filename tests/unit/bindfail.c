// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Binding that fails: notes that cannot be written or read, modules that do not load, a kernel that
 * forbids a step, and somebody who comes in between. Each test checks the message, and that the
 * function still has its former driver.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "device/module.h"
#include "pci.h"

#define NEW "new_vfio_pci"

/* The result of inserting a module, and the driver that the module registers. */
static int insertion;
static const char *brings;
static bool as_user, no_mkdir;

int __wrap_kmod_module_probe_insert_module(struct kmod_module *mod);
int __wrap_kmod_module_probe_insert_module(struct kmod_module *mod)
{
	(void)mod;
	if (!insertion && brings)
		sh("mkdir -p bus/pci/drivers/%s", brings);
	return insertion;
}

uid_t __real_geteuid(void);
uid_t __wrap_geteuid(void);
uid_t __wrap_geteuid(void)
{
	return as_user ? 4711 : __real_geteuid();
}

int __real_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode);
int __wrap_mkdirat(int dir, const char *path, mode_t mode)
{
	errno = ENOSPC;
	return no_mkdir ? -1 : __real_mkdirat(dir, path, mode);
}

static int make(void **state)
{
	insertion = 0;
	brings = NULL;
	as_user = no_mkdir = false;
	return make_world(state);
}

/* Check that nothing was written to sysfs, and that there is no note. */
static void expect_untouched(void)
{
	assert_string_equal(history, "");
	expect_bound(A, "e1000e");
	sh("test -z \"$(ls -A run/bound 2>/dev/null)\"");
}

static void expect_still_vfio(void)
{
	expect_bound(A, "vfio-pci");
	sh("test \"$(cat " BUS A "/driver_override)\" = vfio-pci");
}

/* ---- Notes --------------------------------------------------------------- */

static void test_nowhere_to_note(void **state)
{
	static char longer[PATH_MAX + 1];

	(void)state;
	no_mkdir = true;
	assert_int_equal(bind_to(A, NULL, 0), -ENOSPC);
	assert_says("cannot make bound in the run-time directory: No space");
	expect_untouched();
	no_mkdir = false;

	sh("mkdir elsewhere; ln -s ../elsewhere run/bound");
	assert_int_equal(bind_to(A, NULL, 0), -ENOTDIR);
	assert_says("cannot open bound in the run-time directory: Not a dir");
	expect_untouched();
	sh("test -z \"$(ls -A elsewhere)\"");

	/*
	 * Without a run-time directory there can be no lock, which is tolerated. A missing note is
	 * not.
	 */
	use_rundir(ctx, "nowhere/run");
	assert_int_equal(bind_to(A, NULL, 0), -ENOENT);
	assert_says("cannot make nowhere/run: No such file or directory");
	expect_untouched();

	memset(longer, 'x', PATH_MAX);
	attach(B, "vfio-pci");
	use_rundir(ctx, longer);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(unbind(B, i ? VFIOMIG_BIND_DRY_RUN : 0), -ENAMETOOLONG);
		assert_says("the path of the run-time directory is too long");
		assert_string_equal(history, "");
	}
}

/* A limit on the size of files stands for a full disk. */
static int bind_without_room(void)
{
	struct rlimit was, none;
	int err;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	none = was;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	err = bind_to(A, NULL, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	return err;
}

static void test_note_not_written(void **state)
{
	(void)state;
	assert_int_equal(bind_without_room(), -EFBIG);
	assert_says("cannot note what " A " is bound to: File too large");
	expect_untouched();

	/* A link is not followed, but removed. */
	sh("echo precious >file; ln -s ../../file run/bound/." A);
	assert_int_equal(bind_to(A, NULL, 0), -ELOOP);
	assert_says("cannot note what " A " is bound to: Too many levels");
	expect_untouched();
	sh("test \"$(cat file)\" = precious");

	/* The functions of the group that were bound before the failing one are given back. */
	sh("mkdir run/bound/" B);
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -EISDIR);
	assert_says("cannot note what " B " is bound to: Is a directory; " A
		    " is back with e1000e");
	expect_bound(A, "e1000e");
	expect_bound(B, NULL);
	sh("test \"$(ls -A run/bound)\" = " B);
}

static void test_note_not_read(void **state)
{
	static const char *const notes[] = {
		"driver\\n",
		"\\n",
		"driver ../e1000e\\n",
		"drivers e1000e\\n",
		"driver e1000e\\ndriver vfio-pci\\n",
		"override e1000e\\noverride e1000e\\n",
	};

	(void)state;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(notes); i++) {
		sh("printf '%s' >run/bound/" A, notes[i]);
		assert_int_equal(unbind(A, 0), -EIO);
		assert_says("the note of what " A " was bound to is damaged; remove it (bound/" A);
		assert_string_equal(history, "");
		expect_still_vfio();
	}
	sh("cd run/bound; mv " A " ../note; ln -s ../note " A);
	assert_int_equal(unbind(A, 0), -ELOOP);
	assert_says("cannot read the note of what " A " was bound to: Too");
	/* A note that cannot be read must not count as an empty note. */
	sh("cd run/bound; rm " A "; mkdir " A);
	assert_int_equal(unbind(A, 0), -EISDIR);
	assert_says("cannot read the note of what " A " was bound to: Is a d");
	assert_string_equal(history, "");
	expect_still_vfio();
	/* Do what the message asks for. */
	sh("rmdir run/bound/" A);
	assert_int_equal(unbind(A, 0), 0);
	expect_bound(A, "e1000e");
}

/* ---- Modules ------------------------------------------------------------- */

static void expect_not_loaded(int result, int err, const char *text)
{
	insertion = result;
	assert_int_equal(bind_to(A, NEW, 0), err);
	assert_says(text);
	expect_untouched();
}

static void test_module_to_bind(void **state)
{
	(void)state;
	make_module(NEW, "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
	index_modules();
	expect_not_loaded(-EPERM, -EPERM, "not permitted to load the module " NEW "; run as root");
	expect_not_loaded(-ENOEXEC, -EIO,
			  "cannot load the module " NEW
			  ": Exec format error; the kernel's log (dmesg)");
	/* The kernel returns ENOENT if the module needs a symbol that the kernel lacks. */
	expect_not_loaded(-ENOENT, -EIO, "cannot load the module " NEW ": ");
	expect_not_loaded(0, -ENOENT, "the module " NEW " brings no PCI driver of that name");
	sh("rm -r modules/lib/modules/1.0/*");
	expect_not_loaded(0, -ENOENT,
			  "the kernel has no PCI driver " NEW " and no module of that name");
}

/* The former driver has been unloaded since the device was bound to VFIO. */
static void test_module_to_unbind(void **state)
{
	static const int results[] = { -ENOEXEC, -ENOENT };

	(void)state;
	make_module("old_nic", "pci:v00008086d*sv*sd*bc*sc*i*");
	index_modules();
	sh("mkdir bus/pci/drivers/old_nic; rm " BUS A "/driver");
	attach(A, "old_nic");
	assert_int_equal(bind_to(A, NULL, 0), 0);
	sh("rmdir bus/pci/drivers/old_nic");
	for (size_t i = 0; i < ARRAY_SIZE(results); i++) {
		insertion = results[i];
		assert_int_equal(unbind(A, 0), -EIO);
		assert_says("cannot load the module old_nic: ");
		assert_string_equal(history, "");
		expect_still_vfio();
		sh("test \"$(cat run/bound/" A ")\" = 'driver old_nic'");
	}
	insertion = 0;
	brings = "old_nic";
	assert_int_equal(unbind(A, 0), 0);
	expect_bound(A, "old_nic");
}

/* ---- The kernel ---------------------------------------------------------- */

static void test_no_override(void **state)
{
	static const unsigned int flags[] = { 0, VFIOMIG_BIND_DRY_RUN };

	(void)state;
	sh("rm " BUS A "/driver_override");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		assert_int_equal(bind_to(A, NULL, flags[i]), -EOPNOTSUPP);
		assert_says("the kernel has no driver_override for " A);
		expect_untouched();
	}
	sh("mkdir " BUS A "/driver_override");
	assert_int_equal(bind_to(A, NULL, 0), -EISDIR);
	assert_says("cannot read driver_override: Is a directory");
	expect_untouched();
}

/* A security module can forbid things to root, too. */
static void test_not_permitted(void **state)
{
	static const struct {
		const char *step, *text;
	} steps[] = {
		{ "driver_override 0=vfio-pci", "not permitted to set the driver_override of " A },
		{ "e1000e unbind 0", "not permitted to unbind " A },
		{ "probe 0", "not permitted to bind " A },
	};

	(void)state;
	/* In a container /sys is read-only, and root cannot change that. */
	refused = steps[0].step;
	refusal = -EROFS;
	assert_int_equal(bind_to(A, NULL, 0), -EPERM);
	assert_says("is mounted read-only, as in a container; do it outside of it");
	refusal = -EACCES;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		refused = steps[i].step;
		assert_int_equal(bind_to(A, NULL, 0), -EPERM);
		assert_says(steps[i].text);
		assert_says("; run as root; " A " is back with e1000e");
		history[0] = '\0';
		expect_untouched();
	}
}

static void test_default_refused(void **state)
{
	(void)state;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	sh("rm run/bound/" A);
	refused = "driver_override 0=";
	assert_int_equal(unbind(A, 0), -EIO);
	assert_says("cannot set the driver_override of " A ": Invalid argument; " A
		    " is back with vfio-pci");
	expect_still_vfio();
}

/* ---- Signals ------------------------------------------------------------- */

/* A step that a signal has interrupted, and that the kernel goes on with. Nothing more is written
 * to this function, and the note stays. */
static void test_in_progress(void **state)
{
	static const char *const bind_steps[] = {
		"driver_override 0=vfio-pci; ",
		"driver_override 0=vfio-pci; e1000e unbind 0; ",
		"driver_override 0=vfio-pci; e1000e unbind 0; probe 0; ",
	};
	static const char *const unbind_steps[] = {
		"driver_override 0=; ",
		"driver_override 0=; vfio-pci unbind 0; ",
		"driver_override 0=; vfio-pci unbind 0; e1000e bind 0; ",
	};
	static const char *const steps[] = {
		"driver_override 0=vfio-pci", "e1000e unbind 0",   "probe 0",
		"driver_override 0=",	      "vfio-pci unbind 0", "e1000e bind 0"
	};

	(void)state;
	refusal = -EINPROGRESS;
	for (int i = 0; i < 6; i++) {
		refused = NULL;
		sh("rm -rf " BUS A "/driver " BUS A "/vfio-dev run/bound; echo '(null)' >" BUS A
		   "/driver_override");
		attach(A, "e1000e");
		if (i >= 3)
			assert_int_equal(bind_to(A, NULL, 0), 0);
		refused = steps[i];
		assert_int_equal(i < 3 ? bind_to(A, NULL, 0) : unbind(A, 0), -EINTR);
		assert_string_equal(history, i < 3 ? bind_steps[i] : unbind_steps[i - 3]);
		sh("test \"$(cat run/bound/" A ")\" = 'driver e1000e'");
		assert_says("; after that " A
			    " may have another driver or none, and \"vfiomig unbind " A
			    "\" gives it back to e1000e");
	}
}

/* The same where the kernel chooses the driver, and for one function of several: the others are
 * given back. */
static void test_others_in_progress(void **state)
{
	char text[512];

	(void)state;
	refusal = -EINPROGRESS;
	attach(B, "e1000e");
	refused = "e1000e unbind 1";
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -EINTR);
	assert_string_equal(history, "driver_override 0=vfio-pci; e1000e unbind 0; probe 0; "
				     "driver_override 1=vfio-pci; e1000e unbind 1; "
				     "driver_override 0=; vfio-pci unbind 0; e1000e bind 0; ");
	assert_says("; " A " is back with e1000e");
	sh("test \"$(ls run/bound)\" = " B);

	refused = NULL;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	sh("rm run/bound/" A);
	refused = "probe 0";
	assert_int_equal(unbind(A, 0), -EINTR);
	assert_string_equal(history, "driver_override 0=; vfio-pci unbind 0; probe 0; ");
	snprintf(text, sizeof(text),
		 "; after that " A " may have no driver: \"vfiomig bind " A
		 "\" gives it to VFIO again, and writing " A
		 " to %s/bus/pci/drivers_probe has the kernel choose a driver",
		 ctx->sysfs);
	assert_says(text);
}

/* A function that had no driver. */
static void test_none_in_progress(void **state)
{
	(void)state;
	sh("rm " BUS A "/driver");
	refusal = -EINPROGRESS;
	refused = "probe 0";
	assert_int_equal(bind_to(A, NULL, 0), -EINTR);
	assert_says("; after that " A " may have another driver, and \"vfiomig unbind " A
		    "\" leaves it without one, as it was before");
}

static void lose_driver(const char *step)
{
	if (strcmp(step, "e1000e unbind 0") == 0)
		sh("rm " BUS A "/driver");
}

static void get_driver(const char *step)
{
	if (strcmp(step, "probe 0") == 0)
		attach(A, "vfio-pci");
}

/* It is not over when the function has lost its driver, or has got one. */
static void test_nearly_done(void **state)
{
	(void)state;
	refusal = -EINPROGRESS;
	meanwhile = lose_driver;
	refused = "e1000e unbind 0";
	assert_int_equal(bind_to(A, NULL, 0), -EINTR);
	assert_string_equal(history, "driver_override 0=vfio-pci; e1000e unbind 0; ");
	meanwhile = get_driver;
	refused = "probe 0";
	assert_int_equal(bind_to(A, NULL, 0), -EINTR);
	assert_string_equal(history, "driver_override 0=vfio-pci; probe 0; ");
}

static void interrupt_at_probe(const char *step)
{
	if (strcmp(step, "probe 0") == 0)
		vfiomig_interrupt(ctx);
}

/* No function is begun with after a signal. */
static void test_interrupted_between(void **state)
{
	(void)state;
	attach(B, "e1000e");
	meanwhile = interrupt_at_probe;
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -EINTR);
	assert_string_equal(history, "driver_override 0=vfio-pci; e1000e unbind 0; probe 0; "
				     "driver_override 0=; vfio-pci unbind 0; e1000e bind 0; ");
	assert_says("interrupted by a signal; " A " is back with e1000e");
	history[0] = '\0';
	vfiomig_resume(ctx);
	expect_untouched();
}

/* The kernel tells the number of virtual functions with the device's lock held. A FIFO that nobody
 * writes to stands for one that somebody else has. */
static void test_functions_not_told(void **state)
{
	(void)state;
	sh("mkfifo " BUS A "/sriov_numvfs");
	assert_int_equal(bind_to(A, NULL, 0), -EBUSY);
	assert_says("busy: somebody is giving " A " to a driver or taking it from one");
	vfiomig_interrupt(ctx);
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_DRY_RUN), -EINTR);
	assert_says("interrupted by a signal");
	vfiomig_resume(ctx);
	expect_untouched();
}

/* ---- Others -------------------------------------------------------------- */

/* Somebody else takes the function from its driver first. */
static void test_unbound_meanwhile(void **state)
{
	(void)state;
	meanwhile = lose_driver;
	refused = "e1000e unbind 0";
	refusal = -ENODEV;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	expect_bound(A, "vfio-pci");
}

/* Whoever cannot look does not know. */
static void test_users_not_seen(void **state)
{
	(void)state;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	ctx->procfs = "none";
	assert_int_equal(unbind(A, 0), -ENOENT);
	assert_says("cannot tell whether " A " is in use: ");
	assert_says(": No such file or directory");
	assert_string_equal(history, "");
	expect_still_vfio();
}

static void open_group(const char *step)
{
	if (strcmp(step, "driver_override 0=") == 0)
		sh("mkdir -p proc/4711/fd; ln -s dev/vfio/3 proc/4711/fd/5; echo vmm >proc/4711/comm");
}

/*
 * Somebody opens the group between the plan and the change. The kernel would wait until it is
 * closed.
 */
static void test_opened_meanwhile(void **state)
{
	(void)state;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	meanwhile = open_group;
	assert_int_equal(unbind(A, 0), -EBUSY);
	assert_says("busy: process 4711 (vmm) has the device or its group open"
		    "; " A " is back with vfio-pci");
	assert_string_equal(history, "driver_override 0=; driver_override 0=vfio-pci; ");
	expect_still_vfio();
	sh("test -e run/bound/" A);
}

/*
 * The socket belongs to something else than a holder, so that nobody can be asked for the device.
 */
static void test_holder_not_asked(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "run/" A ".sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	assert_int_equal(bind(fd, (void *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(unbind(A, 0), -EPROTOTYPE);
	assert_says("cannot connect to run/" A ".sock: Protocol wrong type");
	assert_string_equal(history, "");
	expect_still_vfio();
	close(fd);
}

static void test_open_here(void **state)
{
	struct vfiomig_device *dev = new_device(A);

	(void)state;
	dev->fd = open("/dev/null", O_RDWR);
	assert_int_equal(vfiomig_device_bind(dev, NULL, 0, NULL, NULL), -EBUSY);
	assert_says("busy: this process has the device open");
	assert_true(fcntl(dev->fd, F_GETFD) >= 0);
	vfiomig_device_unref(dev);
	expect_untouched();
}

static void test_unsuitable(void **state)
{
	char path[128];

	(void)state;
	sh("mkdir -p bus/platform/drivers devices/platform/uart; ln -s %s/bus/platform devices/platform/uart/subsystem",
	   root);
	snprintf(path, sizeof(path), "%s/devices/platform/uart", root);
	assert_int_equal(bind_to(path, NULL, 0), -EINVAL);
	assert_says("a device of the bus platform; only PCI functions can be bound");

	static const char *const names[] = { "", ".", "../x", "a b", "a/b" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(bind_to(A, names[i], 0), -EINVAL);
		assert_says("cannot be the name of a driver");
		expect_untouched();
	}

	/* A function of the group goes away at this moment. */
	sh("ln -s /nowhere kernel/iommu_groups/3/devices/0000:01:00.3");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -ENOENT);
	assert_says("/iommu_group/devices/0000:01:00.3");
	expect_untouched();
	sh("rm -r kernel/iommu_groups/3/devices");
	assert_int_equal(bind_to(A, NULL, VFIOMIG_BIND_GROUP), -ENOENT);
	assert_says("/iommu_group/devices: No such file or directory");
	expect_untouched();
}

/* Only root can read the notes. What an ordinary user would be told without them could be wrong. */
static void test_as_user(void **state)
{
	(void)state;
	assert_int_equal(bind_to(A, NULL, 0), 0);
	as_user = true;
	assert_int_equal(unbind(A, VFIOMIG_BIND_DRY_RUN), -EPERM);
	assert_says("not permitted: which driver it had before is known to root");
	as_user = false;
	assert_string_equal(history, "");
	assert_int_equal(unbind(A, VFIOMIG_BIND_DRY_RUN), 0);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, make, remove_tree)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_nowhere_to_note),
		TEST(test_note_not_written),
		TEST(test_note_not_read),
		TEST(test_module_to_bind),
		TEST(test_module_to_unbind),
		TEST(test_no_override),
		TEST(test_not_permitted),
		TEST(test_default_refused),
		TEST(test_opened_meanwhile),
		TEST(test_holder_not_asked),
		TEST(test_open_here),
		TEST(test_unsuitable),
		TEST(test_as_user),
		TEST(test_in_progress),
		TEST(test_others_in_progress),
		TEST(test_none_in_progress),
		TEST(test_interrupted_between),
		TEST(test_nearly_done),
		TEST(test_functions_not_told),
		TEST(test_unbound_meanwhile),
		TEST(test_users_not_seen),
	};

	return cmocka_run_group_tests_name("bindfail", tests, NULL, NULL);
}
