// SPDX-License-Identifier: LGPL-2.1-or-later
/* The state machine: each rule in the uAPI's comment. */
#include "unit.h"

#define ALL (VFIOMIG_STOP_COPY | VFIOMIG_P2P | VFIOMIG_PRE_COPY)

/* The combinations of flags that the uAPI defines. */
static const uint64_t flag_sets[] = {
	VFIOMIG_STOP_COPY,
	VFIOMIG_STOP_COPY | VFIOMIG_P2P,
	VFIOMIG_STOP_COPY | VFIOMIG_PRE_COPY,
	ALL,
};

#define for_each_transition(flags, from, to)                                      \
	for (size_t f_ = 0; f_ < ARRAY_SIZE(flag_sets); f_++)                     \
		for (uint64_t flags = flag_sets[f_], once_ = 1; once_; once_ = 0) \
			for (int from = 0; from < VFIOMIG_NR_STATES; from++)      \
				for (int to = 0; to < VFIOMIG_NR_STATES; to++)

static bool in_saving_group(int state)
{
	return state == VFIOMIG_STATE_PRE_COPY || state == VFIOMIG_STATE_PRE_COPY_P2P ||
	       state == VFIOMIG_STATE_STOP_COPY;
}

/*
 * Returns the path as a text, "STOP -> RUNNING_P2P -> RUNNING" for example, or "" if it is refused.
 */
static const char *path_text(uint64_t flags, int from, int to)
{
	static char text[256];
	int path[VFIOMIG_NR_STATES];
	int arcs = vfiomig_fsm_path(flags, from, to, path);

	text[0] = '\0';
	if (arcs < 0)
		return text;
	strcpy(text, vfiomig_state_name(from));
	for (int i = 0; i < arcs; i++) {
		strcat(text, " -> ");
		strcat(text, vfiomig_state_name(path[i]));
	}
	return text;
}

static void check_path(uint64_t flags, const char *expected)
{
	const char *last = strrchr(expected, ' ') + 1;
	char first[32];

	snprintf(first, sizeof(first), "%.*s", (int)strcspn(expected, " "), expected);
	assert_string_equal(
		path_text(flags, vfiomig_state_from_name(first), vfiomig_state_from_name(last)),
		expected);
}

