// SPDX-License-Identifier: GPL-2.0-or-later
/* The values of options: getopt takes an optional value only in the option's own word. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "values.h"
#include "words.h"

/* A walk through the options of a parser and of its children. */
struct search {
	const char *name; /* without dashes; NULL for a short option */
	size_t length;
	int key; /* of a short option */
	const struct argp_option *found;
	const char *nearest; /* a long option */
	size_t distance;
};

static void consider(struct search *s, const struct argp_option *o)
{
	size_t distance;

	if (!s->name) {
		if (o->key == s->key)
			s->found = o;
		return;
	}
	if (!o->name)
		return;
	/* An abbreviation. getopt complains if it has several meanings. */
	if (strncmp(o->name, s->name, s->length) == 0 &&
	    (!s->found || strlen(o->name) == s->length))
		s->found = o;
	distance = word_distance(s->name, o->name);
	if (!s->nearest || distance < s->distance) {
		s->nearest = o->name;
		s->distance = distance;
	}
}

static void search(struct search *s, const struct argp *argp)
{
	for (const struct argp_option *o = argp->options; o && (o->name || o->key); o++)
		consider(s, o);
	for (const struct argp_child *child = argp->children; child && child->argp; child++)
		search(s, child->argp);
}

const char *option_called(const struct argp *argp, const char *word)
{
	struct search s = { .name = word, .length = strlen(word) };

	search(&s, argp);
	return s.found && strlen(s.found->name) == s.length ? s.found->name : NULL;
}

/* "--no-precopy" is "--precopy=never". Other options cannot be switched off. */
static const char *option_switched_off(const struct argp *argp, const char *name)
{
	if (strcmp(name, "no-precopy") != 0 && strcmp(name, "no-progress") != 0)
		return NULL;
	return option_called(argp, name + strlen("no-"));
}

/* The long option that may be meant by @name, with its dashes; "" if there is none. */
static void guess_long(const struct argp *argp, const char *name, char guess[128])
{
	struct search s = { .name = name, .length = strlen(name) };
	const char *off = option_switched_off(argp, name);

	search(&s, argp);
	guess[0] = '\0';
	if (off)
		snprintf(guess, 128, "--%s=never", off);
	else if (s.nearest && (s.distance == 0 || is_misspelling(s.length, s.distance)))
		snprintf(guess, 128, "--%s", s.nearest);
}

/* "--via-group": the option and its value */
static void guess_value(const struct argp *argp, const char *name, char guess[128])
{
	char option[64];

	for (const char *dash = strchr(name, '-'); dash && !guess[0];
	     dash = strchr(dash + 1, '-')) {
		struct search s = { .name = option, .length = dash - name };

		snprintf(option, sizeof(option), "%.*s", (int)s.length, name);
		search(&s, argp);
		if (s.found && s.found->arg && strlen(s.found->name) == s.length && dash[1])
			snprintf(guess, 128, "--%s=%.40s", option, dash + 1);
	}
}

/* The option whose value would follow @word, which begins with a dash. NULL if it has a value
 * already, takes none, or is unknown; then *@guess may be the option that is meant. */
static const struct argp_option *option_of(const struct argp *argp, const char *word,
					   char guess[128])
{
	char name[64];
	struct search s = { .name = name };

	guess[0] = '\0';
	if (word[1] == '-') {
		s.length = strcspn(word + 2, "=");
		snprintf(name, sizeof(name), "%.*s", (int)s.length, word + 2);
		search(&s, argp);
		if (!s.found)
			guess_value(argp, name, guess);
		if (!s.found && !guess[0])
			guess_long(argp, name, guess);
		return s.found && s.found->arg && word[2 + s.length] != '=' ? s.found : NULL;
	}
	/* A word of short options, the last of which can have a value. */
	for (const char *letter = word + 1; *letter; letter++) {
		s = (struct search){ .key = *letter };
		search(&s, argp);
		/* "-json" */
		if (!s.found && (letter[1] || letter > word + 1)) {
			guess_long(argp, word + 1, guess);
			return NULL;
		}
		if (s.found && s.found->arg)
			return letter[1] ? NULL : s.found;
	}
	return NULL;
}

/* "-i" or "--input" where there is no such option */
static bool is_input(const struct argp *argp, const char *word)
{
	return (strcmp(word, "-i") == 0 || strncmp(word, "--in", 4) == 0) &&
	       !option_called(argp, "input");
}

/* "save -i FILE" and "restore -o FILE": a command for devices has one of these options. */
static void guess_file(const struct argp *argp, const char *word, char guess[128])
{
	bool out = strcmp(word, "-o") == 0 || strncmp(word, "--out", 5) == 0;

	if (is_input(argp, word) && option_called(argp, "output"))
		strcpy(guess, "-o");
	else if (out && !option_called(argp, "output") && option_called(argp, "input"))
		strcpy(guess, "-i");
}

static bool is_number(const char *word)
{
	return *word && strspn(word, "0123456789") == strlen(word);
}

/* Nobody calls a device or a state like this. */
static bool is_value(const char *word)
{
	return is_number(word + (*word == '-')) || strcmp(word, "auto") == 0 ||
	       strcmp(word, "never") == 0;
}

/* What is between an option and its value, in one word. */
static const char *sign_of(const char *option)
{
	return option[1] == '-' ? "=" : "";
}

static char *out_of_memory(void)
{
	return strdup(strerror(ENOMEM));
}

static char *tell_guess(const char *word, const char *guess)
{
	char *text;

	if (asprintf(&text, "there is no option '%s'; did you mean '%s'?", word, guess) < 0)
		return out_of_memory();
	return text;
}

static char *tell_file(const char *option, const char *value)
{
	char *text;

	if (asprintf(&text, "the value of %s is in the same word, as in %s%s%s; for a file: ./%s",
		     option, option, sign_of(option), value, value) < 0)
		return out_of_memory();
	return text;
}

static char *tell_input(const char *word)
{
	char *text;

	if (asprintf(&text, "there is no option '%s'; the input is named without one", word) < 0)
		return out_of_memory();
	return text;
}

/* Join @value, the next word, to *@option if it is a value. Returns whether it is. The new word
 * lives as long as the program. */
static bool join(char **option, const char *value)
{
	return is_value(value) && asprintf(option, "%s%s%s", *option, sign_of(*option), value) >= 0;
}

char *join_values(const struct argp *argp, int *argc, char **argv, bool in_order, bool files)
{
	int to = 1, from = 1, arguments = 0;

	while (from < *argc) {
		char *word = argv[from++], guess[128];
		const struct argp_option *option;

		argv[to++] = word;
		if (strcmp(word, "--") == 0)
			break;
		if (word[0] != '-' || !word[1]) {
			if (in_order && ++arguments == 2)
				break;
			continue;
		}
		option = option_of(argp, word, guess);
		if (files && is_input(argp, word))
			return tell_input(word);
		if (!files && !guess[0])
			guess_file(argp, word, guess);
		if (guess[0])
			return tell_guess(word, guess);
		if (!option || from == *argc)
			continue;
		if (!(option->flags & OPTION_ARG_OPTIONAL))
			argv[to++] = argv[from++];
		else if (files && is_number(argv[from]) && strlen(argv[from]) < 3)
			return tell_file(word, argv[from]);
		else if (!files && join(&argv[to - 1], argv[from]))
			from++;
	}
	while (from < *argc)
		argv[to++] = argv[from++];
	argv[to] = NULL;
	*argc = to;
	return NULL;
}
