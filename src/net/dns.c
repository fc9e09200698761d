/*
 * Host names of addresses: look-ups, their retries, and the cache.
 *
 * Runs in the resolver.  Three things: a question is what a caller waits
 * for, with its deadline; a look-up is the work for one address, shared by
 * all questions for it, and stays in the cache afterwards; a search is one
 * DNS question of a look-up (its PTR record, or the addresses of one name)
 * with its tries.  A server is asked again after two seconds, the next one
 * at once when one fails, and the one that answered last is the first to be
 * asked.  Answers to callers are always given from the loop, so no caller
 * changes what we are walking through.
 */
#include "net/dns.h"

#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "net/dnslink.h"
#include "net/dnsmsg.h"

#define TRIES_MAX 4
#define TRIES_OUT 2 /* answers waited for at once */
#define TRY_SECONDS 2.0

struct search;

/* One question sent, while its answer is out. */
struct
try {
	struct search *search;
	struct dnslink_query *query;
	size_t server;
};

struct search {
	struct lookup *lookup; /* NULL: not running */
	char name[DNS_NAME_SIZE];
	enum dnsmsg_type type;
	ev_timer again;
	struct try tries[TRIES_MAX];
	unsigned sent;
	size_t first; /* server */
};

/* What a look-up needs only while it runs. */
struct progress {
	struct search reverse;
	struct search forward[DNSMSG_NAMES_MAX];
	size_t running; /* of forward */
	bool has_failed;
	uint32_t ttl;
};

struct lookup {
	struct dns *dns;
	struct lookup *next;	      /* of the same bucket */
	struct lookup *newer, *older; /* of those known */
	struct ip ip;
	bool is_confirmed;
	struct dns_question *questions; /* that wait for it */
	uint64_t heard;			/* of dns, when it began */
	struct progress *progress;	/* NULL: known */
	int64_t expires;
	enum dns_result result;
	char name[DNS_NAME_SIZE];
};

struct dns_question {
	struct dns *dns;
	struct lookup *lookup;		   /* NULL: answered, or too late */
	struct dns_question *next, **prev; /* of lookup, or of dns->answered */
	ev_timer timer;
	dns_answer *answer;
	void *arg;
	enum dns_result result;
	char name[DNS_NAME_SIZE];
};

struct dns {
	struct ev_loop *loop;
	struct dns_settings settings;
	struct dnslink *links[DNS_SERVERS_MAX];
	size_t good;	/* the server that answered last */
	uint64_t heard; /* answers of any kind */
	/* A look-up that heard nothing, and what had been heard by then. */
	struct ip unheard;
	bool has_unheard;
	uint64_t unheard_at;
	size_t questions, known;
	bool is_closing; /* freed with the last question */
	struct dns_question *answered;
	struct lookup *newest, *oldest; /* known */
	struct lookup **buckets;
	size_t bucket_mask;
	uint64_t key[3]; /* nobody outside can choose a bucket */
};

/* The table of look-ups. */

/* Every bit of the result shall depend on every bit of n. */
static uint64_t
mix(uint64_t n, uint64_t key)
{
	n ^= n >> 32;
	n *= key | 1;
	n ^= n >> 32;
	n *= key | 1;
	return n ^ n >> 32;
}

static struct lookup **
bucket(struct dns *dns, const struct ip *ip)
{
	uint64_t half[2], hash;

	memcpy(half, ip->bytes, sizeof(half));
	hash = mix(half[0] ^ dns->key[0], dns->key[2]);
	hash = mix(hash ^ half[1] ^ dns->key[1], dns->key[2]);
	return &dns->buckets[(size_t)hash & dns->bucket_mask];
}

static void
list_known(struct lookup *lookup)
{
	struct dns *dns = lookup->dns;

	lookup->newer = NULL;
	lookup->older = dns->newest;
	if (dns->newest != NULL)
		dns->newest->newer = lookup;
	else
		dns->oldest = lookup;
	dns->newest = lookup;
	dns->known++;
}

