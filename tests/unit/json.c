// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The JSON of headers and trailers: which texts are accepted, what is read from them, and what is
 * written.
 */
#include "image/json.h"
#include "unit.h"

static bool is_object(const char *text)
{
	return json_is_object(text, strlen(text));
}

static void test_grammar(void **state)
{
	static const char *const good[] = {
		"{}",
		" {\t} \r\n",
		"{\"a\":1}",
		"{\"a\":{\"b\":[1,-2.5e+3,true,false,null,\"x\"]},\"c\":[]}",
		"{ \"a\" : 0 , \"b\" : -0.1 }",
		"{\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\":\"\\ud83d\\ude00\"}",
	};
	static const char *const bad[] = {
		"",
		" ",
		"[]",
		"\"a\"",
		"{",
		"}",
		"{}{}",
		"{} x",
		"{\"a\"}",
		"{\"a\":}",
		"{\"a\":1,}",
		"{,}",
		"{a:1}",
		"{'a':1}",
		"{\"a\" 1}",
		"{\"a\":01}",
		"{\"a\":+1}",
		"{\"a\":1.}",
		"{\"a\":.5}",
		"{\"a\":1e}",
		"{\"a\":-}",
		"{\"a\":nul}",
		"{\"a\":True}",
		"{\"a\":[1,]}",
		"{\"a\":[}",
		"{\"a\":\"}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u12g4\"}",
		"{\"a\":\"\\u123\"}",
		"{\"a\":\"\n\"}",
		"{\"a\":1 /* */}",
		"{\"a\":NaN}",
		"{\"a\":1 \"b\":2}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		if (!is_object(good[i]))
			fail_msg("not taken: %s", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (is_object(bad[i]))
			fail_msg("taken: %s", bad[i]);
	/* The size says where the text ends. The text must not contain a zero byte. */
	assert_true(json_is_object("{}junk", 2));
	assert_false(json_is_object("{\"a\":\"\0\"}", 9));
	for (size_t n = 0; n < strlen(good[5]); n++)
		assert_false(json_is_object(good[5], n));
}

static void test_depth(void **state)
{
	char text[300];

	(void)state;
	for (int depth = 1; depth < 100; depth++) {
		int n = sprintf(text, "{\"a\":");

		memset(text + n, '[', depth);
		memset(text + n + depth, ']', depth);
		strcpy(text + n + 2 * depth, "}");
		assert_int_equal(is_object(text), depth < 30);
	}
}

/* The first and the last character of each length in UTF-8, and bytes that only look like UTF-8 */
static void test_utf8(void **state)
{
	static const char *const characters[] = {
		"\x7f",		"\xc2\x80",	    "\xdf\xbf",		"\xe0\xa0\x80",
		"\xed\x9f\xbf", "\xee\x80\x80",	    "\xef\xbf\xbf",	"\xf0\x90\x80\x80",
		"\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf",
	};
	static const char *const none[] = {
		"\x80",	    /* a continuation byte alone */
		"\xc0\xaf", /* '/' in two bytes */
		"\xc1\xbf",
		"\xe0\x9f\xbf",	    /* in three instead of two */
		"\xf0\x8f\xbf\xbf", /* in four instead of three */
		"\xed\xa0\x80",	    /* surrogates */
		"\xed\xbf\xbf",
		"\xf4\x90\x80\x80", /* beyond Unicode */
		"\xf5\x80\x80\x80",
		"\xff",	 /* no byte of it */
		"\xc3(", /* no continuation byte follows */
		"\xe2\x82(",
		"\xf0\x9f\x98(",
	};
	char text[32], got[8];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(characters); i++) {
		size_t size = strlen(characters[i]);

		sprintf(text, "{\"a\":\"%s\"}", characters[i]);
		assert_true(is_object(text));
		assert_int_equal(json_get_string(json_find(text, "a"), got, sizeof(got)), size);
		assert_string_equal(got, characters[i]);
		/* A part of a character is not valid. */
		for (size_t n = 1; n < size; n++) {
			sprintf(text, "{\"a\":\"%.*s\"}", (int)n, characters[i]);
			assert_false(is_object(text));
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		sprintf(text, "{\"a\":\"%s\"}", none[i]);
		assert_false(is_object(text));
	}
}

static void expect_text(const char *json, const char *expected)
{
	char text[64], got[64];

	sprintf(text, "{\"key\" : %s }", json);
	assert_true(is_object(text));
	if (!expected) {
		assert_int_equal(json_get_string(json_find(text, "key"), got, sizeof(got)), -1);
		return;
	}
	assert_int_equal(json_get_string(json_find(text, "key"), got, sizeof(got)),
			 strlen(expected));
	assert_string_equal(got, expected);
}

static void test_strings(void **state)
{
	static const char text[] = "{\"a\":\"long\"}";
	char got[4];

	(void)state;
	expect_text("\"\"", "");
	expect_text("\"plain\"", "plain");
	expect_text("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t");
	expect_text("\"\\u0041\\u00e4\\u20AC\\ud83D\\uDe00\"",
		    "A\303\244\342\202\254\360\237\230\200");
	/* These are not characters: zero, and halves of surrogate pairs */
	expect_text("\"\\u0000\"", "\357\277\275");
	expect_text("\"\\ud83d\"", "\357\277\275");
	expect_text("\"\\ude00x\"", "\357\277\275x");
	expect_text("\"\\ud83d\\u0041\"", "\357\277\275A");
	expect_text("1", NULL);
	expect_text("null", NULL);
	expect_text("{\"key\":\"inside\"}", NULL);
	assert_int_equal(json_get_string(json_find(text, "b"), got, sizeof(got)), -1);
	/* The text is cut short, and its length says so. */
	assert_int_equal(json_get_string(json_find(text, "a"), got, sizeof(got)), 4);
	assert_string_equal(got, "lon");
}

static void test_find(void **state)
{
	static const char text[] =
		" { \"x\" : {\"key\":1}, \"k\\u0065y\" : [\"key\", {}], \"ke\":3,"
		" \"keys\":4, \"key\" :5 ,\"\":6 } ";
	uint64_t n;

	(void)state;
	assert_true(is_object(text));
	/* The last value of this name counts, at this depth. */
	assert_true(json_get_number(json_find(text, "key"), &n));
	assert_int_equal(n, 5);
	assert_true(json_get_number(json_find(text, ""), &n));
	assert_int_equal(n, 6);
	assert_true(json_get_number(json_find(json_find(text, "x"), "key"), &n));
	assert_int_equal(n, 1);
	assert_null(json_find(text, "no"));
	assert_null(json_find(NULL, "key"));
	assert_null(json_find(json_find(text, "ke"), "key"));
}

static void expect_number(const char *json, bool is, uint64_t expected)
{
	char text[64];
	uint64_t n;

	sprintf(text, "{\"key\":%s}", json);
	assert_true(is_object(text));
	assert_int_equal(json_get_number(json_find(text, "key"), &n), is);
	if (is)
		assert_true(n == expected);
}

static void test_numbers(void **state)
{
	(void)state;
	expect_number("0", true, 0);
	expect_number("4194304", true, 4194304);
	expect_number("18446744073709551615", true, UINT64_MAX);
	expect_number("18446744073709551616", false, 0);
	expect_number("-1", false, 0);
	expect_number("1.0", false, 0);
	expect_number("1e3", false, 0);
	expect_number("\"1\"", false, 0);
	expect_number("true", false, 0);
}

static void test_writing(void **state)
{
	static const char expected[] =
		"{\"n\":18446744073709551615,\"s\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\x7f\303\244"
		"\357\277\275x\357\277\275\",\"o\":{\"b\":true},\"e\":{},\"a\":[\"1\",\"2\"],\"z\":false}";
	char text[sizeof(expected)];

	(void)state;
	for (size_t room = 0; room <= sizeof(expected); room++) {
		struct json_writer w = { .text = text, .room = room };

		json_open(&w, NULL, '{');
		json_put_number(&w, "n", UINT64_MAX);
		/* Invalid bytes: the middle of a character, and the beginning of one */
		json_put_string(&w, "s", "\"\\/\b\f\n\r\t\001\x7f\303\244\200x\303");
		json_put_string(&w, "missing", NULL);
		json_open(&w, "o", '{');
		json_put_bool(&w, "b", true);
		json_close(&w, '}');
		json_open(&w, "e", '{');
		json_close(&w, '}');
		json_open(&w, "a", '[');
		json_put_string(&w, NULL, "1");
		json_put_string(&w, NULL, "2");
		json_close(&w, ']');
		json_put_bool(&w, "z", false);
		json_close(&w, '}');
		assert_int_equal(w.full, room < strlen(expected));
		assert_true(w.size <= room);
		if (!w.full) {
			assert_int_equal(w.size, strlen(expected));
			assert_memory_equal(text, expected, w.size);
			assert_true(json_is_object(text, w.size));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grammar), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_utf8),	cmocka_unit_test(test_strings),
		cmocka_unit_test(test_find),	cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_writing),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
