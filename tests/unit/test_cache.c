/*
 * test_cache: the role in a process of its own, between a test that is
 * master, monitor, and sessions of every kind.
 */
#include "serve/cache.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "serve/msg.h"
#include "serve/sealed.h"
#include "support.h"

#define WAIT_MS 30000

/* With memory of its own beside ours; gcc and clang say it in their ways. */
#ifdef __SANITIZE_ADDRESS__
#define IS_SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED
#endif
#endif

static struct {
	pid_t pid;
	int life_fd, work_fd;
	uint64_t conn; /* the last that asked */
	struct msg_room room;
	unsigned char binding[CACHE_BINDING_SIZE];
} f;

static int
receive(int fd, struct msg *msg)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	bool more = false;
	int r;

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	r = msg_receive(fd, &f.room, msg, 0, false, &more);
	assert_false(more);
	return r;
}

/* Give it a new work socket. */
static void
send_work(void)
{
	struct msg msg = { .type = MSG_WORK, .fd_count = 1 };
	int ends[2];

	assert_int_equal(fd_message_pair(ends), 0);
	msg.fds[0] = ends[1];
	assert_int_equal(msg_send(f.life_fd, &msg, false), 0);
	fd_close(&ends[1]);
	fd_close(&f.work_fd);
	f.work_fd = ends[0];
}

static void
begin(size_t entries, unsigned lifetime_s)
{
	const struct cache_settings settings = { .entries = entries,
		.lifetime_s = lifetime_s };
	struct msg msg;
	int ends[2];

	memset(&f, 0, sizeof(f));
	f.work_fd = -1;
	assert_int_equal(fd_message_pair(ends), 0);
	f.pid = fork();
	if (f.pid == 0) {
		fd_close(&ends[0]);
		cache_run(&settings, ends[1]);
	}
	fd_close(&ends[1]);
	f.life_fd = ends[0];
	assert_int_equal(receive(f.life_fd, &msg), 1);
	assert_int_equal(msg.type, MSG_READY);
	send_work();
}

static void
end(int expected)
{
	int status;

	fd_close(&f.life_fd);
	assert_int_equal(waitpid(f.pid, &status, 0), f.pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), expected);
	fd_close(&f.work_fd);
}

/* An id, made of a number. */
static const unsigned char *
id_of(unsigned n)
{
	static unsigned char id[TLSRESUME_ID_SIZE];

	memset(id, 7, sizeof(id));
	memcpy(id, &n, sizeof(n));
	return id;
}

static void
begin_body(struct msg_writer *w, unsigned char *body, size_t size)
{
	msg_write_to(w, body, size);
	msg_put_bytes(w, f.binding, sizeof(f.binding));
}

static void
send_body(enum msg_type type, const struct msg_writer *w)
{
	assert_false(w->failed);
	assert_int_equal(
	    msg_send_bytes(f.work_fd, type, ++f.conn, w->bytes, w->len, false),
	    0);
}

static void
put_one(struct msg_writer *w, unsigned n, const void *entry, size_t len)
{
	msg_put_bytes(w, id_of(n), TLSRESUME_ID_SIZE);
	msg_put_bytes(w, entry, len);
}

static void
store(unsigned n, const void *entry, size_t len)
{
	static unsigned char body[MSG_PIECE_MAX];
	struct msg_writer w;

	begin_body(&w, body, sizeof(body));
	put_one(&w, n, entry, len);
	send_body(MSG_STORE, &w);
}

/* The answer to what has been sent.  Its length; the bytes in f.room. */
static size_t
answer(const unsigned char **bytes)
{
	struct msg msg;

	assert_int_equal(receive(f.work_fd, &msg), 1);
	assert_int_equal(msg.type, MSG_FETCHED);
	assert_int_equal(msg.conn, f.conn);
	*bytes = msg.body;
	return msg.len;
}

static size_t
fetch(unsigned n, const unsigned char **bytes)
{
	unsigned char body[200];
	struct msg_writer w;

	begin_body(&w, body, sizeof(body));
	msg_put_bytes(&w, id_of(n), TLSRESUME_ID_SIZE);
	send_body(MSG_FETCH, &w);
	return answer(bytes);
}

