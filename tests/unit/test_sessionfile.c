/*
 * test_sessionfile: what a file is taken for, and what is written.
 */
#include "client/sessionfile.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "serve/msg.h"

static const unsigned char binding[SESSIONFILE_BINDING_SIZE] = "binding";
static const unsigned char other[SESSIONFILE_BINDING_SIZE] = "other";

static const unsigned char asked[CLIENT_ASKED_SIZE] = "asked";

/* The file that is made of what sessionfile_keep sends, and its length. */
static size_t
keep(unsigned char file[SESSIONFILE_MAX], const void *session, size_t len)
{
	static struct msg_room room;
	struct msg msg;
	int ends[2];
	bool more;

	assert_int_equal(fd_message_pair(ends), 0);
	sessionfile_keep(ends[0], binding, session, len);
	close(ends[0]);
	if (msg_receive(ends[1], &room, &msg, 0, false, &more) != 1)
		msg.len = 0;
	else
		memcpy(file + SESSIONFILE_HEAD_SIZE, msg.body, msg.len);
	sessionfile_head(file, asked);
	close(ends[1]);
	return msg.len == 0 ? 0 : msg.len + SESSIONFILE_HEAD_SIZE;
}

static void
what_is_kept_is_found(void **state)
{
	unsigned char file[SESSIONFILE_MAX];
	const unsigned char *found;
	size_t len, found_len = 99;

	(void)state;
	len = keep(file, "a session", 9);
	assert_in_range(len, 10, 200);
	found = sessionfile_get(file, len, asked, binding, &found_len);
	assert_non_null(found);
	assert_int_equal(found_len, 9);
	assert_memory_equal(found, "a session", 9);
}

static void
nothing_else_is(void **state)
{
	unsigned char file[SESSIONFILE_MAX];
	size_t len = keep(file, "a session", 9), found, i;

	(void)state;
	assert_null(sessionfile_get(file, len, asked, other, &found));
	assert_null(sessionfile_get(file, len, other, binding, &found));
	/* No beginning of it, but for a session cut short. */
	for (i = 0; i <= len - 9; i++)
		assert_null(sessionfile_get(file, i, asked, binding, &found));
	/* No byte of the head may be another. */
	for (i = 0; i < len - 9; i++) {
		file[i] ^= 1;
		assert_null(sessionfile_get(file, len, asked, binding, &found));
		file[i] ^= 1;
	}
	assert_non_null(sessionfile_get(file, len, asked, binding, &found));
}

static void
what_is_too_long_is_not_kept(void **state)
{
	unsigned char file[SESSIONFILE_MAX];
	unsigned char *session = calloc(1, SESSIONFILE_MAX);

	(void)state;
	assert_non_null(session);
	assert_int_equal(keep(file, session, SESSIONFILE_MAX), 0);
	assert_int_equal(
	    keep(file, session, SESSIONFILE_MAX - 84), SESSIONFILE_MAX);
	assert_int_equal(keep(file, session, SESSIONFILE_MAX - 83), 0);
	free(session);
}

/* Whatever a verdict may depend on makes another digest. */
static void
every_wish_counts(void **state)
{
	static const char start[] =
	    "a-host-whose-name-begins-with-more-than-a-hundred-bytes-that-"
	    "another-one-begins-with-too-and-differs-only-later.example.";
	struct client_settings s = { .depth = CLIENT_DEPTH_DEFAULT }, t;
	unsigned char digests[16][CLIENT_ASKED_SIZE];
	char one[sizeof(start) + 1], two[sizeof(start) + 1];
	size_t count = 0, i, j;

	(void)state;
	snprintf(one, sizeof(one), "%s1", start);
	snprintf(two, sizeof(two), "%s2", start);
	s.host = one;
	strcpy(s.shown, "the same");
#define ADD(change) \
	do { \
		t = s; \
		change; \
		assert_int_equal(sessionfile_digest(&t, digests[count++]), 0); \
	} while (0)
	ADD((void)0);
	ADD(t.host = two);
	ADD(t.host = NULL; t.ip.ip.bytes[15] = 1);
	ADD(t.host = NULL; t.ip.ip.bytes[15] = 1; t.ip.scope = 1);
	ADD(t.port = "https");
	ADD(t.port_number = 443);
	ADD(t.depth = 1);
	ADD(t.verifies_chain = true);
	ADD(t.matches_name = true);
	ADD(t.strict_names = true);
	ADD(t.sends_sni = true);
	ADD(t.has_own_store = true);
	ADD(t.tls.ciphers = "ALL:@SECLEVEL=0");
	ADD(t.tls.tlsmin = "1.0");
	ADD(t.has_starttls = true);
	ADD(t.alpn_len = 3);
#undef ADD
	for (i = 0; i < count; i++)
		for (j = 0; j < i; j++)
			assert_memory_not_equal(
			    digests[i], digests[j], CLIENT_ASKED_SIZE);
}

static void
only_ones_own_file_is_read(void **state)
{
	unsigned char file[SESSIONFILE_MAX];
	char path[] = "/tmp/test-session-XXXXXX", error[CLIENT_ERROR_SIZE];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd != -1);
	assert_int_equal(write(fd, "text", 4), 4);
	assert_int_equal(sessionfile_read(path, file, error), 4);
	assert_memory_equal(file, "text", 4);
	assert_int_equal(fchmod(fd, 0640), 0);
	assert_int_equal(sessionfile_read(path, file, error), -1);
	assert_non_null(strstr(error, path));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(sessionfile_read(path, file, error), 0);
	assert_int_equal(sessionfile_read("/tmp", file, error), -1);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_kept_is_found),
		cmocka_unit_test(nothing_else_is),
		cmocka_unit_test(what_is_too_long_is_not_kept),
		cmocka_unit_test(every_wish_counts),
		cmocka_unit_test(only_ones_own_file_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
