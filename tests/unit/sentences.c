// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What each public function leaves behind: a sentence after a failure, none after a success, and
 * never the sentence of an earlier one. The symbol map says which functions there are.
 */
#include <stdlib.h>

#include "calls.h"

static void test_sentences(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		const char *name = calls[i].name, *said = vfiomig_get_error(ctx);
		int ret = calls[i].good();

		if (ret < 0)
			fail_msg("%s() fails: %s", name, said);
		if (*said)
			fail_msg("%s() succeeds, and says: %s", name, said);
		ret = calls[i].bad();
		if (ret >= 0)
			fail_msg("%s() does not fail", name);
		if (!*said || strcmp(said, STALE) == 0)
			fail_msg("%s() fails without a sentence", name);
	}
}

/* The path of the symbol map. */
static char *map;

static bool is_listed(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (strcmp(calls[i].name, name) == 0)
			return true;
	for (size_t i = 0; i < ARRAY_SIZE(no_calls); i++)
		if (strcmp(no_calls[i], name) == 0)
			return true;
	return false;
}

/* Each function of the symbol map is in one of the tables of calls.h, and these have no others. */
static void test_all(void **state)
{
	FILE *f = map ? fopen(map, "re") : NULL;
	char line[128], name[64];
	size_t count = 0;

	(void)state;
	if (!f)
		skip();
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "\t%63[a-z_0-9];", name) != 1 || strncmp(name, "vfiomig_", 8) != 0)
			continue;
		if (!is_listed(name))
			fail_msg("%s() is in no table of tests/unit/calls.h", name);
		count++;
	}
	fclose(f);
	assert_int_equal(count, ARRAY_SIZE(calls) + ARRAY_SIZE(no_calls));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_all),
	};

	map = realpath("lib/libvfiomig.sym", NULL);
	return cmocka_run_group_tests_name("sentences", tests, make_state, remove_tree);
}
