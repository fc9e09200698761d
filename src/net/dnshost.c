/*
 * dnshost: from a name to addresses.
 *
 * Runs in the child of sslclient that looks up its host, without rights.
 * A and AAAA are asked for at the same time; each question goes from server
 * to server, the next one after two seconds or when one has failed.
 */
#include "net/dnshost.h"

#include <sys/socket.h>

#include <ev.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/dnslink.h"

#define TRY_SECONDS 2.0
/* Each server is asked so often. */
#define ROUNDS 2

struct finding;

/* The question for one type of record. */
struct question {
	struct finding *finding;
	enum dnsmsg_type type;
	struct dnslink_query *query; /* of the last try; NULL: answered */
	ev_timer again;
	size_t tries;
	bool is_done;
	struct dnsmsg_answer answer;
	enum dnsmsg_kind kind;
};

struct finding {
	struct ev_loop *loop;
	const struct resolvconf *conf;
	struct dnslink *links[RESOLVCONF_SERVERS_MAX];
	char name[DNSMSG_NAME_SIZE];
	ev_timer late;
	size_t running;
	struct question questions[2]; /* AAAA and A */
};

static void
conclude(struct question *question, enum dnsmsg_kind kind)
{
	struct finding *finding = question->finding;

	dnslink_forget(question->query);
	question->query = NULL;
	ev_timer_stop(finding->loop, &question->again);
	question->is_done = true;
	question->kind = kind;
	if (--finding->running == 0)
		ev_break(finding->loop, EVBREAK_ALL);
}

static void on_reply(void *arg, const unsigned char *bytes, size_t len);

/* Ask the next server, or give up. */
static void
try_next(struct question *question)
{
	struct finding *finding = question->finding;
	size_t count = finding->conf->server_count;

	dnslink_forget(question->query);
	question->query = NULL;
	while (question->query == NULL) {
		if (question->tries >= ROUNDS * count) {
			conclude(question, DNSMSG_FAILED);
			return;
		}
		question->query =
		    dnslink_ask(finding->links[question->tries++ % count],
			finding->name, question->type, on_reply, question);
	}
	ev_timer_stop(finding->loop, &question->again);
	ev_timer_set(&question->again, TRY_SECONDS, 0.);
	ev_timer_start(finding->loop, &question->again);
}

/* dnslink_reply */
static void
on_reply(void *arg, const unsigned char *bytes, size_t len)
{
	struct question *question = arg;
	enum dnsmsg_kind kind = DNSMSG_FAILED;

	question->query = NULL;
	if (bytes != NULL)
		kind = dnsmsg_read(&question->answer, bytes, len,
		    question->finding->name, question->type);
	if (kind == DNSMSG_FAILED)
		try_next(question);
	else
		conclude(question, kind);
}

static void
on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
	(void)loop;
	(void)revents;
	try_next(timer->data);
}

static void
on_late(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct finding *finding = timer->data;
	size_t i;

	(void)loop;
	(void)revents;
	for (i = 0; i < 2; i++)
		if (!finding->questions[i].is_done)
			conclude(&finding->questions[i], DNSMSG_FAILED);
}

static void
begin(struct finding *finding, size_t i, enum dnsmsg_type type, bool is_wanted)
{
	struct question *question = &finding->questions[i];

	question->finding = finding;
	question->type = type;
	question->query = NULL;
	question->tries = 0;
	question->is_done = !is_wanted;
	question->kind = DNSMSG_NONE;
	ev_timer_init(&question->again, on_again, 0., 0.);
	question->again.data = question;
	if (is_wanted)
		finding->running++;
}

/* Ask for the name in finding. */
static enum dns_result
ask(struct finding *finding, int family, int64_t deadline)
{
	int64_t left = deadline - clock_now();
	bool has_failed = false;
	size_t i;

	finding->running = 0;
	begin(finding, 0, DNSMSG_AAAA, family != AF_INET);
	begin(finding, 1, DNSMSG_A, family != AF_INET6);
	ev_timer_init(
	    &finding->late, on_late, left > 0 ? (double)left / 1000. : 0., 0.);
	finding->late.data = finding;
	ev_now_update(finding->loop);
	ev_timer_start(finding->loop, &finding->late);
	for (i = 0; i < 2; i++)
		if (!finding->questions[i].is_done)
			try_next(&finding->questions[i]);
	if (finding->running > 0)
		ev_run(finding->loop, 0);
	ev_timer_stop(finding->loop, &finding->late);
	for (i = 0; i < 2; i++) {
		if (finding->questions[i].kind == DNSMSG_FOUND)
			return DNS_FOUND;
		has_failed |= finding->questions[i].kind == DNSMSG_FAILED;
	}
	return has_failed ? DNS_FAILED : DNS_NONE;
}

