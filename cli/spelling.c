// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The names of devices and states, as other tools print them. What people copy from there into a
 * command line should work.
 *
 *	virsh nodedev-list	pci_0000_3b_00_1, mdev_83b8f4f2_509f_382f_3c1e_e6bfe0fa1001
 *	libvirt's XML		<address domain='0x0000' bus='0x3b' slot='0x00' function='0x1'/>
 *	QEMU			vfio-pci,host=0000:3b:00.1, host=3b:00.1, sysfsdev=/sys/...
 *	devlink, lshw		pci/0000:3b:00.1, pci@0000:3b:00.1
 *	nvidia-smi		00000000:3B:00.1
 *	lspci			3b:00.1 Ethernet controller: ...
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vfiomig.h>

#include "spelling.h"
#include "words.h"

struct address {
	unsigned long domain, bus, slot, function;
};

static char spelled[512];

static const char *print_address(const struct address *a, const char *as_typed)
{
	if (a->domain > 0xffffffff || a->bus > 0xff || a->slot > 0x1f || a->function > 7)
		return as_typed;
	snprintf(spelled, sizeof(spelled), "%04lx:%02lx:%02lx.%lx", a->domain, a->bus, a->slot,
		 a->function);
	return spelled;
}

/* The value of an attribute in XML, such as bus='0x3b' */
static bool read_attribute(const char *text, const char *name, unsigned long *value)
{
	const char *at = strstr(text, name);
	char *end;

	if (!at)
		return false;
	at += strlen(name);
	at += *at == '\'' || *at == '"';
	*value = strtoul(at, &end, 0);
	return end != at;
}

static bool read_xml(const char *text, struct address *a)
{
	*a = (struct address){ 0 };
	read_attribute(text, "domain=", &a->domain);
	return read_attribute(text, "bus=", &a->bus) && read_attribute(text, "slot=", &a->slot) &&
	       read_attribute(text, "function=", &a->function);
}

/* Three or four hexadecimal numbers. What follows a blank or a comma does not belong to them. */
static bool read_numbers(const char *text, struct address *a)
{
	unsigned long number[4] = { 0 };
	int n = 0;

	for (;;) {
		char *end;

		if (n == 4 || !isxdigit((unsigned char)*text))
			return false;
		number[n++] = strtoul(text, &end, 16);
		text = end;
		if (!*text || strchr(" \t,/", *text))
			break;
		if (!strchr(":._-", *text++))
			return false;
	}
	if (n < 3)
		return false;
	*a = n == 4 ? (struct address){ number[0], number[1], number[2], number[3] }
		    : (struct address){ 0, number[0], number[1], number[2] };
	return true;
}

/* Whether @text has the shape of @pattern, where 'x' stands for a hexadecimal digit. */
static bool has_shape(const char *text, const char *pattern)
{
	for (; *pattern; text++, pattern++)
		if (*pattern == 'x' ? !isxdigit((unsigned char)*text) : *text != *pattern)
			return false;
	return !*text;
}

/* Our own spellings of addresses */
static bool is_address(const char *text)
{
	return has_shape(text, "xx:xx.x") || has_shape(text, "xxxx:xx:xx.x") ||
	       has_shape(text, "xxxxx:xx:xx.x");
}

/* A UUID with lines below instead of dashes. What follows it is its parent device. */
static bool read_uuid(const char *text)
{
	static const char shape[] = "xxxxxxxx_xxxx_xxxx_xxxx_xxxxxxxxxxxx";
	size_t i;

	for (i = 0; shape[i]; i++) {
		if (shape[i] == 'x' ? !isxdigit((unsigned char)text[i])
				    : text[i] != '_' && text[i] != '-')
			return false;
		spelled[i] = shape[i] == 'x' ? text[i] : '-';
	}
	spelled[i] = '\0';
	return !text[i] || strchr("_ \t,/", text[i]);
}

