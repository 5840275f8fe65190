// SPDX-License-Identifier: GPL-2.0-or-later
/* What came of a save, of a restore or of a walk. */
#include <stdio.h>
#include <string.h>

#include "further.h"
#include "json.h"
#include "message.h"
#include "signals.h"
#include "summary.h"

int fail_transfer(const struct cli *cli, enum task task, int err, const char *why,
		  const struct vfiomig_result *result)
{
	const char *before = vfiomig_state_name(result->before);
	const char *state =
		result->state < 0 ? "an unknown state" : vfiomig_state_name(result->state);
	enum status status = status_of(task, err);
	char further[FURTHER];
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
		return fail(
			cli, status,
			"%s; the device had to be reset (its state is lost) and is now in %s%s%s%s",
			why, state, result->home ? "" : ", not in ", result->home ? "" : before,
			further);
	/* Nothing leads back to RESUMING: no reset was tried. */
	tried = !signals_came() && result->before != VFIOMIG_STATE_RESUMING;
	return fail(cli, STATUS_DEVICE_LOST, "%s; the device %sis left in %s, not in %s%s%s", why,
		    tried ? "could not be reset and " : "", state, before,
		    result->loaded ? ", with the image's state" : "", further);
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

static struct json_object *describe_transfer(const struct transfer *t, const char *error,
					     const struct vfiomig_result *r)
{
	struct json_object *object = describe_result(t->cli, error, r);
	struct json_object *path = new_array();

	for (unsigned int i = 0; i < r->path_length; i++)
		append_string(path, vfiomig_state_name(r->path[i]));
	add_bool(object, "complete", !error);
	add_uint(object, "bytes", r->bytes);
	add_seconds(object, "seconds", r->ns);
	add_uint(object, "bytes_per_second", r->ns ? r->bytes * 1e9 / r->ns : 0);
	add_value(object, "path", path);
	add_state(object, "before", r->before);
	return object;
}

/* The name of a file; a standard stream becomes null. */
static void add_file(struct json_object *object, const char *key, const char *path)
{
	add_string(object, key, path && strcmp(path, "-") == 0 ? NULL : path);
}

int print_save(const struct transfer *t, const char *error, const struct vfiomig_result *r)
{
	struct json_object *object = describe_transfer(t, error, r);

	add_file(object, "output", t->output);
	add_bool(object, "precopy", r->precopy);
	add_uint(object, "precopy_bytes", r->precopy_bytes);
	add_uint(object, "rounds", r->rounds);
	add_bool(object, "converged", r->complete && !r->gave_up);
	add_seconds(object, "downtime_seconds", r->downtime_ns);
	add_string(object, "doubtful", r->doubtful[0] ? r->doubtful : NULL);
	return print_json(t->cli, object, t->summary);
}

int print_restore(const struct transfer *t, const char *error, const struct vfiomig_result *r,
		  int holder)
{
	struct json_object *object = describe_transfer(t, error, r);

	add_file(object, "input", t->input);
	add_bool(object, "loaded", r->loaded);
	if (holder)
		add_int(object, "holder", holder);
	else
		add_value(object, "holder", NULL);
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
