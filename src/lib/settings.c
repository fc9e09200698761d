/*
 * Settings: from variables to a context for connections.
 *
 * Runs in programs of others.  What sslserver divides among processes is
 * one call here: files are opened, read and parsed by the same functions of
 * tls/, and the keys stay in this process unless the program brings a
 * signer.  Nothing changes after loading, so that threads need no lock.
 * What tls/ makes once per process, at its first use, is guarded by the one
 * lock that there is; connections find all of it made.
 */
#include "lib/settings.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "compat/compat.h"
#include "config.h"
#include "net/ip.h"
#include "tls/tlscertdir.h"
#include "tls/tlsclient.h"
#include "tls/tlsctx.h"
#include "tls/tlsfile.h"
#include "tls/tlskey.h"
#include "tls/tlsphrase.h"
#include "tls/tlsscheme.h"
#include "tls/tlssystem.h"

/* Warnings that are kept; more than anybody reads. */
#define WARNINGS_MAX 16

/* Intermediate certificates, unless VERIFYDEPTH says so: as sslserver. */
#define DEPTH_DEFAULT 1
/* And as sslclient, with the system's store. */
#define DEPTH_SYSTEM 9

enum variable {
	CERTFILE,
	CERTCHAINFILE,
	KEYFILE,
	DHFILE,
	CIPHERS,
	TLSMIN,
	TLSMAX,
	TLSGROUPS,
	CAFILE,
	CADIR,
	CCAFILE,
	CCADIR,
	CRLFILE,
	CERTDIR,
	SNI,
	ALPN,
	VERIFYDEPTH,
	VARIABLES
};

static const char *const names[VARIABLES] = { "CERTFILE", "CERTCHAINFILE",
	"KEYFILE", "DHFILE", "CIPHERS", "TLSMIN", "TLSMAX", "TLSGROUPS",
	"CAFILE", "CADIR", "CCAFILE", "CCADIR", "CRLFILE", "CERTDIR", "SNI",
	"ALPN", "VERIFYDEPTH" };

struct ucspissl_settings {
	char *values[VARIABLES]; /* NULL: unset */
	bool is_begun;		 /* loading, once */
	enum ucspissl_side side;
	bool has_demand;
	enum ucspissl_demand demand;
	unsigned depth;
	unsigned char alpn[TLSCLIENT_ALPN_MAX];
	size_t alpn_len;
	char *phrase;
	size_t phrase_len;
	ucspissl_sign_fn *sign; /* NULL: keys are here */
	void *sign_arg;
	struct tls_settings tls;
	struct tls_public public;
	struct tlskeys keys;
	struct tlsscheme_policy policy;
	struct tlsctx *ctx; /* NULL: not loaded */
	char error[TLSFILE_ERROR_SIZE];
	char *warnings[WARNINGS_MAX];
	size_t warning_count;
};

/* Loading, one at a time: see above. */
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static bool
is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

/* Always -1. */
static int
fail(struct ucspissl_settings *settings, const char *sentence)
{
	text_copy(settings->error, sizeof(settings->error), sentence);
	return -1;
}

/* Nothing may change any more?  -1 and a sentence. */
static int
check_open(struct ucspissl_settings *settings)
{
	settings->error[0] = '\0';
	return settings->is_begun
	    ? fail(settings, "the settings are loaded already")
	    : 0;
}

const char *
ucspissl_version(void)
{
	return VERSION;
}

const char *
ucspissl_tls_library(void)
{
	return tlsctx_library();
}

struct ucspissl_settings *
ucspissl_settings_new(void)
{
	return calloc(1, sizeof(struct ucspissl_settings));
}

static void
forget_phrase(struct ucspissl_settings *settings)
{
	if (settings->phrase != NULL)
		explicit_bzero(settings->phrase, settings->phrase_len);
	free(settings->phrase);
	settings->phrase = NULL;
}

