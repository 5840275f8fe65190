// SPDX-License-Identifier: GPL-2.0-or-later
/* The results of a conformance test. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "describe.h"
#include "report.h"
#include "stream.h"
#include "terminal.h"
#include "wrap.h"

static bool has_failed(const struct check_result *result)
{
	return result->status == CHECK_FAIL || result->status == CHECK_WARN ||
	       result->status == CHECK_XFAIL;
}

/* The states that the device went through: "RUNNING -> STOP". The caller frees the text. */
static char *path_text(const struct check_result *result)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	if (result->path_cut)
		fprintf(f, "... -> ");
	for (unsigned int i = 0; i < result->path_length; i++)
		fprintf(f, "%s%s", i ? " -> " : "", vfiomig_state_name(result->path[i]));
	fclose(f);
	return text;
}

static char *flags_text(uint64_t flags)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (unsigned int bit = 0; bit < 64; bit++) {
		if (!(flags & (1ULL << bit)))
			continue;
		if (bit < NR_FLAGS)
			fprintf(f, " %s", flag_names[bit]);
		else
			fprintf(f, " unknown(%#llx)", 1ULL << bit);
	}
	fclose(f);
	return text;
}

void report_result(struct report *report, const struct check_result *result)
{
	report->count++;
	report->counts[result->status]++;
	report->seconds += result->seconds;
	if (has_failed(result) && report->nr_bad < sizeof(report->bad) / sizeof(report->bad[0])) {
		report->bad[report->nr_bad].rule = result->rule;
		report->bad[report->nr_bad++].status = result->status;
	}
	report->form->result(report, result);
}

/* Print @text line by line. */
static void print_lines(const char *before, const char *text, size_t width)
{
	while (*text) {
		size_t length = strcspn(text, "\n");
		char line[CHECK_NOTES_MAX];

		snprintf(line, sizeof(line), "%.*s", (int)length, text);
		if (length)
			print_wrapped(before, "", line, width);
		text += length + (text[length] == '\n');
	}
}

/* The command that tests this rule in the same way. */
static void print_again(const struct report *report, const struct check_rule *rule,
			const char *before)
{
	static const char *const ways[] = { [VFIOMIG_VIA_CDEV] = " --via=cdev",
					    [VFIOMIG_VIA_GROUP] = " --via=group",
					    [VFIOMIG_VIA_AUTO] = "" };
	const struct cli *cli = report->cli;
	char seed[40] = "", timeout[40] = "";

	if (rule->needs & IS_RANDOM)
		snprintf(seed, sizeof(seed), " --seed=%llu", (unsigned long long)report->seed);
	if (report->timeout)
		snprintf(timeout, sizeof(timeout), " --timeout=%u", report->timeout);
	print_line("%sagain:    vfiomig check -v -t %s%s%s%s%s%s%s %s", before, rule->id,
		   report->dangerous ? " --dangerous" : "", seed, timeout, ways[cli->via],
		   cli->vf_token ? " --vf-token=" : "", cli->vf_token ?: "", cli->device);
}

/* What is known about a failure, each line after @before, and not longer than @width. */
static void print_details(const struct report *report, const struct check_result *result,
			  const char *before, size_t width)
{
	const struct check_rule *rule = result->rule;
	char text[1024], *path = path_text(result);

	if (result->reason[0])
		print_wrapped(before, "", result->reason, width);
	if (has_failed(result)) {
		snprintf(text, sizeof(text), "%s (%s)", rule->words, check_level_name(rule->level));
		print_wrapped(before, "rule:     ", text, width);
		print_wrapped(before, "states:   ", path ?: "", width);
		print_wrapped(before, "last:     ", result->doing, width);
		snprintf(text, sizeof(text), "%s (%s)", result->condition, result->where);
		if (result->condition[0])
			print_wrapped(before, "expected: ", text, width);
	}
	print_lines(before, result->notes, width);
	/* A command is copied, so it stays in one line. */
	if (has_failed(result))
		print_again(report, rule, before);
	free(path);
}

