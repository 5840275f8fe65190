// SPDX-License-Identifier: GPL-2.0-or-later
/* What came of a save, of a restore or of a walk. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "further.h"
#include "json.h"
#include "message.h"
#include "signals.h"
#include "summary.h"

#define AMISS 64

/* What is wrong with a device that is not at home: its state or, if that is the former one, what it
 * has. */
static void name_what_is_amiss(const struct vfiomig_result *r, char amiss[AMISS])
{
	if (r->state == r->before)
		snprintf(amiss, AMISS, ", and may have lost what it had");
	else
		snprintf(amiss, AMISS, ", not in %s%s", vfiomig_state_name(r->before),
			 r->loaded ? ", with the image's state" : "");
}

int fail_transfer(const struct cli *cli, enum task task, int err, const char *why,
		  const struct vfiomig_result *result)
{
	const char *before = vfiomig_state_name(result->before);
	const char *state =
		result->state < 0 ? "an unknown state" : vfiomig_state_name(result->state);
	enum status status = status_of(task, err);
	char further[FURTHER], amiss[AMISS];
	bool tried;

	find_further(cli, task, err, why, further);
	if (!result->touched)
		return fail(cli,
			    result->before == VFIOMIG_STATE_ERROR ? STATUS_DEVICE_LOST : status,
			    "%s%s", why, further);
	/* Somebody else has reset it. */
	if (result->reset && status == STATUS_DEVICE_LOST)
		return fail(cli, status, "%s; its state is lost, and it is now in %s%s%s%s", why,
			    state, result->home ? "" : ", not in ", result->home ? "" : before,
			    further);
	/* Somebody else may have begun to use it. */
	if (!result->home && status == STATUS_DEVICE_LOST)
		return fail(cli, status, "%s; it is in %s, not in %s%s", why, state, before,
			    further);
	if (result->home && !result->reset)
		return fail(cli, status, "%s; the device is back in %s%s%s", why, state,
			    result->loaded ? ", with the image's state" : "", further);
	/* A bad image is the cause, and the reset only its consequence. */
	if (status != STATUS_IMAGE && status != STATUS_OTHER_DEVICE)
		status = STATUS_DEVICE_LOST;
	if (result->reset)
		return fail(cli, status,
			    "%s; the device was reset (its state is lost) and is now in %s%s%s%s",
			    why, state, result->home ? "" : ", not in ", result->home ? "" : before,
			    further);
	/* Nothing leads back to RESUMING: no reset was tried. */
	tried = !signals_came() && result->before != VFIOMIG_STATE_RESUMING;
	name_what_is_amiss(result, amiss);
	return fail(cli, STATUS_DEVICE_LOST, "%s; the device %sis left in %s%s%s", why,
		    tried ? "could not be reset and " : "", state, amiss, further);
}

/* Where a device is after a failure of several, as a part of a sentence. */
static void tell_where(const struct vfiomig_result *r, const char *name, FILE *to)
{
	const char *before = vfiomig_state_name(r->before);
	const char *state = r->state < 0 ? "an unknown state" : vfiomig_state_name(r->state);
	const char *loaded = r->loaded ? ", with the image's state" : "";
	char amiss[AMISS];

	name_what_is_amiss(r, amiss);
	if (r->home && !r->reset)
		fprintf(to, "; %.200s is %s in %s%s", name, r->touched ? "back" : "still", state,
			loaded);
	else if (r->reset)
		/* By this command, or by somebody else. */
		fprintf(to, "; %.200s was reset (its state is lost) and is now in %s%s%s", name,
			state, r->home ? "" : ", not in ", r->home ? "" : before);
	else
		fprintf(to, "; %.200s is left in %s%s", name, state, amiss);
}

/* A bad image is the cause of a reset. */
static enum status worse(enum status status, const struct vfiomig_result *r)
{
	if (!r->touched || (r->home && !r->reset))
		return status;
	if (r->home && (status == STATUS_IMAGE || status == STATUS_OTHER_DEVICE))
		return status;
	return STATUS_DEVICE_LOST;
}

static int fail_several(struct cli *cli, enum task task, int err, const char *why,
			const struct devices *devices, size_t which)
{
	enum status status = status_of(task, err);
	char *where = NULL, further[FURTHER];
	size_t size;
	FILE *f = open_memstream(&where, &size);

	for (size_t i = 0; i < devices->count; i++) {
		status = worse(status, &devices->result[i]);
		if (f && devices->whole.touched)
			tell_where(&devices->result[i], cli->targets[i].device, f);
	}
	if (f)
		fclose(f);
	speak_of(cli, devices, which);
	find_further(cli, task, err, why, further);
	fail(cli, status, "%s%s%s", why, where ? where : "", further);
	speak_of(cli, devices, devices->count);
	free(where);
	return status;
}