static void
collect(const struct finding *finding, struct ip *found, size_t *count)
{
	size_t i, j;

	for (i = 0; i < 2; i++) {
		const struct question *question = &finding->questions[i];

		if (question->kind != DNSMSG_FOUND)
			continue;
		for (j = 0; j < question->answer.count &&
		     *count < DNSHOST_ADDRESSES_MAX;
		     j++)
			found[(*count)++] = question->answer.addresses[j];
	}
}

/* The n-th form of name to be asked for.  false: there are no more. */
static bool
nth_name(struct finding *finding, const char *name, int n)
{
	size_t len = strlen(name);
	bool is_whole = len > 0 && name[len - 1] == '.';
	bool has_domain = !is_whole && finding->conf->domain[0] != '\0';
	bool is_first = strchr(name, '.') == NULL && has_domain;
	char text[2 * DNSMSG_NAME_SIZE];

	if (n > (has_domain ? 1 : 0))
		return false;
	if (has_domain && is_first == (n == 0))
		text_format(
		    text, sizeof(text), "%s.%s", name, finding->conf->domain);
	else
		text_copy(text, sizeof(text), name);
	/* One that is too long is left out: it cannot be. */
	if (dnsmsg_host_name(finding->name, text) == -1)
		finding->name[0] = '\0';
	return true;
}

static enum dns_result
ask_all(struct finding *finding, const char *name, int family, int64_t deadline)
{
	enum dns_result result = DNS_NONE;
	int n;

	for (n = 0; nth_name(finding, name, n); n++) {
		if (finding->name[0] != '\0')
			result = ask(finding, family, deadline);
		/* What failed may exist: another name would be a wrong one. */
		if (result != DNS_NONE)
			break;
	}
	return result;
}

/* Is name localhost, or below it, with or without a final dot? */
static bool
is_local(const char *name)
{
	static const char local[] = "localhost";
	char host[DNSMSG_NAME_SIZE];
	size_t len;

	if (dnsmsg_host_name(host, name) == -1)
		return false;
	len = strlen(host);
	if (len < sizeof(local) - 1)
		return false;
	len -= sizeof(local) - 1;
	return strcmp(host + len, local) == 0 &&
	    (len == 0 || host[len - 1] == '.');
}

static size_t
fill_local(struct ip *found, int family)
{
	size_t count = 0;

	if (family != AF_INET)
		(void)ip_parse("::1", &found[count++]);
	if (family != AF_INET6)
		(void)ip_parse("127.0.0.1", &found[count++]);
	return count;
}

enum dns_result
dnshost_find(const struct resolvconf *conf, const char *name, int family,
    int64_t deadline, struct ip found[DNSHOST_ADDRESSES_MAX], size_t *count)
{
	static struct finding finding;
	enum dns_result result = DNS_FAILED;
	size_t i;

	*count = 0;
	if (is_local(name)) {
		*count = fill_local(found, family);
		return DNS_FOUND;
	}
	memset(&finding, 0, sizeof(finding));
	finding.conf = conf;
	/* NOENV: the environment has no say in how we wait. */
	finding.loop = ev_loop_new(EVFLAG_NOENV);
	if (finding.loop == NULL)
		return DNS_FAILED;
	for (i = 0; i < conf->server_count; i++)
		finding.links[i] = dnslink_new(finding.loop, &conf->servers[i]);
	for (i = 0; i < conf->server_count && finding.links[i] != NULL; i++)
		continue;
	if (i == conf->server_count)
		result = ask_all(&finding, name, family, deadline);
	if (result == DNS_FOUND)
		collect(&finding, found, count);
	for (i = 0; i < conf->server_count; i++)
		dnslink_free(finding.links[i]);
	ev_loop_destroy(finding.loop);
	return result;
}
