// SPDX-License-Identifier: GPL-2.0-only
/*
 * All flags and all transitions, compared with the kernel's own function: the build cuts
 * vfio_mig_get_next_state() out of drivers/vfio/vfio_main.c unchanged and puts it into
 * vfio_mig_get_next_state.inc.
 */
#include "unit.h"

/* Definitions of the kernel that its function needs. */
typedef uint8_t u8;
struct vfio_device {
	unsigned int migration_flags;
};
/* Missing in the headers of Linux 6.1. */
#define VFIO_DEVICE_STATE_PRE_COPY     6
#define VFIO_DEVICE_STATE_PRE_COPY_P2P 7
#define WARN_ON(x)		       (x)
#define EXPORT_SYMBOL_GPL(x)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wenum-compare"
#include "vfio_mig_get_next_state.inc"
#pragma GCC diagnostic pop

/* Take one step after the other until the target is reached, as drivers do. */
static int kernel_path(uint64_t flags, int from, int to, int *path)
{
	struct vfio_device device = { flags };
	int arcs = 0;

	while (from != to) {
		enum vfio_device_mig_state next;

		if (vfio_mig_get_next_state(&device, from, to, &next))
			return -EINVAL;
		path[arcs++] = next;
		from = next;
	}
	return arcs;
}

static void test_against_kernel(void **state)
{
	int ours[VFIOMIG_NR_STATES], theirs[VFIOMIG_NR_STATES];

	(void)state;
	/* All flags with STOP_COPY; without it they are not valid. */
	for (uint64_t flags = 1; flags < 8; flags += 2)
		for (int from = 0; from < VFIOMIG_NR_STATES; from++)
			for (int to = 0; to < VFIOMIG_NR_STATES; to++) {
				int n;

				if (!vfiomig_fsm_supports(flags, from) ||
				    from == VFIOMIG_STATE_ERROR)
					continue;
				n = kernel_path(flags, from, to, theirs);
				assert_int_equal(vfiomig_fsm_path(flags, from, to, ours), n);
				if (n > 0)
					assert_memory_equal(ours, theirs, n * sizeof(int));
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_kernel),
	};

	return cmocka_run_group_tests_name("kernel_fsm", tests, NULL, NULL);
}
