/*
 * The keeper: private keys, and one operation on them.
 *
 * Opens the files that its profile names while it is still root (those of
 * directories and CAs, which may be many, it reads as well), enters SSL_CHROOT, becomes
 * SSL_UID, and only then parses them, with a pass phrase if there is one.
 * From then on it answers SIGN from the monitor.  The text comes from a
 * session, which the network may have taken over: tlskey_sign refuses
 * whatever is not a TLS server handshake of this profile.  Whether a
 * connection may ask at all is the monitor's to know.
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

struct keeper {
	struct role role;
	struct tls_settings settings;
	struct tlsfiles files;
	struct tlscertdir certdir;
	struct tlstrust_files trust;
	struct tls_public public;
	int public_fd; /* memory that carries it to the nursery */
	struct tlskeys keys;
	struct tlsscheme_policy policy;
	struct phrase phrase;	     /* of -3 */
	struct tlsphrase *decrypter; /* while the key is read; or NULL */
};

/* Whom clients' certificates must come from: read, not looked into. */
static void
read_trust(struct keeper *keeper)
{
	static const char *const lines[TLSTRUST_VARIABLES] = { "cafile",
		"cadir", "ccafile", "ccadir", "crlfile" };
	const struct role *role = &keeper->role;
	char error[TLSFILE_ERROR_SIZE];
	int i;

	if (tlstrust_read(&keeper->trust, &keeper->settings, role->config.root,
		error) == -1)
		role_fail(role, error);
	for (i = 0; i < TLSTRUST_VARIABLES; i++)
		if (keeper->trust.sources[i].path[0] != '\0')
			role_setting(
			    role, lines[i], keeper->trust.sources[i].path);
}

/* Certificates by server name: the same. */
static void
read_certdir(struct keeper *keeper)
{
	struct tlscertdir *dir = &keeper->certdir;
	const struct role *role = &keeper->role;
	char error[TLSFILE_ERROR_SIZE];

	if (tlscertdir_read(
		dir, keeper->settings.certdir, role->config.root, error) == -1)
		role_fail(role, error);
	if (dir->path[0] != '\0')
		role_setting(role, "certdir", dir->path);
}

static void
note_pairs(const struct keeper *keeper)
{
	const struct tlsfiles *files = &keeper->files;
	const struct role *role = &keeper->role;
	size_t i;

	for (i = 0; i < files->count; i++) {
		role_setting(role, files->is_chain ? "certchainfile" : "cert",
		    files->pairs[i].cert.path);
		if (files->pairs[i].key.fd != -1)
			role_setting(role, "key", files->pairs[i].key.path);
	}
}

static void
open_files(struct keeper *keeper)
{
	char error[TLSFILE_ERROR_SIZE];
	const struct role *role = &keeper->role;

	profile_settings(&role->config.profile, &keeper->settings);
	if (tlsfile_open(&keeper->files, &keeper->settings, role->config.root,
		error) == -1)
		role_fail(role, error);
	note_pairs(keeper);
	read_certdir(keeper);
	read_trust(keeper);
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
	keeper->files.phrase = keeper->decrypter;
}

static void
note_parameters(const struct keeper *keeper)
{
	char value[1100];

	if (keeper->settings.ciphers != NULL &&
	    keeper->settings.ciphers[0] != '\0')
		role_setting(
		    &keeper->role, "ciphers", keeper->settings.ciphers);
	if (keeper->public.dh == NULL)
		return;
	text_format(value, sizeof(value), "%s %u", keeper->files.dh.path,
	    keeper->public.dh_bits);
	role_setting(&keeper->role, "dhparam", value);
}

/* tlstrust_warn_fn */
static void
warn(void *arg, const char *sentence)
{
	role_warn(arg, sentence);
}

static void
load_files(struct keeper *keeper)
{
	char error[TLSFILE_ERROR_SIZE];

	if (tlsfile_load(&keeper->files, &keeper->public, &keeper->keys, warn,
		&keeper->role, error) == -1)
		role_fail(&keeper->role, error);
	if (tlscertdir_load(&keeper->certdir, keeper->decrypter,
		&keeper->public.certs, &keeper->keys, warn, &keeper->role,
		error) == -1)
		role_fail(&keeper->role, error);
	tlsphrase_free(keeper->decrypter);
	keeper->files.phrase = keeper->decrypter = NULL;
	if (tlstrust_load(&keeper->trust, &keeper->public.trust, warn,
		&keeper->role, error) == -1)
		role_fail(&keeper->role, error);
	/*
	 * A policy that cannot be made permits nothing.  The nursery, which
	 * comes next, refuses the same settings and says which.
	 */
	if (tlsscheme_policy_init(
		&keeper->policy, &keeper->settings, &keeper->public) == -1)
		memset(&keeper->policy, 0, sizeof(keeper->policy));
	note_parameters(keeper);
}

/* Any key that there is, but for what its kind can sign. */
static int
sign(const struct keeper *keeper, uint64_t number, uint64_t scheme,
    const unsigned char *text, size_t len, unsigned char *signature)
{
	struct tlskey *key = tlskeys_get(&keeper->keys, number);

	errno = EPERM;
	if (key == NULL || scheme > 0xffff)
		return -1;
	return tlskey_sign(key, &keeper->policy, (unsigned)scheme, text, len,
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
	uint64_t number, scheme;
	int n = -1;

	msg_read_from(&r, msg);
	number = msg_get_number(&r);
	scheme = msg_get_number(&r);
	text = msg_get_bytes(&r, &text_len);
	if (msg->type != MSG_SIGN)
		return -1;
	errno = EPERM;
	if (msg_read_all(&r) == 0)
		n = sign(keeper, number, scheme, text, text_len, signature);
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
	role_public_give(&keeper.role, &keeper.public, keeper.public_fd);
	fd_close(&keeper.public_fd);
	tlstrust_free(&keeper.public.trust);
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