void
ucspissl_settings_free(struct ucspissl_settings *settings)
{
	size_t i;

	if (settings == NULL)
		return;
	tlsctx_free(settings->ctx);
	tlskeys_free(&settings->keys);
	tls_public_free(&settings->public);
	forget_phrase(settings);
	for (i = 0; i < VARIABLES; i++)
		free(settings->values[i]);
	for (i = 0; i < settings->warning_count; i++)
		free(settings->warnings[i]);
	free(settings);
}

const char *
ucspissl_settings_error(const struct ucspissl_settings *settings)
{
	return settings->error;
}

const char *
ucspissl_settings_warning(const struct ucspissl_settings *settings, size_t n)
{
	return n < settings->warning_count ? settings->warnings[n] : NULL;
}

/*
 * Setting
 */

static int
find_variable(const char *name)
{
	int i;

	for (i = 0; i < VARIABLES; i++)
		if (strcmp(names[i], name) == 0)
			return i;
	return -1;
}

int
ucspissl_settings_set(
    struct ucspissl_settings *settings, const char *name, const char *value)
{
	int variable = find_variable(name);
	char *copy = NULL;

	if (check_open(settings) == -1)
		return -1;
	if (variable == -1) {
		text_format(settings->error, sizeof(settings->error),
		    "there is no setting %.100s", name);
		return -1;
	}
	if (value != NULL && (copy = strdup(value)) == NULL)
		return fail(settings, "out of memory");
	free(settings->values[variable]);
	settings->values[variable] = copy;
	return 0;
}

int
ucspissl_settings_environment(struct ucspissl_settings *settings)
{
	const char *value;
	int i;

	for (i = 0; i < VARIABLES; i++) {
		value = getenv(names[i]);
		if (value != NULL &&
		    ucspissl_settings_set(settings, names[i], value) == -1)
			return -1;
	}
	return 0;
}

int
ucspissl_settings_phrase(
    struct ucspissl_settings *settings, const char *bytes, size_t len)
{
	if (check_open(settings) == -1)
		return -1;
	forget_phrase(settings);
	settings->phrase = malloc(len + 1);
	if (settings->phrase == NULL)
		return fail(settings, "out of memory");
	memcpy(settings->phrase, bytes, len);
	settings->phrase[len] = '\0';
	settings->phrase_len = len;
	return 0;
}

int
ucspissl_settings_demand(
    struct ucspissl_settings *settings, enum ucspissl_demand demand)
{
	if (check_open(settings) == -1)
		return -1;
	settings->has_demand = true;
	settings->demand = demand;
	return 0;
}

int
ucspissl_settings_signer(
    struct ucspissl_settings *settings, ucspissl_sign_fn *fn, void *arg)
{
	if (check_open(settings) == -1)
		return -1;
	settings->sign = fn;
	settings->sign_arg = arg;
	return 0;
}

/*
 * Loading
 */

/* tlstrust_warn_fn */
static void
warn(void *arg, const char *sentence)
{
	struct ucspissl_settings *settings = arg;
	char *copy;

	if (settings->warning_count == WARNINGS_MAX)
		return;
	copy = strdup(sentence);
	if (copy != NULL)
		settings->warnings[settings->warning_count++] = copy;
}

/* In the order of enum variable. */
static void
fill_tls(struct ucspissl_settings *settings)
{
	struct tls_settings *tls = &settings->tls;
	const char **fields[VERIFYDEPTH] = { &tls->certfile,
		&tls->certchainfile, &tls->keyfile, &tls->dhfile, &tls->ciphers,
		&tls->tlsmin, &tls->tlsmax, &tls->tlsgroups, &tls->cafile,
		&tls->cadir, &tls->ccafile, &tls->ccadir, &tls->crlfile,
		&tls->certdir, &tls->sni, &tls->alpn };
	size_t i;

	for (i = 0; i < VERIFYDEPTH; i++)
		*fields[i] = settings->values[i];
}