static const char *log_text(const struct check_target *t)
{
	return t->log_is_readable ? "watched" : "cannot be read, only the taint is watched";
}

/* ---- Text ------------------------------------------------------------------- */

static void text_begin(struct report *report)
{
	const struct check_target *t = report->target;
	char *flags = flags_text(t->flags);

	print_line("%s, Linux %s", "vfiomig " VERSION, t->kernel);
	print_line("device:     %s", vfiomig_device_get_name(t->device));
	print_line("driver:     %s%s%s%s%s", t->driver, t->module_version[0] ? ", version " : "",
		   t->module_version, t->srcversion[0] ? ", srcversion " : "", t->srcversion);
	print_line("migration: %s", flags ?: "");
	if (t->state_size)
		print_line("state size: %llu bytes (estimated)", (unsigned long long)t->state_size);
	print_line("kernel log: %s", log_text(t));
	print_line("seed:       %llu", (unsigned long long)report->seed);
	free(flags);
}

static void text_heading(struct report *report, const struct check_rule *rule)
{
	size_t length;
	const char *group = check_group(rule, &length);

	if (report->group != group)
		print_line("%s", "");
	if (report->group != group)
		print_line("%s", group);
	report->group = group;
}

static const char *colour_of(enum check_status status)
{
	if (!wants_colour())
		return "";
	return status == CHECK_FAIL ? "\033[31m" : status == CHECK_WARN ? "\033[33m" : "";
}

static void print_status(const struct check_result *result)
{
	const char *colour = colour_of(result->status);

	printf("  %-4s %-28s %s%s%s\n", result->rule->number, result->rule->id, colour,
	       check_status_name(result->status), *colour ? "\033[0m" : "");
}

static void text_result(struct report *report, const struct check_result *result)
{
	bool quiet = report->cli->quiet;

	if (quiet && !has_failed(result))
		return;
	text_heading(report, result->rule);
	print_status(result);
	if (has_failed(result) || result->status == CHECK_SKIP || result->rule->level == INFO ||
	    report->cli->verbose)
		print_details(report, result, "       ", line_width());
	fflush(stdout);
}

/* The results are many, so the rules that were not kept are named once more. */
static void text_bad(const struct report *report, enum check_status status)
{
	char *ids = NULL;
	size_t size;
	FILE *f = open_memstream(&ids, &size);

	if (!f)
		return;
	for (unsigned int i = 0; i < report->nr_bad; i++)
		if (report->bad[i].status == status)
			fprintf(f, "%s ", report->bad[i].rule->id);
	fclose(f);
	if (size) {
		ids[size - 1] = '\0';
		print_wrapped("",
			      status == CHECK_FAIL   ? "FAIL:  "
			      : status == CHECK_WARN ? "WARN:  "
						     : "XFAIL: ",
			      ids, line_width());
	}
	free(ids);
}

static int text_end(struct report *report, const char *why)
{
	const unsigned int *n = report->counts;
	char totals[200];

	if (why)
		print_line("ended early: %s", why);
	print_line("%s", "");
	if (report->count > 1) {
		text_bad(report, CHECK_FAIL);
		text_bad(report, CHECK_WARN);
		text_bad(report, CHECK_XFAIL);
	}
	snprintf(totals, sizeof(totals),
		 "%u rule%s: %u OK, %u not supported, %u FAIL, %u WARN, %u XFAIL, %u SKIP (%.1f s)",
		 report->count, report->count == 1 ? "" : "s", n[CHECK_OK], n[CHECK_UNSUPPORTED],
		 n[CHECK_FAIL], n[CHECK_WARN], n[CHECK_XFAIL], n[CHECK_SKIP], report->seconds);
	print_wrapped("", "", totals, line_width());
	return 0;
}

const struct report_form report_text = { text_begin, text_result, text_end };

