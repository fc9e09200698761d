/*
 * The beginning of an executable role.
 *
 * Runs in keeper and nursery, still with master's rights, and trusts
 * master alone.
 */
#include "serve/role.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "build_id.h"
#include "compat/compat.h"
#include "serve/sealed.h"
#include "tls/tlsfile.h"
#include "tls/tlslib.h"

/* The descriptors of CONFIG: all that it says there are. */
static void
take_fds(struct role *role, const struct msg *msg)
{
	size_t n = 0, i;

	if (msg->fd_count !=
	    (size_t)role->config.has_jail + role->config.has_public +
		role->config.has_phrase +
		role->config.has_list[PROFILES_EARLY] +
		role->config.has_list[PROFILES_LATE])
		role_fail(role, "descriptors from master did not arrive");
	if (role->config.has_jail)
		role->jail_fd = msg->fds[n++];
	if (role->config.has_public)
		role->public_fd = msg->fds[n++];
	if (role->config.has_phrase)
		role->phrase_fd = msg->fds[n++];
	for (i = 0; i < PROFILES_LISTS; i++)
		if (role->config.has_list[i])
			role->list_fds[i] = msg->fds[n++];
}

void
role_begin(struct role *role)
{
	struct msg msg;
	int r;

	role->life_fd = ROLE_LIFE_FD;
	role->jail_fd = role->public_fd = role->work_fd = -1;
	role->phrase_fd = role->asking_fd = -1;
	role->list_fds[PROFILES_EARLY] = role->list_fds[PROFILES_LATE] = -1;
	buf_init(&role->whole, MSG_BODY_MAX);
	/* SIGXFSZ: a small limit of file sizes is an error to report. */
	if (sig_ignore_terminal() == -1 || signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		role_fail(role, "unable to ignore signals");
	r = msg_receive_whole(
	    role->life_fd, &role->room, &role->whole, &msg, MSG_FDS_MAX, false);
	if (r != 1 && errno == 0)
		_exit(0);
	if (r != 1 || msg.type != MSG_CONFIG)
		role_fail(role, "no settings from master");
	/* room is used again; what config points to must stay. */
	if (msg.body != role->whole.data) {
		role->whole.len = 0;
		if (buf_append(&role->whole, msg.body, msg.len) == -1)
			role_fail(role, "out of memory");
		msg.body = role->whole.data;
	}
	if (roleconfig_get(&role->config, &msg) == -1)
		role_fail(role, "malformed settings from master");
	if (role->config.build_id == NULL ||
	    strcmp(role->config.build_id, BUILD_ID) != 0)
		role_fail(
		    role, "this is build " BUILD_ID ", which is not master's");
	take_fds(role, &msg);
}

void
role_exit(const struct role *role, int code)
{
	if (role->secret != NULL)
		explicit_bzero(role->secret, role->secret_len);
	_exit(code);
}

void
role_fail(const struct role *role, const char *sentence)
{
	msg_send_bytes(role->life_fd, MSG_FAILED, 0, sentence,
	    strlen(sentence) + 1, false);
	role_exit(role, 111);
}

void
role_fail_profile(const struct role *role, size_t i, const char *sentence)
{
	const char *rule = role->profiles.all[i].rule;
	char whole[1200];

	if (rule == NULL)
		role_fail(role, sentence);
	text_format(whole, sizeof(whole), "%s: %s", rule, sentence);
	role_fail(role, whole);
}

void
role_make_profiles(struct role *role)
{
	char sentence[160];
	size_t i;
	int r;

	r = profiles_make(
	    &role->profiles, &role->config.profile, role->list_fds);
	if (r == -1 && errno == E2BIG)
		text_format(sentence, sizeof(sentence),
		    "rules and environment make more than %d different sets "
		    "of TLS settings",
		    PROFILES_MAX);
	else if (r == -1)
		text_format(sentence, sizeof(sentence),
		    "unable to read the TLS settings of rules: %s",
		    strerror(errno));
	if (r == -1)
		role_fail(role, sentence);
	for (i = 0; i < PROFILES_LISTS; i++)
		fd_close(&role->list_fds[i]);
}

static void
note(const struct role *role, enum msg_note kind, const char *name,
    const char *text)
{
	unsigned char body[2048];
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, body, sizeof(body));
	msg_put_number(&w, kind);
	msg_put_text(&w, name);
	msg_put_text(&w, text);
	if (msg_written(&w, &len) == 0)
		msg_send_bytes(role->life_fd, MSG_NOTE, 0, body, len, false);
}

