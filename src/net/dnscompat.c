/*
 * c-ares by its versions.
 *
 * Runs in the resolver, jailed, on datagrams from anywhere.  Which of the
 * functions below have something to do is found by the build's tests of
 * the library (config.h), never by a version number.
 */
#include "net/dnscompat.h"

#include <string.h>

#include "config.h"

#define HEADER 12 /* of a message, RFC 1035, 4.1.1 */
#define RCODE_SERVFAIL 2

int
dnscompat_init(ares_channel *ares, struct ares_options *options, int mask)
{
#ifdef HAVE_ARES_OPTIONS_QCACHE_MAX_TTL
	options->qcache_max_ttl = 0;
	mask |= ARES_OPT_QUERY_CACHE;
#endif
	return ares_init_options(ares, options, mask);
}

void
dnscompat_process(ares_channel ares, ares_socket_t in, ares_socket_t out)
{
#ifdef HAVE_ARES_PROCESS_FDS
	ares_fd_events_t events[2] = { { in, ARES_FD_EVENT_READ },
		{ out, ARES_FD_EVENT_WRITE } };

	/* Without a socket c-ares skips the entry. */
	ares_process_fds(ares, events, 2, ARES_PROCESS_FLAG_SKIP_NON_FD);
#else
	ares_process_fd(ares, in, out);
#endif
}

#ifdef HAVE_ARES_DNS_PARSE
static int
is_readable(const unsigned char *bytes, size_t len)
{
	ares_dns_record_t *record = NULL;

	if (ares_dns_parse(bytes, len, 0, &record) != ARES_SUCCESS)
		return 0;
	ares_dns_record_destroy(record);
	return 1;
}

/* Length of header and one question without compression; 0: not there. */
static size_t
question_end(const unsigned char *bytes, size_t len)
{
	size_t at = HEADER;

	if (len < HEADER)
		return 0;
	while (at < len && bytes[at] != 0) {
		if (bytes[at] > 63)
			return 0;
		at += 1U + bytes[at];
	}
	return at < len && len - at >= 5 ? at + 5 : 0;
}

size_t
dnscompat_mend(unsigned char *bytes, size_t len)
{
	if (is_readable(bytes, len))
		return len;
	len = question_end(bytes, len);
	if (len == 0)
		return 0;
	/* One question, nothing else, and the server has failed. */
	bytes[2] &= 0xfd; /* not cut short: no need for TCP */
	bytes[3] = (bytes[3] & 0xf0) | RCODE_SERVFAIL;
	memset(bytes + 4, 0, 8);
	bytes[5] = 1;
	return is_readable(bytes, len) ? len : 0;
}
#else
size_t
dnscompat_mend(unsigned char *bytes, size_t len)
{
	(void)bytes;
	return len;
}
#endif
