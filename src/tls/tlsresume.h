/*
 * tlsresume: a session of one connection goes on in another one.
 *
 * What is needed for that is kept by somebody else, under a random number
 * that the client is told; nothing that a client holds decrypts anything,
 * and no key exists that would.  TLS 1.2 by session number, TLS 1.3 by
 * tickets that are no more than such numbers.  No early data.
 *
 * Or, where machines share keys, a client is given the session itself as a
 * ticket (RFC 5077, RFC 8446 section 4.6.1), sealed with a secret of its
 * own, which somebody else makes and finds again by a name in the ticket.
 */
#ifndef TLS_TLSRESUME_H
#define TLS_TLSRESUME_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tlsverify.h"

struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;
struct stack_st_X509;

/* The longest life, in seconds: RFC 8446, section 4.6.1. */
#define TLSRESUME_LIFETIME_MAX 604800

#define TLSRESUME_ID_SIZE 32
/* A session with the client's chain; a longer one is not kept. */
#define TLSRESUME_ENTRY_MAX 16000
/* As many as one handshake makes. */
#define TLSRESUME_ENTRIES_MAX 2

/* A session that can be resumed.  Secret. */
struct tlsresume_entry {
	unsigned char id[TLSRESUME_ID_SIZE];
	unsigned char *bytes;
	size_t len;
};

/* What a ticket is sealed with: AES-256-CBC, then HMAC with SHA-256. */
#define TLSRESUME_NAME_SIZE 16
#define TLSRESUME_SECRET_SIZE 64 /* both keys, in that order */

/* The name is sent along in the clear. */
struct tlsresume_ticket {
	unsigned char name[TLSRESUME_NAME_SIZE];
	unsigned char secret[TLSRESUME_SECRET_SIZE];
};

/* How far the clocks of machines that share keys may be apart, in seconds. */
#define TLSRESUME_SKEW 60

/*
 * Get what is kept under id into bytes.  Returns its length, or 0: nothing.
 * id_len is TLSRESUME_ID_SIZE, or TLSRESUME_NAME_SIZE for the name of a
 * ticket: that is one byte, TLSRESUME_FRESH or TLSRESUME_OLD (the client is
 * to get a new ticket), and the secret.  May block; asked for once in a
 * handshake, before a signature.
 */
typedef size_t tlsresume_fetch_fn(void *arg, const unsigned char *id,
    size_t id_len, unsigned char *bytes, size_t size);

enum tlsresume_age { TLSRESUME_FRESH = 1, TLSRESUME_OLD };

/*
 * Make names and secrets of tickets, as many as a handshake gives.  false:
 * there are none now.  May block; asked for once in a handshake, after it
 * has a signature, or a session to go on with.
 */
typedef bool tlsresume_make_fn(
    void *arg, struct tlsresume_ticket tickets[TLSRESUME_ENTRIES_MAX]);

/*
 * Keep these; their bytes are gone afterwards.  Called at most once, when
 * the handshake is done and before the client knows of it.
 */
typedef void tlsresume_store_fn(
    void *arg, const struct tlsresume_entry *entries, size_t count);

/* Who keeps sessions.  All NULL: nobody. */
struct tlsresume_cache {
	tlsresume_fetch_fn *fetch;
	tlsresume_store_fn *store;
	tlsresume_make_fn *make; /* NULL where no keys are shared */
	void *arg;
};

/* The longest host name, with its NUL. */
#define TLSRESUME_HOST_SIZE 256

/* What a connection needs for it. */
struct tlsresume {
	const struct tlsresume_cache *cache;
	struct tlsverify verify;
	char host[TLSRESUME_HOST_SIZE];
	unsigned char asked[TLSRESUME_ID_SIZE];
	size_t asked_len;	      /* 0: nothing yet */
	struct ssl_session_st *found; /* the answer; NULL: nothing of use */
	struct stack_st_X509 *chain;  /* of found */
	struct tlsresume_entry entries[TLSRESUME_ENTRIES_MAX];
	size_t count;
	/* where keys are shared: what was asked for by name, and made */
	struct tlsresume_ticket found_ticket;
	enum tlsresume_age age; /* 0: nothing was found */
	struct tlsresume_ticket made[TLSRESUME_ENTRIES_MAX];
	size_t made_count; /* given out so far */
	bool has_made;
};

/*
 * Have the connections of ctx, a server's, be resumable for so many seconds
 * after a full handshake; 0: not at all.  0, or -1: memory is short.
 */
int tlsresume_prepare(struct ssl_ctx_st *ctx, unsigned lifetime_s);

/*
 * After that: have sessions sealed as tickets; those of TLS 1.2 whose client
 * knows no tickets stay as they were.  0, or -1: the library cannot.
 */
int tlsresume_seal(struct ssl_ctx_st *ctx);

/*
 * Before the handshake of ssl: *cache, which must stay, is asked and told.
 * A session is resumed only if it is not older than the lifetime, counted
 * from its full handshake however often it has been resumed, and if the
 * client's certificate in it still does for this client: tlsverify_again.
 * *resume must outlive ssl, and then tlsresume_end is due.  0, or -1: host
 * is too long.
 */
int tlsresume_begin(struct tlsresume *resume, struct ssl_st *ssl,
    const struct tlsverify *verify, const struct tlsresume_cache *cache);

/* The handshake has succeeded: hand over what it has made. */
void tlsresume_conclude(struct tlsresume *resume);

void tlsresume_end(struct tlsresume *resume);

/*
 * What the client has sent with its certificate, in this handshake or the
 * one that is resumed; NULL: nothing.  Still the library's, or ours.
 */
struct stack_st_X509 *tlsresume_chain(struct ssl_st *ssl);

#endif
