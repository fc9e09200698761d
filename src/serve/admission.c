/*
 * Admission.  Runs in the monitor.
 *
 * Tables are sealed copies that master handed over after a child without
 * rights had checked them; nobody can change them while they are mapped.
 * Names come from the resolver, which meets the network, and were checked
 * when they were decoded.
 */
#include "serve/admission.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "net/sock.h"
#include "rules/rules.h"
#include "rules/rulevars.h"
#include "serve/certpolicy.h"
#include "serve/life.h"
#include "serve/lookup.h"
#include "serve/monitor_state.h"
#include "serve/rulefile.h"

#define RETRY_SECONDS 0.1 /* until a session can be made */
/* How often it is looked who has left: so many at once, and then the rest. */
#define LOOK_SECONDS 0.5
#define LOOKS_PER_TURN 200
#define TURN_SECONDS 0.002
/* All variables of a connection's rules. */
#define VARIABLES_MAX 16384
#define VARIABLES_COUNT_MAX 200 /* with ours, fewer than EXEC takes */

enum outcome { ALLOW, DENY, UNUSABLE };

/* Rule tables. */

static void
unmap(struct rule_table *table)
{
	if (table->bytes != NULL)
		munmap(table->bytes, table->len);
	table->bytes = NULL;
	table->len = table->told_count = 0;
}

static int
map(struct rule_table *table, int fd)
{
	struct stat st;
	void *bytes;

	if (fstat(fd, &st) == -1 || st.st_size <= 0)
		return -1;
	bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return -1;
	unmap(table);
	table->bytes = bytes;
	table->len = (size_t)st.st_size;
	return 0;
}

static const char *
path_of(const struct monitor *m, const struct rule_table *table)
{
	return table == &m->early_rules ? m->settings->early_rules
					: m->settings->rules;
}

void
admission_take_rules(struct monitor *m, const struct msg *msg, int fd)
{
	struct msg_reader r;
	struct rule_table *table;
	uint64_t which, news;

	msg_read_from(&r, msg);
	which = msg_get_number(&r);
	news = msg_get_number(&r);
	table = which == 0 ? &m->early_rules : &m->rules;
	table->is_missing = news == RULEFILE_MISSING;
	if (news == RULEFILE_NEW && fd != -1 && map(table, fd) == -1)
		events_error(&m->events, "unable to map a rule table");
	else if (news == RULEFILE_NEW && fd != -1)
		events_rules(
		    &m->events, which == 0, path_of(m, table), table->len);
	else if (news == RULEFILE_MISSING)
		unmap(table);
	fd_close(&fd);
}

/* Profiles. */

int
admission_find_profile(const struct monitor *m, struct connection *conn)
{
	int number = profiles_find(
	    &m->newest->profiles, conn->variables, conn->variables_len);

	if (number == -1)
		return -1;
	conn->profile = (size_t)number;
	return 0;
}

/*
 * What the table says of the client.  Without a table: unusable, unless it
 * is missing and that is permitted.
 */
static enum outcome
look_up(const struct monitor *m, const struct rule_table *table,
    const struct rules_client *client, struct rules_verdict *verdict)
{
	memset(verdict, 0, sizeof(*verdict));
	if (table->bytes == NULL)
		return table->is_missing && m->settings->missing_is_empty
		    ? ALLOW
		    : UNUSABLE;
	if (rules_decide(verdict, table->bytes, table->len, client) == -1)
		return UNUSABLE;
	return verdict->is_found && verdict->denies ? DENY : ALLOW;
}

/* Variables that the rules of a connection set. */

/* Once for each rule of a table, and of so many rules. */
static bool
is_told(struct rule_table *table, const struct rules_verdict *verdict)
{
	size_t at =
	    (size_t)(verdict->key - (const unsigned char *)table->bytes);
	size_t i;

	for (i = 0; i < table->told_count; i++)
		if (table->told[i] == at)
			return true;
	if (table->told_count == RULES_TOLD_MAX)
		return true;
	table->told[table->told_count++] = at;
	return false;
}