static void
unlist_known(struct lookup *lookup)
{
	struct dns *dns = lookup->dns;

	*(lookup->newer ? &lookup->newer->older : &dns->newest) = lookup->older;
	*(lookup->older ? &lookup->older->newer : &dns->oldest) = lookup->newer;
	dns->known--;
}

/* Searches. */

static void search_hear(void *, const unsigned char *, size_t);

static void
forget_try(struct try *try)
{
	dnslink_forget(try->query);
	try->query = NULL;
}

static void
search_stop(struct search *search)
{
	unsigned i;

	if (search->lookup == NULL)
		return;
	ev_timer_stop(search->lookup->dns->loop, &search->again);
	for (i = 0; i < search->sent; i++)
		forget_try(&search->tries[i]);
	search->lookup = NULL;
}

/* Send once more.  False when it was not possible. */
static bool
search_send(struct search *search)
{
	struct dns *dns = search->lookup->dns;
	struct try *try = &search->tries[search->sent];

	try->search = search;
	try->server =
	    (search->first + search->sent) % dns->settings.server_count;
	if (search->sent >= TRIES_OUT)
		forget_try(&search->tries[search->sent - TRIES_OUT]);
	search->sent++;
	try->query = dnslink_ask(dns->links[try->server], search->name,
	    search->type, search_hear, try);
	return try->query != NULL;
}

/*
 * Send until one try is out, to each server not yet asked at most once.
 * False when none is.
 */
static bool
search_try(struct search *search)
{
	struct dns *dns = search->lookup->dns;
	bool is_out = false;

	do {
		if (search->sent == TRIES_MAX)
			return false;
		is_out = search_send(search);
	} while (!is_out && search->sent < dns->settings.server_count);
	ev_timer_stop(dns->loop, &search->again);
	if (is_out && search->sent < TRIES_MAX) {
		ev_timer_set(&search->again, TRY_SECONDS, 0);
		ev_timer_start(dns->loop, &search->again);
	}
	return is_out;
}

static bool
search_is_waiting(const struct search *search)
{
	unsigned i;

	for (i = 0; i < search->sent; i++)
		if (search->tries[i].query != NULL)
			return true;
	return false;
}

static void lookup_hear(
    struct search *, enum dnsmsg_kind, const struct dnsmsg_answer *);

static void
search_fail(struct search *search)
{
	lookup_hear(search, DNSMSG_FAILED, NULL);
}

static void
on_again(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct search *search = timer->data;

	(void)loop;
	(void)revents;
	if (!search_try(search) && !search_is_waiting(search))
		search_fail(search);
}

static void
search_hear(void *arg, const unsigned char *bytes, size_t len)
{
	struct try *try = arg;
	struct search *search = try->search;
	struct dns *dns = search->lookup->dns;
	enum dnsmsg_kind kind = DNSMSG_FAILED;
	struct dnsmsg_answer answer;

	try->query = NULL;
	dns->heard += bytes != NULL;
	if (bytes != NULL)
		kind = dnsmsg_read(
		    &answer, bytes, len, search->name, search->type);
	if (kind != DNSMSG_FAILED) {
		dns->good = try->server;
		lookup_hear(search, kind, &answer);
		return;
	}
	/* The next server at once; the same one not before its time. */
	if (search->sent < dns->settings.server_count && search_try(search))
		return;
	if (!search_is_waiting(search))
		search_fail(search);
}

/* Begin.  False when no server can be asked. */
static bool
search_start(struct search *search, struct lookup *lookup, const char *name,
    enum dnsmsg_type type)
{
	search->lookup = lookup;
	search->type = type;
	search->sent = 0;
	search->first = lookup->dns->good;
	text_copy(search->name, sizeof(search->name), name);
	ev_timer_init(&search->again, on_again, 0, 0);
	search->again.data = search;
	if (lookup->dns->settings.server_count > 0 && search_try(search))
		return true;
	search_stop(search);
	return false;
}

/* Look-ups. */

