/*
 * tlschoice: certificates as the library wants them, and who gets which.
 *
 * Runs in the nursery and in sessions.  Certificates come as DER from a
 * keeper, their keys stay there: each is an object that asks for a signature
 * and says which key's (tlsremote).  Those without a name and the
 * first hundreds with one are made once, before the first fork.  Of more a
 * session makes the one its client asked for: thousands of them would make
 * every fork slow, and most are not needed today.
 */
#include "tls/tlschoice.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "tls/tlscerts.h"
#include "tls/tlscompat.h"
#include "tls/tlsfile.h"
#include "tls/tlskey_internal.h"
#include "tls/tlsremote.h"
#include "tls/tlstrust.h"

/*
 * So many are made ready before the first fork.  Each takes a fifth of a
 * millisecond, which its clients save, and some 10 kB, for whose pages every
 * fork pays whether it is asked for or not.
 */
#define READY_MAX 256

/* A certificate; its number is its place in the row. */
struct tlschoice_slot {
	struct tlsremote remote; /* how its key object asks */
	const struct tlschoice *choice;
	X509 *leaf; /* NULL: not made yet */
	STACK_OF(X509) * issuers;
	EVP_PKEY *key;
};

/*
 * Where an SSL is marked as refused, and for what; the same for all.  What
 * the library says of it is its own affair, if it says anything.
 */
static int place = -1;
static char bad_name, bad_protocol;

/* tlsremote_fn */
static int
ask(void *arg, unsigned scheme, const unsigned char *text, size_t len,
    unsigned char *signature, size_t size)
{
	const struct tlschoice_slot *slot = arg;
	const struct tlschoice *choice = slot->choice;

	if (choice->sign == NULL)
		return -1;
	return choice->sign(choice->arg, (size_t)(slot - choice->slots), scheme,
	    text, len, signature, size);
}

static X509 *
decode(const unsigned char *der, size_t len)
{
	X509 *cert = tlscompat_x509_new();

	if (cert == NULL || len > TLSFILE_MAX ||
	    d2i_X509(&cert, &der, (long)len) == NULL) {
		X509_free(cert);
		return NULL;
	}
	return cert;
}

static struct buf
chain_of(const struct tlscert *cert)
{
	return (struct buf){ .data = (unsigned char *)(uintptr_t)cert->chain,
		.len = cert->chain_len };
}

static void
forget(struct tlschoice_slot *slot)
{
	X509_free(slot->leaf);
	sk_X509_pop_free(slot->issuers, X509_free);
	EVP_PKEY_free(slot->key);
	slot->leaf = NULL;
	slot->issuers = NULL;
	slot->key = NULL;
}

static int
make_leaf(struct tlschoice_slot *slot, X509 *cert)
{
	slot->leaf = cert;
	slot->issuers = sk_X509_new_null();
	slot->key = tlsremote_key(X509_get0_pubkey(cert), &slot->remote);
	return slot->issuers != NULL && slot->key != NULL ? 0 : -1;
}

static int
make_next(struct tlschoice_slot *slot, const unsigned char *der, size_t len)
{
	X509 *cert = decode(der, len);

	if (cert == NULL)
		return -1;
	if (slot->leaf == NULL)
		return make_leaf(slot, cert);
	if (sk_X509_push(slot->issuers, cert) > 0)
		return 0;
	X509_free(cert);
	return -1;
}

/* Unless it is there, what the library wants of a certificate. */
static int
make(struct tlschoice *choice, size_t number)
{
	struct tlschoice_slot *slot = &choice->slots[number];
	const struct buf row = chain_of(&choice->certs->all[number]);
	const unsigned char *der;
	size_t at = 0, len;

	if (slot->leaf != NULL)
		return 0;
	while ((der = tlstrust_next(&row, &at, &len)) != NULL)
		if (make_next(slot, der, len) == -1)
			break;
	if (der == NULL && len == 0 && slot->leaf != NULL)
		return 0;
	forget(slot);
	return -1;
}

