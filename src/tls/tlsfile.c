/*
 * tlsfile: from TLS variables to certificates, parameters and a key.
 *
 * Runs in the keeper.  Opening is done with the rights the process was
 * started with, so that files only root can read work; parsing is done
 * without them, because certificate files may come from others than the
 * administrator.  Files are read whole into memory that is wiped after
 * parsing; PEM blocks are walked one by one, so that no copy of a key
 * stays in memory that a library has freed without wiping.
 */
#include "tls/tlsfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/fd.h"
#include "base/text.h"
#include "tls/tlskey.h"
#include "tls/tlskey_internal.h"
#include "tls/tlslib.h"
#include "tls/tlspem.h"
#include "tls/tlsphrase.h"
#include "tls/tlsscheme.h"

/* Not every library has it as PEM_STRING_DHXPARAMS. */
#define DHX_NAME "X9.42 DH PARAMETERS"

/* Longest DH prime: its text must fit TLSSCHEME_TEXT_MAX. */
#define DH_BITS_MAX 8192

/* What has been found in one file. */
struct found {
	X509 *certs[TLSFILE_CHAIN_MAX];
	size_t cert_count;
	EVP_PKEY *key;
	unsigned char *dh;
	size_t dh_len;
	bool wants_certs, wants_key, wants_dh;
	bool has_block;	    /* some PEM block, wanted or not */
	bool has_more;	    /* more certificates than there is room for */
	bool has_encrypted; /* a key under a pass phrase */
};

/* One file on its way through tlsfile_load, for messages. */
struct source {
	struct tlsfile *file;
	const char *variable;
	char *error;
	const struct tlsphrase *phrase; /* for an encrypted key, or NULL */
};

static bool
is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

/* Say what is wrong with a file.  Always -1. */
static int
blame(const struct source *source, const char *what)
{
	text_format(source->error, TLSFILE_ERROR_SIZE, "%s %s: %s",
	    source->variable, source->file->path, what);
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
 * Opening
 */

int
tlsfile_open(struct tlsfiles *files, const struct tls_settings *settings,
    const char *chroot, char error[TLSFILE_ERROR_SIZE])
{
	const char *cert = settings->certfile, *variable = "CERTFILE";

	memset(files, 0, sizeof(*files));
	files->cert.fd = files->key.fd = files->dh.fd = -1;
	files->is_chain = is_set(settings->certchainfile);
	if (files->is_chain) {
		cert = settings->certchainfile;
		variable = "CERTCHAINFILE";
	}
	if (!is_set(cert)) {
		text_format(error, TLSFILE_ERROR_SIZE,
		    "neither CERTFILE nor CERTCHAINFILE is set");
		return -1;
	}
	if (tlspem_open(&files->cert, variable, cert, chroot, error) == -1)
		return -1;
	if (is_set(settings->keyfile) &&
	    tlspem_open(
		&files->key, "KEYFILE", settings->keyfile, chroot, error) == -1)
		goto fail;
	if (is_set(settings->dhfile) &&
	    tlspem_open(
		&files->dh, "DHFILE", settings->dhfile, chroot, error) == -1)
		goto fail;
	return 0;
fail:
	tlsfile_close(files);
	return -1;
}

void
tlsfile_close(struct tlsfiles *files)
{
	fd_close(&files->cert.fd);
	fd_close(&files->key.fd);
	fd_close(&files->dh.fd);
}

/*
 * Reading
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
	    "wrong pass phrase for %s %s%s%s", source->variable,
	    source->file->path, doubt == NULL ? "" : ": ",
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

static int
take_dh(struct found *found, struct tlspem *pem)
{
	if (found->dh != NULL || pem->len <= 0)
		return 0;
	found->dh_len = (size_t)pem->len;
	found->dh = malloc(found->dh_len);
	if (found->dh == NULL)
		return -1;
	memcpy(found->dh, pem->data, found->dh_len);
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
	/* Both forms, PKCS#3 and X9.42, begin with p and g. */
	if (found->wants_dh &&
	    (strcmp(pem->name, PEM_STRING_DHPARAMS) == 0 ||
		strcmp(pem->name, DHX_NAME) == 0) &&
	    take_dh(found, pem) == -1)
		return blame(source, "out of memory");
	return 0;
}