static void
progress_stop(struct lookup *lookup)
{
	struct progress *progress = lookup->progress;
	size_t i;

	if (progress == NULL)
		return;
	search_stop(&progress->reverse);
	for (i = 0; i < DNSMSG_NAMES_MAX; i++)
		search_stop(&progress->forward[i]);
	free(progress);
	lookup->progress = NULL;
}

static void
lookup_free(struct lookup *lookup)
{
	struct lookup **at = bucket(lookup->dns, &lookup->ip);

	if (lookup->progress == NULL)
		unlist_known(lookup);
	progress_stop(lookup);
	while (*at != lookup)
		at = &(*at)->next;
	*at = lookup->next;
	free(lookup);
}

/* Move a question from one list to another. */
static void
question_move(struct dns_question *question, struct dns_question **list)
{
	if (question->prev != NULL) {
		*question->prev = question->next;
		if (question->next != NULL)
			question->next->prev = question->prev;
	}
	question->prev = list;
	question->next = *list;
	if (question->next != NULL)
		question->next->prev = &question->next;
	*list = question;
}

/* The answer is known: the loop gives it. */
static void
question_settle(struct dns_question *question, const struct lookup *lookup)
{
	struct dns *dns = question->dns;

	question->lookup = NULL;
	question->result = lookup->result;
	text_copy(question->name, sizeof(question->name), lookup->name);
	question_move(question, &dns->answered);
	ev_timer_stop(dns->loop, &question->timer);
	ev_timer_set(&question->timer, 0, 0);
	ev_timer_start(dns->loop, &question->timer);
}

static uint32_t
seconds_kept(enum dns_result result, uint32_t ttl)
{
	if (result == DNS_FAILED)
		return DNS_FAILED_TTL;
	if (result == DNS_NONE)
		return DNS_NONE_TTL;
	return ttl < DNS_TTL_MAX ? ttl : DNS_TTL_MAX;
}

/*
 * Has a look-up of another address heard nothing, either?  One may be for
 * lack of those who answer for this address alone.
 */
static bool
is_second_silence(struct dns *dns, const struct ip *ip)
{
	if (dns->has_unheard && dns->unheard_at == dns->heard)
		return !ip_equal(&dns->unheard, ip);
	dns->unheard = *ip;
	dns->unheard_at = dns->heard;
	dns->has_unheard = true;
	return false;
}

/* The look-up has not found anything out.  Is it for lack of servers? */
static void
tell_silence(const struct lookup *lookup)
{
	struct dns *dns = lookup->dns;

	if (dns->heard == lookup->heard && dns->settings.server_count > 0 &&
	    is_second_silence(dns, &lookup->ip) &&
	    dns->settings.silence != NULL)
		dns->settings.silence(dns->settings.silence_arg);
}

/* The look-up has ended: its searches, perhaps it itself, are freed. */
static void
lookup_end(struct lookup *lookup, enum dns_result result, const char *name)
{
	struct dns *dns = lookup->dns;
	int64_t kept = seconds_kept(result, lookup->progress->ttl);

	if (result == DNS_FAILED)
		tell_silence(lookup);
	lookup->result = result;
	text_copy(lookup->name, sizeof(lookup->name), name);
	progress_stop(lookup);
	list_known(lookup);
	lookup->expires = clock_after(clock_now(), kept * 1000);
	while (lookup->questions != NULL)
		question_settle(lookup->questions, lookup);
	if (dns->known > dns->settings.max_cached)
		lookup_free(dns->oldest);
}

static void
lookup_end_unconfirmed(struct lookup *lookup)
{
	lookup_end(
	    lookup, lookup->progress->has_failed ? DNS_FAILED : DNS_NONE, "");
}

/* Ask for the addresses of every name; one that has ours will do. */
static void
confirm(struct lookup *lookup, char names[][DNS_NAME_SIZE], size_t count)
{
	struct progress *progress = lookup->progress;
	enum dnsmsg_type type = ip_is_v4(&lookup->ip) ? DNSMSG_A : DNSMSG_AAAA;
	size_t i;

	for (i = 0; i < count; i++)
		if (search_start(&progress->forward[i], lookup, names[i], type))
			progress->running++;
		else
			progress->has_failed = true;
	if (progress->running == 0)
		lookup_end_unconfirmed(lookup);
}