static void
expect(unsigned n, const char *entry)
{
	const unsigned char *bytes;
	size_t len = fetch(n, &bytes);

	assert_int_equal(len, strlen(entry));
	assert_memory_equal(bytes, entry, len);
}

static void
what_is_stored_is_found_again(void **state)
{
	(void)state;
	begin(10, 60);
	expect(1, "");
	store(1, "first", 5);
	store(2, "second", 6);
	expect(1, "first");
	expect(2, "second");
	expect(1, "first");
	expect(3, "");
	end(0);
}

static void
one_message_brings_two_and_no_more(void **state)
{
	unsigned char body[500];
	struct msg_writer w;

	(void)state;
	begin(10, 60);
	begin_body(&w, body, sizeof(body));
	put_one(&w, 1, "one", 3);
	put_one(&w, 2, "two", 3);
	put_one(&w, 3, "three", 5);
	send_body(MSG_STORE, &w);
	expect(1, "one");
	expect(2, "two");
	expect(3, "");
	end(0);
}

static void
any_other_binding_is_a_miss(void **state)
{
	size_t i;

	(void)state;
	begin(10, 60);
	store(1, "mine", 4);
	for (i = 0; i < sizeof(f.binding); i++) {
		f.binding[i] ^= 1;
		expect(1, "");
		f.binding[i] ^= 1;
	}
	expect(1, "mine");
	/* The same number under another binding is another entry. */
	f.binding[CACHE_PROFILE_SIZE] = 2;
	store(1, "other", 5);
	expect(1, "other");
	f.binding[CACHE_PROFILE_SIZE] = 0;
	expect(1, "mine");
	end(0);
}

static void
nothing_is_replaced(void **state)
{
	(void)state;
	begin(10, 60);
	store(1, "mine", 4);
	store(1, "forged", 6);
	expect(1, "mine");
	end(0);
}

static void
malformed_questions_are_a_miss(void **state)
{
	unsigned char body[200];
	const unsigned char *bytes;
	struct msg_writer w;
	size_t len;

	(void)state;
	begin(10, 60);
	store(1, "mine", 4);
	for (len = 0; len <= TLSRESUME_ID_SIZE + 1; len++) {
		unsigned char id[TLSRESUME_ID_SIZE + 1] = { 0 };

		if (len == TLSRESUME_ID_SIZE)
			continue;
		memcpy(id, id_of(1), TLSRESUME_ID_SIZE);
		begin_body(&w, body, sizeof(body));
		msg_put_bytes(&w, id, len);
		send_body(MSG_FETCH, &w);
		assert_int_equal(answer(&bytes), 0);
	}
	/* Something behind it, or nothing at all. */
	begin_body(&w, body, sizeof(body));
	msg_put_bytes(&w, id_of(1), TLSRESUME_ID_SIZE);
	msg_put_number(&w, 0);
	send_body(MSG_FETCH, &w);
	assert_int_equal(answer(&bytes), 0);
	msg_write_to(&w, body, sizeof(body));
	send_body(MSG_FETCH, &w);
	assert_int_equal(answer(&bytes), 0);
	expect(1, "mine");
	end(0);
}

static void
malformed_entries_are_none(void **state)
{
	static unsigned char large[TLSRESUME_ENTRY_MAX + 1];
	unsigned char body[200];
	const unsigned char *bytes;
	struct msg_writer w;
	size_t cut;

	(void)state;
	begin(10, 60);
	store(1, large, sizeof(large));
	store(2, "", 0);
	begin_body(&w, body, sizeof(body));
	msg_put_bytes(&w, id_of(3), TLSRESUME_ID_SIZE - 1);
	msg_put_bytes(&w, "x", 1);
	send_body(MSG_STORE, &w);
	for (cut = 1; cut < 20; cut++) {
		begin_body(&w, body, sizeof(body));
		put_one(&w, 4, "x", 1);
		w.len -= cut;
		send_body(MSG_STORE, &w);
	}
	expect(1, "");
	expect(2, "");
	expect(3, "");
	expect(4, "");
	store(5, large, TLSRESUME_ENTRY_MAX);
	assert_int_equal(fetch(5, &bytes), TLSRESUME_ENTRY_MAX);
	end(0);
}