/* Take away what says only that a device follows. */
static const char *skip_prefixes(const char *name)
{
	static const char *const prefixes[] = {
		"vfio-pci,", "host=", "pci_", "pci@", "pci:", "pci/", "mdev_", "mdev:",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncasecmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			name += strlen(prefixes[i]);
	return name;
}

static const char *spell_path(const char *path)
{
	snprintf(spelled, sizeof(spelled), "%.*s", (int)strcspn(path, ","), path);
	return spelled;
}

static const char *spell_borrowed(const char *name)
{
	const char *slash = strchr(name, '/');
	const char *device = slash ? spell_device(slash + 1) : NULL;
	char copy[256];

	if (!device || device == slash + 1 || strlen(device) >= sizeof(copy) ||
	    slash - name > (long)sizeof(copy))
		return name;
	strcpy(copy, device);
	snprintf(spelled, sizeof(spelled), "%.*s%s", (int)(slash + 1 - name), name, copy);
	return spelled;
}

const char *spell_device(const char *name)
{
	const char *sysfs = strstr(name, "sysfsdev=");
	struct address a;
	const char *rest;

	name += strspn(name, " \t\n");
	if (strncmp(name, "pid:", 4) == 0)
		return spell_borrowed(name);
	if (sysfs)
		return spell_path(sysfs + strlen("sysfsdev="));
	if (*name == '/' || is_address(name))
		return name;
	rest = skip_prefixes(name);
	if (read_xml(rest, &a) || read_numbers(rest, &a))
		return print_address(&a, name);
	return read_uuid(rest) ? spelled : name;
}

bool names_device(const char *name)
{
	static const char *const prefixes[] = {
		"pid:", "fd:", "unix:", "/sys/", "/dev/vfio/devices/",
	};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return is_address(name) || read_uuid(name) ||
	       (strncmp(name, "vfio", 4) == 0 && isdigit((unsigned char)name[4]));
}

/* ---- States ---------------------------------------------------------------------------------- */

/* Whether the names differ only in case and in what is between the words. */
static bool same_state(const char *a, const char *b)
{
	for (;;) {
		a += strspn(a, "_- ");
		b += strspn(b, "_- ");
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
		a++;
		b++;
	}
}

int spell_state(const char *name)
{
	static const char uapi[] = "VFIO_DEVICE_STATE_";

	if (strncasecmp(name, uapi, strlen(uapi)) == 0)
		name += strlen(uapi);
	for (int s = 0; s < VFIOMIG_NR_STATES; s++)
		if (same_state(name, vfiomig_state_name(s)))
			return s;
	return -1;
}

const char *guess_state(const char *name, bool seen)
{
	static const struct {
		const char *word;
		int state;
	} words[] = {
		{ "run", VFIOMIG_STATE_RUNNING },      { "start", VFIOMIG_STATE_RUNNING },
		{ "started", VFIOMIG_STATE_RUNNING },  { "cont", VFIOMIG_STATE_RUNNING },
		{ "stopped", VFIOMIG_STATE_STOP },     { "pause", VFIOMIG_STATE_STOP },
		{ "paused", VFIOMIG_STATE_STOP },      { "suspend", VFIOMIG_STATE_STOP },
		{ "save", VFIOMIG_STATE_STOP_COPY },   { "load", VFIOMIG_STATE_RESUMING },
		{ "restore", VFIOMIG_STATE_RESUMING },
	};
	const char *names[VFIOMIG_NR_STATES];
	size_t n = 0;

	/* A device that is to load a state is in RESUMING, which ends the state that it has. */
	if (strcasecmp(name, "resume") == 0)
		return "RUNNING, or RESUMING to load a state";
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(name, words[i].word) == 0)
			return vfiomig_state_name(words[i].state);
	/* Nobody is sent to ERROR. */
	for (int s = 0; s < VFIOMIG_NR_STATES; s++)
		if (seen || s != VFIOMIG_STATE_ERROR)
			names[n++] = vfiomig_state_name(s);
	return nearest_word(name, names, n);
}
