// SPDX-License-Identifier: LGPL-2.1-or-later
/* The VFIO drivers that this kernel has, and the PCI functions that they are made for. */
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "checks.h"
#include "device/module.h"
#include "device/sysfs.h"
#include "device/variant.h"

int check_vfio_pci(struct finding *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/bus/pci/drivers/vfio-pci", f->ctx->sysfs);
	if (access(path, F_OK) == 0)
		return finding_pass(f, "vfio-pci is loaded");
	if (module_exists(f->ctx, "vfio_pci"))
		return finding_pass(f, "vfio-pci is not loaded; \"vfiomig bind\" loads it");
	if (!modules_are_indexed(f->ctx)) {
		finding_unknown(
			f,
			"whether the kernel has vfio-pci is not known: its modules, or their index, are not here");
		return finding_advise(
			f,
			"install the modules of this kernel and run \"depmod -a\"; in a container, show it /lib/modules");
	}
	finding_warn(f,
		     "the kernel has no vfio-pci, which takes functions without a better driver");
	return finding_advise(f, "install the rest of the kernel's modules");
}

/* Add a word to a list that ends in "..." where there is no room for more. */
static void add_word(char *list, size_t size, const char *word)
{
	size_t length = strlen(list);

	if (length > 3 && strcmp(list + length - 3, "...") == 0)
		return;
	if (length + strlen(word) + strlen(", , ...") >= size)
		word = "...";
	snprintf(list + length, size - length, "%s%s", length ? ", " : "", word);
}

static bool has_module(const struct variants *v, size_t before, const char *module)
{
	for (size_t i = 0; i < before; i++)
		if (strcmp(v->list[i].module, module) == 0)
			return true;
	return false;
}

static int no_list(struct finding *f, int err)
{
	if (err == -ENOMEM)
		return ctx_fail_memory(f->ctx);
	finding_unknown(
		f,
		"the variant drivers are not known: the kernel's modules.alias cannot be read: %s",
		strerror(-err));
	return finding_advise(f, "see modules.vfio-pci");
}

int check_variants(struct finding *f)
{
	char list[256] = "";
	struct variants v;
	int err = variants_read(f->ctx, &v);

	for (size_t i = 0; i < v.n; i++)
		if (!has_module(&v, i, v.list[i].module))
			add_word(list, sizeof(list), v.list[i].module);
	variants_free(&v);
	if (err)
		return no_list(f, err);
	if (*list)
		return finding_pass(f, "this kernel has %s", list);
	finding_warn(
		f, "this kernel has no variant driver with an alias, and vfio-pci cannot migrate");
	return finding_advise(
		f,
		"install the rest of the kernel's modules or the vendor's driver, run \"depmod -a\", or bind with -d");
}

struct fit {
	struct finding *f;
	const struct variants *v;
	size_t functions, n;
	char list[256];
};

/* As much of a device as variant_driver_for() looks at. */
static int look_at(struct fit *fit, char *syspath, const char *name)
{
	struct vfiomig_device dev = { .ctx = fit->f->ctx, .sys = SYSDEV_NONE };
	_cleanup_free_ char *fits = NULL, *driver = NULL;
	char text[NAME_MAX + 600];

	fit->functions++;
	if (!variants_fit(fit->v, syspath))
		return 0;
	dev.sys.is_pci = true;
	dev.sys.syspath = syspath;
	fits = variant_driver_for(&dev);
	if (!fits)
		return 0;
	driver = sysfs_link_name(syspath, "driver");
	fit->n++;
	if (driver && strcmp(driver, fits) == 0)
		snprintf(text, sizeof(text), "%s has %s", name, fits);
	else
		snprintf(text, sizeof(text), "%s%s%s can have %s", name, driver ? ", now of " : "",
			 driver ? driver : "", fits);
	add_word(fit->list, sizeof(fit->list), text);
	return 0;
}

static void look_at_all(struct fit *fit)
{
	char path[PATH_MAX], function[PATH_MAX];
	struct dirent **entries;
	int n;

	snprintf(path, sizeof(path), "%s/bus/pci/devices", fit->f->ctx->sysfs);
	n = scandir(path, &entries, sysfs_is_visible, alphasort);
	for (int i = 0; i < n; i++) {
		if (snprintf(function, sizeof(function), "%s/%s", path, entries[i]->d_name) <
		    (int)sizeof(function))
			look_at(fit, function, entries[i]->d_name);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

int check_fit(struct finding *f)
{
	struct fit fit = { .f = f };
	struct variants v;
	int err = variants_read(f->ctx, &v);

	fit.v = &v;
	if (!err)
		look_at_all(&fit);
	err = err == -ENOMEM ? ctx_fail_memory(f->ctx) : err;
	variants_free(&v);
	if (err == -ENOMEM)
		return err;
	if (err) {
		finding_unknown(
			f,
			"which functions a variant driver fits is not known, as the drivers are not");
		return finding_advise(f, "see modules.variants");
	}
	if (fit.n)
		return finding_pass(f, "%s", fit.list);
	finding_warn(f, "no variant driver fits one of the %zu PCI functions of this host",
		     fit.functions);
	return finding_advise(
		f,
		"most fit virtual functions only: echo N >sriov_numvfs makes some; a driver without an alias is bound with -d");
}
