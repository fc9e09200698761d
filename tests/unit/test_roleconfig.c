/*
 * test_roleconfig: settings and public data arrive as master and keeper
 * sent them, or not at all; another build is told from nonsense.
 */
#include "serve/roleconfig.h"

#include "support.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "build_id.h"
#include "serve/msg.h"
#include "serve/role.h"
#include "serve/sealed.h"
#include "tls/tlsfile.h"
#include "tls/tlslib.h"

static unsigned char bytes[8192];

static struct role_config
sample(void)
{
	static const unsigned char greeting[] = "220 \0\r\n";
	struct role_config config = { .build_id = BUILD_ID,
		.identity = { true, 64071, 64072 },
		.root = "/var/empty",
		.limit = 1000000,
		.idle_s = 2147483,
		.strict_close = true,
		.session_s = 7200,
		.seals_tickets = true,
		.greeting = greeting,
		.greeting_len = sizeof(greeting) - 1,
		.phrase = ROLE_PHRASE_TAKE,
		.has_jail = true,
		.has_public = true,
		.has_phrase = true,
		.has_list = { false, true } };

	config.profile.values[0] = "chain.pem";
	config.profile.values[PROFILE_VARIABLES - 1] = "";
	return config;
}

/* As a message of exactly the bytes that were written. */
static struct msg
sent(const struct role_config *config)
{
	struct msg msg = { .type = MSG_CONFIG, .body = bytes };
	struct msg_writer w;

	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(roleconfig_put(config, &w), 0);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	return msg;
}

static void
assert_same_text(const char *a, const char *b)
{
	assert_true((a == NULL) == (b == NULL));
	if (a != NULL)
		assert_string_equal(a, b);
}

static void
assert_same(const struct role_config *a, const struct role_config *b)
{
	size_t i;

	assert_int_equal(a->identity.is_set, b->identity.is_set);
	assert_int_equal(a->identity.uid, b->identity.uid);
	assert_int_equal(a->identity.gid, b->identity.gid);
	for (i = 0; i < PROFILE_VARIABLES; i++)
		assert_same_text(a->profile.values[i], b->profile.values[i]);
	assert_same_text(a->root, b->root);
	assert_int_equal(a->limit, b->limit);
	assert_int_equal(a->idle_s, b->idle_s);
	assert_int_equal(a->strict_close, b->strict_close);
	assert_int_equal(a->session_s, b->session_s);
	assert_int_equal(a->seals_tickets, b->seals_tickets);
	assert_int_equal(a->greeting_len, b->greeting_len);
	if (a->greeting_len > 0)
		assert_memory_equal(a->greeting, b->greeting, a->greeting_len);
	assert_int_equal(a->has_jail, b->has_jail);
	assert_int_equal(a->has_public, b->has_public);
	assert_int_equal(a->has_phrase, b->has_phrase);
	assert_int_equal(a->phrase, b->phrase);
	for (i = 0; i < PROFILES_LISTS; i++)
		assert_int_equal(a->has_list[i], b->has_list[i]);
}

static void
the_journey_changes_nothing(void **state)
{
	struct role_config full = sample(), got;
	struct role_config empty = { .build_id = BUILD_ID };
	struct msg msg;

	(void)state;
	msg = sent(&full);
	assert_int_equal(roleconfig_get(&got, &msg), 0);
	assert_string_equal(got.build_id, BUILD_ID);
	assert_same(&got, &full);
	msg = sent(&empty);
	assert_int_equal(roleconfig_get(&got, &msg), 0);
	assert_same(&got, &empty);
}

static void
what_does_not_fit_is_refused(void **state)
{
	struct role_config full = sample();
	size_t whole = sent(&full).len, size;
	struct msg_writer w;

	(void)state;
	for (size = 0; size < whole; size++) {
		msg_write_to(&w, bytes, size);
		assert_int_equal(roleconfig_put(&full, &w), -1);
	}
}

