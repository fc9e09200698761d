/*
 * The keeper: private keys, and one operation on them.
 *
 * Opens the files that its profiles name while it is still root (those of
 * directories and CAs, which may be many, it reads as well), enters SSL_CHROOT, becomes
 * SSL_UID, and only then parses them, with a pass phrase if there is one.
 * From then on it answers SIGN from the monitor.  The text comes from a
 * session, which the network may have taken over: tlskey_sign refuses
 * whatever is not a TLS server handshake of the profile, which the monitor
 * names.  Whether a connection may ask at all is the monitor's to know.
 */
#include "serve/keeper.h"

#include <fcntl.h>
#include <poll.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "serve/phrase.h"
#include "serve/privs.h"
#include "serve/role.h"
#include "serve/sandbox.h"
#include "serve/sealed.h"
#include "tls/tlscertdir.h"
#include "tls/tlsfile.h"
#include "tls/tlskey.h"
#include "tls/tlsphrase.h"
#include "tls/tlsscheme.h"

#define KEEPER_DESCRIPTORS 16
/* Before master loses patience, as it does not know what we wait for. */
#define PHRASE_READ_MS (ROLE_START_MS - 5000)
/* A keeper answers at once; one that hangs is soon asked no more. */
#define PHRASE_TAKE_MS 5000

/* What belongs to one profile, besides what is public. */
struct holding {
	struct keeper *keeper;
	struct tls_settings settings;
	struct tlsfiles files;
	struct tlscertdir certdir;
	struct tlstrust_files trust;
	struct tlskeys keys;
	struct tlsscheme_policy policy;
};

struct keeper {
	struct role role;
	struct holding *holdings; /* as many as there are profiles */
	struct tls_public *publics;
	int public_fd;	      /* memory that carries them to the nursery */
	struct phrase phrase; /* of -3 */
	struct tlsphrase *decrypter; /* while keys are read; or NULL */
	char **told; /* settings and warnings of a profile; owned */
	size_t told_count;
};

static size_t
number_of(const struct holding *holding)
{
	return (size_t)(holding - holding->keeper->holdings);
}

/* A sentence about it that ends this process. */
__attribute__((noreturn)) static void
fail(const struct holding *holding, const char *sentence)
{
	role_fail_profile(&holding->keeper->role, number_of(holding), sentence);
}

/*
 * Profiles have much in common: what has been told of one is not told again.
 * Returns whether it has been.
 */
static bool
is_told(struct keeper *keeper, const char *text)
{
	char **grown;
	size_t i;

	for (i = 0; i < keeper->told_count; i++)
		if (strcmp(keeper->told[i], text) == 0)
			return true;
	grown =
	    realloc(keeper->told, (keeper->told_count + 1) * sizeof(char *));
	if (grown == NULL)
		return false;
	keeper->told = grown;
	grown[keeper->told_count] = strdup(text);
	if (grown[keeper->told_count] != NULL)
		keeper->told_count++;
	return false;
}

static void
tell(const struct holding *holding, const char *name, const char *value)
{
	char text[1200];

	text_format(text, sizeof(text), "%s %s", name, value);
	if (!is_told(holding->keeper, text))
		role_setting(&holding->keeper->role, name, value);
}

/* Whom clients' certificates must come from: read, not looked into. */
static void
read_trust(struct holding *holding)
{
	static const char *const lines[TLSTRUST_VARIABLES] = { "cafile",
		"cadir", "ccafile", "ccadir", "crlfile" };
	const struct role *role = &holding->keeper->role;
	char error[TLSFILE_ERROR_SIZE];
	int i;

	if (tlstrust_read(&holding->trust, &holding->settings,
		role->config.root, error) == -1)
		fail(holding, error);
	for (i = 0; i < TLSTRUST_VARIABLES; i++)
		if (holding->trust.sources[i].path[0] != '\0')
			tell(holding, lines[i], holding->trust.sources[i].path);
}

