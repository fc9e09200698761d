/*
 * Non-blocking message channels with a bounded queue.
 *
 * Runs in the monitor and in master.  A queued message is a copy; its
 * descriptors are held until they are sent, so that the caller can forget
 * both.  A message of one piece fits into the socket or does not; a longer
 * one is queued before its first piece goes, so that no lack of memory can
 * end it in its middle.
 */
#include "serve/chan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

struct chan_item {
	struct chan_item *next;
	struct msg msg;
	size_t sent; /* bytes of the body */
	unsigned char body[];
};

void
chan_init(struct chan *chan, size_t max_queued)
{
	memset(chan, 0, sizeof(*chan));
	chan->fd = -1;
	chan->last = &chan->first;
	chan->max_queued = max_queued;
	msg_join_init(&chan->joined, MSG_BODY_MAX);
}

void
chan_open(struct chan *chan, int fd)
{
	chan_close(chan);
	chan->fd = fd;
}

static int
enqueue(struct chan *chan, struct msg *msg)
{
	struct chan_item *item;

	if (chan->queued >= chan->max_queued) {
		errno = EAGAIN;
		return -1;
	}
	item = malloc(sizeof(*item) + msg->len);
	if (item == NULL)
		return -1;
	item->next = NULL;
	item->sent = 0;
	item->msg = *msg;
	if (msg->len > 0)
		memcpy(item->body, msg->body, msg->len);
	item->msg.body = item->body;
	*chan->last = item;
	chan->last = &item->next;
	chan->queued++;
	msg->fd_count = 0;
	return 0;
}

/*
 * Will the message go later?  ETOOMANYREFS: descriptors of this user are
 * under way in such numbers that the kernel takes no more until some have
 * arrived; the socket may be writable all the while.
 */
static bool
is_temporary(struct chan *chan, int error)
{
	if (error == ETOOMANYREFS)
		chan->is_held = true;
	return error == EAGAIN || error == EWOULDBLOCK || error == ETOOMANYREFS;
}

int
chan_send(struct chan *chan, const struct msg *given)
{
	struct msg msg = *given;
	int r = -1;

	if (chan->fd == -1 || msg.len > MSG_BODY_MAX)
		errno = chan->fd == -1 ? EAGAIN : EMSGSIZE;
	else if (chan->first != NULL)
		r = enqueue(chan, &msg);
	else if (msg.len > MSG_PIECE_MAX)
		r = enqueue(chan, &msg) == -1 ? -1 : chan_flush(chan);
	else if ((r = msg_send(chan->fd, &msg, true)) == -1 &&
	    is_temporary(chan, errno))
		r = enqueue(chan, &msg);
	msg_close_fds(&msg);
	return r;
}

int
chan_send_bytes(struct chan *chan, enum msg_type type, uint64_t conn,
    const void *body, size_t len)
{
	struct msg msg = {
		.type = type, .conn = conn, .body = body, .len = len
	};

	return chan_send(chan, &msg);
}

bool
chan_is_waiting(const struct chan *chan)
{
	return chan->first != NULL && !chan->is_held;
}

bool
chan_is_held(const struct chan *chan)
{
	return chan->is_held;
}

static void
drop_first(struct chan *chan)
{
	struct chan_item *item = chan->first;

	chan->first = item->next;
	if (chan->first == NULL)
		chan->last = &chan->first;
	chan->queued--;
	msg_close_fds(&item->msg);
	explicit_bzero(item->body, item->msg.len); /* it may be secret */
	free(item);
}

int
chan_flush(struct chan *chan)
{
	struct chan_item *item;

	chan->is_held = false;
	while ((item = chan->first) != NULL) {
		if (msg_send_piece(chan->fd, &item->msg, &item->sent, true) ==
		    -1)
			return is_temporary(chan, errno) ? 0 : -1;
		if (item->sent == item->msg.len)
			drop_first(chan);
	}
	return 0;
}

int
chan_receive(
    struct chan *chan, struct msg_room *room, struct msg *msg, size_t max_fds)
{
	bool more;
	int r;

	do {
		r = msg_receive(chan->fd, room, msg, max_fds, true, &more);
		if (r == 1)
			r = msg_join_add(&chan->joined, msg, more);
		else
			return r;
	} while (r == 0);
	return r;
}

void
chan_close(struct chan *chan)
{
	while (chan->first != NULL)
		drop_first(chan);
	chan->is_held = false;
	msg_join_clear(&chan->joined);
	fd_close(&chan->fd);
}