/* ---- KTAP, see the kernel's Documentation/dev-tools/ktap.rst ------------------ */

static void ktap_begin(struct report *report)
{
	const struct check_target *t = report->target;
	char *flags = flags_text(t->flags);

	print_line("KTAP version 1");
	print_line("1..%u", report->planned);
	print_line("# %s, Linux %s", "vfiomig " VERSION, t->kernel);
	print_line("# device %s, driver %s%s%s%s%s, migration%s",
		   vfiomig_device_get_name(t->device), t->driver,
		   t->module_version[0] ? " version " : "", t->module_version,
		   t->srcversion[0] ? " srcversion " : "", t->srcversion, flags ?: "");
	print_line("# kernel log %s", log_text(t));
	print_line("# seed %llu", (unsigned long long)report->seed);
	free(flags);
}

static void ktap_result(struct report *report, const struct check_result *result)
{
	bool bad = result->status == CHECK_FAIL || (result->status == CHECK_WARN && report->strict);
	const char *directive = "";

	/* The lines about a result come before it. KTAP has no directive for a warning. */
	if (result->status == CHECK_WARN)
		print_line("# WARN");
	if (has_failed(result) || result->notes[0])
		print_details(report, result, "# ", SIZE_MAX);
	if (result->status == CHECK_SKIP || result->status == CHECK_UNSUPPORTED)
		directive = " # SKIP ";
	else if (result->status == CHECK_XFAIL)
		directive = " # XFAIL ";
	print_line("%s %u %s%s%s", bad ? "not ok" : "ok", report->count, result->rule->id,
		   directive, *directive ? result->reason : "");
	fflush(stdout);
}

static int ktap_end(struct report *report, const char *why)
{
	const unsigned int *n = report->counts;
	unsigned int fail = n[CHECK_FAIL] + (report->strict ? n[CHECK_WARN] : 0);

	if (why)
		print_line("Bail out! %s", why);
	print_line("# Totals: pass:%u fail:%u xfail:%u xpass:0 skip:%u error:0",
		   report->count - fail - n[CHECK_XFAIL] - n[CHECK_SKIP] - n[CHECK_UNSUPPORTED],
		   fail, n[CHECK_XFAIL], n[CHECK_SKIP] + n[CHECK_UNSUPPORTED]);
	return 0;
}

const struct report_form report_ktap = { ktap_begin, ktap_result, ktap_end };

/* ---- JSON ------------------------------------------------------------------- */

static void json_begin(struct report *report)
{
	report->rules = new_array();
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	add_string(object, key, text[0] ? text : NULL);
}

static void json_result(struct report *report, const struct check_result *result)
{
	static const char *const names[NR_CHECK_STATUSES] = {
		[CHECK_OK] = "ok",     [CHECK_UNSUPPORTED] = "unsupported",
		[CHECK_FAIL] = "fail", [CHECK_WARN] = "warn",
		[CHECK_SKIP] = "skip", [CHECK_XFAIL] = "xfail",
	};
	struct json_object *object = new_object(), *path = new_array();

	add_string(object, "id", result->rule->id);
	add_string(object, "number", result->rule->number);
	add_string(object, "level", check_level_name(result->rule->level));
	add_string(object, "rule", result->rule->words);
	add_string(object, "status", names[result->status]);
	add_text(object, "reason", result->reason);
	add_text(object, "expected", result->condition);
	add_text(object, "where", result->where);
	add_text(object, "last", result->doing);
	for (unsigned int i = 0; i < result->path_length; i++)
		append_string(path, vfiomig_state_name(result->path[i]));
	add_value(object, "states", path);
	add_text(object, "notes", result->notes);
	add_seconds(object, "seconds", result->seconds * 1e9);
	append_value(report->rules, object);
}

