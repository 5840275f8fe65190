// SPDX-License-Identifier: LGPL-2.1-or-later
/* VF tokens: the text, the bytes, and why the kernel refuses one. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "sysfs.h"
#include "token.h"

static bool is_uuid(const char *text)
{
	static const char shape[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (strlen(text) != strlen(shape))
		return false;
	for (size_t i = 0; shape[i]; i++)
		if (shape[i] == 'x' ? !isxdigit((unsigned char)text[i]) : text[i] != shape[i])
			return false;
	return true;
}

int device_set_vf_token(struct vfiomig_device *dev, const char *uuid)
{
	if (uuid && !is_uuid(uuid))
		return ctx_fail(
			dev->ctx, -EINVAL,
			"a VF token is a UUID like 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001, not '%s'",
			uuid);
	snprintf(dev->vf_token, sizeof(dev->vf_token), "%s", uuid ? uuid : "");
	return 0;
}

void token_bytes(const struct vfiomig_device *dev, uint8_t bytes[TOKEN_SIZE])
{
	const char *text = dev->vf_token;

	for (size_t i = 0; i < TOKEN_SIZE; i++) {
		text += *text == '-';
		sscanf(text, "%2hhx", &bytes[i]);
		text += 2;
	}
}

struct sriov sriov_look(const struct vfiomig_device *dev)
{
	struct sriov s = { .physical = sysfs_link_name(dev->sys.syspath, "physfn") };
	_cleanup_free_ char *vfio = NULL;
	unsigned long total;
	char dir[PATH_MAX];

	s.is_physical = sysfs_read_number(dev->sys.syspath, "sriov_totalvfs", &total) == 0;
	if (!s.physical)
		return s;
	snprintf(dir, sizeof(dir), "%s/physfn", dev->sys.syspath);
	s.driver = sysfs_link_name(dir, "driver");
	vfio = sysfs_first_entry(dir, "vfio-dev");
	s.is_vfio = vfio;
	return s;
}

void sriov_free(struct sriov *s)
{
	free(s->physical);
	free(s->driver);
	*s = (struct sriov){ .physical = NULL };
}

/* The token is missing or wrong. */
static int fail_access(struct vfiomig_device *dev, const struct sriov *s)
{
	if (s->physical && token_is_set(dev))
		return ctx_fail(
			dev->ctx, -EACCES,
			"not permitted: the VF token is not the one that its physical function %s was opened with",
			s->physical);
	if (s->physical)
		return ctx_fail(
			dev->ctx, -EACCES,
			"not permitted: its physical function %s belongs to %s, which wants a VF token; give --vf-token with the UUID that %s was opened with",
			s->physical, s->driver ? s->driver : "vfio-pci", s->physical);
	if (s->is_physical && token_is_set(dev))
		return ctx_fail(
			dev->ctx, -EACCES,
			"not permitted: the VF token is not the one of its virtual functions, which are in use");
	if (s->is_physical)
		return ctx_fail(
			dev->ctx, -EACCES,
			"not permitted: its virtual functions are in use, and vfio-pci wants their VF token; give --vf-token");
	return 0;
}

/* There is a token that the kernel has no use for. */
static int fail_unused(struct vfiomig_device *dev, const struct sriov *s)
{
	if (s->physical && !s->is_vfio)
		return ctx_fail(
			dev->ctx, -EINVAL,
			"no VF token is wanted, because its physical function %s does not belong to vfio-pci (bound to %s)",
			s->physical, s->driver ? s->driver : "no driver");
	if (!s->physical && !s->is_physical)
		return ctx_fail(
			dev->ctx, -EINVAL,
			"no VF token is wanted, because it is neither a virtual nor a physical function of SR-IOV");
	return 0;
}

int token_refusal(struct vfiomig_device *dev, int err)
{
	struct sriov s;

	if (!dev->sys.syspath || (err != -EACCES && !token_is_set(dev)))
		return 0;
	s = sriov_look(dev);
	if (err == -EACCES)
		err = fail_access(dev, &s);
	/* ENODEV: a driver that does not know tokens takes them for a part of the name. */
	else if (err == -EINVAL || err == -ENODEV)
		err = fail_unused(dev, &s);
	else
		err = 0;
	sriov_free(&s);
	return err;
}
