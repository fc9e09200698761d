/* start: what the monitor says at a session's birth arrives whole. */
#include <string.h>

#include "serve/msg.h"
#include "serve/start.h"
#include "support.h"

static size_t
encode(const struct start *start, unsigned char body[START_SIZE])
{
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, body, START_SIZE);
	assert_int_equal(start_put(start, &w), 0);
	assert_int_equal(msg_written(&w, &len), 0);
	return len;
}

static struct start
full(void)
{
	struct start start = { .profile = 255,
		.verify = { .mode = TLSVERIFY_NAME,
		    .depth = 3,
		    .matches_name = true,
		    .strict_names = true,
		    .host = "mail.example" },
		.wants_facts = true };

	memset(start.verify.remote.bytes, 7, 16);
	return start;
}

static void
all_fields_arrive(void **state)
{
	const struct start sent = full();
	unsigned char body[START_SIZE];
	struct msg msg = { .body = body };
	struct start got;

	(void)state;
	msg.len = encode(&sent, body);
	assert_int_equal(start_get(&got, &msg), 0);
	assert_int_equal(got.profile, 255);
	assert_int_equal(got.verify.mode, TLSVERIFY_NAME);
	assert_int_equal(got.verify.depth, 3);
	assert_true(got.verify.matches_name);
	assert_true(got.verify.strict_names);
	assert_string_equal(got.verify.host, "mail.example");
	assert_true(ip_equal(&got.verify.remote, &sent.verify.remote));
	assert_true(got.wants_facts);
}

static void
no_host_stays_none(void **state)
{
	const struct start sent = { .verify = { .mode = TLSVERIFY_NONE } };
	unsigned char body[START_SIZE];
	struct msg msg = { .body = body };
	struct start got;

	(void)state;
	msg.len = encode(&sent, body);
	assert_int_equal(start_get(&got, &msg), 0);
	assert_null(got.verify.host);
	assert_false(got.wants_facts);
}

static void
every_shorter_body_is_refused(void **state)
{
	const struct start sent = full();
	unsigned char body[START_SIZE];
	struct msg msg = { .body = body };
	size_t len = encode(&sent, body);
	struct start got;

	(void)state;
	for (msg.len = 0; msg.len < len; msg.len++)
		assert_int_equal(start_get(&got, &msg), -1);
}

static void
an_unknown_mode_is_refused(void **state)
{
	struct start sent = full();
	unsigned char body[START_SIZE];
	struct msg msg = { .body = body };
	struct start got;

	(void)state;
	sent.verify.mode = (enum tlsverify_mode)(TLSVERIFY_NAME + 1);
	msg.len = encode(&sent, body);
	assert_int_equal(start_get(&got, &msg), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_fields_arrive),
		cmocka_unit_test(no_host_stays_none),
		cmocka_unit_test(every_shorter_body_is_refused),
		cmocka_unit_test(an_unknown_mode_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
