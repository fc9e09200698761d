/*
 * tlsfile: from TLS variables to certificates, parameters and a key.
 *
 * Runs in the keeper.  Opening is done with the rights the process was
 * started with, so that files only root can read work; parsing is done
 * without them, because certificate files may come from others than the
 * administrator.  Files are read whole into memory that is wiped after
 * parsing; what is in them is tlspair's to know, but for DH parameters.
 */
#include "tls/tlsfile.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "tls/tlskey.h"
#include "tls/tlslib.h"
#include "tls/tlspair.h"
#include "tls/tlspem.h"
#include "tls/tlsscheme.h"

/* Not every library has it as PEM_STRING_DHXPARAMS. */
#define DHX_NAME "X9.42 DH PARAMETERS"

/* Longest DH prime: its text must fit TLSSCHEME_TEXT_MAX. */
#define DH_BITS_MAX 8192

/* One file on its way through tlsfile_load. */
struct source {
	struct tlsfile *file;
	const char *variable;
	char *error;
	unsigned char *bytes; /* its text, to be wiped; NULL: not read */
	size_t len;
};

/* What tlsfile_load is at. */
struct loading {
	struct tlsfiles *files;
	struct tls_public *public;
	struct tlskeys *keys;
	tlstrust_warn_fn *warn;
	void *arg;
	char *error;
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
tlsfile_nth(char path[TLSFILE_PATH_SIZE], const char *list, size_t n)
{
	const char *end;
	size_t len;

	for (; n > 0; n--) {
		end = strchr(list, ':');
		if (end == NULL)
			return 1;
		list = end + 1;
	}
	len = strcspn(list, ":");
	if (len == 0 || len >= TLSFILE_PATH_SIZE)
		return -1;
	memcpy(path, list, len);
	path[len] = '\0';
	return 0;
}

/* A path of a list.  0; 1: there is none; -1 and a sentence. */
static int
open_nth(struct tlsfile *file, const char *variable, const char *list, size_t n,
    const char *chroot, char *error)
{
	char path[TLSFILE_PATH_SIZE];
	int r = tlsfile_nth(path, list, n);

	if (r == 0)
		return tlspem_open(file, variable, path, chroot, error);
	if (r == -1)
		text_format(error, TLSFILE_ERROR_SIZE,
		    "%s %.300s: a name in the list is empty or too long",
		    variable, list);
	return r;
}

static size_t
count_paths(const char *list)
{
	size_t n = 1;

	while ((list = strchr(list, ':')) != NULL) {
		list++;
		n++;
	}
	return n;
}

/* No certificate that is for every client.  0, or -1 and a sentence. */
static int
may_have_none(const struct tls_settings *settings, char *error)
{
	bool is_strict;

	if (tls_settings_strict(
		settings, &is_strict, error, TLSFILE_ERROR_SIZE) == -1)
		return -1;
	if (!is_set(settings->certdir))
		text_copy(error, TLSFILE_ERROR_SIZE,
		    "neither CERTFILE nor CERTCHAINFILE is set");
	else if (!is_strict)
		text_copy(error, TLSFILE_ERROR_SIZE,
		    "neither CERTFILE nor CERTCHAINFILE is set: only with "
		    "SNI=strict is CERTDIR enough, as clients may ask for "
		    "no name or for another one");
	else if (is_set(settings->keyfile))
		text_copy(error, TLSFILE_ERROR_SIZE,
		    "KEYFILE is set, but neither CERTFILE nor "
		    "CERTCHAINFILE");
	else
		return 0;
	return -1;
}

/* As many keys as certificates, and no more than there is room for. */
static int
count_pairs(const struct tls_settings *settings, size_t *count, char *error)
{
	const char *variable = tlsfile_variable(settings);
	size_t keys;

	*count = 0;
	if (!is_set(tlsfile_path(settings)))
		return may_have_none(settings, error);
	*count = count_paths(tlsfile_path(settings));
	if (*count > TLSFILE_PAIRS_MAX) {
		text_format(error, TLSFILE_ERROR_SIZE,
		    "%s names %zu files; %d is the most", variable, *count,
		    TLSFILE_PAIRS_MAX);
		return -1;
	}
	if (!is_set(settings->keyfile))
		return 0;
	keys = count_paths(settings->keyfile);
	if (keys == *count)
		return 0;
	text_format(error, TLSFILE_ERROR_SIZE,
	    "%s and KEYFILE must name as many files: the n-th key belongs to "
	    "the n-th certificate, but here are %zu and %zu",
	    variable, *count, keys);
	return -1;
}

static int
open_pair(struct tlsfiles *files, const struct tls_settings *settings,
    const char *chroot, char *error)
{
	size_t n = files->count++;
	struct tlsfile_pair *pair = &files->pairs[n];

	pair->cert.fd = pair->key.fd = -1;
	if (open_nth(&pair->cert, tlsfile_variable(settings),
		tlsfile_path(settings), n, chroot, error) == -1)
		return -1;
	if (!is_set(settings->keyfile))
		return 0;
	return open_nth(
	    &pair->key, "KEYFILE", settings->keyfile, n, chroot, error);
}

int
tlsfile_open(struct tlsfiles *files, const struct tls_settings *settings,
    const char *chroot, char error[TLSFILE_ERROR_SIZE])
{
	size_t count;

	memset(files, 0, sizeof(*files));
	files->dh.fd = -1;
	files->is_chain = is_set(settings->certchainfile);
	if (count_pairs(settings, &count, error) == -1)
		return -1;
	while (files->count < count)
		if (open_pair(files, settings, chroot, error) == -1)
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
	size_t i;

	for (i = 0; i < files->count; i++) {
		fd_close(&files->pairs[i].cert.fd);
		fd_close(&files->pairs[i].key.fd);
	}
	fd_close(&files->dh.fd);
}

const char *
tlsfile_variable(const struct tls_settings *settings)
{
	return is_set(settings->certchainfile) ? "CERTCHAINFILE" : "CERTFILE";
}

const char *
tlsfile_path(const struct tls_settings *settings)
{
	return is_set(settings->certchainfile) ? settings->certchainfile
					       : settings->certfile;
}

/*
 * Reading
 */

/* All of the source's file, which is closed. */
static int
read_file(struct source *source)
{
	ssize_t len;
	int r = 0;

	source->bytes = malloc(TLSFILE_MAX + 1);
	if (source->bytes == NULL)
		return blame(source, "out of memory");
	len = tlspem_read(source->file->fd, source->bytes, TLSFILE_MAX + 1);
	if (len == -1)
		r = blame(source, strerror(errno));
	else if (len > TLSFILE_MAX)
		r = blame(source, "larger than a megabyte");
	else
		source->len = (size_t)len;
	fd_close(&source->file->fd);
	return r;
}

static void
forget(struct source *source)
{
	if (source->bytes != NULL)
		explicit_bzero(source->bytes, TLSFILE_MAX + 1);
	free(source->bytes);
	source->bytes = NULL;
}

static struct tlspair_text
text_of(const struct source *source)
{
	return (struct tlspair_text){ source->variable, source->file->path,
		source->bytes, source->len };
}

/*
 * Certificates
 */

/* Has one of that kind been taken?  A client could be given but one. */
static bool
is_second(const struct loading *loading, const struct source *cert,
    const struct tlskey *key)
{
	char sentence[TLSFILE_ERROR_SIZE];
	size_t i;

	for (i = 0; i < loading->keys->count; i++)
		if (tlskey_kind(loading->keys->all[i]) == tlskey_kind(key))
			break;
	if (i == loading->keys->count)
		return false;
	text_format(sentence, sizeof(sentence),
	    "%s %s: not used, as there is an %s certificate before it",
	    cert->variable, cert->file->path, tlskey_kind(key));
	loading->warn(loading->arg, sentence);
	return true;
}

/* Take over what has been parsed. */
static int
keep_pair(const struct loading *loading, const struct source *cert,
    struct buf *chain, struct tlskey *key)
{
	if (key != NULL && is_second(loading, cert, key)) {
		tlskey_free(key);
		return 0;
	}
	if (key != NULL && tlskeys_add(loading->keys, key) == -1) {
		tlskey_free(key);
		return blame(cert, "out of memory");
	}
	if (tlscerts_add(&loading->public->certs, NULL, chain) == -1)
		return blame(cert, "out of memory");
	return 0;
}

static int
load_texts(const struct loading *loading, const struct source *cert,
    const struct source *key)
{
	const struct tlspair pair = { .cert = text_of(cert),
		.key = text_of(key),
		.is_chain = loading->files->is_chain,
		.has_no_key = loading->files->has_no_keys,
		.no_key = "KEYFILE is not set",
		.phrase = loading->files->phrase };
	struct tlskey *parsed;
	struct buf chain;
	int r;

	buf_init(&chain, TLSFILE_MAX);
	r = tlspair_load(&pair, &chain, &parsed, loading->warn, loading->arg,
	    loading->error);
	if (r == 0)
		r = keep_pair(loading, cert, &chain, parsed);
	buf_free(&chain);
	return r;
}

static int
load_pair(const struct loading *loading, struct tlsfile_pair *files)
{
	struct source cert = { .file = &files->cert,
		.variable =
		    loading->files->is_chain ? "CERTCHAINFILE" : "CERTFILE",
		.error = loading->error };
	struct source key = { .file = &files->key,
		.variable = "KEYFILE",
		.error = loading->error };
	int r;

	r = read_file(&cert);
	if (r == 0 && files->key.fd != -1 && !loading->files->has_no_keys)
		r = read_file(&key);
	if (r == 0)
		r = load_texts(loading, &cert, &key);
	forget(&cert);
	forget(&key);
	return r;
}

/*
 * DH parameters
 */

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

/* Both forms, PKCS#3 and X9.42, begin with p and g. */
static bool
is_dh_name(const char *name)
{
	return strcmp(name, PEM_STRING_DHPARAMS) == 0 ||
	    strcmp(name, DHX_NAME) == 0;
}

static int
take_dh(struct tls_public *public, const struct tlspem *pem)
{
	if (public->dh != NULL || pem->len <= 0 || !is_dh_name(pem->name))
		return 0;
	public->dh_len = (size_t)pem->len;
	public->dh = malloc(public->dh_len);
	if (public->dh == NULL)
		return -1;
	memcpy(public->dh, pem->data, public->dh_len);
	return 0;
}

static int
find_dh(const struct source *source, struct tls_public *public)
{
	struct tlspem pem = { NULL, NULL, NULL, 0 };
	BIO *bio = BIO_new_mem_buf(source->bytes, (int)source->len);
	int r = 0, more = 0;

	if (bio == NULL)
		return blame(source, "out of memory");
	while (r == 0 && (more = tlspem_next(bio, &pem)) == 1) {
		r = take_dh(public, &pem);
		tlspem_clear(&pem);
	}
	BIO_free(bio);
	if (r == -1)
		return blame(source, "out of memory");
	if (more == -1)
		return blame_library(source, "bad PEM");
	return public->dh != NULL ? 0 : blame(source, "no DH parameters in it");
}

static int
load_dh(const struct loading *loading)
{
	struct tls_public *public = loading->public;
	struct source source = { .file = &loading->files->dh,
		.variable = "DHFILE",
		.error = loading->error };
	struct tlsscheme_policy policy;
	int r;

	r = read_file(&source);
	if (r == 0)
		r = find_dh(&source, public);
	forget(&source);
	if (r == -1)
		return -1;
	if (tlsscheme_dh(&policy, public->dh, public->dh_len) == 0)
	public->dh_bits = dh_bits(&policy);
	if (public->dh_bits == 0)
		return blame(&source, "bad DH parameters");
	if (public->dh_bits > DH_BITS_MAX)
		return blame(&source, "DH parameters of more than 8192 bits");
	return 0;
}

int
tlsfile_load(struct tlsfiles *files, struct tls_public *public,
    struct tlskeys *keys, tlstrust_warn_fn *warn, void *arg,
    char error[TLSFILE_ERROR_SIZE])
{
	const struct loading loading = { files, public, keys, warn, arg,
		error };
	size_t i;
	int r = 0;

	tlslib_start();
	memset(public, 0, sizeof(*public));
	memset(keys, 0, sizeof(*keys));
	for (i = 0; r == 0 && i < files->count; i++)
		r = load_pair(&loading, &files->pairs[i]);
	if (r == 0 && files->dh.fd != -1)
		r = load_dh(&loading);
	if (r == -1) {
		tls_public_free(public);
		tlskeys_free(keys);
	}
	ERR_clear_error();
	tlsfile_close(files);
	return r;
}

void
tls_public_free(struct tls_public *public)
{
	tlscerts_free(&public->certs);
	free(public->dh);
	tlstrust_free(&public->trust);
	memset(public, 0, sizeof(*public));
}

int
tls_settings_strict(const struct tls_settings *settings, bool *is_strict,
    char *error, size_t error_size)
{
	*is_strict = is_set(settings->sni);
	if (!*is_strict || strcmp(settings->sni, "strict") == 0)
		return 0;
	text_format(
	    error, error_size, "SNI %.40s: must be strict", settings->sni);
	return -1;
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
