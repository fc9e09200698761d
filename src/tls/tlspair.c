/*
 * tlspair: certificate, chain and key, from text to what is used of them.
 *
 * Runs in the keeper, after it has given up its rights, because files may
 * come from others than the administrator.  PEM blocks are walked one by
 * one, so that no copy of a key stays in memory that a library has freed
 * without wiping; the text itself is the caller's to wipe.
 */
#include "tls/tlspair.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/buf.h"
#include "base/text.h"
#include "tls/tlsfile.h"
#include "tls/tlskey_internal.h"
#include "tls/tlslib.h"
#include "tls/tlspem.h"
#include "tls/tlsphrase.h"

/* What has been found in one text. */
struct found {
	X509 *certs[TLSFILE_CHAIN_MAX];
	size_t cert_count;
	EVP_PKEY *key;
	bool wants_certs, wants_key;
	bool has_block;	    /* some PEM block, wanted or not */
	bool has_more;	    /* more certificates than there is room for */
	bool has_encrypted; /* a key under a pass phrase */
};

/* A text on its way through, for messages. */
struct source {
	const struct tlspair_text *text;
	char *error;
	const struct tlsphrase *phrase;
};

/* Say what is wrong with a file.  Always -1. */
static int
blame(const struct source *source, const char *what)
{
	text_format(source->error, TLSFILE_ERROR_SIZE, "%s %s: %s",
	    source->text->variable, source->text->path, what);
	return -1;
}

/* As blame, with the library's reason after it. */
static int
blame_library(const struct source *source, const char *what)
{
	char reason[TEXT_PRINTABLE_SIZE], text[TEXT_PRINTABLE_SIZE + 80];

	text_format(text, sizeof(text), "%s: %s", what, tlslib_reason(reason));
	return blame(source, text);
}

/*
 * Looking for blocks
 */

static int
take_cert(
    const struct source *source, struct found *found, const struct tlspem *pem)
{
	const unsigned char *at = pem->data;
	X509 *cert;

	if (found->cert_count == TLSFILE_CHAIN_MAX) {
		found->has_more = true;
		return 0;
	}
	cert = d2i_X509(NULL, &at, pem->len);
	if (cert == NULL)
		return blame_library(source, "bad certificate");
	found->certs[found->cert_count++] = cert;
	return 0;
}

static int
take_encrypted_key(
    const struct source *source, struct found *found, const struct tlspem *pem)
{
	char reason[TLSPHRASE_ERROR_SIZE];
	const char *doubt;

	found->has_encrypted = true;
	if (source->phrase == NULL)
		return 0;
	found->key = tlsphrase_key(
	    source->phrase, pem->header, pem->data, (size_t)pem->len, reason);
	if (found->key != NULL)
		return 0;
	if (reason[0] != '\0')
		return blame(source, reason);
	doubt = tlsphrase_doubt(source->phrase);
	text_format(source->error, TLSFILE_ERROR_SIZE,
	    "wrong pass phrase for %s %s%s%s", source->text->variable,
	    source->text->path, doubt == NULL ? "" : ": ",
	    doubt == NULL ? "" : doubt);
	return -1;
}

static int
take_key(
    const struct source *source, struct found *found, const struct tlspem *pem)
{
	const unsigned char *at = pem->data;

	if (found->key != NULL)
		return 0;
	if (strcmp(pem->name, PEM_STRING_PKCS8) == 0 ||
	    strstr(pem->header, "ENCRYPTED") != NULL)
		return take_encrypted_key(source, found, pem);
	found->key = d2i_AutoPrivateKey(NULL, &at, pem->len);
	if (found->key == NULL)
		return blame_library(source, "bad private key");
	return 0;
}

static bool
is_key_name(const char *name)
{
	size_t len = strlen(name), end = strlen(PEM_STRING_PKCS8INF);

	/* "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PRIVATE KEY", ... */
	return len >= end && strcmp(name + len - end, PEM_STRING_PKCS8INF) == 0;
}

