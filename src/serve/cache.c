/*
 * The cache: sessions that clients can resume, for a time.
 *
 * Runs as the key processes' user, in an empty directory, without rights:
 * what it holds decrypts nothing that was recorded of TLS 1.3, but much of
 * TLS 1.2.  Messages come from sessions, which the network may have taken
 * over; the monitor has set the binding before them and seen to how many
 * there are.  What is malformed is a miss.  It trusts monitor and master,
 * and may wait for the monitor, which always reads.
 *
 * With TICKETKEYS it holds those keys too, and alone: sessions get what
 * follows from one for a single ticket, so that who takes one over has no
 * more than that.
 */
#include "serve/cache.h"

#include <poll.h>

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "serve/lru.h"
#include "serve/msg.h"
#include "serve/sealed.h"
#include "serve/ticketkeys.h"

struct cache {
	struct lru *lru; /* NULL: nothing is kept */
	uint32_t lifetime_s;
	struct ticketkeys keys;
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

/* The time of day, as machines can agree on no other. */
static uint32_t
time_of_day(void)
{
	return (uint32_t)time(NULL);
}

/* Into answer, of one byte and the secret.  Returns its length, or 0. */
static size_t
find_secret(
    const struct cache *cache, struct msg_reader *r, unsigned char *answer)
{
	unsigned char binding[CACHE_BINDING_SIZE];
	struct tlsresume_ticket ticket;
	bool is_old;

	if (get_field(r, binding, sizeof(binding)) == -1 ||
	    get_field(r, ticket.name, sizeof(ticket.name)) == -1 ||
	    msg_read_all(r) == -1 ||
	    !ticketkeys_find(&cache->keys, binding, time_of_day(),
		cache->lifetime_s, &ticket, &is_old))
		return 0;
	answer[0] = is_old ? TLSRESUME_OLD : TLSRESUME_FRESH;
	memcpy(answer + 1, ticket.secret, sizeof(ticket.secret));
	explicit_bzero(&ticket, sizeof(ticket));
	return 1 + TLSRESUME_SECRET_SIZE;
}

static const void *
find_entry(struct cache *cache, struct msg_reader *r, size_t *len)
{
	struct key key;

	*len = 0;
	if (cache->lru == NULL || get_binding(r, &key) == -1 ||
	    get_id(r, &key) == -1 || msg_read_all(r) == -1)
		return NULL;
	return lru_get(
	    cache->lru, key.bytes, sizeof(key.bytes), clock_now(), len);
}

/* 0, or -1: the monitor is gone. */
static int
fetch(struct cache *cache, const struct msg *msg)
{
	unsigned char secret[1 + TLSRESUME_SECRET_SIZE];
	const void *answer = secret;
	struct msg_reader r;
	size_t len;
	int result;

	msg_read_from(&r, msg);
	len = find_secret(cache, &r, secret);
	if (len == 0) {
		msg_read_from(&r, msg);
		answer = find_entry(cache, &r, &len);
	}
	result = msg_send_bytes(
	    cache->work_fd, MSG_FETCHED, msg->conn, answer, len, false);
	explicit_bzero(secret, sizeof(secret));
	return result;
}

/* One name and secret after the other. */
static size_t
make_tickets(const struct cache *cache, const unsigned char *binding,
    unsigned char answer[CACHE_TICKETS_SIZE])
{
	unsigned char random[TLSRESUME_NAME_SIZE];
	struct tlsresume_ticket ticket;
	unsigned char *at = answer;
	unsigned i;

	for (i = 0; i < TLSRESUME_ENTRIES_MAX; i++) {
		if (getentropy(random, sizeof(random)) == -1)
			return 0;
		ticketkeys_make(
		    &cache->keys, binding, random, time_of_day(), &ticket);
		memcpy(at, ticket.name, sizeof(ticket.name));
		at += sizeof(ticket.name);
		memcpy(at, ticket.secret, sizeof(ticket.secret));
		at += sizeof(ticket.secret);
	}
	explicit_bzero(&ticket, sizeof(ticket));
	return CACHE_TICKETS_SIZE;
}

/* As fetch. */
static int
give_tickets(struct cache *cache, const struct msg *msg)
{
	unsigned char binding[CACHE_BINDING_SIZE], answer[CACHE_TICKETS_SIZE];
	struct msg_reader r;
	size_t len = 0;
	int result;

	msg_read_from(&r, msg);
	if (cache->keys.count > 0 &&
	    get_field(&r, binding, sizeof(binding)) == 0 &&
	    msg_read_all(&r) == 0)
		len = make_tickets(cache, binding, answer);
	result = msg_send_bytes(
	    cache->work_fd, MSG_FETCHED, msg->conn, answer, len, false);
	explicit_bzero(answer, sizeof(answer));
	return result;
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
	if (cache->lru == NULL || get_binding(&reader, &key) == -1)
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
	case MSG_TICKETS:
		return give_tickets(cache, msg);
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

/*
 * Keys that have been found sound, in sealed memory.  The old ones stay
 * where there is no memory for the new.
 */
static void
take_keys(struct cache *cache, int fd)
{
	const char *text;
	unsigned line;
	size_t len;

	if (sealed_check(fd, TICKETKEYS_FILE_MAX, &len) == -1 ||
	    (text = sealed_map(fd, len)) == NULL)
		return;
	(void)ticketkeys_read(&cache->keys, text, len, &line);
	sealed_unmap(text, len);
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
	if (msg.fd_count != 1 || (msg.type != MSG_WORK && msg.type != MSG_KEYS))
		_exit(111);
	if (msg.type == MSG_KEYS) {
		take_keys(cache, msg.fds[0]);
		msg_close_fds(&msg);
		return;
	}
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
	cache->lifetime_s = settings->lifetime_s;
	if (settings->entries == 0)
		return 0;
	cache->lru = lru_new(
	    settings->entries, bytes, (int64_t)settings->lifetime_s * 1000);
	return cache->lru == NULL ? -1 : 0;
}

/* Until somebody has something to say, or an entry is to be wiped. */
static int
wait(struct cache *cache, struct pollfd fds[2])
{
	int64_t now = clock_now(), next = CLOCK_NEVER;

	if (cache->lru != NULL)
		next = lru_expire(cache->lru, now);

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