/* The rule cannot be followed: for those who can mend it. */
static void
tell_defect(struct monitor *m, struct rule_table *table,
    const struct rules_verdict *verdict, const char *variable,
    const char *reason, const struct ip *client)
{
	char rule[TEXT_PRINTABLE_SIZE], shown[TEXT_PRINTABLE_SIZE];
	char ip[IP_TEXT_SIZE];

	if (is_told(table, verdict))
		return;
	events_error(&m->events, "rule file %s, rule %s: %s: %s; refused: %s",
	    path_of(m, table), rules_show(rule, verdict),
	    text_printable(shown, variable, strlen(variable)), reason,
	    ip_format(ip, client));
}

/* A copy, as the table can be replaced before the program starts. */
static int
keep_variable(struct connection *conn, const char *text)
{
	size_t len = strlen(text) + 1;
	char *grown;

	if (len > VARIABLES_MAX - conn->variables_len ||
	    ++conn->variable_count > VARIABLES_COUNT_MAX)
		return -1;
	grown = realloc(conn->variables, conn->variables_len + len);
	if (grown == NULL)
		return -1;
	memcpy(grown + conn->variables_len, text, len);
	conn->variables = grown;
	conn->variables_len += len;
	return 0;
}

/* What a rule says to us. */
struct wishes {
	struct limits_policy *limits;
	bool *has_limit;
	struct certpolicy_change cert;
};

/* What the variable says, which has been found to be sound. */
static void
take_wish(struct wishes *wishes, const char *text)
{
	int r = -1;

	if (rulevars_is(text, "MAXCONIP"))
		r = limits_read_source(wishes->limits, strchr(text, '=') + 1);
	else if (rulevars_is(text, "MAXCONNET"))
		r = limits_read_network(wishes->limits, strchr(text, '=') + 1);
	else
		(void)certpolicy_take(&wishes->cert, text);
	*wishes->has_limit = *wishes->has_limit || r == 0;
}

/*
 * Take the variables of a rule of this table.  0; or -1: the connection
 * cannot be served as the rule says, and a line has said why.
 */
static int
take_variables(struct monitor *m, struct connection *conn,
    struct rule_table *table, const struct rules_verdict *verdict,
    struct limits_policy *policy, bool *has_limit)
{
	struct wishes wishes = { .limits = policy, .has_limit = has_limit };
	const char *text, *reason, *shaping = NULL;
	struct profile shape; /* what it says of TLS does not matter here */
	size_t at = 0;

	while (verdict->is_found &&
	    (text = rules_variable(verdict, &at)) != NULL) {
		reason = rulevars_refusal(text);
		if (reason == NULL && keep_variable(conn, text) == -1)
			reason = "the variables are too many or too long";
		else if (profile_take(&shape, text))
			shaping = text;
		if (reason != NULL) {
			tell_defect(
			    m, table, verdict, text, reason, &conn->remote.ip);
			return -1;
		}
		take_wish(&wishes, text);
	}
	if (shaping != NULL && admission_find_profile(m, conn) == -1) {
		tell_defect(m, table, verdict, shaping,
		    "TLS settings that are not loaded", &conn->remote.ip);
		return -1;
	}
	certpolicy_apply(&conn->cert, &wishes.cert);
	return 0;
}

/* Refusals. */

static void
tell_deny(struct monitor *m, const struct connection *conn,
    const struct rules_verdict *verdict, size_t limit)
{
	char shown[TEXT_PRINTABLE_SIZE];
	const char *rule = NULL;
	const struct events_client client = { .local_host = conn->local_host,
		.local = &conn->local,
		.remote = &conn->remote,
		.remote_host = conn->host,
		.remote_info = conn->info };

	/* Refusals are to be cheap. */
	if (m->settings->verbosity >= VERBOSITY_DETAILS)
		rule = rules_show(shown, verdict);
	events_deny(&m->events, &client, rule, limit);
}

static void
tell_unusable(struct monitor *m, const char *path, const struct ip *ip)
{
	char text[IP_TEXT_SIZE], shown[TEXT_PRINTABLE_SIZE];

	events_rules_unusable(&m->events,
	    text_printable(shown, path, strlen(path)), ip_format(text, ip));
}