static void
another_build_is_recognised(void **state)
{
	struct role_config other = { .build_id = BUILD_ID "x" }, got;
	struct msg_writer w;
	struct msg msg = sent(&other);

	(void)state;
	assert_int_equal(roleconfig_get(&got, &msg), 0);
	assert_string_equal(got.build_id, BUILD_ID "x");
	/* Whatever follows has the other build's form. */
	msg_write_to(&w, bytes, sizeof(bytes));
	msg_put_text(&w, "0.1");
	msg_put_bytes(&w, "\xff\xff\xff", 3);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg.len -= 2;
	assert_int_equal(roleconfig_get(&got, &msg), 0);
	assert_string_equal(got.build_id, "0.1");
	msg.len = 0;
	assert_int_equal(roleconfig_get(&got, &msg), 0);
	assert_null(got.build_id);
}

static void
malformed_settings_are_refused(void **state)
{
	struct role_config full = sample(), got;
	struct msg msg = sent(&full);
	size_t whole = msg.len, after_id = 8 + sizeof(BUILD_ID);

	(void)state;
	for (msg.len = after_id; msg.len < whole; msg.len++)
		assert_int_equal(roleconfig_get(&got, &msg), -1);
	bytes[whole] = 0;
	msg.len = whole + 1;
	assert_int_equal(roleconfig_get(&got, &msg), -1);
}

static struct buf
row_of(unsigned char *data, size_t len)
{
	return (struct buf){ .data = data, .len = len };
}

/* Public data of two certificates and all else, encoded. */
static size_t
public_bytes(struct tls_public *public)
{
	static unsigned char cas[] = "\0cas", crls[] = "crls\0", names[] = "n";
	static struct tlscert all[2] = {
		{ NULL, (const unsigned char *)"leaf\0\xff", 6 },
		{ "name.example", (const unsigned char *)"root", 4 }
	};
	static unsigned char dh[] = "\x30parameters";
	struct msg_writer w;
	size_t len;

	memset(public, 0, sizeof(*public));
	public->certs.all = all;
	public->certs.count = 2;
	public->dh = dh;
	public->dh_len = sizeof(dh) - 1;
	public->dh_bits = 2048;
	public->trust.cas = row_of(cas, sizeof(cas) - 1);
	public->trust.crls = row_of(crls, sizeof(crls) - 1);
	public->trust.names = row_of(names, sizeof(names) - 1);
	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(role_public_put(public, &w), 0);
	assert_int_equal(msg_written(&w, &len), 0);
	return len;
}

static void
assert_same_row(const struct buf *a, const struct buf *b)
{
	assert_int_equal(a->len, b->len);
	if (a->len > 0)
		assert_memory_equal(a->data, b->data, a->len);
}

static void
public_data_arrives_whole(void **state)
{
	struct tls_public public, got;
	size_t len = public_bytes(&public), i;
	struct msg_writer w;

	(void)state;
	assert_int_equal(role_public_get(&got, bytes, len), 0);
	assert_int_equal(got.certs.count, 2);
	for (i = 0; i < 2; i++) {
		const struct tlscert *cert = &got.certs.all[i];
		const struct tlscert *sent = &public.certs.all[i];

		assert_same_text(cert->name, sent->name);
		assert_int_equal(cert->chain_len, sent->chain_len);
		assert_memory_equal(cert->chain, sent->chain, cert->chain_len);
		/* Where they came in, not copied. */
		assert_true(cert->chain > bytes && cert->chain < bytes + len);
	}
	assert_int_equal(got.dh_len, public.dh_len);
	assert_memory_equal(got.dh, public.dh, got.dh_len);
	assert_int_equal(got.dh_bits, 2048);
	assert_same_row(&got.trust.cas, &public.trust.cas);
	assert_same_row(&got.trust.crls, &public.trust.crls);
	assert_same_row(&got.trust.names, &public.trust.names);
	tls_public_free(&got);
	/* With none of what may be missing. */
	memset(&public.trust, 0, sizeof(public.trust));
	public.dh = NULL;
	public.dh_len = public.dh_bits = 0;
	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(role_public_put(&public, &w), 0);
	assert_int_equal(role_public_get(&got, bytes, w.len), 0);
	assert_null(got.dh);
	assert_same_row(&got.trust.cas, &public.trust.cas);
	tls_public_free(&got);
	for (i = 0; i < w.len; i++) {
		struct msg_writer small;

		msg_write_to(&small, bytes, i);
		assert_int_equal(role_public_put(&public, &small), -1);
	}
}

