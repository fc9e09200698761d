/*
 * chan: a message socket with a queue, for processes that must not block.
 *
 * The monitor and master send through it: what the socket does not take
 * now waits in order, descriptors included, the pieces of a long message
 * in a row.  The queue's bound is the caller's arithmetic (so many messages
 * per connection), and reaching it is an error, never a wait.
 */
#ifndef SERVE_CHAN_H
#define SERVE_CHAN_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/msg.h"

struct chan_item;

struct chan {
	int fd; /* -1: closed */
	struct chan_item *first, **last;
	size_t queued, max_queued;
	bool is_held; /* too many descriptors under way: see chan_is_held */
	struct msg_join joined; /* what chan_receive has so far */
};

/* A closed channel whose queue may hold max_queued messages. */
void chan_init(struct chan *chan, size_t max_queued);

/* Start over on fd, which becomes the channel's. */
void chan_open(struct chan *chan, int fd);

/*
 * Send, or queue.  The message's descriptors are the channel's from here
 * on, also when it fails, and are closed once sent.  0, or -1: the
 * channel is closed or its queue full (EAGAIN), memory is short (ENOMEM),
 * or the socket failed (its errno; the channel stays open, its reader
 * will see the end).
 */
int chan_send(struct chan *chan, const struct msg *msg);
int chan_send_bytes(struct chan *chan, enum msg_type type, uint64_t conn,
    const void *body, size_t len);

/*
 * Receive one whole message, as msg_receive with dont_wait; 0 also while
 * pieces of it are missing.  The body is good until the next call.
 */
int chan_receive(
    struct chan *chan, struct msg_room *room, struct msg *msg, size_t max_fds);

/* Is something queued that poll(2) can tell us to chan_flush? */
bool chan_is_waiting(const struct chan *chan);

/*
 * Has the kernel refused more descriptors for now (ETOOMANYREFS)?  Polling
 * cannot tell when it will take them: call chan_flush a little later.
 */
bool chan_is_held(const struct chan *chan);

/* Send what the socket takes.  0, or -1 when the socket failed. */
int chan_flush(struct chan *chan);

/* Close and drop the queue, what was received in part, and descriptors. */
void chan_close(struct chan *chan);

#endif