static int
take_block(const struct source *source, struct found *found, struct tlspem *pem)
{
	found->has_block = true;
	if (found->wants_certs &&
	    (strcmp(pem->name, PEM_STRING_X509) == 0 ||
		strcmp(pem->name, PEM_STRING_X509_OLD) == 0))
		return take_cert(source, found, pem);
	if (found->wants_key && is_key_name(pem->name))
		return take_key(source, found, pem);
	return 0;
}

/* Collect what found wants from the source's text. */
static int
walk_blocks(const struct source *source, struct found *found)
{
	struct tlspem pem = { NULL, NULL, NULL, 0 };
	BIO *bio = BIO_new_mem_buf(source->text->bytes, (int)source->text->len);
	int r = 0, more;

	if (bio == NULL)
		return blame(source, "out of memory");
	while (r == 0 && (more = tlspem_next(bio, &pem)) != 0) {
		if (more == -1)
			r = blame_library(source, "bad PEM");
		else
			r = take_block(source, found, &pem);
		tlspem_clear(&pem);
	}
	BIO_free(bio);
	if (r == 0 && !found->has_block)
		return blame(source, "not a PEM file");
	return r;
}

static void
found_clear(struct found *found)
{
	size_t i;

	for (i = 0; i < found->cert_count; i++)
		X509_free(found->certs[i]);
	EVP_PKEY_free(found->key);
	memset(found, 0, sizeof(*found));
}

/*
 * Checking
 */

static bool
is_issued_by(X509 *cert, X509 *issuer)
{
	return X509_NAME_cmp(X509_get_issuer_name(cert),
		   X509_get_subject_name(issuer)) == 0;
}

static bool
is_signed_by(X509 *cert, X509 *issuer)
{
	bool is_signed = is_issued_by(cert, issuer) &&
	    X509_verify(cert, X509_get0_pubkey(issuer)) == 1;

	ERR_clear_error();
	return is_signed;
}

static bool
is_root_first(const struct found *found)
{
	return found->cert_count > 1 &&
	    !is_issued_by(found->certs[0], found->certs[1]) &&
	    is_issued_by(found->certs[1], found->certs[0]);
}

/*
 * A chain file must be a chain.  Of a certificate file whatever follows
 * the leaf and is no chain is left out: 0.12 never sent it.
 */
static int
check_chain(const struct source *source, struct found *found, bool is_chain)
{
	size_t i;

	if (found->cert_count == 0)
		return blame(source, "no certificate in it");
	if (is_chain && found->has_more)
		return blame(source, "more than 16 certificates");
	if (is_chain && is_root_first(found))
		return blame(source,
		    "root certificate first; "
		    "the server's certificate must be first, the root last");
	for (i = 0; i + 1 < found->cert_count; i++)
		if (!is_signed_by(found->certs[i], found->certs[i + 1]))
			break;
	if (i + 1 == found->cert_count)
		return 0;
	if (is_chain)
		return blame(source,
		    "not a chain: "
		    "a certificate is not followed by that of its issuer");
	while (found->cert_count > i + 1)
		X509_free(found->certs[--found->cert_count]);
	return 0;
}

static int
blame_mismatch(const struct tlspair *pair, const struct source *keys)
{
	if (pair->key.bytes == NULL)
		return blame(keys,
		    "certificate and private key "
		    "do not match");
	text_format(keys->error, TLSFILE_ERROR_SIZE,
	    "%s %.200s and %s %.200s: certificate and private key "
	    "do not match",
	    pair->cert.variable, pair->cert.path, pair->key.variable,
	    pair->key.path);
	return -1;
}

static int
blame_no_key(const struct tlspair *pair, const struct source *keys)
{
	char what[160];

	if (pair->key.bytes != NULL)
		return blame(keys, "no private key in it");
	text_format(
	    what, sizeof(what), "no private key in it, and %s", pair->no_key);
	return blame(keys, what);
}