static void
hear_reverse(struct lookup *lookup, const struct dnsmsg_answer *answer)
{
	char names[DNSMSG_NAMES_MAX][DNS_NAME_SIZE];
	size_t i, count = 0;

	for (i = 0; i < answer->count; i++)
		if (dnsmsg_host_name(names[count], answer->names[i]) == 0)
			count++;
	if (count == 0)
		lookup_end(lookup, DNS_NONE, "");
	else if (!lookup->is_confirmed)
		lookup_end(lookup, DNS_FOUND, names[0]);
	else
		confirm(lookup, names, count);
}

static void
hear_forward(
    struct lookup *lookup, const char *name, const struct dnsmsg_answer *answer)
{
	size_t i;

	for (i = 0; answer != NULL && i < answer->count; i++)
		if (ip_equal(&answer->addresses[i], &lookup->ip)) {
			lookup_end(lookup, DNS_FOUND, name);
			return;
		}
	if (--lookup->progress->running == 0)
		lookup_end_unconfirmed(lookup);
}

/* A search has its answer. */
static void
lookup_hear(struct search *search, enum dnsmsg_kind kind,
    const struct dnsmsg_answer *answer)
{
	struct lookup *lookup = search->lookup;
	struct progress *progress = lookup->progress;

	search_stop(search);
	if (kind != DNSMSG_FOUND)
		answer = NULL;
	else if (answer->ttl < progress->ttl)
		progress->ttl = answer->ttl;
	if (kind == DNSMSG_FAILED)
		progress->has_failed = true;
	if (search != &progress->reverse)
		hear_forward(lookup, search->name, answer);
	else if (answer != NULL)
		hear_reverse(lookup, answer);
	else
		lookup_end_unconfirmed(lookup);
}

/* Begin, or begin again.  0, or -1 without memory. */
static int
lookup_start(struct lookup *lookup)
{
	char name[DNS_NAME_SIZE];

	lookup->progress = calloc(1, sizeof(*lookup->progress));
	if (lookup->progress == NULL)
		return -1;
	lookup->progress->ttl = UINT32_MAX;
	lookup->heard = lookup->dns->heard;
	if (!search_start(&lookup->progress->reverse, lookup,
		dnsmsg_reverse(name, &lookup->ip), DNSMSG_PTR))
		lookup->progress->has_failed = true;
	return 0;
}

/* The look-up for this question, running or known; NULL: out of memory. */
static struct lookup *
lookup_find(struct dns *dns, const struct ip *ip, bool is_confirmed)
{
	struct lookup **at = bucket(dns, ip), *lookup;

	for (lookup = *at; lookup != NULL; lookup = lookup->next)
		if (ip_equal(&lookup->ip, ip) &&
		    lookup->is_confirmed == is_confirmed)
			break;
	if (lookup != NULL && lookup->progress == NULL &&
	    lookup->expires <= clock_now()) {
		lookup_free(lookup);
		lookup = NULL;
	}
	if (lookup != NULL)
		return lookup;
	lookup = calloc(1, sizeof(*lookup));
	if (lookup == NULL)
		return NULL;
	lookup->dns = dns;
	lookup->ip = *ip;
	lookup->is_confirmed = is_confirmed;
	if (lookup_start(lookup) == -1) {
		free(lookup);
		return NULL;
	}
	lookup->next = *at;
	*at = lookup;
	return lookup;
}

/* Questions. */

static void
question_free(struct dns_question *question)
{
	struct dns_question *none = NULL;
	struct dns *dns = question->dns;

	ev_timer_stop(dns->loop, &question->timer);
	question_move(question, &none);
	free(question);
	dns->questions--;
	if (dns->is_closing)
		dns_free(dns);
}