/* The combination transitions that the kernel's comment lists. */
static void test_combinations(void **state)
{
	static const char *const paths[] = {
		"PRE_COPY -> PRE_COPY_P2P -> STOP_COPY",
		"PRE_COPY -> RUNNING -> RUNNING_P2P",
		"PRE_COPY -> RUNNING -> RUNNING_P2P -> STOP",
		"PRE_COPY -> RUNNING -> RUNNING_P2P -> STOP -> RESUMING",
		"PRE_COPY_P2P -> RUNNING_P2P -> RUNNING",
		"PRE_COPY_P2P -> RUNNING_P2P -> STOP",
		"PRE_COPY_P2P -> RUNNING_P2P -> STOP -> RESUMING",
		"RESUMING -> STOP -> RUNNING_P2P",
		"RESUMING -> STOP -> RUNNING_P2P -> PRE_COPY_P2P",
		"RESUMING -> STOP -> RUNNING_P2P -> RUNNING",
		"RESUMING -> STOP -> RUNNING_P2P -> RUNNING -> PRE_COPY",
		"RESUMING -> STOP -> STOP_COPY",
		"RUNNING -> RUNNING_P2P -> PRE_COPY_P2P",
		"RUNNING -> RUNNING_P2P -> STOP",
		"RUNNING -> RUNNING_P2P -> STOP -> RESUMING",
		"RUNNING -> RUNNING_P2P -> STOP -> STOP_COPY",
		"RUNNING_P2P -> RUNNING -> PRE_COPY",
		"RUNNING_P2P -> STOP -> RESUMING",
		"RUNNING_P2P -> STOP -> STOP_COPY",
		"STOP -> RUNNING_P2P -> PRE_COPY_P2P",
		"STOP -> RUNNING_P2P -> RUNNING",
		"STOP -> RUNNING_P2P -> RUNNING -> PRE_COPY",
		"STOP_COPY -> STOP -> RESUMING",
		"STOP_COPY -> STOP -> RUNNING_P2P",
		"STOP_COPY -> STOP -> RUNNING_P2P -> RUNNING",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		check_path(ALL, paths[i]);
}

/* Paths leave out optional states that the device does not support. */
static void test_optional_states(void **state)
{
	(void)state;
	check_path(VFIOMIG_STOP_COPY, "RUNNING -> STOP -> STOP_COPY");
	check_path(VFIOMIG_STOP_COPY, "STOP_COPY -> STOP -> RUNNING");
	check_path(VFIOMIG_STOP_COPY | VFIOMIG_PRE_COPY, "PRE_COPY -> STOP_COPY");
	check_path(VFIOMIG_STOP_COPY | VFIOMIG_PRE_COPY, "PRE_COPY -> RUNNING -> STOP");
	check_path(VFIOMIG_STOP_COPY | VFIOMIG_P2P, "RUNNING -> RUNNING_P2P -> STOP -> STOP_COPY");
}

static void test_refused(void **state)
{
	(void)state;
	for_each_transition(flags, from, to)
	{
		bool refused = vfiomig_fsm_path(flags, from, to, NULL) < 0;

		/* "ERROR cannot be specified as a device state", and only a
		 * reset recovers from it. */
		if (from == VFIOMIG_STATE_ERROR || to == VFIOMIG_STATE_ERROR)
			assert_true(refused);
		/* "The optional states cannot be used [...] if the device does
		 * not support them." */
		else if (!vfiomig_fsm_supports(flags, from) || !vfiomig_fsm_supports(flags, to))
			assert_true(refused);
		/* "STOP_COPY -> PRE_COPY, STOP_COPY -> PRE_COPY_P2P: these arcs
		 * are not permitted" */
		else if (from == VFIOMIG_STATE_STOP_COPY && to != from && in_saving_group(to))
			assert_true(refused);
		else
			assert_false(refused);
	}
}

/*
 * "The path cannot have saving group states as interior arcs", except for a path that stays inside
 * the group.
 */
static void test_interior(void **state)
{
	(void)state;
	for_each_transition(flags, from, to)
	{
		int path[VFIOMIG_NR_STATES];
		int arcs = vfiomig_fsm_path(flags, from, to, path);

		for (int i = 0; i < arcs - 1; i++) {
			assert_true(vfiomig_fsm_supports(flags, path[i]));
			assert_int_not_equal(path[i], VFIOMIG_STATE_RESUMING);
			if (in_saving_group(path[i]))
				assert_true(in_saving_group(from) && in_saving_group(to));
		}
		if (arcs > 0)
			assert_int_equal(path[arcs - 1], to);
		if (arcs == 0)
			assert_int_equal(from, to);
	}
}

static void test_names(void **state)
{
	(void)state;
	for (int s = 0; s < VFIOMIG_NR_STATES; s++)
		assert_int_equal(vfiomig_state_from_name(vfiomig_state_name(s)), s);
	assert_int_equal(vfiomig_state_from_name("stop-copy"), VFIOMIG_STATE_STOP_COPY);
	assert_int_equal(vfiomig_state_from_name("running_p2p"), VFIOMIG_STATE_RUNNING_P2P);
	assert_int_equal(vfiomig_state_from_name(""), -EINVAL);
	assert_int_equal(vfiomig_state_from_name("STO"), -EINVAL);
	assert_int_equal(vfiomig_state_from_name("STOP "), -EINVAL);
	assert_int_equal(vfiomig_state_from_name("STOP_COPY_"), -EINVAL);
	assert_string_equal(vfiomig_state_name(-1), "?");
	assert_string_equal(vfiomig_state_name(VFIOMIG_NR_STATES), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_combinations), cmocka_unit_test(test_optional_states),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_interior),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("fsm", tests, NULL, NULL);
}