static int
check_key(const struct tlspair *pair, const struct source *keys,
    const struct found *found, const struct found *holder)
{
	const char *refusal;

	if (holder->key == NULL && holder->has_encrypted)
		return blame(keys,
		    "the private key is encrypted, "
		    "and its pass phrase is not given (-3)");
	if (holder->key == NULL)
		return blame_no_key(pair, keys);
	refusal = tlskey_refusal(holder->key);
	if (refusal != NULL)
		return blame(keys, refusal);
	if (X509_check_private_key(found->certs[0], holder->key) == 1)
		return 0;
	ERR_clear_error();
	return blame_mismatch(pair, keys);
}

static void
warn_of_dates(const struct source *source, const X509 *cert,
    tlstrust_warn_fn *warn, void *arg)
{
	const ASN1_TIME *begin = X509_get0_notBefore(cert);
	const ASN1_TIME *end = X509_get0_notAfter(cert);
	char sentence[TLSFILE_ERROR_SIZE];
	const char *what;

	if (X509_cmp_current_time(begin) > 0)
		what = "is not yet valid";
	else if (X509_cmp_current_time(end) < 0)
		what = "has expired";
	else
		return;
	text_format(sentence, sizeof(sentence), "%s %s: the certificate %s",
	    source->text->variable, source->text->path, what);
	warn(arg, sentence);
}

/* Of a wildcard: is it good for some name that this stands for? */
static void
warn_of_name(
    const struct tlspair *pair, X509 *cert, tlstrust_warn_fn *warn, void *arg)
{
	char sentence[TLSFILE_ERROR_SIZE], name[TLSCERTS_NAME_SIZE];

	if (pair->name == NULL)
		return;
	text_copy(name, sizeof(name), pair->name);
	if (strncmp(name, "_.", 2) == 0)
		name[0] = 'x';
	if (X509_check_host(cert, name, 0, 0, NULL) == 1)
		return;
	text_format(sentence, sizeof(sentence),
	    "%s %.230s: the certificate is not for %s%s", pair->cert.variable,
	    pair->cert.path, name[0] == pair->name[0] ? "" : "*",
	    pair->name + (name[0] != pair->name[0]));
	warn(arg, sentence);
}

static int
encode_chain(const struct found *found, struct buf *chain)
{
	size_t i;

	for (i = 0; i < found->cert_count; i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(found->certs[i], &der), r = -1;

		if (len > 0)
			r = tlstrust_add(chain, der, (size_t)len);
		OPENSSL_free(der);
		if (r == -1)
			return -1;
	}
	return 0;
}

/* What was found is good: hand it out. */
static int
take_pair(const struct source *source, struct found *found,
    struct found *holder, struct buf *chain, struct tlskey **key)
{
	if (encode_chain(found, chain) == -1 ||
	    (holder->key != NULL && (*key = tlskey_new(holder->key)) == NULL)) {
		buf_free(chain);
		return blame(source, "out of memory");
	}
	holder->key = NULL;
	return 0;
}

int
tlspair_load(const struct tlspair *pair, struct buf *chain, struct tlskey **key,
    tlstrust_warn_fn *warn, void *arg, char *error)
{
	const struct source certs = { &pair->cert, error, pair->phrase };
	const struct source own = { &pair->key, error, pair->phrase };
	bool is_one = pair->key.bytes == NULL && !pair->has_no_key;
	const struct source *keys = is_one ? &certs : &own;
	struct found found = { .wants_certs = true, .wants_key = is_one };
	struct found other = { .wants_key = true };
	struct found *holder = is_one ? &found : &other;
	int r;

	tlslib_start();
	*key = NULL;
	r = walk_blocks(&certs, &found);
	if (r == 0)
		r = check_chain(&certs, &found, pair->is_chain);
	if (r == 0 && !is_one && !pair->has_no_key)
		r = walk_blocks(keys, &other);
	if (r == 0 && !pair->has_no_key)
		r = check_key(pair, keys, &found, holder);
	if (r == 0)
		r = take_pair(&certs, &found, holder, chain, key);
	if (r == 0) {
		warn_of_dates(&certs, found.certs[0], warn, arg);
		warn_of_name(pair, found.certs[0], warn, arg);
	}
	found_clear(&found);
	found_clear(&other);
	ERR_clear_error();
	return r;
}
