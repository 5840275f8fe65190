/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol between a holder and those who use what it holds.
 *
 * A Unix socket of type SOCK_SEQPACKET; one request, one reply, each one
 * message, in the byte order of the machine. The first 16 bytes of a request
 * and the first 16 of a reply are the same in all versions; a holder that does
 * not speak a request's version says so with -EPROTONOSUPPORT and its own.
 *
 * WIRE_QUERY	 Who are you, and what have you got?
 * WIRE_TAKE	 The descriptors, please. They come with the reply (SCM_RIGHTS),
 *		 in the order of enum wire_fd, as many as there are bits in
 *		 reply.fds. From then on the device is claimed by this
 *		 connection, until WIRE_DONE; nobody else gets it meanwhile. If
 *		 the connection ends before that, its owner has died, and the
 *		 holder brings the device back to the state that it had.
 * WIRE_DONE	 The claim ends, the device stays as it is.
 * WIRE_RELEASE	 End. The reply comes when the device is closed.
 *
 * The holder closes the connection after every reply but that to WIRE_TAKE, and
 * when no request comes within WIRE_PATIENCE.
 */
#ifndef VFIOMIG_WIRE_H
#define VFIOMIG_WIRE_H

#include "internal.h"

#define WIRE_MAGIC    "vfiomig"
#define WIRE_VERSION  1
#define WIRE_PATIENCE 10 /* seconds */

enum wire_op {
	WIRE_QUERY = 1,
	WIRE_TAKE,
	WIRE_DONE,
	WIRE_RELEASE
};

enum wire_fd {
	WIRE_DEVICE,
	WIRE_IOMMUFD,
	WIRE_GROUP,
	WIRE_CONTAINER,
	WIRE_NR_FDS
};

struct wire_request {
	char magic[8];
	uint32_t version;
	uint32_t op;
};

struct wire_reply {
	char magic[8];
	uint32_t version;
	int32_t error;	  /* 0 or a negative errno */
	uint32_t holder;  /* its PID */
	uint32_t claimed; /* the PID of who has the device now, or 0 */
	uint32_t fds;	  /* 1 << enum wire_fd */
	int32_t state;	  /* of the device, or -1 while it is claimed */
	char syspath[1000];
};

/* Both return 0 or a negative errno. @fds: -1 where there is none. */
int wire_send_reply(int socket, struct wire_reply *reply, const int fds[WIRE_NR_FDS]);
/* Send a request and wait for its reply. @fds may be NULL. */
int wire_ask(struct vfiomig_ctx *ctx, int socket, enum wire_op op, struct wire_reply *reply,
	     int fds[WIRE_NR_FDS]);

#endif
