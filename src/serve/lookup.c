/*
 * What is found out about a client before the rules.  Runs in the monitor.
 *
 * The resolver asks, for all clients at once; here is what it is asked, and
 * what becomes of its answers.  It meets the network and is not believed:
 * names were checked when they were decoded, and its deadlines are kept here
 * once more.
 */
#include "serve/lookup.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "serve/monitor_state.h"
#include "serve/query.h"

/* PTR and forward confirmation together. */
#define NAMES_MS 10000
/*
 * After the resolver's own deadline, twice: what it said in time may be in
 * the socket, and then it shall have the time to say something to anybody.
 */
#define PATIENCE_SECONDS 0.5
/* How long a local address that has no name is not asked about again. */
#define LOCAL_NAME_MS 60000

static char *
copy_of(const char *text)
{
	return text == NULL ? NULL : strdup(text);
}

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

/* A place for this address: a free one, or that which was not used longest. */
static struct local_name *
add_local_name(struct monitor *m, const struct ip *ip)
{
	struct local_name *local = &m->local_names[0];
	size_t i;

	for (i = 1; i < m->local_name_count; i++)
		if (m->local_names[i].used < local->used)
			local = &m->local_names[i];
	if (m->local_name_count < LOCAL_NAMES_MAX)
		local = &m->local_names[m->local_name_count++];
	local->ip = *ip;
	local->name[0] = '\0';
	local->used = ++m->local_name_uses;
	return local;
}

/*
 * A name is kept as long as there is room; that there is none, or nobody
 * told, only for a while.
 */
static void
keep_local_name(struct monitor *m, const struct ip *ip, const char *name)
{
	struct local_name *local = find_local_name(m, ip);

	if (local == NULL)
		local = add_local_name(m, ip);
	if (local->name[0] != '\0')
		return;
	local->ask_at = clock_after(clock_now(), LOCAL_NAME_MS);
	if (name != NULL)
		text_copy(local->name, sizeof(local->name), name);
}

/* Is the name of this address to be asked, and by whoever asks first? */
static bool
is_to_be_asked(struct monitor *m, const struct ip *ip)
{
	struct local_name *local = find_local_name(m, ip);
	int64_t now;

	if (local == NULL)
		return true;
	local->used = ++m->local_name_uses;
	now = clock_now();
	if (local->name[0] != '\0' || now < local->ask_at)
		return false;
	/* One client waits for it, not all that come meanwhile. */
	local->ask_at = clock_after(now, LOCAL_NAME_MS);
	return true;
}

void
lookup_local_host(struct monitor *m, struct connection *conn)
{
	const char *name = m->settings->local_name;
	const struct local_name *local = find_local_name(m, &conn->local.ip);

	if (name == NULL && local != NULL && local->name[0] != '\0')
		name = local->name;
	free(conn->local_host);
	conn->local_host = copy_of(name);
}

/* Questions. */

static void
set_deadline(struct monitor *m, struct connection *conn, double seconds)
{
	ev_timer_stop(m->loop, &conn->deadline);
	ev_timer_set(&conn->deadline, seconds, 0);
	ev_timer_start(m->loop, &conn->deadline);
}

/* Until the resolver must have answered. */
static double
longest_wait(const struct settings *settings, unsigned wants)
{
	double wait = wants & ~(unsigned)QUERY_INFO ? NAMES_MS / 1000.0 : 0;

	if (wants & QUERY_INFO && wait < settings->ident_s)
		wait = settings->ident_s;
	return wait;
}

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

	if (s->wants_name)
		query.wants |= QUERY_NAME;
	if (s->wants_name && s->is_paranoid)
		query.wants |= QUERY_CONFIRM;
	if (s->wants_ident)
		query.wants |= QUERY_INFO;
	lookup_local_host(m, conn);
	if (s->local_name == NULL && is_to_be_asked(m, &conn->local.ip))
		query.wants |= QUERY_LOCAL_NAME;
	msg_write_to(&w, body, sizeof(body));
	if (query.wants == 0 || query_put(&query, &w) == -1 ||
	    chan_send_bytes(&m->resolver, MSG_QUERY, conn->id, body, w.len) ==
		-1)
		return false;
	conn->asked = query.wants;
	monitor_watch(m, &m->resolver, &m->resolver_io);
	set_deadline(m, conn, longest_wait(s, query.wants) + PATIENCE_SECONDS);
	return true;
}

bool
lookup_is_over(struct monitor *m, struct connection *conn)
{
	if (conn->late_since != 0)
		return true;
	conn->late_since = ev_now(m->loop);
	set_deadline(m, conn, PATIENCE_SECONDS);
	return false;
}

bool
lookup_is_stuck(const struct monitor *m, const struct connection *conn)
{
	return m->resolver_heard < conn->late_since;
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
	if (conn->asked & QUERY_LOCAL_NAME) {
		keep_local_name(m, &conn->local.ip, names.local_host);
		lookup_local_host(m, conn);
	}
	conn->asked = 0;
}

void
lookup_cancel(struct monitor *m, struct connection *conn)
{
	if (conn->asked == 0)
		return;
	conn->asked = 0;
	chan_send_bytes(&m->resolver, MSG_CANCEL, conn->id, NULL, 0);
	monitor_watch(m, &m->resolver, &m->resolver_io);
}
