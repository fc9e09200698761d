/*
 * test_table: the limit is exact, a number is never used again, and what a
 * connection owned is closed.
 */
#include "serve/table.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static struct table table;

static void
make(size_t limit)
{
	assert_int_equal(table_init(&table, limit), 0);
	assert_true(table.limit == limit && table.count == 0);
}

static void
the_limit_is_exact(void **state)
{
	struct connection *taken[5];
	int i;

	(void)state;
	make(5);
	for (i = 0; i < 5; i++) {
		taken[i] = table_take(&table);
		assert_non_null(taken[i]);
		assert_int_equal(table.count, i + 1);
	}
	assert_null(table_take(&table));
	assert_int_equal(table.count, 5);
	table_release(&table, taken[2]);
	assert_int_equal(table.count, 4);
	assert_ptr_equal(table_take(&table), taken[2]);
	assert_null(table_take(&table));
	free(table.all);
}

static void
an_ended_connection_is_not_found(void **state)
{
	enum { ROUNDS = 500 };
	struct connection *conns[2];
	uint64_t ids[2 * ROUNDS];
	int i, j;

	(void)state;
	make(2);
	for (i = 0; i < 2 * ROUNDS; i += 2) {
		for (j = 0; j < 2; j++) {
			conns[j] = table_take(&table);
			ids[i + j] = conns[j]->id;
			assert_true(ids[i + j] != 0);
			assert_ptr_equal(
			    table_find(&table, ids[i + j]), conns[j]);
		}
		for (j = 0; j < i; j++) {
			assert_null(table_find(&table, ids[j]));
			assert_true(ids[j] != ids[i] && ids[j] != ids[i + 1]);
		}
		/* In turn, so that places change hands. */
		table_release(&table, conns[i / 2 % 2]);
		assert_null(table_find(&table, ids[i + i / 2 % 2]));
		table_release(&table, conns[1 - i / 2 % 2]);
	}
	free(table.all);
}

static void
invented_numbers_find_nobody(void **state)
{
	struct connection *conn;
	int bit;

	(void)state;
	make(2);
	assert_null(table_find(&table, 0));
	assert_null(table_find(&table, 1));
	assert_null(table_find(&table, 2));
	assert_null(table_find(&table, UINT64_MAX));
	conn = table_take(&table);
	for (bit = 0; bit < 64; bit++)
		assert_null(
		    table_find(&table, conn->id ^ (UINT64_C(1) << bit)));
	free(table.all);
}

static void
a_fresh_connection_owns_nothing(void **state)
{
	int open_before = open_descriptors(), fds[2];
	struct connection *conn;

	(void)state;
	make(1);
	conn = table_take(&table);
	assert_int_equal(pipe(fds), 0);
	conn->control_fd = fds[0];
	conn->program_in = fds[1];
	conn->program_out = dup(0);
	conn->input_fd = dup(0);
	conn->client_fd = dup(0);
	conn->session_in = dup(0);
	conn->session_out = dup(0);
	conn->program_client = dup(0);
	conn->program_asks = dup(0);
	conn->asks_fd = dup(0);
	buf_init(&conn->answer, 1);
	assert_int_equal(buf_append(&conn->answer, "x", 1), 0);
	conn->is_delayed = true;
	conn->host = strdup("host");
	conn->info = strdup("info");
	conn->variables = strdup("A=b");
	conn->variables_len = 4;
	conn->local_host = strdup("here");
	conn->has_early_limit = conn->skips_rules = true;
	conn->unsigned_request = malloc(8);
	conn->unsigned_len = 8;
	conn->wants_term = conn->wants_go = conn->is_orphan = true;
	conn->session_is_gone = conn->is_reaped = conn->is_cut = true;
	conn->control_has_ended = true;
	conn->state = CONN_CLOSING;
	conn->seen = ~0u;
	conn->session = conn->program = 77;
	conn->status = 256;
	table_release(&table, conn);
	assert_int_equal(open_descriptors(), open_before);
	conn = table_take(&table);
	assert_int_equal(conn->control_fd, -1);
	assert_int_equal(conn->program_in, -1);
	assert_int_equal(conn->program_out, -1);
	assert_int_equal(conn->input_fd, -1);
	assert_int_equal(conn->client_fd, -1);
	assert_true(conn->session_in == -1 && conn->session_out == -1);
	assert_true(conn->program_client == -1 && conn->program_asks == -1);
	assert_int_equal(conn->asks_fd, -1);
	assert_int_equal(conn->answer.len, 0);
	assert_false(conn->is_delayed);
	assert_null(conn->host);
	assert_null(conn->info);
	assert_null(conn->variables);
	assert_int_equal(conn->variables_len, 0);
	assert_null(conn->local_host);
	assert_false(conn->has_early_limit || conn->skips_rules);
	assert_null(conn->keeper);
	assert_null(conn->unsigned_request);
	assert_false(conn->wants_term || conn->wants_go || conn->is_orphan);
	assert_false(conn->session_is_gone || conn->is_reaped);
	assert_false(conn->control_has_ended || conn->is_cut);
	assert_true(conn->program_is_gone);
	assert_int_equal(conn->state, CONN_LOOKUP);
	assert_true(conn->seen == 0 && conn->status == 0);
	assert_true(conn->session == 0 && conn->program == 0);
	table_release(&table, conn);
	free(table.all);
}

static void
the_walk_sees_each_once(void **state)
{
	struct connection *taken[4], *conn = NULL;
	int i, seen = 0;

	(void)state;
	make(4);
	assert_null(table_next(&table, NULL));
	for (i = 0; i < 4; i++)
		taken[i] = table_take(&table);
	table_release(&table, taken[0]);
	table_release(&table, taken[3]);
	while ((conn = table_next(&table, conn)) != NULL) {
		assert_true(conn == taken[1] || conn == taken[2]);
		seen++;
		/* The walk goes on behind one that it ended. */
		table_release(&table, conn);
	}
	assert_int_equal(seen, 2);
	assert_null(table_next(&table, NULL));
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