/* The connection has a place, and loses it. */
static void
refuse(struct monitor *m, struct connection *conn)
{
	fd_close(&conn->client_fd);
	conn->session_is_gone = true;
	life_release_if_over(m, conn);
}

/*
 * Those who leave while they wait.  A place is worth more than the time of
 * a look-up.  No loop is told of it: asked for input it would wake for every
 * client that speaks first, whose bytes are not ours to read.
 */

static void
watch_leavers(struct monitor *m, double seconds)
{
	if (ev_is_active(&m->leavers))
		return;
	ev_timer_set(&m->leavers, seconds, 0);
	ev_timer_start(m->loop, &m->leavers);
}

/*
 * Release those who have reset their connections.  A client that has only
 * closed its own direction may have said all it has to say, and stays.
 */
static void
on_leavers(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct monitor *m = timer->data;
	struct connection *conn = m->looked_at;
	unsigned left = LOOKS_PER_TURN;
	bool is_anybody = conn != NULL;

	(void)loop;
	(void)revents;
	while (left > 0 && (conn = table_next(&m->table, conn)) != NULL) {
		left--;
		if (conn->state != CONN_LOOKUP)
			continue;
		is_anybody = true;
		if (sock_has_ended(conn->client_fd))
			admission_cancel(m, conn);
	}
	m->looked_at = conn;
	if (conn != NULL)
		watch_leavers(m, TURN_SECONDS);
	else if (is_anybody)
		watch_leavers(m, LOOK_SECONDS);
}

/* The last step. */

static void
decide(struct monitor *m, struct connection *conn)
{
	const struct rules_client client = { .ip = conn->remote.ip.bytes,
		.host = conn->host,
		.info = conn->info };
	struct limits_policy policy = m->settings->limits;
	enum outcome outcome = ALLOW;
	struct rules_verdict verdict;
	bool has_limit = conn->has_early_limit;
	int client_fd;

	ev_timer_stop(m->loop, &conn->deadline);
	if (!monitor_is_ready(m)) {
		/* Sessions or descriptors are short: it goes on waiting. */
		watch_leavers(m, LOOK_SECONDS);
		ev_timer_set(&conn->deadline, RETRY_SECONDS, 0);
		ev_timer_start(m->loop, &conn->deadline);
		return;
	}
	if (has_limit)
		policy = conn->early_limits;
	memset(&verdict, 0, sizeof(verdict));
	if (m->settings->rules != NULL && !conn->skips_rules)
		outcome = look_up(m, &m->rules, &client, &verdict);
	if (outcome == UNUSABLE)
		tell_unusable(m, m->settings->rules, &conn->remote.ip);
	if (outcome != ALLOW) {
		tell_deny(m, conn, &verdict, 0);
		refuse(m, conn);
		return;
	}
	if (take_variables(m, conn, &m->rules, &verdict, &policy, &has_limit) ==
	    -1) {
		tell_deny(m, conn, &verdict, 0);
		refuse(m, conn);
		return;
	}
	if (has_limit) {
		switch (limits_check(&conn->hold, &policy)) {
		case LIMITS_SOURCE:
			tell_deny(m, conn, &verdict, policy.per_source);
			refuse(m, conn);
			return;
		case LIMITS_NETWORK:
			tell_deny(m, conn, &verdict, policy.per_network);
			refuse(m, conn);
			return;
		case LIMITS_WITHIN:
			break;
		}
	}
	client_fd = conn->client_fd;
	conn->client_fd = -1;
	monitor_admit(m, conn, client_fd);
}

/* Those who wait. */

void
admission_take_names(
    struct monitor *m, struct connection *conn, const struct msg *msg)
{
	if (conn->state != CONN_LOOKUP || conn->asked == 0)
		return;
	lookup_take_names(m, conn, msg);
	decide(m, conn);
}

void
admission_without_names(struct monitor *m, struct connection *conn)
{
	lookup_cancel(m, conn);
	decide(m, conn);
}

