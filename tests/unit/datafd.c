/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which descriptors of a process are data_fds, and what /proc tells of them. */
#include "device/datafd.h"
#include "tree.h"
#include "unit.h"

#define PID 4711

static int number;

/* The process has one more descriptor of this name. @flags: of open(2), as fdinfo shows them */
static void has(const char *target, const char *flags, unsigned long pos)
{
	number++;
	sh("ln -s '%s' proc/%d/fd/%d; printf 'pos:\t%lu\nflags:\t%s\nmnt_id:\t16\n' >proc/%d/fdinfo/%d",
	   target, PID, number, pos, flags, PID, number);
}

static int begin(void **state)
{
	(void)state;
	begin_tree();
	number = 2;
	sh("mkdir -p proc/%d/fd proc/%d/fdinfo", PID, PID);
	return 0;
}

/* @count data_fds are found, of which the last one has these values. */
static void assert_found(const char *driver, bool writes, int count, const char *name, int fd,
			 bool counts, uint64_t moved)
{
	struct datafd list[4] = { 0 };

	assert_int_equal(datafd_find(ctx, PID, driver, writes, list, 4), count);
	if (!count)
		return;
	assert_string_equal(list[count - 1].name, name);
	assert_int_equal(list[count - 1].number, fd);
	assert_int_equal(list[count - 1].counts, counts);
	assert_int_equal(list[count - 1].moved, moved);
	assert_int_equal(list[count - 1].writes, writes);
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *driver;
		bool counts, may_be_asked;
	} known[] = {
		{ "mlx5vf_mig", "mlx5_vfio_pci", true, false },
		{ "virtiovf_mig", "virtio_vfio_pci", true, false },
		{ "hisi_acc_vf_mig", "hisi_acc_vfio_pci", true, true },
		{ "qat_vf_mig", "qat_vfio_pci", true, true },
		{ "xe_vfio_mig", "xe-vfio-pci", false, true },
		{ "pds_vfio_lm", "pds_vfio_pci", true, true },
		{ "mtty_mig", "mtty", true, true },
		{ "ivshmem_vfio_mig", "ivshmem_vfio_pci", false, true },
		{ "newvf_mig", NULL, true, false },
	};
	char target[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		sh("rm -rf proc/%d/fd/* proc/%d/fdinfo/*", PID, PID);
		snprintf(target, sizeof(target), "anon_inode:%s", known[i].name);
		has(target, "0100000", 77);
		assert_found(known[i].driver, false, 1, known[i].name, number, known[i].counts, 77);
		assert_found(NULL, false, 1, known[i].name, number, known[i].counts, 77);
		assert_found(known[i].driver, true, 0, NULL, -1, false, 0);
		assert_int_equal(datafd_may_be_asked(known[i].name), known[i].may_be_asked);
	}
}

/* Other descriptors are none. */
static void test_others(void **state)
{
	(void)state;
	has("anon_inode:[vfio-device]", "02", 0);
	has("anon_inode:[eventfd]", "02", 0);
	has("anon_inode:kvm-vcpu:0", "02", 0);
	has("anon_inode:kvm-vfio", "0100000", 0);
	has("anon_inode:new-vfio", "02", 0);
	has("/var/lib/vfio/mlx5vf_mig", "0100000", 0);
	has("socket:[mig]", "02", 0);
	assert_found(NULL, false, 0, NULL, -1, false, 0);
	has("anon_inode:qat_vf_mig", "0100001", 12);
	assert_found("qat_vfio_pci", false, 0, NULL, -1, false, 0);
	assert_found("qat_vfio_pci", true, 1, "qat_vf_mig", number, true, 12);
	/* The device of another driver */
	assert_found("mlx5_vfio_pci", true, 0, NULL, -1, false, 0);
	assert_found("new_vfio_pci", true, 1, "qat_vf_mig", number, true, 12);
}

static void test_several(void **state)
{
	struct datafd list[2];

	(void)state;
	has("anon_inode:mlx5vf_mig", "0100000", 1);
	has("anon_inode:mlx5vf_mig", "0100000", 2);
	has("anon_inode:virtiovf_mig", "0100000", 3);
	assert_int_equal(datafd_find(ctx, PID, "mlx5_vfio_pci", false, list, 2), 2);
	assert_int_equal(list[0].moved + list[1].moved, 3);
	assert_int_equal(datafd_find(ctx, PID, NULL, false, list, 2), 3);
	/* A driver that is not known may count, or not. */
	sh("rm proc/%d/fd/*", PID);
	has("anon_inode:newvf_mig", "0100000", 0);
	assert_found(NULL, false, 1, "newvf_mig", number, false, 0);
}

static void test_failures(void **state)
{
	struct datafd list[2];

	(void)state;
	assert_int_equal(datafd_find(ctx, PID + 1, NULL, false, list, 2), -ESRCH);
	assert_says("there is no process 4712");
	/* It was closed just now. */
	has("anon_inode:mlx5vf_mig", "0100000", 0);
	sh("rm proc/%d/fdinfo/*", PID);
	assert_found(NULL, false, 0, NULL, -1, false, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_names, begin, remove_tree),
		cmocka_unit_test_setup_teardown(test_others, begin, remove_tree),
		cmocka_unit_test_setup_teardown(test_several, begin, remove_tree),
		cmocka_unit_test_setup_teardown(test_failures, begin, remove_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