static void
entries_outlive_the_monitor(void **state)
{
	struct msg msg;

	(void)state;
	begin(10, 60);
	store(1, "kept", 4);
	expect(1, "kept");
	send_work();
	expect(1, "kept");
	/* What no monitor would say ends that socket, and no more. */
	msg_send_bytes(f.work_fd, MSG_SIGN, 1, NULL, 0, false);
	assert_int_equal(receive(f.work_fd, &msg), -1);
	send_work();
	expect(1, "kept");
	end(0);
}

static void
entries_expire(void **state)
{
	const unsigned char *bytes;
	int64_t begun;

	(void)state;
	begin(10, 1);
	begun = clock_now();
	store(1, "soon gone", 9);
	assert_true(fetch(1, &bytes) == 9 || clock_now() - begun >= 1000);
	while (fetch(1, &bytes) != 0) {
		assert_in_range(clock_now() - begun, 0, 20000);
		usleep(10000);
	}
	assert_true(clock_now() - begun >= 1000);
	end(0);
}

static void
the_number_is_bounded(void **state)
{
	(void)state;
	begin(2, 60);
	store(1, "1", 1);
	store(2, "2", 1);
	expect(1, "1");
	store(3, "3", 1);
	expect(1, "1");
	expect(2, "");
	expect(3, "3");
	end(0);
}

/* Kilobytes of memory that it has. */
static long
resident(void)
{
	char path[64], line[200];
	long kb = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)f.pid);
	file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "VmRSS: %ld", &kb);
	if (file != NULL)
		fclose(file);
	return kb;
}

static void
the_memory_is_bounded(void **state)
{
	static unsigned char large[TLSRESUME_ENTRY_MAX];
	unsigned i, found = 0;
	const unsigned char *bytes;
	long before;

	(void)state;
	begin(1000, 60);
	expect(0, "");
	before = resident();
	if (before <= 0)
		skip();
	for (i = 1; i <= 5000; i++) {
		memset(large, (int)i, sizeof(large));
		store(i, large, sizeof(large) - i % 100);
	}
	for (i = 1; i <= 5000; i++)
		if (fetch(i, &bytes) > 0) {
			assert_int_equal(bytes[0], i & 0xff);
			found++;
		}
	/* Of 80 megabytes, two. */
	assert_in_range(found, 120, 132);
#ifndef IS_SANITIZED
	assert_true(resident() - before < 2 * 1000 * CACHE_ENTRY_ROOM / 1024);
#endif
	end(0);
}

/*
 * Tickets
 */

#define KEY "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
#define OTHER_KEY \
	"f00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"

static void
send_keys(const char *text)
{
	struct msg msg = { .type = MSG_KEYS, .fd_count = 1 };
	int fd = sealed_make();

	assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
	assert_int_equal(sealed_seal(fd), 0);
	msg.fds[0] = fd;
	assert_int_equal(msg_send(f.life_fd, &msg, false), 0);
	fd_close(&fd);
}

/* The first of them in *ticket.  Were there any? */
static bool
get_tickets(struct tlsresume_ticket *ticket)
{
	const unsigned char *bytes;
	unsigned char body[200];
	struct msg_writer w;
	size_t len;

	begin_body(&w, body, sizeof(body));
	send_body(MSG_TICKETS, &w);
	len = answer(&bytes);
	if (len == 0)
		return false;
	assert_int_equal(len, CACHE_TICKETS_SIZE);
	memcpy(ticket->name, bytes, sizeof(ticket->name));
	memcpy(ticket->secret, bytes + sizeof(ticket->name),
	    sizeof(ticket->secret));
	bytes += sizeof(ticket->name) + sizeof(ticket->secret);
	assert_memory_not_equal(ticket->name, bytes, sizeof(ticket->name));
	return true;
}

/* What is said of a name: 0, or its age. */
static int
find_ticket(const struct tlsresume_ticket *ticket, size_t name_len)
{
	const unsigned char *bytes;
	unsigned char body[200];
	struct msg_writer w;
	size_t len;

	begin_body(&w, body, sizeof(body));
	msg_put_bytes(&w, ticket->name, name_len);
	send_body(MSG_FETCH, &w);
	len = answer(&bytes);
	if (len == 0)
		return 0;
	assert_int_equal(len, 1 + TLSRESUME_SECRET_SIZE);
	assert_memory_equal(bytes + 1, ticket->secret, TLSRESUME_SECRET_SIZE);
	return bytes[0];
}