void
admission_deadline(struct monitor *m, struct connection *conn)
{
	if (conn->asked != 0 && !lookup_is_over(m, conn))
		return;
	if (conn->asked != 0 && lookup_is_stuck(m, conn))
		monitor_replace_resolver(m, MSG_STUCK_SILENT);
	else
		admission_without_names(m, conn);
}

void
admission_cancel(struct monitor *m, struct connection *conn)
{
	ev_timer_stop(m->loop, &conn->deadline);
	lookup_cancel(m, conn);
	refuse(m, conn);
}

/* The first steps. */

/* Within the limits of the start?  If not, a line and nothing held. */
static bool
is_within_limits(
    struct monitor *m, struct limits_hold *hold, const struct ip *ip)
{
	const struct limits_policy *policy = &m->settings->limits;
	enum limits_verdict verdict;

	verdict = limits_reserve(&m->limits, hold, ip, policy);
	if (verdict == LIMITS_WITHIN)
		return true;
	events_limit(&m->events, ip,
	    verdict == LIMITS_SOURCE ? policy->per_source
				     : policy->per_network);
	limits_release(&m->limits, hold);
	return false;
}

static enum outcome
within_early_limits(struct connection *conn)
{
	const struct limits_policy *policy = &conn->early_limits;

	switch (limits_check(&conn->hold, policy)) {
	case LIMITS_SOURCE:
		conn->exceeded = policy->per_source;
		return DENY;
	case LIMITS_NETWORK:
		conn->exceeded = policy->per_network;
		return DENY;
	case LIMITS_WITHIN:
	default:
		return ALLOW;
	}
}

/* Early rules: by address alone, before anything is made for the client. */
static enum outcome
decide_early(
    struct monitor *m, struct connection *conn, struct rules_verdict *verdict)
{
	const struct rules_client client = { .ip = conn->remote.ip.bytes };
	enum outcome outcome;

	memset(verdict, 0, sizeof(*verdict));
	if (m->settings->early_rules == NULL)
		return ALLOW;
	outcome = look_up(m, &m->early_rules, &client, verdict);
	if (outcome == UNUSABLE)
		tell_unusable(m, m->settings->early_rules, &conn->remote.ip);
	if (outcome != ALLOW)
		return outcome;
	conn->early_limits = m->settings->limits;
	if (take_variables(m, conn, &m->early_rules, verdict,
		&conn->early_limits, &conn->has_early_limit) == -1)
		return DENY;
	conn->skips_rules = verdict->is_found && !verdict->is_default;
	/* Now, not after the look-ups: those who wait hold places. */
	return conn->has_early_limit ? within_early_limits(conn) : ALLOW;
}

/* The local end, which costs a system call: not for silent refusals. */
static void
find_local(struct connection *conn)
{
	if (sock_local(conn->client_fd, &conn->local) == -1)
		memset(&conn->local, 0, sizeof(conn->local));
}

bool
admission_begin(
    struct monitor *m, int client_fd, const struct ip_endpoint *remote)
{
	struct limits_hold hold = { NULL };
	struct rules_verdict verdict;
	struct connection *conn;

	if (!is_within_limits(m, &hold, &remote->ip)) {
		fd_close(&client_fd);
		return false;
	}
	conn = table_take(&m->table); /* there is one: see watch_listener */
	conn->remote = *remote;
	conn->hold = hold;
	conn->cert = m->settings->cert;
	conn->client_fd = client_fd;
	conn->state = CONN_LOOKUP;
	monitor_prepare(m, conn);
	if (decide_early(m, conn, &verdict) != ALLOW) {
		if (m->settings->verbosity >= VERBOSITY_ALL) {
			find_local(conn);
			lookup_local_host(m, conn);
		}
		tell_deny(m, conn, &verdict, conn->exceeded);
		refuse(m, conn);
		return false;
	}
	find_local(conn);
	monitor_tell_status(m);
	if (lookup_begin(m, conn))
		watch_leavers(m, LOOK_SECONDS);
	else
		decide(m, conn);
	return true;
}

void
admission_prepare(struct monitor *m)
{
	ev_timer_init(&m->leavers, on_leavers, LOOK_SECONDS, 0);
	m->leavers.data = m;
}