static int
walk_blocks(const struct source *source, struct found *found,
    const unsigned char *bytes, size_t len)
{
	struct tlspem pem = { NULL, NULL, NULL, 0 };
	BIO *bio = BIO_new_mem_buf(bytes, (int)len);
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

/* Read source's file, close it, and collect what found wants from it. */
static int
read_file(const struct source *source, struct found *found)
{
	unsigned char *bytes = malloc(TLSFILE_MAX + 1);
	ssize_t len;
	int r;

	if (bytes == NULL)
		return blame(source, "out of memory");
	len = tlspem_read(source->file->fd, bytes, TLSFILE_MAX + 1);
	if (len == -1)
		r = blame(source, strerror(errno));
	else if (len > TLSFILE_MAX)
		r = blame(source, "larger than a megabyte");
	else
		r = walk_blocks(source, found, bytes, (size_t)len);
	explicit_bzero(bytes, TLSFILE_MAX + 1);
	free(bytes);
	fd_close(&source->file->fd);
	return r;
}

static void
found_clear(struct found *found)
{
	size_t i;

	for (i = 0; i < found->cert_count; i++)
		X509_free(found->certs[i]);
	EVP_PKEY_free(found->key);
	free(found->dh);
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
check_key(const struct source *certs, const struct source *keys,
    const struct found *found, EVP_PKEY *key, bool has_encrypted)
{
	const char *refusal;

	if (key == NULL && has_encrypted)
		return blame(keys,
		    "the private key is encrypted, "
		    "and its pass phrase is not given (-3)");
	if (key == NULL)
		return blame(keys,
		    keys->file != certs->file
			? "no private key in it"
			: "no private key in it, and KEYFILE is not set");
	refusal = tlskey_refusal(key);
	if (refusal != NULL)
		return blame(keys, refusal);
	if (X509_check_private_key(found->certs[0], key) == 1)
		return 0;
	ERR_clear_error();
	if (keys->file == certs->file)
		return blame(keys,
		    "certificate and private key "
		    "do not match");
	text_format(keys->error, TLSFILE_ERROR_SIZE,
	    "%s %.200s and KEYFILE %.200s: certificate and private key "
	    "do not match",
	    certs->variable, certs->file->path, keys->file->path);
	return -1;
}

static void
warn_of_dates(
    const struct source *source, X509 *cert, char warning[TLSFILE_ERROR_SIZE])
{
	const ASN1_TIME *begin = X509_get0_notBefore(cert);
	const ASN1_TIME *end = X509_get0_notAfter(cert);

	if (X509_cmp_current_time(begin) > 0)
		text_format(warning, TLSFILE_ERROR_SIZE,
		    "%s %s: the certificate is not yet valid", source->variable,
		    source->file->path);
	else if (X509_cmp_current_time(end) < 0)
		text_format(warning, TLSFILE_ERROR_SIZE,
		    "%s %s: the certificate has expired", source->variable,
		    source->file->path);
}

/* Does the library find these parameters sane?  Its bits, or 0. */
static unsigned
dh_bits(const struct tlsscheme_policy *policy)
{
	BIGNUM *p = BN_bin2bn(policy->dh_p, (int)policy->dh_p_len, NULL);
	BIGNUM *g = BN_bin2bn(policy->dh_g, (int)policy->dh_g_len, NULL);
	unsigned bits = 0;

	/*
	 * 1 < g < p - 1 and an odd p.  Not whether p is prime: seconds of
	 * work at every start, for a file of the administrator's own.
	 */
	if (p != NULL && g != NULL && BN_is_odd(p) && !BN_is_one(g) &&
	    BN_sub_word(p, 1) == 1 && BN_cmp(g, p) < 0)
		bits = (unsigned)BN_num_bits(p);
	BN_free(p);
	BN_free(g);
	return bits;
}

static int
load_dh(struct source *source, struct tls_public *public)
{
	struct tlsscheme_policy policy;
	struct found found = { .wants_dh = true };
	unsigned bits;
	int r;

	r = read_file(source, &found);
	if (r == 0 && found.dh == NULL)
		r = blame(source, "no DH parameters in it");
	if (r == -1)
		goto out;
	if (tlsscheme_dh(&policy, found.dh, found.dh_len) == -1 ||
	    (bits = dh_bits(&policy)) == 0) {
		r = blame(source, "bad DH parameters");
		goto out;
	}
	if (bits > DH_BITS_MAX) {
		r = blame(source, "DH parameters of more than 8192 bits");
		goto out;
	}
	public->dh = found.dh;
	public->dh_len = found.dh_len;
	public->dh_bits = bits;
	found.dh = NULL;
out:
	found_clear(&found);
	return r;
}

static int
encode_chain(const struct found *found, struct tls_public *public)
{
	size_t i;

	for (i = 0; i < found->cert_count; i++) {
		unsigned char *der = NULL, *copy;
		int len = i2d_X509(found->certs[i], &der);

		if (len <= 0)
			return -1;
		/* tls_public is freed without knowledge of OpenSSL. */
		copy = malloc((size_t)len);
		if (copy != NULL)
			memcpy(copy, der, (size_t)len);
		OPENSSL_free(der);
		if (copy == NULL)
			return -1;
		public->chain[i] = copy;
		public->chain_len[i] = (size_t)len;
		public->chain_count++;
	}
	return 0;
}

/* Certificates and key; the key, once found good, is handed out. */
static int
load_pair(struct tlsfiles *files, struct tls_public *public,
    struct tlskey **key, char *warning, char *error)
{
	struct source certs = { &files->cert,
		files->is_chain ? "CERTCHAINFILE" : "CERTFILE", error,
		files->phrase };
	struct source keys = certs;
	struct found found = { .wants_certs = true,
		.wants_key = files->key.fd == -1 };
	struct found other = { .wants_key = true };
	struct found *holder = &found;
	int r;

	r = read_file(&certs, &found);
	if (r == 0)
		r = check_chain(&certs, &found, files->is_chain);
	if (r == 0 && files->key.fd != -1) {
		keys.file = &files->key;
		keys.variable = "KEYFILE";
		holder = &other;
		r = read_file(&keys, &other);
	}
	if (r == 0)
		r = check_key(
		    &certs, &keys, &found, holder->key, holder->has_encrypted);
	if (r == 0 && encode_chain(&found, public) == -1)
		r = blame(&certs, "out of memory");
	if (r == 0 && (*key = tlskey_new(holder->key)) == NULL)
		r = blame(&keys, "out of memory");
	if (r == 0) {
		holder->key = NULL;
		warn_of_dates(&certs, found.certs[0], warning);
	}
	found_clear(&found);
	found_clear(&other);
	return r;
}

int
tlsfile_load(struct tlsfiles *files, struct tls_public *public,
    struct tlskey **key, char warning[TLSFILE_ERROR_SIZE],
    char error[TLSFILE_ERROR_SIZE])
{
	struct source dh = { &files->dh, "DHFILE", error, NULL };
	int r;

	tlslib_start();
	memset(public, 0, sizeof(*public));
	*key = NULL;
	warning[0] = '\0';
	r = load_pair(files, public, key, warning, error);
	if (r == 0 && files->dh.fd != -1)
		r = load_dh(&dh, public);
	if (r == -1) {
		tls_public_free(public);
		tlskey_free(*key);
		*key = NULL;
	}
	ERR_clear_error();
	tlsfile_close(files);
	return r;
}

void
tls_public_free(struct tls_public *public)
{
	size_t i;

	for (i = 0; i < public->chain_count; i++)
		free(public->chain[i]);
	free(public->dh);
	tlstrust_free(&public->trust);
	memset(public, 0, sizeof(*public));
}

/*
 * Versions
 */

/* The x of "1.x", or -1. */
static int
read_version(const char *value)
{
	if (strncmp(value, "1.", 2) != 0 || value[2] < '0' || value[2] > '3' ||
	    value[3] != '\0')
		return -1;
	return value[2] - '0';
}

int
tls_settings_versions(const struct tls_settings *settings, unsigned *min,
    unsigned *max, char *error, size_t error_size)
{
	int low = 2, high = 3;

	if (is_set(settings->tlsmin))
		low = read_version(settings->tlsmin);
	if (is_set(settings->tlsmax))
		high = read_version(settings->tlsmax);
	if (low == -1 || high == -1) {
		text_format(error, error_size,
		    "%s %.40s: must be 1.0, 1.1, 1.2 or 1.3",
		    low == -1 ? "TLSMIN" : "TLSMAX",
		    low == -1 ? settings->tlsmin : settings->tlsmax);
		return -1;
	}
	if (low > high) {
		text_format(error, error_size,
		    "TLSMIN 1.%d is above TLSMAX 1.%d", low, high);
		return -1;
	}
	*min = (unsigned)low;
	*max = (unsigned)high;
	return 0;
}
