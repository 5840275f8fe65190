// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * All rules, one after the other, and which of them the kernel complains about.
 *
 * The kernel may complain when the test that is the cause has ended: from a work queue, or after an
 * RCU grace period. So a result is told only when the kernel had some time to complain. If it does
 * so meanwhile, the rules that can be the cause are tested once more, one by one, until the kernel
 * complains again.
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

/* How long a result waits for a complaint of the kernel. */
#define PATIENCE  1.0 /* seconds */
/* How long the kernel has at least to complain about the last test. */
#define SETTLING  0.2
/* A test that takes longer is not done once more, and neither is any when the search for causes has
 * taken so long in all. */
#define LONGEST	  5.0
#define BUDGET	  60.0

/* The room for what the kernel says */
#define LINES_MAX 1500

/* The result of a rule. */
struct entry {
	struct check_result result;
	bool tested;
	bool blamed;  /* the kernel has complained about it */
	bool cleared; /* it has not, when the rule was tested once more */
	double end;   /* when its test has ended */
};

struct sequence {
	struct run *run;
	const struct check_options *options;
	struct klog log;
	struct entry *entries;
	size_t count, told; /* entries before @told were told */
	struct entry *last; /* the last one that was tested, or NULL */
	double spent;	    /* seconds that the search for causes has taken */
};

/* ---- What the kernel says ------------------------------------------------------ */

/* Wait for @time, and after a complaint of the kernel until there was none for a while, but not for
 * ever. Returns whether it has complained, and what it said first. */
static bool complains_within(struct sequence *seq, double time, char *lines, size_t size)
{
	double now = seconds(), end = now + time, limit = end + 5 * PATIENCE;
	bool splat = false;
	char more[256] = "";

	for (; now < end && now < limit; now = seconds()) {
		sleep_ms(20);
		if (!klog_has_splat(&seq->log, splat ? more : lines, splat ? sizeof(more) : size))
			continue;
		splat = true;
		end = seconds() + PATIENCE;
	}
	return splat;
}

static void blame(struct entry *entry, const char *lines)
{
	struct check_result *result = &entry->result;

	if (result->status != CHECK_FAIL)
		overrule(result, CHECK_FAIL, "the kernel complains: %.*s",
			 (int)strcspn(lines, "\n"), lines);
	entry->blamed = true;
}

/* Test a rule once more. If the kernel complains, also when the test has ended, the rule is blamed,
 * else cleared. Returns 0, or the negative errno that ends the run, and why. */
static int repeat(struct sequence *seq, struct entry *entry, double time, char why[512])
{
	char lines[LINES_MAX];
	int err;

	klog_say("vfiomig check: %s, once more", entry->result.rule->id);
	err = test_rule(seq->run, entry->result.rule, seq->options, why);
	if (err)
		return err;
	if (!complains_within(seq, time, lines, sizeof(lines))) {
		entry->cleared = true;
		return 0;
	}
	blame(entry, lines);
	if (entry == seq->last)
		return 0;
	add_note(
		&entry->result,
		"this came late, when %s was tested; it came again when this rule was tested once more",
		seq->last->result.rule->id);
	add_note(&entry->result, "%s", lines);
	return 0;
}

/*
 * The kernel has complained since the last test began. Find the rules that bring this about: test
 * those whose results wait once more. @found receives whether there are some. Returns 0, or the
 * negative errno that ends the run, and why.
 */
static int find_causes(struct sequence *seq, bool *found, char why[512])
{
	double begin = seconds();
	char lines[256];
	int err = 0;

	/* There may be more to come, of the same cause. */
	complains_within(seq, PATIENCE, lines, sizeof(lines));
	for (size_t i = seq->count; i-- > seq->told && !err;) {
		struct entry *entry = &seq->entries[i];
		bool was_blamed = entry->blamed;

		if (entry->tested && !was_blamed && !entry->cleared &&
		    entry->result.seconds <= LONGEST && seq->spent + seconds() - begin < BUDGET)
			err = repeat(seq, entry, begin - entry->end + SETTLING, why);
		*found |= !was_blamed && entry->blamed;
	}
	seq->spent += seconds() - begin;
	return err;
}

/* The IDs of the rules that were tested before the last one, that the kernel can still complain
 * about, and that were not cleared. */
static void list_suspects(const struct sequence *seq, char *ids, size_t size)
{
	size_t used = 0;

	ids[0] = '\0';
	for (size_t i = seq->count; i-- > seq->told && used < size;) {
		const struct entry *entry = &seq->entries[i];

		if (entry->tested && entry != seq->last && !entry->cleared)
			used += snprintf(ids + used, size - used, "%s%s", used ? ", " : "",
					 entry->result.rule->id);
	}
}

static bool is_any_blamed(const struct sequence *seq)
{
	for (size_t i = seq->told; i < seq->count; i++)
		if (seq->entries[i].blamed)
			return true;
	return false;
}

static void note_lost_lines(struct check_result *result)
{
	static const char text[] = "the kernel has logged so much that not all of it could be read";

	if (result->status != CHECK_FAIL && result->status != CHECK_WARN)
		overrule(result, CHECK_WARN, "%s", text);
	else
		add_note(result, "%s", text);
}

/*
 * Look at what the kernel has said since the last test began. If that test has ended the run with
 * @err, nothing is tested once more; neither after an oops, which the kernel may not survive twice.
 * Returns 0, or the negative errno that ends the run, and why.
 */
static int look_at_log(struct sequence *seq, int err, char why[512])
{
	struct entry *last = seq->last;
	char lines[LINES_MAX], suspects[200];
	bool splat = klog_has_splat(&seq->log, lines, sizeof(lines)), found = false;

	if (seq->log.lost)
		note_lost_lines(&last->result);
	if (!splat)
		return err;
	list_suspects(seq, suspects, sizeof(suspects));
	if (suspects[0] && !err && !seq->log.died)
		err = find_causes(seq, &found, why);
	/* A rule that was blamed before can be the cause of this, too. */
	if (!found && !(last->cleared && is_any_blamed(seq))) {
		blame(last, lines);
		if (suspects[0])
			add_note(&last->result, "it can be late, and about a test before this: %s",
				 suspects);
	}
	if (last->blamed)
		add_note(&last->result, "%s", lines);
	return err;
}

/* ---- The rules ------------------------------------------------------------------ */

/* Tell the results of tests that ended before @end, except the last one, and of rules that were not
 * tested in between. */
static void tell(struct sequence *seq, double end)
{
	while (seq->told < seq->count) {
		const struct entry *entry = &seq->entries[seq->told];

		if (entry->tested && (entry->end > end || entry == seq->last))
			break;
		seq->told++;
		seq->options->end(seq->options->data, &entry->result);
	}
}

/* Test the rule of the entry after the last one. */
static int test_next(struct sequence *seq, struct entry *entry, char why[512])
{
	const struct check_rule *rule = entry->result.rule;
	int err = 0;

	if (seq->last)
		err = look_at_log(seq, 0, why);
	if (err)
		return err;
	tell(seq, seconds() - PATIENCE);
	klog_say("vfiomig check: %s", rule->id);
	err = test_rule(seq->run, rule, seq->options, why);
	entry->result = seq->run->shared->result;
	entry->tested = true;
	entry->end = seconds();
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
		/* What was not tested need not wait. */
		tell(seq, 0);
	}
	took = seconds() - begin;
	if (seq->last && !err)
		sleep_ms(1000 * (took < SETTLING ? SETTLING : took < PATIENCE ? took : PATIENCE));
	if (seq->last)
		err = look_at_log(seq, err, why);
	seq->last = NULL;
	tell(seq, seconds());
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