/* It waits no more; a look-up that nobody waits for ends. */
static void
question_leave(struct dns_question *question)
{
	struct lookup *lookup = question->lookup;

	question->lookup = NULL;
	question_move(question, &question->dns->answered);
	if (lookup != NULL && lookup->questions == NULL)
		lookup_free(lookup);
}

/* The answer is there, or the time is over. */
static void
on_timer(struct ev_loop *loop, ev_timer *timer, int revents)
{
	struct dns_question *question = timer->data;
	dns_answer *answer = question->answer;
	enum dns_result result = question->result;
	void *arg = question->arg;
	char name[DNS_NAME_SIZE];

	(void)loop;
	(void)revents;
	if (question->lookup != NULL) {
		tell_silence(question->lookup);
		question_leave(question);
	}
	text_copy(name, sizeof(name), question->name);
	question_free(question);
	answer(arg, result, result == DNS_FOUND ? name : NULL);
}

static void
start_timer(struct dns_question *question, int64_t deadline)
{
	struct ev_loop *loop = question->dns->loop;
	int64_t left = deadline - clock_now();

	ev_timer_init(&question->timer, on_timer, 0, 0);
	question->timer.data = question;
	if (deadline == CLOCK_NEVER)
		return;
	/* The loop's clock may be late: a turn can be long. */
	ev_now_update(loop);
	ev_timer_set(&question->timer, left > 0 ? (double)left / 1000 : 0, 0);
	ev_timer_start(loop, &question->timer);
}

struct dns_question *
dns_ask(struct dns *dns, const struct ip *ip, bool is_confirmed,
    int64_t deadline, dns_answer *answer, void *arg)
{
	struct dns_question *question;
	struct lookup *lookup;

	if (dns->questions >= dns->settings.max_questions) {
		errno = EAGAIN;
		return NULL;
	}
	question = calloc(1, sizeof(*question));
	if (question == NULL)
		return NULL;
	lookup = lookup_find(dns, ip, is_confirmed);
	if (lookup == NULL) {
		free(question);
		return NULL;
	}
	dns->questions++;
	question->dns = dns;
	question->answer = answer;
	question->arg = arg;
	question->result = DNS_FAILED;
	question->lookup = lookup;
	question_move(question, &lookup->questions);
	start_timer(question, deadline);
	if (lookup->progress == NULL)
		question_settle(question, lookup);
	else if (lookup->progress->reverse.lookup == NULL &&
	    lookup->progress->running == 0)
		lookup_end_unconfirmed(lookup);
	return question;
}

void
dns_forget(struct dns_question *question)
{
	if (question == NULL)
		return;
	question_leave(question);
	question_free(question);
}

static int
make_links(struct dns *dns)
{
	size_t i;

	for (i = 0; i < dns->settings.server_count; i++) {
		dns->links[i] =
		    dnslink_new(dns->loop, &dns->settings.servers[i]);
		if (dns->links[i] == NULL)
			return -1;
	}
	return 0;
}

static int
make_table(struct dns *dns)
{
	size_t count = 64;

	while (count < dns->settings.max_cached + dns->settings.max_questions)
		count *= 2;
	dns->buckets = calloc(count, sizeof(struct lookup *));
	dns->bucket_mask = count - 1;
	return dns->buckets == NULL ? -1 : 0;
}

struct dns *
dns_new(struct ev_loop *loop, const struct dns_settings *settings)
{
	struct dns *dns = calloc(1, sizeof(*dns));

	if (dns == NULL)
		return NULL;
	dns->loop = loop;
	dns->settings = *settings;
	if (getentropy(dns->key, sizeof(dns->key)) == 0 &&
	    make_table(dns) == 0 && make_links(dns) == 0)
		return dns;
	dns_free(dns);
	return NULL;
}

void
dns_free(struct dns *dns)
{
	size_t i;

	if (dns == NULL)
		return;
	dns->is_closing = true;
	if (dns->questions > 0)
		return;
	while (dns->oldest != NULL)
		lookup_free(dns->oldest);
	for (i = 0; i < DNS_SERVERS_MAX; i++)
		dnslink_free(dns->links[i]);
	free(dns->buckets);
	free(dns);
}