void
role_warn(const struct role *role, const char *sentence)
{
	note(role, MSG_NOTE_WARNING, NULL, sentence);
}

void
role_setting(const struct role *role, const char *name, const char *value)
{
	note(role, MSG_NOTE_SETTING, name, value);
}

void
role_life(struct role *role)
{
	struct msg msg;
	bool more;

	if (msg_receive(role->life_fd, &role->room, &msg, 1, false, &more) != 1)
		role_exit(role, 0);
	if (msg.type == MSG_WORK && msg.fd_count == 1) {
		fd_close(&role->work_fd);
		role->work_fd = msg.fds[0];
	} else if (msg.type == MSG_PHRASE && role->secret != NULL) {
		/* Without its descriptor the other one asks again. */
		fd_close(&role->asking_fd);
		role->asking_fd = msg.fd_count == 1 ? msg.fds[0] : -1;
	} else
		role_fail(role, "unexpected message from master");
}

int
role_public_put(const struct tls_public *public, struct msg_writer *w)
{
	size_t i, len;

	msg_put_number(w, public->certs.count);
	for (i = 0; i < public->certs.count; i++) {
		msg_put_text(w, public->certs.all[i].name);
		msg_put_bytes(w, public->certs.all[i].chain,
		    public->certs.all[i].chain_len);
	}
	msg_put_bytes(w, public->dh, public->dh_len);
	msg_put_number(w, public->dh_bits);
	msg_put_bytes(w, public->trust.cas.data, public->trust.cas.len);
	msg_put_bytes(w, public->trust.crls.data, public->trust.crls.len);
	msg_put_bytes(w, public->trust.names.data, public->trust.names.len);
	return msg_written(w, &len);
}

static unsigned char *
copy_of(const unsigned char *bytes, size_t len)
{
	unsigned char *copy = malloc(len > 0 ? len : 1);

	if (copy != NULL && len > 0)
		memcpy(copy, bytes, len);
	return copy;
}

/* 0 or -1; the reader may be marked. */
static int
get_row(struct buf *row, struct msg_reader *r)
{
	size_t len;
	const unsigned char *bytes = msg_get_bytes(r, &len);

	buf_init(row, TLSTRUST_MAX);
	return len == 0 ? 0 : buf_append(row, bytes, len);
}

/* Where they lie.  0 or -1; the reader may be marked. */
static int
get_certs(struct tlscerts *certs, struct msg_reader *r)
{
	uint64_t count = msg_get_number(r);
	struct tlscert *cert;
	size_t i;

	if (count > TLSCERTS_MAX || tlscerts_borrow(certs, (size_t)count) == -1)
		return -1;
	for (i = 0; i < count; i++) {
		cert = &certs->all[i];
		cert->name = msg_get_text(r);
		cert->chain = msg_get_bytes(r, &cert->chain_len);
	}
	return 0;
}

int
role_public_get(
    struct tls_public *public, const unsigned char *bytes, size_t len)
{
	const struct msg body = { .body = bytes, .len = len };
	const unsigned char *part;
	struct msg_reader r;

	memset(public, 0, sizeof(*public));
	msg_read_from(&r, &body);
	if (get_certs(&public->certs, &r) == -1)
		goto bad;
	part = msg_get_bytes(&r, &public->dh_len);
	if (public->dh_len > 0 &&
	    (public->dh = copy_of(part, public->dh_len)) == NULL)
		goto bad;
	public->dh_bits = (unsigned)msg_get_number(&r);
	if (get_row(&public->trust.cas, &r) == 0 &&
	    get_row(&public->trust.crls, &r) == 0 &&
	    get_row(&public->trust.names, &r) == 0 && msg_read_all(&r) == 0)
		return 0;
bad:
	tls_public_free(public);
	return -1;
}