/* Certificates by server name: the same. */
static void
read_certdir(struct holding *holding)
{
	struct tlscertdir *dir = &holding->certdir;
	const struct role *role = &holding->keeper->role;
	char error[TLSFILE_ERROR_SIZE];

	if (tlscertdir_read(
		dir, holding->settings.certdir, role->config.root, error) == -1)
		fail(holding, error);
	if (dir->path[0] != '\0')
		tell(holding, "certdir", dir->path);
}

static void
tell_pairs(const struct holding *holding)
{
	const struct tlsfiles *files = &holding->files;
	size_t i;

	for (i = 0; i < files->count; i++) {
		tell(holding, files->is_chain ? "certchainfile" : "cert",
		    files->pairs[i].cert.path);
		if (files->pairs[i].key.fd != -1)
			tell(holding, "key", files->pairs[i].key.path);
	}
}

static void
open_holding(struct holding *holding)
{
	const struct role *role = &holding->keeper->role;
	char error[TLSFILE_ERROR_SIZE];

	if (tlsfile_open(&holding->files, &holding->settings, role->config.root,
		error) == -1)
		fail(holding, error);
	tell_pairs(holding);
	read_certdir(holding);
	read_trust(holding);
}

static void
open_files(struct keeper *keeper)
{
	struct role *role = &keeper->role;
	struct holding *holding;
	size_t i;

	role_make_profiles(role);
	keeper->holdings =
	    calloc(role->profiles.count, sizeof(*keeper->holdings));
	keeper->publics =
	    calloc(role->profiles.count, sizeof(*keeper->publics));
	if (keeper->holdings == NULL || keeper->publics == NULL)
		role_fail(role, "out of memory");
	for (i = 0; i < role->profiles.count; i++) {
		holding = &keeper->holdings[i];
		holding->keeper = keeper;
		profile_settings(
		    &role->profiles.all[i].profile, &holding->settings);
		open_holding(holding);
	}
}

/* Now, as it may need a directory that is out of reach later. */
static void
make_memory(struct keeper *keeper)
{
	char sentence[128];

	keeper->public_fd = sealed_make();
	if (keeper->public_fd != -1)
		return;
	text_format(sentence, sizeof(sentence),
	    "unable to make memory for certificates: %s", strerror(errno));
	role_fail(&keeper->role, sentence);
}

/* The same holds for what OpenSSL keeps in a file of its own. */
static void
prepare_phrase(struct keeper *keeper)
{
	struct role *role = &keeper->role;

	if (role->config.phrase == ROLE_PHRASE_NONE)
		return;
	keeper->decrypter = tlsphrase_new();
	if (keeper->decrypter == NULL || phrase_init(&keeper->phrase) == -1)
		role_fail(role, "no memory for the pass phrase");
	role->secret = keeper->phrase.bytes;
	role->secret_len = PHRASE_MAX;
}