int fail_devices(struct cli *cli, enum task task, int err, const char *why,
		 const struct devices *devices, size_t which)
{
	if (devices->count == 1)
		return fail_transfer(cli, task, err, why, &devices->result[0]);
	return fail_several(cli, task, err, why, devices, which);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static struct json_object *describe_result(const struct cli *cli, const char *error,
					   const struct vfiomig_result *result)
{
	struct json_object *object = new_object();

	add_string(object, "device", cli->device);
	if (error)
		add_string(object, "error", error);
	add_state(object, "state", result->state);
	add_bool(object, "reset", result->reset);
	return object;
}

/* What the object of a device and that of several have. */
static void add_transfer(struct json_object *object, const char *error,
			 const struct vfiomig_result *r)
{
	add_bool(object, "complete", !error);
	add_uint(object, "bytes", r->bytes);
	add_seconds(object, "seconds", r->ns);
	add_uint(object, "bytes_per_second", r->ns ? r->bytes * 1e9 / r->ns : 0);
}

static struct json_object *describe_transfer(const struct transfer *t, const char *error,
					     const struct vfiomig_result *r)
{
	struct json_object *object = describe_result(t->cli, error, r);
	struct json_object *path = new_array();

	for (unsigned int i = 0; i < r->path_length; i++)
		append_string(path, vfiomig_state_name(r->path[i]));
	add_transfer(object, error, r);
	add_value(object, "path", path);
	add_state(object, "before", r->before);
	return object;
}

/* The name of a file; a standard stream becomes null. */
static void add_file(struct json_object *object, const char *key, const char *path)
{
	add_string(object, key, path && strcmp(path, "-") == 0 ? NULL : path);
}

static void add_save(struct json_object *object, const struct vfiomig_result *r)
{
	add_bool(object, "precopy", r->precopy);
	add_uint(object, "precopy_bytes", r->precopy_bytes);
	add_uint(object, "rounds", r->rounds);
	add_bool(object, "converged", r->complete && !r->gave_up);
	add_seconds(object, "downtime_seconds", r->downtime_ns);
}

static struct json_object *describe_save(const struct transfer *t, const char *error,
					 const struct vfiomig_result *r)
{
	struct json_object *object = describe_transfer(t, error, r);

	add_file(object, "output", t->output);
	add_save(object, r);
	add_string(object, "doubtful", r->doubtful[0] ? r->doubtful : NULL);
	return object;
}

static struct json_object *describe_restore(const struct transfer *t, const char *error,
					    const struct vfiomig_result *r, int holder)
{
	struct json_object *object = describe_transfer(t, error, r);

	add_file(object, "input", t->input);
	add_bool(object, "loaded", r->loaded);
	if (holder)
		add_int(object, "holder", holder);
	else
		add_value(object, "holder", NULL);
	return object;
}

/* The object of several devices, with those of each. @holders: NULL after a save */
static struct json_object *describe_several(const struct transfer *t, const char *error,
					    const struct devices *devices, size_t which,
					    const int *holders)
{
	struct json_object *object = new_object(), *all = new_array();

	for (size_t i = 0; i < devices->count; i++) {
		const struct vfiomig_result *r = &devices->result[i];
		const char *why = i == which ? error : NULL;
		struct json_object *one;

		speak_of(t->cli, devices, i);
		one = holders ? describe_restore(t, why, r, holders[i]) : describe_save(t, why, r);
		/* Of a set there is all or nothing. */
		add_bool(one, "complete", !error);
		append_value(all, one);
	}
	speak_of(t->cli, devices, devices->count);
	add_value(object, "devices", all);
	if (error)
		add_string(object, "error", error);
	add_bool(object, "reset", devices->whole.reset);
	add_transfer(object, error, &devices->whole);
	return object;
}

int print_save(const struct transfer *t, const char *error, const struct devices *devices,
	       size_t which)
{
	struct json_object *object;

	if (devices->count == 1)
		return print_json(t->cli, describe_save(t, error, &devices->result[0]), t->summary);
	object = describe_several(t, error, devices, which, NULL);
	add_file(object, "output", t->output);
	add_save(object, &devices->whole);
	return print_json(t->cli, object, t->summary);
}

int print_restore(const struct transfer *t, const char *error, const struct devices *devices,
		  size_t which, const int holders[])
{
	struct json_object *object;

	if (devices->count == 1)
		return print_json(t->cli,
				  describe_restore(t, error, &devices->result[0], holders[0]),
				  t->summary);
	object = describe_several(t, error, devices, which, holders);
	add_file(object, "input", t->input);
	add_bool(object, "loaded", devices->whole.loaded);
	return print_json(t->cli, object, t->summary);
}

static struct json_object *describe_arcs(const struct walk *walk)
{
	struct json_object *arcs = new_array();
	int from = walk->from;

	for (int i = 0; i < walk->arcs; i++) {
		struct json_object *arc = new_object();

		add_state(arc, "from", from);
		add_state(arc, "to", walk->to[i]);
		add_uint(arc, "ns", walk->ns[i]);
		append_value(arcs, arc);
		from = walk->to[i];
	}
	return arcs;
}

int print_walk(const struct cli *cli, const char *error, const struct walk *walk,
	       const struct vfiomig_result *result)
{
	struct json_object *object = describe_result(cli, error, result);

	add_value(object, "arcs", walk ? describe_arcs(walk) : NULL);
	return print_json(cli, object, stdout);
}