int
tlschoice_own(
    SSL_CTX *ctx, const struct tlscert *cert, const struct tlskey *key)
{
	const struct buf row = chain_of(cert);
	const unsigned char *der;
	size_t at = 0, len;
	bool is_leaf = true, ok = true;

	while (ok && (der = tlstrust_next(&row, &at, &len)) != NULL) {
		X509 *decoded = decode(der, len);

		if (decoded == NULL)
			return -1;
		ok = is_leaf ? SSL_CTX_use_certificate(ctx, decoded) == 1
			     : SSL_CTX_add1_chain_cert(ctx, decoded) == 1;
		X509_free(decoded);
		is_leaf = false;
	}
	return ok && SSL_CTX_use_PrivateKey(ctx, tlskey_pkey(key)) == 1 ? 0
									: -1;
}

/* For one connection. */
static int
give(const struct tlschoice_slot *slot, SSL *ssl)
{
	return SSL_use_certificate(ssl, slot->leaf) == 1 &&
		SSL_use_PrivateKey(ssl, slot->key) == 1 &&
		SSL_set1_chain(ssl, slot->issuers) == 1
	    ? 0
	    : -1;
}

int
tlschoice_use(struct tlschoice *choice, SSL_CTX *ctx, size_t number)
{
	const struct tlschoice_slot *slot = &choice->slots[number];

	return make(choice, number) == 0 &&
		SSL_CTX_use_certificate(ctx, slot->leaf) == 1 &&
		SSL_CTX_use_PrivateKey(ctx, slot->key) == 1 &&
		SSL_CTX_set1_chain(ctx, slot->issuers) == 1
	    ? 0
	    : -1;
}

int
tlschoice_try(struct tlschoice *choice, SSL_CTX *ctx, size_t number)
{
	SSL *ssl = SSL_new(ctx);
	int r = -1;

	if (ssl != NULL && make(choice, number) == 0)
		r = give(&choice->slots[number], ssl);
	SSL_free(ssl);
	if (number >= READY_MAX)
		forget(&choice->slots[number]);
	return r;
}

static int
find_place(void)
{
	if (place == -1)
		place = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	return place == -1 ? -1 : 0;
}

/*
 * Server names
 */

/* Is one of the nameless certificates for this name? */
static bool
is_for(const struct tlschoice *choice, const char *name)
{
	size_t i, count = tlscerts_nameless(choice->certs);
	char normal[TLSCERTS_NAME_SIZE];

	/* To the library a dot in front means any name below. */
	if (tlscerts_normal(normal, name) == -1)
		return false;
	for (i = 0; i < count; i++)
		if (X509_check_host(
			choice->slots[i].leaf, normal, 0, 0, NULL) == 1)
			return true;
	return false;
}