/* SSL_CHROOT, or the empty directory that master made. */
static void
drop_rights(struct keeper *keeper)
{
	struct role *role = &keeper->role;
	struct privs privs = { .identity = &role->config.identity,
		.root_fd = role->jail_fd,
		.descriptors = KEEPER_DESCRIPTORS,
		.processes = 0 };
	char error[PRIVS_ERROR_SIZE + 1100] = "unable to enter the sandbox";

	if (role->config.root != NULL) {
		fd_close(&privs.root_fd);
		privs.root_fd =
		    open(role->config.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (privs.root_fd == -1) {
			text_format(error, sizeof(error), "SSL_CHROOT %s: %s",
			    role->config.root, strerror(errno));
			role_fail(role, error);
		}
	}
	if (privs_drop(&privs, error) == -1 ||
	    sandbox_enter(SANDBOX_KEEPER) == -1)
		role_fail(role, error);
	role->jail_fd = -1;
}

/* It did not come. */
__attribute__((noreturn)) static void
fail_phrase(const struct keeper *keeper, enum phrase_news news)
{
	const struct role *role = &keeper->role;
	bool is_first = role->config.phrase == ROLE_PHRASE_READ;
	const char *where = is_first ? "descriptor 3 (-3)" : "another keeper";
	char sentence[192];

	switch (news) {
	case PHRASE_LONG:
		text_format(sentence, sizeof(sentence),
		    "the pass phrase from %s has more than %d bytes", where,
		    PHRASE_MAX);
		break;
	case PHRASE_LATE:
		text_format(sentence, sizeof(sentence),
		    "waited %d seconds for the pass phrase from %s: no NUL "
		    "and no end came",
		    (is_first ? PHRASE_READ_MS : PHRASE_TAKE_MS) / 1000, where);
		break;
	case PHRASE_UNREADABLE:
		text_format(sentence, sizeof(sentence),
		    "unable to read the pass phrase from %s: %s", where,
		    strerror(errno));
		break;
	default:
		text_format(sentence, sizeof(sentence),
		    "%s ended before it gave the pass phrase", where);
		break;
	}
	role_fail(role, sentence);
}

static void
get_phrase(struct keeper *keeper)
{
	struct role *role = &keeper->role;
	bool takes = role->config.phrase == ROLE_PHRASE_TAKE;
	enum phrase_news news;

	if (role->config.phrase == ROLE_PHRASE_NONE)
		return;
	news = phrase_read(&keeper->phrase, role->phrase_fd, takes,
	    role->life_fd,
	    clock_after(clock_now(), takes ? PHRASE_TAKE_MS : PHRASE_READ_MS));
	if (news == PHRASE_LIFE)
		role_exit(role, 0); /* master gives up */
	if (news != PHRASE_WHOLE)
		fail_phrase(keeper, news);
	fd_close(&role->phrase_fd);
	tlsphrase_set(
	    keeper->decrypter, keeper->phrase.bytes, keeper->phrase.len);
}

static void
tell_parameters(const struct holding *holding, const struct tls_public *public)
{
	char value[1100];

	if (holding->settings.ciphers != NULL &&
	    holding->settings.ciphers[0] != '\0')
		tell(holding, "ciphers", holding->settings.ciphers);
	if (public->dh == NULL)
		return;
	text_format(value, sizeof(value), "%s %u", holding->files.dh.path,
	    public->dh_bits);
	tell(holding, "dhparam", value);
}

/* tlstrust_warn_fn */
static void
warn(void *arg, const char *sentence)
{
	const struct holding *holding = arg;
	const struct role *role = &holding->keeper->role;
	const char *rule = role->profiles.all[number_of(holding)].rule;
	char whole[1200];

	if (is_told(holding->keeper, sentence))
		return;
	if (rule == NULL) {
		role_warn(role, sentence);
		return;
	}
	text_format(whole, sizeof(whole), "%s: %s", rule, sentence);
	role_warn(role, whole);
}

static void
load_holding(struct holding *holding, struct tls_public *public)
{
	const struct tlsphrase *phrase = holding->keeper->decrypter;
	char error[TLSFILE_ERROR_SIZE];

	holding->files.phrase = phrase;
	if (tlsfile_load(&holding->files, public, &holding->keys, warn, holding,
		error) == -1 ||
	    tlscertdir_load(&holding->certdir, phrase, &public->certs,
		&holding->keys, warn, holding, error) == -1 ||
	    tlstrust_load(
		&holding->trust, &public->trust, warn, holding, error) == -1)
		fail(holding, error);
	holding->files.phrase = NULL;
	/*
	 * A policy that cannot be made permits nothing.  The nursery, which
	 * comes next, refuses the same settings and says which.
	 */
	if (tlsscheme_policy_init(
		&holding->policy, &holding->settings, public) == -1)
		memset(&holding->policy, 0, sizeof(holding->policy));
	tell_parameters(holding, public);
}

static void
load_files(struct keeper *keeper)
{
	size_t i;

	for (i = 0; i < keeper->role.profiles.count; i++)
		load_holding(&keeper->holdings[i], &keeper->publics[i]);
	tlsphrase_free(keeper->decrypter);
	keeper->decrypter = NULL;
}

/* To the nursery; what may be large is of no more use here. */
static void
give_public(struct keeper *keeper)
{
	size_t i;

	role_public_give(&keeper->role, keeper->publics, keeper->public_fd);
	fd_close(&keeper->public_fd);
	for (i = 0; i < keeper->role.profiles.count; i++)
		tlstrust_free(&keeper->publics[i].trust);
}

/* Any key that the profile has, but for what its kind can sign. */
static int
sign(const struct holding *holding, uint64_t number, uint64_t scheme,
    const unsigned char *text, size_t len, unsigned char *signature)
{
	struct tlskey *key = tlskeys_get(&holding->keys, number);

	errno = EPERM;
	if (key == NULL || scheme > 0xffff)
		return -1;
	return tlskey_sign(key, &holding->policy, (unsigned)scheme, text, len,
	    signature, TLSSCHEME_SIGNATURE_MAX);
}

/* Answer one request.  -1: the monitor is gone or talks nonsense. */
static int
answer(struct keeper *keeper, const struct msg *msg)
{
	unsigned char body[sizeof(uint64_t) * 2 + TLSSCHEME_SIGNATURE_MAX];
	unsigned char signature[TLSSCHEME_SIGNATURE_MAX];
	enum msg_signed outcome = MSG_SIGNED;
	struct msg_reader r;
	struct msg_writer w;
	const unsigned char *text;
	size_t text_len, len;
	uint64_t profile, number, scheme;
	int n = -1;

	msg_read_from(&r, msg);
	profile = msg_get_number(&r);
	number = msg_get_number(&r);
	scheme = msg_get_number(&r);
	text = msg_get_bytes(&r, &text_len);
	if (msg->type != MSG_SIGN)
		return -1;
	errno = EPERM;
	if (msg_read_all(&r) == 0 && profile < keeper->role.profiles.count)
		n = sign(&keeper->holdings[profile], number, scheme, text,
		    text_len, signature);
	if (n < 0) {
		outcome = errno == EPERM ? MSG_SIGN_REFUSED : MSG_SIGN_FAILED;
		n = 0;
	}
	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, outcome);
	msg_put_bytes(&w, signature, (size_t)n);
	if (msg_written(&w, &len) == -1)
		return -1;
	return msg_send_bytes(
	    keeper->role.work_fd, MSG_SIGNATURE, msg->conn, body, len, false);
}