static int json_end(struct report *report, const char *why)
{
	const struct check_target *t = report->target;
	struct json_object *object = new_object(), *totals = new_object();
	const unsigned int *n = report->counts;

	add_string(object, "vfiomig", VERSION);
	add_string(object, "kernel", t->kernel);
	add_string(object, "device", vfiomig_device_get_name(t->device));
	add_string(object, "driver", t->driver);
	add_text(object, "driver_version", t->module_version);
	add_text(object, "driver_srcversion", t->srcversion);
	add_flags(object, t->flags);
	add_uint(object, "seed", report->seed);
	add_bool(object, "kernel_log", t->log_is_readable);
	add_value(object, "rules", report->rules);
	add_uint(totals, "ok", n[CHECK_OK]);
	add_uint(totals, "unsupported", n[CHECK_UNSUPPORTED]);
	add_uint(totals, "fail", n[CHECK_FAIL]);
	add_uint(totals, "warn", n[CHECK_WARN]);
	add_uint(totals, "xfail", n[CHECK_XFAIL]);
	add_uint(totals, "skip", n[CHECK_SKIP]);
	add_value(object, "totals", totals);
	add_string(object, "ended_early", why);
	return print_json(report->cli, object, stdout);
}

const struct report_form report_json = { json_begin, json_result, json_end };

/* ---- The list of rules -------------------------------------------------------- */

static const char *needs_text(unsigned int needs, char text[128])
{
	static const struct {
		unsigned int need;
		const char *name;
	} names[] = {
		{ NEEDS_P2P, "P2P" },
		{ NEEDS_PRE_COPY, "PRE_COPY" },
		{ NEEDS_DATA_SIZE, "MIG_DATA_SIZE" },
		{ NEEDS_DMA_LOGGING, "DMA_LOGGING" },
		{ NEEDS_PRECOPY_INFOV2, "MIG_PRECOPY_INFOv2" },
		{ NEEDS_CONFIG_SPACE, "config space" },
		{ NEEDS_INTERRUPTS, "interrupts" },
		{ IS_DANGEROUS, "--dangerous" },
		{ IS_SLOW, "-g slow" },
	};
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (needs & names[i].need)
			used += snprintf(text + used, 128 - used, "%s%s", used ? ", " : "",
					 names[i].name);
	return text;
}

static void list_one(const struct check_rule *rule)
{
	char needs[128];

	print_line("  %-4s %s (%s)", rule->number, rule->id, check_level_name(rule->level));
	print_wrapped("       ", "", rule->words, line_width());
	if (needs_text(rule->needs, needs)[0])
		print_line("       needs: %s", needs);
	if (rule->cannot)
		print_line("       not tested: %s", rule->cannot);
}

static void add_rule(struct json_object *rules, const struct check_rule *rule)
{
	struct json_object *one = new_object();
	char needs[128];

	add_string(one, "id", rule->id);
	add_string(one, "number", rule->number);
	add_string(one, "level", check_level_name(rule->level));
	add_string(one, "rule", rule->words);
	add_text(one, "needs", needs_text(rule->needs, needs));
	add_string(one, "not_tested", rule->cannot);
	append_value(rules, one);
}

int list_rules(const struct cli *cli,
	       bool (*listed)(const void *data, const struct check_rule *rule), const void *data)
{
	struct json_object *rules = cli->json ? new_array() : NULL, *object;
	const char *last = NULL;

	for (size_t i = 0; i < check_nr_rules; i++) {
		size_t length;
		const char *group = check_group(&check_rules[i], &length);

		if (!listed(data, &check_rules[i]))
			continue;
		if (cli->json) {
			add_rule(rules, &check_rules[i]);
			continue;
		}
		if (last && group != last)
			print_line("%s", "");
		if (group != last)
			print_line("%s (-g %.*s)", group, (int)length, check_rules[i].id);
		last = group;
		list_one(&check_rules[i]);
	}
	if (!cli->json)
		return 0;
	object = new_object();
	add_value(object, "rules", rules);
	return print_json(cli, object, stdout);
}
