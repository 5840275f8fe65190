// SPDX-License-Identifier: LGPL-2.1-or-later
/* Comparing a stream with the device that it is for, and looking at how it ends. */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "device/sysfs.h"
#include "format.h"
#include "guard.h"

/* ---- What the device is -------------------------------------------------- */

static bool read_pf(const struct vfiomig_device *dev, const char *name, uint64_t *value)
{
	unsigned long number;

	if (!dev->sys.syspath || sysfs_read_number(dev->sys.syspath, name, &number))
		return false;
	*value = number;
	return true;
}

/* The number at the end of "mtty-2" */
static bool mdev_number(const char *type, uint64_t *value)
{
	const char *dash = type ? strrchr(type, '-') : NULL;
	char *end;

	if (!dash || dash[1] < '0' || dash[1] > '9')
		return false;
	*value = strtoull(dash + 1, &end, 10);
	return !*end;
}

static bool bar_size(const struct vfiomig_device *dev, uint64_t *value)
{
	char path[PATH_MAX];
	struct stat st;

	if (!dev->sys.syspath ||
	    snprintf(path, sizeof(path), "%s/resource2", dev->sys.syspath) >= (int)sizeof(path) ||
	    stat(path, &st))
		return false;
	*value = st.st_size;
	return true;
}

static bool read_services(const struct vfiomig_device *dev, uint64_t *value)
{
	char text[64];

	if (!dev->sys.syspath ||
	    sysfs_read_text(dev->sys.syspath, "physfn/qat/cfg_services", text, sizeof(text)))
		return false;
	*value = qat_services_of_text(text);
	return *value != 0;
}

/* Whether the device can be asked. */
static bool ask(const struct vfiomig_device *dev, enum fact fact, uint64_t *value)
{
	switch (fact) {
	case FACT_PCI_DEVICE:
		*value = dev->sys.pci.device;
		return dev->sys.is_pci;
	case FACT_PCI_REVISION:
		*value = dev->sys.pci.revision;
		return dev->sys.is_pci;
	case FACT_PF_DEVICE:
		return read_pf(dev, "physfn/device", value);
	case FACT_PF_REVISION:
		return read_pf(dev, "physfn/revision", value);
	case FACT_MDEV_NUMBER:
		return mdev_number(dev->sys.mdev_type, value);
	case FACT_BAR2_SIZE:
		return bar_size(dev, value);
	case FACT_QAT_SERVICES:
		return read_services(dev, value);
	}
	return false;
}

/* ---- Comparing ----------------------------------------------------------- */

static const struct requirement *find(const struct guard *g, const char *field)
{
	for (size_t i = 0; format_get(i); i++) {
		const struct requirement *r = format_get(i)->requirements;

		if (strcmp(format_get(i)->name, g->format) != 0)
			continue;
		for (; r && r->record; r++)
			if (strcmp(r->record, g->record) == 0 && strcmp(r->field, field) == 0)
				return r;
		return NULL;
	}
	return NULL;
}

static int compare_services(const struct guard *g, uint64_t ours, uint64_t theirs)
{
	char our_text[32], their_text[32];

	if (!theirs || ours == theirs)
		return 0;
	qat_name_services(ours, our_text);
	qat_name_services(theirs, their_text);
	return ctx_fail(
		g->dev->ctx, -EXDEV,
		"the state is of another device: its services are %s, this one's are %s; see qat/cfg_services of the physical function",
		their_text, our_text);
}

static int compare(const struct guard *g, const struct vfiomig_record *field)
{
	const struct requirement *r = find(g, field->name);
	uint64_t ours;

	if (!r || (r->zero_is_any && !field->value) || !ask(g->dev, r->fact, &ours))
		return 0;
	if (r->fact == FACT_QAT_SERVICES)
		return compare_services(g, ours, qat_services_of_map(field->value));
	if (ours == field->value)
		return 0;
	return ctx_fail(g->dev->ctx, -EXDEV,
			field->hex ? "the state is of another device: its %s is %#" PRIx64
				     ", this one's is %#" PRIx64
				   : "the state is of another device: its %s is %" PRIu64
				     ", this one's is %" PRIu64,
			field->name, field->value, ours);
}

static int look(void *data, const struct vfiomig_record *r)
{
	struct guard *g = data;

	if (r->kind == VFIOMIG_RECORD_STREAM && r->type)
		snprintf(g->format, sizeof(g->format), "%s", r->type);
	if (r->kind == VFIOMIG_RECORD_RECORD)
		snprintf(g->record, sizeof(g->record), "%s", r->name);
	return r->kind == VFIOMIG_RECORD_FIELD ? compare(g, r) : 0;
}

int guard_init(struct guard *g, const struct vfiomig_device *dev, const char *driver, bool compares)
{
	*g = (struct guard){ .dev = dev };
	if (!records_knows(driver))
		return 0;
	g->records = records_new(driver, compares ? look : NULL, g);
	return g->records ? 0 : ctx_fail_memory(dev->ctx);
}

void guard_free(struct guard *g)
{
	records_free(g->records);
	g->records = NULL;
}

void guard_watch(struct guard *g, struct raw *raw)
{
	if (!g->records)
		return;
	raw->tap = records_feed;
	raw->tap_data = g->records;
}

int guard_compare(struct guard *g, const struct raw *peeked)
{
	return g->records ? records_feed(g->records, peeked->peeked, peeked->peeked_size) : 0;
}

/* ---- The end ------------------------------------------------------------- */

int guard_finish(struct guard *g)
{
	if (!g->records || records_finish(g->records) != RECORDS_CUT)
		return 0;
	return ctx_fail(
		g->dev->ctx, -EBADMSG,
		"the state is cut off: the stream of %s %s; \"vfiomig inspect --records\" shows it",
		records_format(g->records), records_sentence(g->records));
}

void guard_doubt(struct guard *g, char *text, size_t size)
{
	enum records_end end = g->records ? records_finish(g->records) : RECORDS_WHOLE;

	text[0] = '\0';
	/* Also if something in a stream of this format is no record: bytes may be missing. */
	if (end != RECORDS_WHOLE && records_format(g->records))
		snprintf(text, size, "what the driver gave %s", records_sentence(g->records));
}