static void
serve_work(struct keeper *keeper)
{
	struct role *role = &keeper->role;
	struct msg msg;
	bool more;
	int r;

	r = msg_receive(role->work_fd, &role->room, &msg, 0, true, &more);
	if (r == 0)
		return;
	if (r == -1 || more || answer(keeper, &msg) == -1)
		fd_close(&role->work_fd); /* master sends a new one */
}

/* A new work socket, or a keeper that wants the phrase. */
static void
serve_master(struct keeper *keeper)
{
	struct role *role = &keeper->role;

	role_life(role);
	if (role->asking_fd == -1)
		return;
	/* If it fails, the other one sees the end and says so. */
	(void)phrase_give(&keeper->phrase, role->asking_fd);
	fd_close(&role->asking_fd);
}

void
keeper_run(void)
{
	static struct keeper keeper;
	struct pollfd fds[2];

	role_begin(&keeper.role);
	open_files(&keeper);
	make_memory(&keeper);
	prepare_phrase(&keeper);
	drop_rights(&keeper);
	get_phrase(&keeper);
	load_files(&keeper);
	give_public(&keeper);
	for (;;) {
		fds[0] = (struct pollfd){ keeper.role.life_fd, POLLIN, 0 };
		fds[1] = (struct pollfd){ keeper.role.work_fd, POLLIN, 0 };
		if (poll(fds, 2, -1) == -1)
			continue;
		if (fds[0].revents != 0)
			serve_master(&keeper);
		else if (fds[1].revents != 0)
			serve_work(&keeper);
	}
}
