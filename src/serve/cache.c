/*
 * The cache: sessions that clients can resume, for a time.
 *
 * Runs as the key processes' user, in an empty directory, without rights:
 * what it holds decrypts nothing that was recorded of TLS 1.3, but much of
 * TLS 1.2.  Messages come from sessions, which the network may have taken
 * over; the monitor has set the binding before them and seen to how many
 * there are.  What is malformed is a miss.  It trusts monitor and master,
 * and may wait for the monitor, which always reads.
 */
#include "serve/cache.h"

#include <poll.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "serve/lru.h"
#include "serve/msg.h"

struct cache {
	struct lru *lru;
	int life_fd, work_fd;
	struct msg_room room;
};

/* Binding, id. */
struct key {
	unsigned char bytes[CACHE_BINDING_SIZE + TLSRESUME_ID_SIZE];
};

/* -1: it is none. */
static int
get_field(struct msg_reader *r, unsigned char *bytes, size_t size)
{
	size_t len;
	const unsigned char *field = msg_get_bytes(r, &len);

	if (field == NULL || len != size)
		return -1;
	memcpy(bytes, field, size);
	return 0;
}

static int
get_binding(struct msg_reader *r, struct key *key)
{
	return get_field(r, key->bytes, CACHE_BINDING_SIZE);
}

static int
get_id(struct msg_reader *r, struct key *key)
{
	return get_field(r, key->bytes + CACHE_BINDING_SIZE, TLSRESUME_ID_SIZE);
}

/* 0, or -1: the monitor is gone. */
static int
fetch(struct cache *cache, const struct msg *msg)
{
	const void *entry = NULL;
	struct msg_reader r;
	struct key key;
	size_t len = 0;

	msg_read_from(&r, msg);
	if (get_binding(&r, &key) == 0 && get_id(&r, &key) == 0 &&
	    msg_read_all(&r) == 0)
		entry = lru_get(cache->lru, key.bytes, sizeof(key.bytes),
		    clock_now(), &len);
	return msg_send_bytes(
	    cache->work_fd, MSG_FETCHED, msg->conn, entry, len, false);
}

static void
store(struct cache *cache, const struct msg *msg)
{
	int count, r = 0;
	struct msg_reader reader;
	const unsigned char *entry;
	struct key key;
	size_t len;

	msg_read_from(&reader, msg);
	if (get_binding(&reader, &key) == -1)
		return;
	for (count = 0; r == 0 && count < TLSRESUME_ENTRIES_MAX; count++) {
		r = get_id(&reader, &key);
		entry = msg_get_bytes(&reader, &len);
		if (r == 0 && len > 0 && len <= TLSRESUME_ENTRY_MAX)
			(void)lru_put(cache->lru, key.bytes, sizeof(key.bytes),
			    entry, len, clock_now());
	}
}

/* -1: the monitor is gone, or talks nonsense. */
static int
obey_monitor(struct cache *cache, const struct msg *msg)
{
	switch (msg->type) {
	case MSG_FETCH:
		return fetch(cache, msg);
	case MSG_STORE:
		store(cache, msg);
		return 0;
	default:
		return -1;
	}
}

static void
serve_work(struct cache *cache)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(cache->work_fd, &cache->room, &msg, 0, true, &more);
	if (r == 0)
		return;
	if (r == 1) {
		r = more ? -1 : obey_monitor(cache, &msg);
		msg_wipe(&cache->room, &msg);
	}
	if (r == -1)
		fd_close(&cache->work_fd); /* master sends a new one */
}

/* Master is trusted; what it cannot have meant ends us, and is seen. */
static void
obey_master(struct cache *cache)
{
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(cache->life_fd, &cache->room, &msg, 1, true, &more);
	if (r == 0)
		return;
	if (r == -1)
		_exit(errno == 0 ? 0 : 111);
	if (msg.type != MSG_WORK || msg.fd_count != 1)
		_exit(111);
	fd_close(&cache->work_fd);
	cache->work_fd = msg.fds[0];
}

static int
prepare(struct cache *cache, const struct cache_settings *settings)
{
	/* With room for the largest, however few there are. */
	size_t bytes = settings->entries * CACHE_ENTRY_ROOM +
	    2 * (size_t)TLSRESUME_ENTRY_MAX;

	cache->work_fd = -1;
	cache->lru = lru_new(
	    settings->entries, bytes, (int64_t)settings->lifetime_s * 1000);
	return cache->lru == NULL ? -1 : 0;
}

/* Until somebody has something to say, or an entry is to be wiped. */
static int
wait(struct cache *cache, struct pollfd fds[2])
{
	int64_t now = clock_now(), next = lru_expire(cache->lru, now);

	fds[0] = (struct pollfd){ cache->life_fd, POLLIN, 0 };
	fds[1] = (struct pollfd){ cache->work_fd, POLLIN, 0 };
	return poll(fds, 2, clock_poll_timeout(now, next));
}

void
cache_run(const struct cache_settings *settings, int master_fd)
{
	static struct cache cache;
	static const char sentence[] = "out of memory for SESSIONCACHE";
	struct pollfd fds[2];

	cache.life_fd = master_fd;
	if (prepare(&cache, settings) == -1) {
		msg_send_bytes(
		    master_fd, MSG_FAILED, 0, sentence, sizeof(sentence), true);
		_exit(111);
	}
	msg_send_bytes(master_fd, MSG_READY, 0, NULL, 0, true);
	for (;;) {
		if (wait(&cache, fds) <= 0)
			continue;
		if (fds[0].revents != 0)
			obey_master(&cache);
		else if (fds[1].revents != 0)
			serve_work(&cache);
	}
}
