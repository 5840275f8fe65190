// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All rules, one after the other, and which of them the kernel complains about.
 *
 * The kernel may complain when the test that is the cause has ended: from a work queue, or after an
 * RCU grace period. So a result is told when the next test begins, and the last one after a moment.
 * A complaint that comes later still fails the rule that was tested last. A note names the rules
 * before it that can be the cause.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "klog.h"
#include "runner.h"
#include "stream.h"

/* How long the kernel can complain about a test that has ended. */
#define PATIENCE 1.0 /* seconds */
/* How long it has at least to complain about the last test. */
#define SETTLING 0.2

/* The result of a rule. */
struct entry {
	struct check_result result;
	bool tested;
	double begin, end; /* of its test */
};

struct sequence {
	struct run *run;
	const struct check_options *options;
	struct klog log;
	struct entry *entries;
	size_t count, told; /* entries before @told were told */
	struct entry *last; /* the last one that was tested, or NULL */
};

/* ---- What the kernel says ------------------------------------------------------ */

/* The IDs of the rules whose tests ended shortly before the last one began, the newest first. */
static void list_suspects(const struct sequence *seq, char *ids, size_t size)
{
	static const char cut[] = ", ...";
	size_t used = 0;

	ids[0] = '\0';
	for (size_t i = seq->last - seq->entries; i-- > 0;) {
		const struct entry *entry = &seq->entries[i];
		const char *id = entry->result.rule->id;

		if (!entry->tested)
			continue;
		if (entry->end < seq->last->begin - PATIENCE)
			break;
		if (used + strlen(", ") + strlen(id) + sizeof(cut) > size) {
			strcpy(ids + used, cut);
			break;
		}
		used += sprintf(ids + used, "%s%s", used ? ", " : "", id);
	}
}

static void note_lost_lines(struct check_result *result)
{
	static const char text[] = "the kernel has logged so much that not all of it could be read";

	if (result->status != CHECK_FAIL && result->status != CHECK_WARN)
		overrule(result, CHECK_WARN, "%s", text);
	else
		add_note(result, "%s", text);
}

/* What the kernel has said since the last test began belongs to the result of that test. */
static void look_at_log(struct sequence *seq)
{
	struct check_result *result = &seq->last->result;
	char lines[1500], suspects[200];
	bool splat = klog_has_splat(&seq->log, lines, sizeof(lines));

	if (seq->log.lost)
		note_lost_lines(result);
	if (!splat)
		return;
	if (result->status != CHECK_FAIL)
		overrule(result, CHECK_FAIL, "the kernel complains: %.*s",
			 (int)strcspn(lines, "\n"), lines);
	list_suspects(seq, suspects, sizeof(suspects));
	if (suspects[0])
		add_note(result, "it can be late, and about a test before this: %s", suspects);
	add_note(result, "%s", lines);
}

/* ---- The rules ------------------------------------------------------------------ */

static void tell(struct sequence *seq)
{
	for (; seq->told < seq->count; seq->told++)
		seq->options->end(seq->options->data, &seq->entries[seq->told].result);
}

/* Test the rule of the entry after the last one. */
static int test_next(struct sequence *seq, struct entry *entry, char why[512])
{
	const struct check_rule *rule = entry->result.rule;
	int err;

	entry->begin = seconds();
	if (seq->last)
		look_at_log(seq);
	tell(seq);
	klog_say("vfiomig check: %s", rule->id);
	err = test_rule(seq->run, rule, seq->options, why);
	entry->end = seconds();
	entry->result = seq->run->shared->result;
	entry->tested = true;
	seq->last = entry;
	seq->count++;
	return err;
}

/* Let the rule be left out, for this reason. */
static void skip(struct sequence *seq, struct entry *entry, const char *reason)
{
	entry->result.status = CHECK_SKIP;
	snprintf(entry->result.reason, sizeof(entry->result.reason), "%s", reason);
	seq->count++;
}

static int test_all(struct sequence *seq, char why[512])
{
	const struct check_options *options = seq->options;
	double begin = seconds(), took;
	int err = 0;

	for (size_t i = 0; i < check_nr_rules && !err; i++) {
		const struct check_rule *rule = &check_rules[i];
		struct entry *entry = &seq->entries[seq->count];
		const char *reason = NULL;

		entry->result.rule = rule;
		if (!options->wanted(options->data, rule, &reason)) {
			if (reason)
				skip(seq, entry, reason);
		} else if (is_left_out(rule, seq->run, options, &entry->result)) {
			seq->count++;
		} else {
			err = test_next(seq, entry, why);
		}
		/* What comes before the first test need not wait. */
		if (!seq->last)
			tell(seq);
	}
	took = seconds() - begin;
	if (seq->last && !err)
		sleep_ms(1000 * (took < SETTLING ? SETTLING : took < PATIENCE ? took : PATIENCE));
	if (seq->last)
		look_at_log(seq);
	tell(seq);
	return err;
}

static struct shared *share(void)
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

int check_run(struct vfiomig_ctx *ctx, struct check_target *target,
	      const struct check_options *options, char why[512])
{
	struct run run = {
		.ctx = ctx,
		.target = target,
		.device = target->device,
		.fd = vfiomig_device_get_fd(target->device),
		.flags = target->flags,
		.dangerous = options->dangerous,
		.verbose = options->verbose,
		.timeout = options->timeout,
		.state = S(RUNNING),
		.shared = share(),
	};
	struct sequence seq = { .run = &run,
				.options = options,
				.entries = calloc(check_nr_rules, sizeof(struct entry)) };
	int err;

	why[0] = '\0';
	if (!run.shared || !seq.entries) {
		snprintf(why, 512, "out of memory");
		err = -ENOMEM;
		goto out;
	}
	/* Processes that a test leaves behind come here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	run.reference = nameless_file();
	klog_open(&seq.log);
	err = clean_up(&run, options, why);
	if (!err)
		err = test_all(&seq, why);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	klog_close(&seq.log);
	close(run.reference);
out:
	free(seq.entries);
	if (run.shared)
		munmap(run.shared, sizeof(*run.shared));
	return err;
}
