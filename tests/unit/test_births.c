/*
 * test_births: who waits for a process waits in order, with what he brought,
 * as long as a shortage may be a moment's.
 */
#include "serve/births.h"

#include <fcntl.h>

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "support.h"

#define NOW 1000000

static struct msg
start_of(uint64_t conn, const char *body)
{
	struct msg msg = { .type = MSG_START,
		.conn = conn,
		.body = (const unsigned char *)body,
		.len = strlen(body),
		.fd_count = 1 };

	msg.fds[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_not_equal(msg.fds[0], -1);
	return msg;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) != -1;
}

static void
they_wait_in_order(void **state)
{
	struct births births;
	char body[] = "one";
	struct msg one, two;

	(void)state;
	births_init(&births);
	assert_null(births_first(&births));
	assert_true(births.again == CLOCK_NEVER);
	one = start_of(1, body);
	assert_true(births_put_off(&births, &one, NOW));
	memset(body, 'x', 3); /* the room that it came in is used again */
	two = start_of(2, "two");
	assert_true(births_put_off(&births, &two, NOW));
	assert_true(births.again > NOW && births.again < NOW + 1000);
	assert_int_equal(births_first(&births)->conn, 1);
	assert_memory_equal(births_first(&births)->body, "one", 3);
	births_drop_first(&births);
	assert_false(is_open(one.fds[0]));
	assert_true(is_open(two.fds[0]));
	assert_int_equal(births_first(&births)->conn, 2);
	assert_memory_equal(births_first(&births)->body, "two", 3);
	births_drop_first(&births);
	assert_false(is_open(two.fds[0]));
	assert_null(births_first(&births));
	assert_true(births.again == CLOCK_NEVER);
}

static void
there_is_an_end_to_patience(void **state)
{
	const int64_t last = NOW + BIRTHS_PATIENCE_MS;
	struct births births;
	struct msg one, two;

	(void)state;
	births_init(&births);
	one = start_of(1, "one");
	two = start_of(2, "two");
	assert_true(births_put_off(&births, &one, NOW));
	assert_true(births_try_again(&births, last - 1));
	assert_true(births.again > last - 1);
	assert_false(births_try_again(&births, last + 1));
	/* Nor does a new one wait in vain. */
	assert_false(births_put_off(&births, &two, last + 2));
	assert_true(is_open(two.fds[0]));
	births_drop_first(&births);
	/* A process was there: the next shortage is another one. */
	births_succeed(&births);
	assert_true(births_put_off(&births, &two, last + 3));
	births_drop_first(&births);
}

/* Nobody asked meanwhile, so nobody knows that it was over. */
static void
an_old_shortage_is_forgotten(void **state)
{
	const int64_t later = NOW + 2 * BIRTHS_PATIENCE_MS + 2;
	struct births births;
	struct msg one;

	(void)state;
	births_init(&births);
	one = start_of(1, "one");
	assert_true(births_put_off(&births, &one, NOW));
	assert_false(births_try_again(&births, NOW + BIRTHS_PATIENCE_MS) &&
	    births_try_again(&births, NOW + BIRTHS_PATIENCE_MS + 1));
	assert_true(births_try_again(&births, later));
	births_drop_first(&births);
}

static void
there_is_no_room_for_all(void **state)
{
	struct births births;
	struct msg msg;
	size_t i;

	(void)state;
	births_init(&births);
	for (i = 0; i < BIRTHS_MAX; i++) {
		assert_false(births_are_full(&births));
		msg = start_of(i, "");
		assert_true(births_put_off(&births, &msg, NOW));
	}
	assert_true(births_are_full(&births));
	msg = start_of(i, "");
	assert_false(births_put_off(&births, &msg, NOW));
	assert_true(is_open(msg.fds[0]));
	msg_close_fds(&msg);
	while (births_first(&births) != NULL)
		births_drop_first(&births);
	assert_false(births_are_full(&births));
}

static void
what_is_too_long_does_not_wait(void **state)
{
	static char body[START_SIZE + 2];
	struct births births;
	struct msg msg;

	(void)state;
	memset(body, 'b', START_SIZE + 1);
	births_init(&births);
	msg = start_of(1, body);
	assert_false(births_put_off(&births, &msg, NOW));
	msg.len--;
	assert_true(births_put_off(&births, &msg, NOW));
	births_drop_first(&births);
}

static void
not_every_failure_passes(void **state)
{
	(void)state;
	assert_true(births_may_wait_for(EAGAIN));
	assert_true(births_may_wait_for(ENOMEM));
	assert_false(births_may_wait_for(EMFILE));
	assert_false(births_may_wait_for(EINVAL));
	assert_false(births_may_wait_for(0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_wait_in_order),
		cmocka_unit_test(there_is_an_end_to_patience),
		cmocka_unit_test(an_old_shortage_is_forgotten),
		cmocka_unit_test(there_is_no_room_for_all),
		cmocka_unit_test(what_is_too_long_does_not_wait),
		cmocka_unit_test(not_every_failure_passes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
