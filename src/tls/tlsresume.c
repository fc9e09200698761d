/*
 * tlsresume: the library's session cache, kept elsewhere.
 *
 * Runs in a session.  The library's callbacks are answered from one fetch
 * and end in one store.  What comes out of the cache was put there by a
 * session that may have been taken over, with the same policy as this one:
 * it is parsed as carefully as what comes from the network, and what it
 * says of the client's certificate is worth what that policy is.  The
 * library's form of a session has the client's certificate but not its
 * chain, so that the chain stands beside it.
 *
 * An entry is a row of items, each four bytes of length, most significant
 * first, and DER: the session, then the chain.
 */
#include "tls/tlsresume.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "base/buf.h"
#include "base/text.h"
#include "tls/tlscompat.h"
#include "tls/tlstrust.h"

#define LENGTH_SIZE 4

/* Where an SSL keeps its struct tlsresume; the same for every one. */
static int place = -1;

/*
 * Bytes and back
 */

static unsigned char *
put_length(unsigned char *at, size_t len)
{
	at[0] = (unsigned char)(len >> 24);
	at[1] = (unsigned char)(len >> 16);
	at[2] = (unsigned char)(len >> 8);
	at[3] = (unsigned char)len;
	return at + LENGTH_SIZE;
}

/* Of the whole entry; 0: it is too long, or cannot be encoded. */
static size_t
entry_size(SSL_SESSION *session, const STACK_OF(X509) * chain)
{
	int i, count = chain == NULL ? 0 : sk_X509_num(chain);
	int len = i2d_SSL_SESSION(session, NULL);
	size_t sum = 0;

	for (i = 0; len > 0 && len <= TLSRESUME_ENTRY_MAX; i++) {
		sum += LENGTH_SIZE + (size_t)len;
		if (sum > TLSRESUME_ENTRY_MAX)
			return 0;
		if (i == count)
			return sum;
		len = i2d_X509(sk_X509_value(chain, i), NULL);
	}
	return 0;
}

/* Of a chain that is in bounds, as entry_size has found. */
static size_t
chain_size(const STACK_OF(X509) * chain)
{
	size_t sum = 0;
	int i;

	for (i = 0; chain != NULL && i < sk_X509_num(chain); i++)
		sum += LENGTH_SIZE +
		    (size_t)i2d_X509(sk_X509_value(chain, i), NULL);
	return sum;
}

static void
encode_chain(const STACK_OF(X509) * chain, unsigned char *at)
{
	int i;

	for (i = 0; chain != NULL && i < sk_X509_num(chain); i++) {
		X509 *cert = sk_X509_value(chain, i);

		at = put_length(at, (size_t)i2d_X509(cert, NULL));
		i2d_X509(cert, &at);
	}
}

/* Into as many bytes as entry_size says. */
static void
encode(SSL_SESSION *session, const STACK_OF(X509) * chain, unsigned char *at)
{
	at = put_length(at, (size_t)i2d_SSL_SESSION(session, NULL));
	i2d_SSL_SESSION(session, &at);
	encode_chain(chain, at);
}