/* What went wrong with the data that goes from keeper to nursery. */
__attribute__((noreturn)) static void
fail_public(const struct role *role, const char *what)
{
	char sentence[160];

	text_format(sentence, sizeof(sentence),
	    "unable to %s certificates and parameters: %s", what,
	    strerror(errno));
	role_fail(role, sentence);
}

/* Each profile's, in a field of its own.  0, or -1: it is too much. */
static int
put_publics(const struct role *role, const struct tls_public *publics,
    struct msg_writer *w)
{
	size_t i, len;

	for (i = 0; i < role->profiles.count; i++) {
		struct msg_writer one;

		msg_write_to(&one, NULL, ROLE_PUBLIC_MAX);
		if (role_public_put(&publics[i], &one) == -1)
			return -1;
		msg_put_number(w, one.len);
		(void)role_public_put(&publics[i], w);
	}
	return msg_written(w, &len);
}

static unsigned char *
encode_publics(
    const struct role *role, const struct tls_public *publics, size_t *len)
{
	unsigned char *bytes;
	struct msg_writer w;

	msg_write_to(&w, NULL, ROLE_PUBLIC_MAX);
	if (put_publics(role, publics, &w) == -1)
		role_fail(
		    role, "certificates and parameters are larger than 32 MiB");
	*len = w.len;
	bytes = malloc(*len);
	if (bytes == NULL)
		fail_public(role, "encode");
	msg_write_to(&w, bytes, *len);
	(void)put_publics(role, publics, &w);
	return bytes;
}

/*
 * Without root, Linux counts descriptors of the user's that are under way
 * between any processes, and lets nobody send one who may not have so many
 * open: a keeper has few, and a busy server many.  They arrive soon.
 */
static int
send_patiently(const struct role *role, const struct msg *msg)
{
	const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
	int64_t until = clock_after(clock_now(), ROLE_START_MS);

	while (msg_send(role->life_fd, msg, false) == -1) {
		if (errno != ETOOMANYREFS || clock_now() >= until)
			return -1;
		nanosleep(&moment, NULL);
	}
	return 0;
}

void
role_public_give(
    const struct role *role, const struct tls_public *publics, int fd)
{
	unsigned char digest[ROLE_DIGEST_SIZE], *bytes;
	struct msg ready = { .type = MSG_READY,
		.body = digest,
		.len = sizeof(digest),
		.fds = { fd },
		.fd_count = 1 };
	size_t len;

	bytes = encode_publics(role, publics, &len);
	if (tlslib_sha256(bytes, len, digest) == -1)
		role_fail(role, "unable to compute a SHA-256");
	if (fd_write_all(fd, bytes, len) == -1 || sealed_seal(fd) == -1)
		fail_public(role, "pass on");
	free(bytes);
	if (send_patiently(role, &ready) == -1)
		role_exit(role, 0);
}

/* 0, or -1: malformed, or memory is short. */
static int
get_publics(const struct role *role, struct tls_public *publics,
    const struct msg *whole)
{
	const unsigned char *bytes;
	struct msg_reader r;
	size_t i, len;

	msg_read_from(&r, whole);
	for (i = 0; i < role->profiles.count; i++) {
		bytes = msg_get_bytes(&r, &len);
		if (r.failed || role_public_get(&publics[i], bytes, len) == -1)
			return -1;
	}
	return msg_read_all(&r);
}

void
role_public_take(struct role *role, struct tls_public *publics)
{
	struct msg whole = { .len = 0 };
	const void *bytes;
	size_t len;

	if (sealed_check(role->public_fd, ROLE_PUBLIC_MAX, &len) == -1)
		fail_public(role, "take over");
	bytes = sealed_map(role->public_fd, len);
	if (bytes == NULL)
		fail_public(role, "take over");
	fd_close(&role->public_fd);
	errno = EPROTO;
	whole.body = bytes;
	whole.len = len;
	if (get_publics(role, publics, &whole) == -1)
		fail_public(role, "take over");
}
