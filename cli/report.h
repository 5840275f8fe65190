/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The results of a conformance test, as text, as KTAP, or as JSON. */
#ifndef REPORT_H
#define REPORT_H

#include <check.h>

#include "json.h"

struct report {
	const struct cli *cli;
	const struct check_target *target;
	const struct report_form *form;
	uint64_t seed;
	bool strict, dangerous;
	unsigned int timeout; /* 0: the usual one */
	unsigned int planned; /* rules that will be reported */
	unsigned int count, counts[NR_CHECK_STATUSES];
	const char *group; /* of the last rule */
	/* The rules that were not kept, in their order */
	struct {
		const struct check_rule *rule;
		enum check_status status;
	} bad[256];
	unsigned int nr_bad;
	double seconds;
	struct json_object *rules;
};

struct report_form {
	void (*begin)(struct report *report);
	void (*result)(struct report *report, const struct check_result *result);
	/* @why: the sentence about what ended the run early, or NULL. Returns the exit status. */
	int (*end)(struct report *report, const char *why);
};

extern const struct report_form report_text, report_ktap, report_json;

/* Count the result, and show it. */
void report_result(struct report *report, const struct check_result *result);
/* List the rules that @listed takes. Returns the exit status. */
int list_rules(const struct cli *cli,
	       bool (*listed)(const void *data, const struct check_rule *rule), const void *data);

#endif
