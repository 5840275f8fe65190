/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Three PCI functions and a bridge in one group, on a sysfs made of plain files, with a kernel that
 * refuses what the test wants. With --wrap=step_write.
 */
#ifndef PCI_H
#define PCI_H

#include "tree.h"

#define BUS "devices/pci0000:00/0000:00:1c.0/"
#define A   "0000:01:00.0"
#define B   "0000:01:00.1"
#define C   "0000:01:00.2"

/*
 * What was written to sysfs so far, as "driver_override 0=vfio-pci; e1000e unbind 0; ...", and the
 * steps that fail.
 */
static char history[2048];
static const char *refused, *refused_too;
static int refusal;
/* Called right before each step: what somebody else does at that moment. */
static void (*meanwhile)(const char *step);

/* ---- The kernel ---------------------------------------------------------- */

static void attach(const char *name, const char *driver)
{
	sh("cd " BUS "%s; ln -s %s/bus/pci/drivers/%s driver", name, root, driver);
	if (strstr(driver, "vfio"))
		sh("mkdir -p " BUS "%s/vfio-dev/vfio%c", name, name[strlen(name) - 1]);
}

static int change(const char *dir, const char *file, const char *text)
{
	const char *base = strrchr(dir, '/') + 1;
	char override[64];

	if (strcmp(file, "driver_override") == 0) {
		sh("printf '%%s\\n' '%s' >%s/driver_override", *text == '\n' ? "(null)" : text,
		   dir);
	} else if (strcmp(file, "unbind") == 0) {
		sh("cd " BUS "%s; rm -r driver; rm -rf vfio-dev", text);
	} else if (strcmp(file, "bind") == 0) {
		attach(text, base);
	} else if (strcmp(file, "drivers_probe") == 0) {
		char path[128];

		snprintf(path, sizeof(path), BUS "%s", text);
		assert_int_equal(
			sysfs_read_text(path, "driver_override", override, sizeof(override)), 0);
		attach(text, strcmp(override, "(null)") ? override : "e1000e");
	} else {
		return -ENOENT;
	}
	return 0;
}

int __wrap_step_write(struct vfiomig_device *dev, const char *dir, const char *name,
		      const char *text, const char *what, unsigned int grace_ms);

int __wrap_step_write(struct vfiomig_device *dev, const char *dir, const char *name,
		      const char *text, const char *what, unsigned int grace_ms)
{
	size_t used = strlen(history);
	char step[128];

	(void)dev, (void)what, (void)grace_ms;

	/* The directory's name or the text tells which device it is. */
	if (strcmp(name, "driver_override") == 0)
		snprintf(step, sizeof(step), "%s %c=%s", name, dir[strlen(dir) - 1],
			 *text == '\n' ? "" : text);
	else if (strcmp(name, "drivers_probe") == 0)
		snprintf(step, sizeof(step), "probe %c", text[strlen(text) - 1]);
	else
		snprintf(step, sizeof(step), "%s %s %c", strrchr(dir, '/') + 1, name,
			 text[strlen(text) - 1]);
	snprintf(history + used, sizeof(history) - used, "%s; ", step);
	if (meanwhile)
		meanwhile(step);
	if ((refused && strcmp(refused, step) == 0) ||
	    (refused_too && strcmp(refused_too, step) == 0))
		return refusal;
	return change(dir, name, text);
}

/* ---- The machine --------------------------------------------------------- */

static void make_function(const char *name, int header, const char *class)
{
	sh("mkdir -p " BUS "%s; cd " BUS
	   "%s; ln -s %s/bus/pci subsystem; ln -s $PWD %s/bus/pci/devices/; ln -s %s/kernel/iommu_groups/3 iommu_group; ln -s $PWD %s/kernel/iommu_groups/3/devices/",
	   name, name, root, root, root, root);
	sh("cd " BUS
	   "%s; echo 0x8086 >vendor; echo 0x10d3 >device; echo 0x1 >subsystem_vendor; echo 0x2 >subsystem_device; echo %s >class; echo 0 >revision; echo '(null)' >driver_override",
	   name, class);
	sh("cd " BUS
	   "%s; echo pci:v00008086d000010D3sv00000001sd00000002bc02sc00i00 >modalias; head -c 14 /dev/zero >config; printf '\\%03o' >>config",
	   name, header);
}

/* Make a module that has this alias. Not all tests need modules. */
__attribute__((unused)) static void make_module(const char *name, const char *alias)
{
	sh("printf 'const char a[] __attribute__((section(\".modinfo\"))) = \"alias=%s\";' | gcc -x c -c - -o modules/lib/modules/1.0/%s.ko",
	   alias, name);
}

__attribute__((unused)) static void index_modules(void)
{
	sh("PATH=$PATH:/usr/sbin:/sbin depmod -b modules 1.0 2>/dev/null");
}

static int make_world(void **state)
{
	(void)state;
	begin_tree();
	sh("mkdir -p bus/pci/devices bus/pci/drivers/vfio-pci bus/pci/drivers/e1000e bus/pci/drivers/made_vfio_pci bus/pci/drivers/fair_vfio_pci class/vfio-dev class/net class/block class/graphics kernel/iommu_groups/3/devices dev/vfio proc/self modules/lib/modules/1.0");
	sh(": >dev/vfio/3; : >proc/self/mountinfo; : >proc/swaps; mkdir -m 700 run");
	make_function("0000:01:00.7", 1, "0x060400");
	make_function(A, 0, "0x020000");
	make_function(B, 0, "0x020000");
	make_function(C, 0x80, "0x060100");
	attach(A, "e1000e");
	ctx->modules = "modules/lib/modules/1.0";
	history[0] = '\0';
	refused = refused_too = NULL;
	refusal = -EINVAL;
	meanwhile = NULL;
	return 0;
}

static int bind_to(const char *name, const char *driver, unsigned int flags)
{
	struct vfiomig_device *dev = new_device(name);
	int err;

	history[0] = '\0';
	err = vfiomig_device_bind(dev, driver, flags, NULL, NULL);
	vfiomig_device_unref(dev);
	return err;
}

static int unbind(const char *name, unsigned int flags)
{
	struct vfiomig_device *dev = new_device(name);
	int err;

	history[0] = '\0';
	err = vfiomig_device_unbind(dev, flags, NULL, NULL);
	vfiomig_device_unref(dev);
	return err;
}

static void expect_bound(const char *name, const char *driver)
{
	struct vfiomig_device *dev = new_device(name);

	if (driver)
		assert_string_equal(vfiomig_device_get_driver(dev), driver);
	else
		assert_null(vfiomig_device_get_driver(dev));
	vfiomig_device_unref(dev);
}

#endif