static bool
has_own_certs(const struct ucspissl_settings *settings)
{
	return is_set(tlsfile_path(&settings->tls));
}

/* Those that take others' place. */
static void
choose_defaults(struct ucspissl_settings *settings)
{
	struct tls_settings *tls = &settings->tls;
	bool is_client = settings->side == UCSPISSL_CLIENT;

	settings->depth = DEPTH_DEFAULT;
	if (!settings->has_demand)
		settings->demand =
		    is_client ? UCSPISSL_DEMAND_NAME : UCSPISSL_DEMAND_NOTHING;
	if (!is_client || settings->demand == UCSPISSL_DEMAND_NOTHING ||
	    is_set(tls->cafile) || is_set(tls->cadir))
		return;
	tlssystem_use(tls);
	settings->depth = DEPTH_SYSTEM;
}

static int
read_depth(struct ucspissl_settings *settings)
{
	const char *value = settings->values[VERIFYDEPTH];
	unsigned long depth;

	if (!is_set(value))
		return 0;
	if (text_number(value, 0, TLSVERIFY_DEPTH_MAX, &depth) == -1) {
		text_format(settings->error, sizeof(settings->error),
		    "VERIFYDEPTH %.40s: must be a number up to %d", value,
		    TLSVERIFY_DEPTH_MAX);
		return -1;
	}
	settings->depth = (unsigned)depth;
	return 0;
}

static int
read_alpn(struct ucspissl_settings *settings)
{
	const char *list = settings->tls.alpn;

	if (!is_set(list) ||
	    tlsclient_alpn(settings->alpn, &settings->alpn_len, list) == 0)
		return 0;
	text_format(settings->error, sizeof(settings->error),
	    "ALPN %.200s: an empty or too long name", list);
	return -1;
}

static int
check_signer(struct ucspissl_settings *settings)
{
	if (settings->sign == NULL)
		return 0;
	if (settings->side == UCSPISSL_CLIENT)
		return fail(settings, "a signer is for servers");
	if (is_set(settings->tls.keyfile))
		return fail(settings, "KEYFILE beside a signer");
	if (is_set(settings->tls.certdir))
		return fail(settings, "CERTDIR beside a signer");
	return 0;
}

static int
load_certs(struct ucspissl_settings *settings, struct tlsphrase *phrase)
{
	struct tlsfiles files;
	struct tlscertdir dir;
	int r;

	if (settings->side == UCSPISSL_CLIENT && !has_own_certs(settings))
		return 0;
	if (tlsfile_open(&files, &settings->tls, NULL, settings->error) == -1)
		return -1;
	files.phrase = phrase;
	files.has_no_keys = settings->sign != NULL;
	if (tlsfile_load(&files, &settings->public, &settings->keys, warn,
		settings, settings->error) == -1)
		return -1;
	memset(&dir, 0, sizeof(dir));
	r = tlscertdir_read(&dir, settings->tls.certdir, NULL, settings->error);
	if (r == 0)
		r = tlscertdir_load(&dir, phrase, &settings->public.certs,
		    &settings->keys, warn, settings, settings->error);
	tlscertdir_forget(&dir);
	return r;
}

static int
load_trust(struct ucspissl_settings *settings)
{
	struct tlstrust_files *files = calloc(1, sizeof(*files));
	int r;

	if (files == NULL)
		return fail(settings, "out of memory");
	r = tlstrust_read(files, &settings->tls, NULL, settings->error);
	if (r == 0)
		r = tlstrust_load(files, &settings->public.trust, warn,
		    settings, settings->error);
	tlstrust_forget(files);
	free(files);
	return r;
}

static int
load_files(struct ucspissl_settings *settings)
{
	struct tlsphrase *phrase = NULL;
	int r = 0;

	if (settings->phrase != NULL) {
		phrase = tlsphrase_new();
		if (phrase == NULL)
			return fail(settings, "out of memory");
		tlsphrase_set(phrase, settings->phrase, settings->phrase_len);
	}
	r = load_certs(settings, phrase);
	if (r == 0)
		r = load_trust(settings);
	tlsphrase_free(phrase);
	return r;
}