/* Nothing is left allocated, which the sanitizers and valgrind see. */
static void
malformed_public_data_is_refused(void **state)
{
	static const uint64_t counts[] = { 3, TLSCERTS_MAX, TLSCERTS_MAX + 1,
		UINT64_MAX };
	struct tls_public public, got;
	size_t whole = public_bytes(&public), i;

	(void)state;
	for (i = 0; i < whole; i++)
		assert_int_equal(role_public_get(&got, bytes, i), -1);
	bytes[whole] = 0;
	assert_int_equal(role_public_get(&got, bytes, whole + 1), -1);
	for (i = 0; i < COUNT(counts); i++) {
		memcpy(bytes, &counts[i], sizeof(counts[i]));
		assert_int_equal(role_public_get(&got, bytes, whole), -1);
	}
}

/* A role with so many profiles. */
static void
give_profiles(struct role *role, size_t count)
{
	static struct profiles_entry entries[2];

	role->profiles = (struct profiles){ .all = entries, .count = count };
}

/* From a keeper's READY to a nursery that took its descriptor. */
static void
public_data_travels_sealed(void **state)
{
	static struct role keeper, nursery;
	unsigned char digest[TLSLIB_SHA256_SIZE];
	int before = open_descriptors(), fd = sealed_make(), ends[2];
	struct tls_public publics[2], got[2];
	static struct msg_room room;
	struct msg ready;
	const void *sealed;
	size_t len, i;
	bool more;

	(void)state;
	for (i = 0; i < 2; i++)
		(void)public_bytes(&publics[i]);
	publics[1].dh_bits = 3072;
	assert_int_equal(fd_message_pair(ends), 0);
	keeper.life_fd = ends[0];
	give_profiles(&keeper, 2);
	role_public_give(&keeper, publics, fd);
	fd_close(&fd);
	assert_int_equal(
	    msg_receive(ends[1], &room, &ready, 1, true, &more), 1);
	assert_int_equal(ready.type, MSG_READY);
	assert_int_equal(ready.len, ROLE_DIGEST_SIZE);
	assert_int_equal(ready.fd_count, 1);
	assert_int_equal(sealed_check(ready.fds[0], ROLE_PUBLIC_MAX, &len), 0);
	sealed = sealed_map(ready.fds[0], len);
	assert_non_null(sealed);
	assert_int_equal(tlslib_sha256(sealed, len, digest), 0);
	assert_memory_equal(ready.body, digest, ROLE_DIGEST_SIZE);
	nursery.public_fd = ready.fds[0];
	give_profiles(&nursery, 2);
	role_public_take(&nursery, got);
	for (i = 0; i < 2; i++) {
		assert_int_equal(got[i].certs.count, 2);
		assert_memory_equal(got[i].certs.all[1].chain, "root", 4);
		assert_int_equal(got[i].dh_bits, publics[i].dh_bits);
		tls_public_free(&got[i]);
	}
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	assert_int_equal(open_descriptors(), before);
}