static int
fail(int *alert)
{
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int
refuse(SSL *ssl, int *alert)
{
	SSL_set_ex_data(ssl, place, &bad_name);
	*alert = SSL_AD_UNRECOGNIZED_NAME;
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/*
 * In the place of the nameless ones, not beside them: a client that can do
 * only another kind has to fail rather than be shown a wrong name.
 */
static int
use_named(struct tlschoice *choice, SSL *ssl, size_t first, size_t count)
{
	size_t i;

	if (tlscompat_forget_certs(ssl, choice->bare) == -1)
		return -1;
	for (i = first; i < first + count; i++)
		if (make(choice, i) == -1 || give(&choice->slots[i], ssl) == -1)
			return -1;
	return 0;
}

/* The library's callback, for every client; twice after a retry request. */
static int
on_name(SSL *ssl, int *alert, void *arg)
{
	struct tlschoice *choice = arg;
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	bool has_default = tlscerts_nameless(choice->certs) > 0;
	size_t first, count;

	if (choice->is_blind)
		return SSL_TLSEXT_ERR_NOACK;
	if (name == NULL)
		return has_default ? SSL_TLSEXT_ERR_NOACK : refuse(ssl, alert);
	count = tlscerts_find(choice->certs, name, &first);
	if (count > 0)
		return use_named(choice, ssl, first, count) == 0
		    ? SSL_TLSEXT_ERR_OK
		    : fail(alert);
	if (has_default && (!choice->is_strict || is_for(choice, name)))
		return SSL_TLSEXT_ERR_NOACK;
	return refuse(ssl, alert);
}

int
tlschoice_by_name(struct tlschoice *choice, SSL_CTX *ctx)
{
	if (find_place() == -1)
		return -1;
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	SSL_CTX_set_tlsext_servername_arg(ctx, choice);
	return 0;
}

/*
 * Protocols
 */

/* One name.  NULL, or what is wrong with it. */
static const char *
take_protocol(struct tlschoice *choice, const char *name, size_t len)
{
	unsigned char *at = choice->protocols + choice->protocols_len;
	size_t i;

	if (len == 0)
		return "a name in the list is empty";
	if (len > 255)
		return "a name in the list is longer than 255 bytes";
	/* Programs find it in their environment, people in their logs. */
	for (i = 0; i < len; i++)
		if (name[i] <= ' ' || name[i] > '~')
			return "a name in the list has a blank or another "
			       "character that is not printable ASCII";
	*at = (unsigned char)len;
	memcpy(at + 1, name, len);
	choice->protocols_len += len + 1;
	return NULL;
}

/* The library's callback, for clients that offer protocols. */
static int
on_protocols(SSL *ssl, const unsigned char **chosen, unsigned char *chosen_len,
    const unsigned char *offered, unsigned len, void *arg)
{
	const struct tlschoice *choice = arg;
	const unsigned char *at, *end;
	unsigned i;

	end = choice->protocols + choice->protocols_len;
	for (at = choice->protocols; at < end; at += *at + 1)
		for (i = 0; i < len; i += offered[i] + 1u)
			if (offered[i] == *at && *at <= len - i - 1 &&
			    memcmp(offered + i + 1, at + 1, *at) == 0) {
				*chosen = at + 1;
				*chosen_len = *at;
				return SSL_TLSEXT_ERR_OK;
			}
	SSL_set_ex_data(ssl, place, &bad_protocol);
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

int
tlschoice_by_protocol(
    struct tlschoice *choice, SSL_CTX *ctx, const char *list, const char **what)
{
	size_t len;

	if (list == NULL || *list == '\0')
		return 0;
	*what = "out of memory";
	free(choice->protocols);
	choice->protocols_len = 0;
	choice->protocols = malloc(strlen(list) + 1);
	if (choice->protocols == NULL || find_place() == -1)
		return -1;
	for (;; list += len + 1) {
		len = strcspn(list, ",");
		*what = take_protocol(choice, list, len);
		if (*what != NULL)
			return -1;
		if (list[len] == '\0')
			break;
	}
	SSL_CTX_set_alpn_select_cb(ctx, on_protocols, choice);
	return 0;
}

/*
 * The object
 */

bool
tlschoice_refused(const SSL *ssl, char text[TEXT_PRINTABLE_SIZE])
{
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	const void *mark = place == -1 ? NULL : SSL_get_ex_data(ssl, place);
	char sentence[TEXT_PRINTABLE_SIZE + 300];

	if (mark == NULL)
		return false;
	if (mark == &bad_protocol)
		text_copy(
		    sentence, sizeof(sentence), "no application protocol");
	else if (name == NULL)
		text_copy(sentence, sizeof(sentence), "no server name");
	else
		text_format(
		    sentence, sizeof(sentence), "unknown server name %s", name);
	text_printable(text, sentence, strlen(sentence));
	return true;
}

int
tlschoice_init(struct tlschoice *choice, const struct tlscerts *certs)
{
	size_t i, room = certs->count > 0 ? certs->count : 1;

	memset(choice, 0, sizeof(*choice));
	choice->certs = certs;
	choice->slots = calloc(room, sizeof(*choice->slots));
	if (choice->slots == NULL)
		return -1;
	choice->count = certs->count;
	for (i = 0; i < certs->count; i++) {
		choice->slots[i].choice = choice;
		choice->slots[i].remote.sign = ask;
		choice->slots[i].remote.arg = &choice->slots[i];
	}
	return 0;
}

void
tlschoice_clear(struct tlschoice *choice)
{
	size_t i;

	for (i = 0; i < choice->count; i++)
		forget(&choice->slots[i]);
	SSL_CTX_free(choice->bare);
	free(choice->slots);
	free(choice->protocols);
	choice->bare = NULL;
	choice->protocols = NULL;
	choice->slots = NULL;
	choice->count = 0;
}