/* tlsctx_sign_fn */
static int
sign_here(void *arg, size_t key, unsigned scheme, const unsigned char *text,
    size_t len, unsigned char *signature, size_t size)
{
	return ucspissl_settings_sign(
	    arg, key, scheme, text, len, signature, size);
}

static struct tlsctx *
make_server(struct ucspissl_settings *settings)
{
	struct tlsctx *ctx;

	if (tlsscheme_policy_init(
		&settings->policy, &settings->tls, &settings->public) == -1)
		fail(settings, "TLSMIN, TLSMAX or DHFILE cannot be used");
	ctx = tlsctx_new(&settings->tls, &settings->public, settings->error,
	    sizeof(settings->error));
	if (ctx == NULL)
		return NULL;
	if (settings->sign != NULL)
		tlsctx_set_signer(ctx, settings->sign, settings->sign_arg);
	else
		tlsctx_set_signer(ctx, sign_here, settings);
	return ctx;
}

static struct tlsctx *
make_client(struct ucspissl_settings *settings)
{
	return tlsctx_new_client(&settings->tls, &settings->public,
	    tlskeys_get(&settings->keys, 0), settings->error,
	    sizeof(settings->error));
}

static int
load(struct ucspissl_settings *settings)
{
	fill_tls(settings);
	choose_defaults(settings);
	if (check_signer(settings) == -1 || read_depth(settings) == -1 ||
	    read_alpn(settings) == -1 || load_files(settings) == -1)
		return -1;
	settings->ctx = settings->side == UCSPISSL_SERVER
	    ? make_server(settings)
	    : make_client(settings);
	return settings->ctx == NULL ? -1 : 0;
}

int
ucspissl_settings_load(
    struct ucspissl_settings *settings, enum ucspissl_side side)
{
	int r;

	if (check_open(settings) == -1)
		return -1;
	settings->is_begun = true;
	settings->side = side;
	pthread_mutex_lock(&loading);
	r = load(settings);
	pthread_mutex_unlock(&loading);
	forget_phrase(settings);
	if (r == 0)
		settings->error[0] = '\0';
	return r;
}

int
ucspissl_settings_sign(struct ucspissl_settings *settings, size_t key,
    unsigned scheme, const unsigned char *text, size_t len,
    unsigned char *signature, size_t size)
{
	struct tlskey *found = NULL;

	if (settings->ctx != NULL && settings->side == UCSPISSL_SERVER)
		found = tlskeys_get(&settings->keys, key);
	if (found == NULL) {
		errno = EPERM;
		return -1;
	}
	return tlskey_sign(
	    found, &settings->policy, scheme, text, len, signature, size);
}

/*
 * For connections
 */

struct tlsctx *
settings_ctx(const struct ucspissl_settings *settings, enum ucspissl_side side)
{
	return settings->side == side ? settings->ctx : NULL;
}

int
settings_verify(const struct ucspissl_settings *settings, const char *peer,
    struct tlsverify *verify)
{
	static const enum tlsverify_mode modes[] = { TLSVERIFY_NONE,
		TLSVERIFY_CERT, TLSVERIFY_NAME };

	memset(verify, 0, sizeof(*verify));
	verify->mode = modes[settings->demand];
	verify->depth = settings->depth;
	if (verify->mode != TLSVERIFY_NAME)
		return 0;
	if (!is_set(peer)) {
		errno = EINVAL;
		return -1;
	}
	verify->matches_name = true;
	if (ip_parse(peer, &verify->remote) == -1)
		verify->host = peer;
	return 0;
}

const unsigned char *
settings_alpn(const struct ucspissl_settings *settings, size_t *len)
{
	*len = settings->alpn_len;
	return settings->alpn_len > 0 ? settings->alpn : NULL;
}
