/*
 * test_table: the limit is exact, a number is never used again, and what a
 * connection owned is closed.
 */
#include "serve/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static void
the_limit_is_exact(void **state)
{
	struct connection *taken[5];
	struct table table;
	int i;

	(void)state;
	assert_int_equal(table_init(&table, 5), 0);
	for (i = 0; i < 5; i++) {
		taken[i] = table_take(&table);
		assert_non_null(taken[i]);
		assert_int_equal(table.count, i + 1);
	}
	assert_null(table_take(&table));
	table_release(&table, taken[2]);
	assert_int_equal(table.count, 4);
	assert_ptr_equal(table_take(&table), taken[2]);
	assert_null(table_take(&table));
	free(table.all);
}

static void
an_ended_connection_is_not_found(void **state)
{
	struct connection *conn;
	struct table table;
	uint64_t first, i;

	(void)state;
	assert_int_equal(table_init(&table, 2), 0);
	conn = table_take(&table);
	first = conn->id;
	assert_true(first != 0);
	assert_ptr_equal(table_find(&table, first), conn);
	table_release(&table, conn);
	assert_null(table_find(&table, first));
	for (i = 0; i < 1000; i++) {
		conn = table_take(&table);
		assert_true(conn->id != first);
		assert_null(table_find(&table, first));
		table_release(&table, conn);
	}
	free(table.all);
}

static void
invented_numbers_find_nobody(void **state)
{
	struct connection *conn;
	struct table table;

	(void)state;
	assert_int_equal(table_init(&table, 2), 0);
	assert_null(table_find(&table, 0));
	assert_null(table_find(&table, 1));
	assert_null(table_find(&table, 2));
	assert_null(table_find(&table, UINT64_MAX));
	conn = table_take(&table);
	assert_null(table_find(&table, conn->id + 1));
	assert_null(table_find(&table, conn->id + 2));
	assert_null(table_find(&table, conn->id ^ (UINT64_C(1) << 63)));
	free(table.all);
}

static void
a_fresh_connection_owns_nothing(void **state)
{
	struct connection *conn;
	struct table table;
	int fds[2];

	(void)state;
	assert_int_equal(table_init(&table, 1), 0);
	conn = table_take(&table);
	assert_int_equal(pipe(fds), 0);
	conn->control_fd = fds[0];
	conn->program_in = fds[1];
	conn->unsigned_request = malloc(8);
	conn->wants_term = true;
	table_release(&table, conn);
	assert_int_equal(close(fds[0]), -1);
	assert_int_equal(close(fds[1]), -1);
	conn = table_take(&table);
	assert_int_equal(conn->control_fd, -1);
	assert_int_equal(conn->program_in, -1);
	assert_int_equal(conn->program_out, -1);
	assert_int_equal(conn->keeper, -1);
	assert_null(conn->unsigned_request);
	assert_false(conn->wants_term);
	assert_int_equal(conn->state, CONN_HANDSHAKE);
	table_release(&table, conn);
	free(table.all);
}

static void
the_walk_sees_each_once(void **state)
{
	struct connection *taken[4], *conn = NULL;
	struct table table;
	int i, seen = 0;

	(void)state;
	assert_int_equal(table_init(&table, 4), 0);
	assert_null(table_next(&table, NULL));
	for (i = 0; i < 4; i++)
		taken[i] = table_take(&table);
	table_release(&table, taken[0]);
	table_release(&table, taken[3]);
	while ((conn = table_next(&table, conn)) != NULL) {
		assert_true(conn == taken[1] || conn == taken[2]);
		seen++;
	}
	assert_int_equal(seen, 2);
	free(table.all);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_limit_is_exact),
		cmocka_unit_test(an_ended_connection_is_not_found),
		cmocka_unit_test(invented_numbers_find_nobody),
		cmocka_unit_test(a_fresh_connection_owns_nothing),
		cmocka_unit_test(the_walk_sees_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
