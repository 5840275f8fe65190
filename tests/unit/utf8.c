// SPDX-License-Identifier: LGPL-2.1-or-later
/* UTF-8: the first and the last character of each length, and bytes that only look like UTF-8. */
#include "utf8.h"
#include "unit.h"

static void test_lengths(void **state)
{
	static const char *const texts[] = {
		"\x01",
		"\x7f",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xe2\x82\xac",
		"\xf0\x9f\x98\x80",
		"\xf4\x8f\xbf\xbf",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(utf8_length(texts[i]), strlen(texts[i]));
		assert_true(utf8_is_valid(texts[i], strlen(texts[i])));
		/* A part of a character is not valid. */
		for (size_t n = 1; n < strlen(texts[i]); n++)
			assert_false(utf8_is_valid(texts[i], n));
	}
	assert_true(utf8_is_valid("", 0));
	assert_true(utf8_is_valid("gr\xc3\xbc\xc3\x9f \xe2\x82\xac", 10));
}

static void test_none(void **state)
{
	static const char *const texts[] = {
		"\x80",	    /* a continuation byte alone */
		"\xc0\xaf", /* '/' in two bytes */
		"\xc1\xbf",
		"\xe0\x9f\xbf",	    /* in three instead of two */
		"\xf0\x8f\xbf\xbf", /* in four instead of three */
		"\xed\xa0\x80",	    /* surrogates */
		"\xed\xbf\xbf",
		"\xf4\x90\x80\x80", /* beyond Unicode */
		"\xf5\x80\x80\x80",
		"\xff",	 /* never a byte of UTF-8 */
		"\xc3(", /* no continuation byte follows */
		"\xe2\x82(",
		"\xf0\x9f\x98(",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		assert_int_equal(utf8_length(texts[i]), 0);
		assert_false(utf8_is_valid(texts[i], strlen(texts[i])));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
