/*
 * The table of connections.  Runs in the monitor; allocates at start.
 *
 * A connection's number is a serial number above its place in the table,
 * so that a late message about an ended connection finds nobody.
 */
#include "serve/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "serve/facts.h"

#define SLOT_BITS 24

int
table_init(struct table *table, size_t limit)
{
	size_t i;

	memset(table, 0, sizeof(*table));
	table->all = calloc(limit, sizeof(*table->all));
	if (table->all == NULL)
		return -1;
	table->limit = limit;
	for (i = limit; i-- > 0;) {
		table->all[i].next_unused = table->unused;
		table->unused = &table->all[i];
	}
	return 0;
}

struct connection *
table_take(struct table *table)
{
	struct connection *conn = table->unused;

	if (conn == NULL)
		return NULL;
	table->unused = conn->next_unused;
	table->count++;
	memset(conn, 0, sizeof(*conn));
	conn->id = ++table->serial << SLOT_BITS | (uint64_t)(conn - table->all);
	conn->client_fd = -1;
	conn->control_fd = conn->program_in = conn->program_out =
	    conn->session_in = conn->session_out = conn->input_fd = -1;
	conn->program_client = conn->program_asks = conn->asks_fd = -1;
	conn->program_is_gone = true;
	msg_join_init(&conn->joined, FACTS_BODY_MAX);
	return conn;
}

struct connection *
table_find(const struct table *table, uint64_t id)
{
	uint64_t slot = id & ((1u << SLOT_BITS) - 1);

	if (id == 0 || slot >= table->limit || table->all[slot].id != id)
		return NULL;
	return &table->all[slot];
}

struct connection *
table_find_session(const struct table *table,
    const struct generation *generation, uint64_t name)
{
	struct connection *conn;

	for (conn = table_next(table, NULL); conn != NULL;
	     conn = table_next(table, conn))
		if (conn->generation == generation &&
		    conn->session_name == name)
			return conn;
	return NULL;
}

void
table_drop_facts(struct connection *conn)
{
	msg_join_clear(&conn->joined);
	free(conn->facts);
	conn->facts = NULL;
	conn->facts_len = 0;
}

void
table_release(struct table *table, struct connection *conn)
{
	fd_close(&conn->control_fd);
	fd_close(&conn->program_in);
	fd_close(&conn->program_out);
	fd_close(&conn->session_in);
	fd_close(&conn->session_out);
	fd_close(&conn->input_fd);
	fd_close(&conn->client_fd);
	fd_close(&conn->program_client);
	fd_close(&conn->program_asks);
	fd_close(&conn->asks_fd);
	buf_free(&conn->answer);
	free(conn->variables);
	free(conn->host);
	free(conn->info);
	free(conn->local_host);
	conn->variables = conn->host = conn->info = conn->local_host = NULL;
	free(conn->unsigned_request);
	conn->unsigned_request = NULL;
	table_drop_facts(conn);
	conn->id = 0;
	conn->next_unused = table->unused;
	table->unused = conn;
	table->count--;
}

struct connection *
table_next(const struct table *table, const struct connection *conn)
{
	size_t i = conn == NULL ? 0 : (size_t)(conn - table->all) + 1;

	for (; i < table->limit; i++)
		if (table->all[i].id != 0)
			return &table->all[i];
	return NULL;
}
