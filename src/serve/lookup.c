/*
 * What is found out about a client before the rules.  Runs in the monitor.
 *
 * The resolver asks, for all clients at once; here is what it is asked, and
 * what becomes of its answers.  It meets the network and is not believed:
 * names were checked when they were decoded, and its deadlines are kept here
 * once more.
 */
#include "serve/lookup.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "serve/monitor_state.h"
#include "serve/query.h"

/* PTR and forward confirmation together. */
#define NAMES_MS 10000
/* After the resolver's own deadline. */
#define PATIENCE_SECONDS 1.0

/* Our own names. */

static struct local_name *
find_local_name(struct monitor *m, const struct ip *ip)
{
	size_t i;

	for (i = 0; i < m->local_name_count; i++)
		if (ip_equal(&m->local_names[i].ip, ip))
			return &m->local_names[i];
	return NULL;
}

/* Once per local address, whatever the answer is. */
static void
keep_local_name(struct monitor *m, const struct ip *ip, const char *name)
{
	struct local_name *local = find_local_name(m, ip);

	if (local == NULL && m->local_name_count < LOCAL_NAMES_MAX)
		local = &m->local_names[m->local_name_count++];
	if (local == NULL)
		return;
	local->ip = *ip;
	text_copy(local->name, sizeof(local->name), name ? name : "");
}

bool
lookup_local_host(struct monitor *m, struct connection *conn)
{
	const struct local_name *local;

	if (m->settings->local_name != NULL) {
		conn->local_host = m->settings->local_name;
		return true;
	}
	local = find_local_name(m, &conn->local.ip);
	if (local != NULL && local->name[0] != '\0')
		conn->local_host = local->name;
	return local != NULL || m->local_name_count == LOCAL_NAMES_MAX;
}

/* Questions. */

bool
lookup_begin(struct monitor *m, struct connection *conn)
{
	const struct settings *s = m->settings;
	int64_t now = clock_now();
	struct query query = { .local = conn->local,
		.remote = conn->remote,
		.name_deadline = clock_after(now, NAMES_MS),
		.info_deadline = clock_after(now, (int64_t)s->ident_s * 1000) };
	unsigned char body[QUERY_SIZE];
	struct msg_writer w;
	double wait = NAMES_MS / 1000.0;

	if (s->wants_name)
		query.wants |= QUERY_NAME;
	if (s->wants_name && s->is_paranoid)
		query.wants |= QUERY_CONFIRM;
	if (s->wants_ident)
		query.wants |= QUERY_INFO;
	if (!lookup_local_host(m, conn))
		query.wants |= QUERY_LOCAL_NAME;
	msg_write_to(&w, body, sizeof(body));
	if (query.wants == 0 || query_put(&query, &w) == -1 ||
	    chan_send_bytes(&m->resolver, MSG_QUERY, conn->id, body, w.len) ==
		-1)
		return false;
	monitor_watch(m, &m->resolver, &m->resolver_io);
	if (s->wants_ident && wait < s->ident_s)
		wait = s->ident_s;
	ev_timer_set(&conn->deadline, wait + PATIENCE_SECONDS, 0);
	ev_timer_start(m->loop, &conn->deadline);
	return true;
}

static char *
copy_of(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

void
lookup_take_names(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	struct query_names names;

	if (query_get_names(&names, msg) == -1)
		memset(&names, 0, sizeof(names));
	conn->host = copy_of(names.host);
	conn->info = copy_of(names.info);
	if (m->settings->local_name == NULL && conn->local_host == NULL) {
		keep_local_name(m, &conn->local.ip, names.local_host);
		(void)lookup_local_host(m, conn);
	}
}

void
lookup_cancel(struct monitor *m, struct connection *conn)
{
	chan_send_bytes(&m->resolver, MSG_CANCEL, conn->id, NULL, 0);
	monitor_watch(m, &m->resolver, &m->resolver_io);
}
