/*
 * Questions about a client, and what the resolver found.
 *
 * Runs in master, monitor and resolver.  The resolver reads bytes that
 * anybody on the network may have sent, so what it says is checked here by
 * its receiver: a name that could harm a rule, the log or the environment
 * does not get past this file, not even from a resolver taken over.
 */
#include "serve/query.h"

#include <string.h>

#include "net/dnsmsg.h"
#include "serve/msg.h"

static void
put_endpoint(const struct ip_endpoint *end, struct msg_writer *w)
{
	msg_put_bytes(w, end->ip.bytes, sizeof(end->ip.bytes));
	msg_put_number(w, end->port);
	msg_put_number(w, end->scope);
}

static void
get_endpoint(struct ip_endpoint *end, struct msg_reader *r)
{
	size_t len;
	const unsigned char *bytes = msg_get_bytes(r, &len);
	uint64_t port = msg_get_number(r), scope = msg_get_number(r);

	memset(end, 0, sizeof(*end));
	if (len != sizeof(end->ip.bytes) || port > UINT16_MAX ||
	    scope > UINT32_MAX) {
		r->failed = true;
		return;
	}
	memcpy(end->ip.bytes, bytes, len);
	end->port = (uint16_t)port;
	end->scope = (uint32_t)scope;
}

int
query_put(const struct query *query, struct msg_writer *w)
{
	size_t len;

	put_endpoint(&query->local, w);
	put_endpoint(&query->remote, w);
	msg_put_number(w, query->wants);
	msg_put_number(w, (uint64_t)query->name_deadline);
	msg_put_number(w, (uint64_t)query->info_deadline);
	return msg_written(w, &len);
}

int
query_get(struct query *query, const struct msg *msg)
{
	struct msg_reader r;
	uint64_t wants;

	msg_read_from(&r, msg);
	get_endpoint(&query->local, &r);
	get_endpoint(&query->remote, &r);
	wants = msg_get_number(&r);
	query->wants = (unsigned)wants;
	query->name_deadline = (int64_t)msg_get_number(&r);
	query->info_deadline = (int64_t)msg_get_number(&r);
	return wants > QUERY_WANTS_ALL ? -1 : msg_read_all(&r);
}

int
query_put_names(const struct query_names *names, struct msg_writer *w)
{
	size_t len;

	msg_put_text(w, names->host);
	msg_put_text(w, names->info);
	msg_put_text(w, names->local_host);
	return msg_written(w, &len);
}

/* Is it just as the resolver's own check leaves a name? */
static bool
is_host(const char *name)
{
	char host[DNSMSG_NAME_SIZE];

	return name == NULL ||
	    (dnsmsg_host_name(host, name) == 0 && strcmp(host, name) == 0);
}

static bool
is_info(const char *info)
{
	size_t i;

	if (info == NULL)
		return true;
	for (i = 0; info[i] != '\0'; i++)
		if (info[i] < ' ' || info[i] > '~')
			return false;
	return i > 0 && i < IDENT_INFO_SIZE;
}

int
query_get_names(struct query_names *names, const struct msg *msg)
{
	struct msg_reader r;

	msg_read_from(&r, msg);
	names->host = msg_get_text(&r);
	names->info = msg_get_text(&r);
	names->local_host = msg_get_text(&r);
	if (msg_read_all(&r) == -1 || !is_host(names->host) ||
	    !is_info(names->info) || !is_host(names->local_host))
		return -1;
	return 0;
}

int
query_put_servers(
    const struct ip_endpoint *servers, size_t count, struct msg_writer *w)
{
	size_t i, len;

	msg_put_number(w, count);
	for (i = 0; i < count; i++)
		put_endpoint(&servers[i], w);
	return msg_written(w, &len);
}

int
query_get_servers(
    struct ip_endpoint *servers, size_t *count, const struct msg *msg)
{
	struct msg_reader r;
	uint64_t number;
	size_t i;

	msg_read_from(&r, msg);
	number = msg_get_number(&r);
	if (number > DNS_SERVERS_MAX)
		return -1;
	*count = (size_t)number;
	for (i = 0; i < *count; i++)
		get_endpoint(&servers[i], &r);
	return msg_read_all(&r);
}