static void
without_keys_there_are_no_tickets(void **state)
{
	struct tlsresume_ticket ticket = { .name = "" };

	(void)state;
	begin(10, 60);
	assert_false(get_tickets(&ticket));
	assert_int_equal(find_ticket(&ticket, sizeof(ticket.name)), 0);
	end(0);
}

static void
secrets_are_found_by_name(void **state)
{
	struct tlsresume_ticket ticket, next;

	(void)state;
	begin(10, 60);
	send_keys(KEY);
	assert_true(get_tickets(&ticket));
	assert_int_equal(
	    find_ticket(&ticket, sizeof(ticket.name)), TLSRESUME_FRESH);
	assert_int_equal(find_ticket(&ticket, sizeof(ticket.name) - 1), 0);
	f.binding[3] ^= 1;
	assert_int_equal(find_ticket(&ticket, sizeof(ticket.name)), 0);
	f.binding[3] ^= 1;
	send_keys(OTHER_KEY KEY);
	assert_int_equal(
	    find_ticket(&ticket, sizeof(ticket.name)), TLSRESUME_OLD);
	assert_true(get_tickets(&next));
	assert_int_equal(
	    find_ticket(&next, sizeof(next.name)), TLSRESUME_FRESH);
	/* What is not sound changes nothing. */
	send_keys("x");
	assert_int_equal(
	    find_ticket(&next, sizeof(next.name)), TLSRESUME_FRESH);
	send_keys(OTHER_KEY);
	assert_int_equal(find_ticket(&ticket, sizeof(ticket.name)), 0);
	/* Entries are kept besides. */
	store(1, "first", 5);
	expect(1, "first");
	end(0);
}

static void
tickets_need_no_room(void **state)
{
	struct tlsresume_ticket ticket;

	(void)state;
	begin(0, 60);
	send_keys(KEY);
	assert_true(get_tickets(&ticket));
	assert_int_equal(
	    find_ticket(&ticket, sizeof(ticket.name)), TLSRESUME_FRESH);
	store(1, "first", 5);
	expect(1, "");
	end(0);
}

static void
malformed_wishes_for_tickets(void **state)
{
	const unsigned char *bytes;
	unsigned char body[200];
	struct msg_writer w;

	(void)state;
	begin(10, 60);
	send_keys(KEY);
	begin_body(&w, body, sizeof(body));
	msg_put_bytes(&w, "x", 1);
	send_body(MSG_TICKETS, &w);
	assert_int_equal(answer(&bytes), 0);
	msg_write_to(&w, body, sizeof(body));
	msg_put_bytes(&w, f.binding, sizeof(f.binding) - 1);
	send_body(MSG_TICKETS, &w);
	assert_int_equal(answer(&bytes), 0);
	end(0);
}

static void
nonsense_of_master_ends_it(void **state)
{
	(void)state;
	begin(10, 60);
	msg_send_bytes(f.life_fd, MSG_STOP, 0, NULL, 0, false);
	end(111);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_stored_is_found_again),
		cmocka_unit_test(one_message_brings_two_and_no_more),
		cmocka_unit_test(any_other_binding_is_a_miss),
		cmocka_unit_test(nothing_is_replaced),
		cmocka_unit_test(malformed_questions_are_a_miss),
		cmocka_unit_test(malformed_entries_are_none),
		cmocka_unit_test(entries_outlive_the_monitor),
		cmocka_unit_test(entries_expire),
		cmocka_unit_test(the_number_is_bounded),
		cmocka_unit_test(the_memory_is_bounded),
		cmocka_unit_test(without_keys_there_are_no_tickets),
		cmocka_unit_test(secrets_are_found_by_name),
		cmocka_unit_test(tickets_need_no_room),
		cmocka_unit_test(malformed_wishes_for_tickets),
		cmocka_unit_test(nonsense_of_master_ends_it),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
