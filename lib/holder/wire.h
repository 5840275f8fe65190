/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The protocol between a holder and the programs that use its device.
 *
 * They talk over a Unix socket of type SOCK_SEQPACKET. Each request and each reply is one message,
 * in the byte order of the machine. The first 16 bytes of a request and the first 16 bytes of a
 * reply are the same in all versions. A holder that does not know the version of a request answers
 * with -EPROTONOSUPPORT and its own version.
 *
 * WIRE_QUERY	 Ask who the holder is, and which device it has.
 * WIRE_TAKE	 Ask for the descriptors. They come with the reply (SCM_RIGHTS) in the order of enum
 *		 wire_fd, and reply.fds has a bit for each. From then on this connection has claimed
 *		 the device until it sends WIRE_DONE, and nobody else gets it. If the connection
 *		 ends before WIRE_DONE, the claimer has died, and the holder brings the device back
 *		 to the state that it had when it was claimed.
 * WIRE_DONE	 End the claim. The device stays as it is.
 * WIRE_RELEASE	 End the holder. The reply comes when the device is closed.
 *
 * The holder closes the connection after every reply except that to WIRE_TAKE, and when no request
 * comes within WIRE_PATIENCE.
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
	uint32_t claimed; /* the PID of the process that has the device now, or 0 */
	uint32_t fds;	  /* 1 << enum wire_fd */
	int32_t state;	  /* of the device, or -1 while it is claimed */
	char syspath[1000];
};

/* Both return 0 or a negative errno. @fds has -1 where there is no descriptor. */
int wire_send_reply(int socket, struct wire_reply *reply, const int fds[WIRE_NR_FDS]);
/* Send a request and wait for the reply. @fds may be NULL. */
int wire_ask(struct vfiomig_ctx *ctx, int socket, enum wire_op op, struct wire_reply *reply,
	     int fds[WIRE_NR_FDS]);
/* Receive the reply to a request for which wire_ask() has waited without one. Returns -EAGAIN if it
 * has not come yet. */
int wire_take(int socket, struct wire_reply *reply);

#endif
