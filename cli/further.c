// SPDX-License-Identifier: GPL-2.0-or-later
/* Which command looks further into a failure. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "further.h"

#define LOOKS  "looks at all that migration needs here"
#define RESETS "resets it (its state is lost)"

/* clang-format off */
static const struct rule {
	enum task task;
	int err;
	const char *begin, *words; /* of the sentence, and in it */
	const char *command, *option, *does;
} rules[] = {
	{ OPEN_DEVICE, EBUSY, "busy: process ", "has the device", "watch", "", "follows its migration" },
	{ OPEN_DEVICE, EBUSY, "busy: process ", "is at work on it", "watch", "", "follows its migration" },
	{ OPEN_DEVICE, EBUSY, "IOMMU group ", "", "doctor", "", LOOKS },
	{ OPEN_DEVICE, EOPNOTSUPP, "", "", "doctor", "", LOOKS },
	{ OPEN_DEVICE, ENODEV, "", "", "doctor", "", LOOKS },
	{ OPEN_DEVICE, EPERM, "", "", "doctor", "", LOOKS },
	{ OPEN_DEVICE, EACCES, "", "", "doctor", "", LOOKS },
	{ MOVE_STATE, EPROTO, "", "", "check", "", "tests its driver (its state is lost then)" },
	{ MOVE_STATE, EUCLEAN, "the device is ", "only a reset leads", "state", " --reset", RESETS },
	{ MOVE_STATE, EOPNOTSUPP, "cannot go ", "only a reset leads", "state", " --reset", RESETS },
};
/* clang-format on */

static bool fits(const struct rule *rule, enum task task, int err, const char *why)
{
	return rule->task == task && rule->err == -err &&
	       strncmp(why, rule->begin, strlen(rule->begin)) == 0 && strstr(why, rule->words);
}

void find_further(const struct cli *cli, enum task task, int err, const char *why,
		  char text[FURTHER])
{
	const struct rule *rule = rules;
	const struct rule *end = rules + sizeof(rules) / sizeof(rules[0]);

	text[0] = '\0';
	while (rule < end && !fits(rule, task, err, why))
		rule++;
	/* Not the command that fails, and not beside another one that the sentence names. */
	if (rule == end || !cli->device || !cli->command || strstr(why, "\"vfiomig ") ||
	    (!*rule->option && strcmp(cli->command, rule->command) == 0))
		return;
	snprintf(text, FURTHER, "; \"vfiomig %s %.200s%s\" %s", rule->command, cli->device,
		 rule->option, rule->does);
}
