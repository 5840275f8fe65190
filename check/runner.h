/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The runner: how one rule is tested. */
#ifndef CHECK_RUNNER_H
#define CHECK_RUNNER_H

#include "run.h"

/* Whether the rule is not tested on this device. @result says why then. */
bool is_left_out(const struct check_rule *rule, const struct run *run,
		 const struct check_options *options, struct check_result *result);

/* Test one rule, and reset the device. The result is in run->shared. Returns 0, or the negative
 * errno that ends the run, and why. */
int test_rule(struct run *run, const struct check_rule *rule, const struct check_options *options,
	      char why[512]);

/* Make the device as it was before a test. Returns 0, or a negative errno and why. */
int clean_up(struct run *run, const struct check_options *options, char why[512]);

/* Something has gone wrong that weighs more than what the test itself has found. */
__attribute__((format(printf, 3, 4))) void overrule(struct check_result *result,
						    enum check_status status, const char *fmt, ...);

#endif
