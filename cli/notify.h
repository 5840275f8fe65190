/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Notifications to a service manager, as sd_notify(3) sends them. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include "cli.h"

/* Send assignments, one on each line, to the service manager that started this process, if one
 * did. A failure is reported on standard error and has no other effect. */
__attribute__((format(printf, 2, 3))) void notify_manager(const struct cli *cli, const char *fmt,
							  ...);

#endif