/* What a role said when it failed in step; NULL: it did not. */
static const char *
sentence_of(void (*step)(struct role *role))
{
	static struct msg_room room;
	static struct role role;
	struct msg msg;
	int ends[2], status;
	bool more;
	pid_t pid;

	assert_int_equal(fd_message_pair(ends), 0);
	pid = fork();
	if (pid == 0) {
		fd_close(&ends[1]);
		role.life_fd = ends[0];
		give_profiles(&role, 1);
		step(&role);
		_exit(0);
	}
	fd_close(&ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (msg_receive(ends[1], &room, &msg, 1, true, &more) != 1)
		msg.type = MSG_TYPES;
	fd_close(&ends[1]);
	if (msg.type != MSG_FAILED) {
		assert_int_equal(status, 0);
		return NULL;
	}
	assert_int_equal(WEXITSTATUS(status), 111);
	return (const char *)msg.body;
}

static void
take_from(struct role *role, const char *text, bool is_sealed)
{
	struct tls_public got;

	role->public_fd = sealed_make();
	if (fd_write_all(role->public_fd, text, 9) == -1 ||
	    (is_sealed && sealed_seal(role->public_fd) == -1))
		_exit(1);
	role_public_take(role, &got);
}

static void
take_unsealed(struct role *role)
{
	take_from(role, "12345678", false);
}

static void
take_nonsense(struct role *role)
{
	take_from(role, "\0\0\0\0\0\0\0\0", true);
}

static void
take_nothing(struct role *role)
{
	struct tls_public got;

	role->public_fd = sealed_make();
	if (sealed_seal(role->public_fd) == -1)
		_exit(1);
	role_public_take(role, &got);
}

/* Chain certificates of so many bytes, by way of READY. */
static void
give_chain(struct role *role, size_t len)
{
	struct tls_public public;
	unsigned char *certificate = calloc(1, len);
	struct tlscert cert = { NULL, certificate, len };

	memset(&public, 0, sizeof(public));
	public.certs.all = &cert;
	public.certs.count = 1;
	if (certificate != NULL)
		role_public_give(role, &public, sealed_make());
	free(certificate);
}

/* Its length, the count, each length (of the name too), the bits. */
#define ENCODING_SIZE (9 * sizeof(uint64_t))

static void
give_what_fits(struct role *role)
{
	give_chain(role, ROLE_PUBLIC_MAX - ENCODING_SIZE);
}

static void
give_too_much(struct role *role)
{
	give_chain(role, ROLE_PUBLIC_MAX - ENCODING_SIZE + 1);
}

static void
give_below_a_limit(struct role *role)
{
	const struct rlimit limit = { 4096, 4096 };

	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &limit);
	give_chain(role, 8192);
}

static char *secret;

static void
fail_with_secret(struct role *role)
{
	role->secret = secret;
	role->secret_len = 6;
	role_fail(role, "no");
}

/* Master's end of the life line is closed: it is gone. */
static void
lose_master(struct role *role)
{
	int ends[2];

	role->secret = secret;
	role->secret_len = 6;
	if (fd_message_pair(ends) == -1)
		_exit(1);
	fd_close(&ends[1]);
	role->life_fd = ends[0];
	role_life(role);
}

static void
secrets_do_not_outlive_a_role(void **state)
{
	(void)state;
	secret = mmap(
	    NULL, 7, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(secret != MAP_FAILED);
	memcpy(secret, "phrase!", 7);
	assert_string_equal(sentence_of(fail_with_secret), "no");
	assert_memory_equal(secret, "\0\0\0\0\0\0!", 7);
	memcpy(secret, "phrase!", 7);
	assert_null(sentence_of(lose_master));
	assert_memory_equal(secret, "\0\0\0\0\0\0!", 7);
	munmap(secret, 7);
}

static void
what_cannot_travel_has_its_sentence(void **state)
{
	(void)state;
	assert_null(sentence_of(give_what_fits));
	assert_string_equal(sentence_of(give_too_much),
	    "certificates and parameters are larger than 32 MiB");
	assert_string_equal(sentence_of(give_below_a_limit),
	    "unable to pass on certificates and parameters: File too large");
	assert_string_equal(sentence_of(take_nothing),
	    "unable to take over certificates and parameters: "
	    "No data available");
	assert_string_equal(sentence_of(take_nonsense),
	    "unable to take over certificates and parameters: "
	    "Protocol error");
#ifdef F_GET_SEALS
	assert_string_equal(sentence_of(take_unsealed),
	    "unable to take over certificates and parameters: "
	    "Operation not permitted");
#endif
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_journey_changes_nothing),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(another_build_is_recognised),
		cmocka_unit_test(malformed_settings_are_refused),
		cmocka_unit_test(public_data_arrives_whole),
		cmocka_unit_test(malformed_public_data_is_refused),
		cmocka_unit_test(public_data_travels_sealed),
		cmocka_unit_test(what_cannot_travel_has_its_sentence),
		cmocka_unit_test(secrets_do_not_outlive_a_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
