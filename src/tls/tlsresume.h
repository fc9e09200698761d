/*
 * tlsresume: a session of one connection goes on in another one.
 *
 * What is needed for that is kept by somebody else, under a random number
 * that the client is told; nothing that a client holds decrypts anything,
 * and no key exists that would.  TLS 1.2 by session number, TLS 1.3 by
 * tickets that are no more than such numbers.  No early data.
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

/*
 * Get what is kept under id into bytes.  Returns its length, or 0: nothing.
 * May block; asked for once in a handshake, before a signature.
 */
typedef size_t tlsresume_fetch_fn(void *arg,
    const unsigned char id[TLSRESUME_ID_SIZE], unsigned char *bytes,
    size_t size);

/*
 * Keep these; their bytes are gone afterwards.  Called at most once, when
 * the handshake is done and before the client knows of it.
 */
typedef void tlsresume_store_fn(
    void *arg, const struct tlsresume_entry *entries, size_t count);

/* Who keeps sessions.  Both NULL: nobody. */
struct tlsresume_cache {
	tlsresume_fetch_fn *fetch;
	tlsresume_store_fn *store;
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
	bool has_asked;
	struct ssl_session_st *found; /* the answer; NULL: nothing of use */
	struct stack_st_X509 *chain;  /* of found */
	struct tlsresume_entry entries[TLSRESUME_ENTRIES_MAX];
	size_t count;
};

/*
 * Have the connections of ctx, a server's, be resumable for so many seconds
 * after a full handshake; 0: not at all.  0, or -1: memory is short.
 */
int tlsresume_prepare(struct ssl_ctx_st *ctx, unsigned lifetime_s);

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