static SSL_SESSION *
decode_session(const unsigned char *der, size_t len)
{
	const unsigned char *at = der;
	SSL_SESSION *session;

	if (der == NULL)
		return NULL;
	session = d2i_SSL_SESSION(NULL, &at, (long)len);
	if (session != NULL && at == der + len)
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

static int
add_cert(STACK_OF(X509) * chain, const unsigned char *der, size_t len)
{
	const unsigned char *at = der;
	X509 *cert = tlscompat_x509_new();

	if (cert != NULL && d2i_X509(&cert, &at, (long)len) != NULL &&
	    at == der + len && sk_X509_push(chain, cert) > 0)
		return 0;
	X509_free(cert);
	return -1;
}

/* The rest of the row.  NULL: malformed, or memory is short. */
static STACK_OF(X509) * decode_chain(const struct buf *row, size_t at)
{
	STACK_OF(X509) *chain = sk_X509_new_null();
	const unsigned char *der;
	size_t len;

	while (chain != NULL && (der = tlstrust_next(row, &at, &len)) != NULL)
		if (add_cert(chain, der, len) == -1)
			break;
	if (chain != NULL && der == NULL && len == 0)
		return chain;
	sk_X509_pop_free(chain, X509_free);
	return NULL;
}

/*
 * Asking
 */

/*
 * When it can be resumed no more, counted from its full handshake.  skew is
 * how far the clock that was read then may have been ahead of ours.
 */
static long
seconds_left(SSL_SESSION *session, long now, long skew)
{
	long begun = SSL_SESSION_get_time(session);
	long lives = SSL_SESSION_get_timeout(session);

	if (begun > now && begun - now <= skew)
		begun = now;
	/* From the future: the clock was set back, or it is made up. */
	if (begun > now || lives <= 0 || lives > TLSRESUME_LIFETIME_MAX ||
	    now - begun >= lives)
		return 0;
	return lives - (now - begun);
}

static bool
is_of_use(const struct tlsresume *resume, SSL_SESSION *session,
    const STACK_OF(X509) * chain, const unsigned char *id)
{
	unsigned id_len;
	const unsigned char *own = SSL_SESSION_get_id(session, &id_len);
	X509 *cert = SSL_SESSION_get0_peer(session);

	return id_len == TLSRESUME_ID_SIZE &&
	    memcmp(own, id, TLSRESUME_ID_SIZE) == 0 &&
	    tlsverify_again(&resume->verify, cert, chain);
}

/*
 * What a session that goes on hands down to those that follow is what is
 * left of its life, so that the client's certificate is checked anew in
 * time (RFC 8446, section 4.6.1).
 */
static bool
shorten_life(SSL_SESSION *session, long skew)
{
	long now = (long)time(NULL), left = seconds_left(session, now, skew);

	return left > 0 && SSL_SESSION_set_time(session, now) != 0 &&
	    SSL_SESSION_set_timeout(session, left) != 0;
}

static void
take_answer(struct tlsresume *resume, unsigned char *bytes, size_t entry_len,
    const unsigned char *id)
{
	const struct buf row = { .data = bytes, .len = entry_len };
	STACK_OF(X509) *chain = NULL;
	SSL_SESSION *session;
	const unsigned char *der;
	size_t at = 0, len;

	der = tlstrust_next(&row, &at, &len);
	session = decode_session(der, len);
	if (session != NULL)
		chain = decode_chain(&row, at);
	if (chain != NULL && is_of_use(resume, session, chain, id) &&
	    shorten_life(session, 0)) {
		resume->found = session;
		resume->chain = chain;
		return;
	}
	SSL_SESSION_free(session);
	sk_X509_pop_free(chain, X509_free);
	ERR_clear_error();
}

static void
ask(struct tlsresume *resume, const unsigned char *id)
{
	unsigned char bytes[TLSRESUME_ENTRY_MAX];
	size_t len = resume->cache->fetch(
	    resume->cache->arg, id, TLSRESUME_ID_SIZE, bytes, sizeof(bytes));

	memcpy(resume->asked, id, TLSRESUME_ID_SIZE);
	resume->asked_len = TLSRESUME_ID_SIZE;
	if (len == 0)
		return;
	take_answer(resume, bytes, len, id);
	OPENSSL_cleanse(bytes, len);
}

/* Has this been asked for?  One question is all there is. */
static bool
was_asked(const struct tlsresume *resume, const unsigned char *id, size_t len)
{
	return resume->asked_len == len && memcmp(resume->asked, id, len) == 0;
}

/*
 * The library's question.  It comes again after a HelloRetryRequest, and for
 * each ticket that a client offers; one is asked for.
 */
static SSL_SESSION *
get_session(SSL *ssl, const unsigned char *id, int id_len, int *is_shared)
{
	struct tlsresume *resume = SSL_get_ex_data(ssl, place);

	*is_shared = 1; /* it takes a reference of its own */
	if (resume == NULL || resume->cache->fetch == NULL ||
	    id_len != TLSRESUME_ID_SIZE)
		return NULL;
	if (resume->asked_len == 0)
		ask(resume, id);
	return was_asked(resume, id, TLSRESUME_ID_SIZE) ? resume->found : NULL;
}

/*
 * Telling
 */

static void
keep(struct tlsresume *resume, SSL_SESSION *session,
    const STACK_OF(X509) * chain)
{
	struct tlsresume_entry *entry = &resume->entries[resume->count];
	unsigned id_len;
	const unsigned char *id = SSL_SESSION_get_id(session, &id_len);

	entry->len = entry_size(session, chain);
	if (id_len != TLSRESUME_ID_SIZE || entry->len == 0)
		return;
	entry->bytes = malloc(entry->len);
	if (entry->bytes == NULL)
		return;
	memcpy(entry->id, id, TLSRESUME_ID_SIZE);
	encode(session, chain, entry->bytes);
	resume->count++;
}

/* The library has made a session; it stays the library's. */
static int
new_session(SSL *ssl, SSL_SESSION *session)
{
	struct tlsresume *resume = SSL_get_ex_data(ssl, place);

	/* Told of what is sealed, too. */
	if (SSL_version(ssl) == TLS1_3_VERSION &&
	    (SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0)
		return 0;
	if (resume != NULL && resume->cache->store != NULL &&
	    resume->count < TLSRESUME_ENTRIES_MAX)
		keep(resume, session, tlsresume_chain(ssl));
	return 0;
}

static void
forget_entries(struct tlsresume *resume)
{
	while (resume->count > 0) {
		struct tlsresume_entry *entry =
		    &resume->entries[--resume->count];

		OPENSSL_cleanse(entry->bytes, entry->len);
		free(entry->bytes);
	}
}

void
tlsresume_conclude(struct tlsresume *resume)
{
	if (resume->count > 0)
		resume->cache->store(
		    resume->cache->arg, resume->entries, resume->count);
	forget_entries(resume);
}

/*
 * Tickets
 *
 * A ticket holds the library's form of a session, which has a place for data
 * of ours: the chain, as a row like that of an entry behind one byte, by
 * which a session whose chain was too long is known.
 */

#define CHAIN_FOLLOWS 1

static void
ask_by_name(struct tlsresume *resume, const unsigned char *name)
{
	unsigned char bytes[1 + TLSRESUME_SECRET_SIZE];
	size_t len = resume->cache->fetch(resume->cache->arg, name,
	    TLSRESUME_NAME_SIZE, bytes, sizeof(bytes));

	memcpy(resume->asked, name, TLSRESUME_NAME_SIZE);
	resume->asked_len = TLSRESUME_NAME_SIZE;
	if (len != sizeof(bytes))
		return;
	resume->age =
	    bytes[0] == TLSRESUME_OLD ? TLSRESUME_OLD : TLSRESUME_FRESH;
	memcpy(resume->found_ticket.secret, bytes + 1, TLSRESUME_SECRET_SIZE);
	OPENSSL_cleanse(bytes, sizeof(bytes));
}

static enum tlscompat_secret
find_secret(struct tlsresume *resume, const unsigned char *name,
    const unsigned char **secret)
{
	if (resume == NULL || resume->cache->fetch == NULL)
		return TLSCOMPAT_NO_SECRET;
	if (resume->asked_len == 0)
		ask_by_name(resume, name);
	if (!was_asked(resume, name, TLSRESUME_NAME_SIZE) || resume->age == 0)
		return TLSCOMPAT_NO_SECRET;
	*secret = resume->found_ticket.secret;
	return resume->age == TLSRESUME_OLD ? TLSCOMPAT_OLD_SECRET
					    : TLSCOMPAT_SECRET;
}

/*
 * A ticket must be sealed with something: the library has no good way to
 * give none at this point.  One that nobody can open again is as good.
 */
static int
make_tickets(struct tlsresume *resume)
{
	resume->has_made = true;
	if (resume->cache->make != NULL &&
	    resume->cache->make(resume->cache->arg, resume->made))
		return 0;
	return getentropy(resume->made, sizeof(resume->made));
}

/* NULL: there is no randomness. */
static const struct tlsresume_ticket *
next_ticket(struct tlsresume *resume)
{
	static struct tlsresume_ticket nobodys;

	/* A handshake with ourselves, to warm up. */
	if (resume == NULL)
		return getentropy(&nobodys, sizeof(nobodys)) == -1 ? NULL
								   : &nobodys;
	if (!resume->has_made && make_tickets(resume) == -1)
		return NULL;
	return &resume->made[resume->made_count++ % TLSRESUME_ENTRIES_MAX];
}

static enum tlscompat_secret
next_secret(
    struct tlsresume *resume, unsigned char *name, const unsigned char **secret)
{
	const struct tlsresume_ticket *ticket = next_ticket(resume);

	if (ticket == NULL)
		return TLSCOMPAT_NO_SECRET;
	memcpy(name, ticket->name, sizeof(ticket->name));
	*secret = ticket->secret;
	return TLSCOMPAT_SECRET;
}

static enum tlscompat_secret
find_or_make(
    SSL *ssl, unsigned char *name, bool is_new, const unsigned char **secret)
{
	struct tlsresume *resume = SSL_get_ex_data(ssl, place);

	return is_new ? next_secret(resume, name, secret)
		      : find_secret(resume, name, secret);
}

/* A ticket is about to be sealed.  false: the handshake fails. */
static bool
add_chain(SSL *ssl, SSL_SESSION *session)
{
	const STACK_OF(X509) *chain = tlsresume_chain(ssl);
	size_t size = chain_size(chain);
	unsigned char *row;
	bool is_added;

	if (entry_size(session, chain) == 0)
		return tlscompat_set_ticket_data(session, NULL, 0);
	row = malloc(1 + size);
	if (row == NULL)
		return false;
	row[0] = CHAIN_FOLLOWS;
	encode_chain(chain, row + 1);
	is_added = tlscompat_set_ticket_data(session, row, 1 + size);
	free(row);
	return is_added;
}

/* One has been opened.  Is the session in it of use? */
static bool
take_ticket(SSL *ssl, SSL_SESSION *session)
{
	struct tlsresume *resume = SSL_get_ex_data(ssl, place);
	STACK_OF(X509) *chain = NULL;
	struct buf row = { .data = NULL };
	bool is_fine;

	if (resume == NULL)
		return false;
	tlscompat_ticket_data(session, &row.data, &row.len);
	if (row.len > 0 && row.data[0] == CHAIN_FOLLOWS)
		chain = decode_chain(&row, 1);
	is_fine = chain != NULL &&
	    tlsverify_again(
		&resume->verify, SSL_SESSION_get0_peer(session), chain) &&
	    shorten_life(session, TLSRESUME_SKEW);
	sk_X509_pop_free(resume->chain, X509_free);
	resume->chain = is_fine ? chain : NULL;
	if (!is_fine)
		sk_X509_pop_free(chain, X509_free);
	ERR_clear_error();
	return is_fine;
}

/*
 * Contexts and connections
 */

int
tlsresume_seal(SSL_CTX *ctx)
{
	static const struct tlscompat_tickets tickets = { find_or_make,
		add_chain, take_ticket };

	if (tlscompat_set_tickets(ctx, &tickets) == -1)
		return -1;
	SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
	return 0;
}

int
tlsresume_prepare(SSL_CTX *ctx, unsigned lifetime_s)
{
	/* Never a ticket that holds a session. */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	if (lifetime_s == 0) {
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
		return 0;
	}
	if (place == -1)
		place = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	if (place == -1)
		return -1;
	tlscompat_bind_to_name(ctx);
	SSL_CTX_set_num_tickets(ctx, TLSRESUME_ENTRIES_MAX);
	SSL_CTX_set_timeout(ctx, (long)lifetime_s);
	SSL_CTX_set_session_cache_mode(ctx,
	    SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL |
		SSL_SESS_CACHE_NO_AUTO_CLEAR);
	SSL_CTX_sess_set_new_cb(ctx, new_session);
	SSL_CTX_sess_set_get_cb(ctx, get_session);
	return 0;
}

int
tlsresume_begin(struct tlsresume *resume, SSL *ssl,
    const struct tlsverify *verify, const struct tlsresume_cache *cache)
{
	memset(resume, 0, sizeof(*resume));
	resume->cache = cache;
	resume->verify = *verify;
	if (verify->host != NULL) {
		if (text_copy(
			resume->host, sizeof(resume->host), verify->host) == -1)
			return -1;
		resume->verify.host = resume->host;
	}
	if (place == -1)
		return 0;
	return SSL_set_ex_data(ssl, place, resume) == 1 ? 0 : -1;
}

void
tlsresume_end(struct tlsresume *resume)
{
	forget_entries(resume);
	OPENSSL_cleanse(&resume->found_ticket, sizeof(resume->found_ticket));
	OPENSSL_cleanse(resume->made, sizeof(resume->made));
	SSL_SESSION_free(resume->found);
	sk_X509_pop_free(resume->chain, X509_free);
	resume->found = NULL;
	resume->chain = NULL;
}

STACK_OF(X509) * tlsresume_chain(SSL *ssl)
{
	const struct tlsresume *resume =
	    place == -1 ? NULL : SSL_get_ex_data(ssl, place);

	if (resume != NULL && SSL_session_reused(ssl))
		return resume->chain;
	return SSL_get_peer_cert_chain(ssl);
}
