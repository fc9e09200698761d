/*
 * test_tlsfile: each way a file can be wrong has its sentence, and what is
 * right comes out as it went in.
 */
#include "tls/tlsfile.h"

#include <dirent.h>
#include <fcntl.h>

#include "tlsutil.h"

static EVP_PKEY *root_key, *middle_key, *leaf_key, *other_key;
static X509 *root, *middle, *leaf;
static char error[TLSFILE_ERROR_SIZE], warning[TLSFILE_ERROR_SIZE];

static const char *
path_of(const char *name)
{
	static char paths[4][200];
	static int next;
	char *path = paths[next++ % 4];

	snprintf(path, 200, "%s/%s", util_dir, name);
	return path;
}

/* c: certificates up to the NULL; k: the key, if there is one. */
static const char *
write_pem(const char *name, EVP_PKEY *key, X509 *a, X509 *b, X509 *c)
{
	const char *path = path_of(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fprintf(file, "some text before\n");
	if (key != NULL)
		PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	if (a != NULL)
		PEM_write_X509(file, a);
	if (b != NULL)
		PEM_write_X509(file, b);
	if (c != NULL)
		PEM_write_X509(file, c);
	fclose(file);
	return path;
}

static const char *
write_text(const char *name, const char *text)
{
	const char *path = path_of(name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return path;
}

static int
count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	if (dir == NULL)
		return 0;
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* tlstrust_warn_fn */
static void
take_warning(void *arg, const char *sentence)
{
	(void)arg;
	snprintf(warning, sizeof(warning), "%s", sentence);
}

/* Open and load; everything is freed again.  0 or -1 and the error. */
static int
load(const struct tls_settings *settings)
{
	struct tlsfiles files;
	struct tls_public public;
	struct tlskeys keys;
	int before = count_descriptors(), r;

	error[0] = warning[0] = '\0';
	r = tlsfile_open(&files, settings, NULL, error);
	if (r == 0) {
		r = tlsfile_load(
		    &files, &public, &keys, take_warning, NULL, error);
		assert_int_equal(keys.count > 0, r == 0);
		assert_int_equal(public.certs.count, keys.count);
		tls_public_free(&public);
		tlskeys_free(&keys);
	}
	assert_int_equal(count_descriptors(), before);
	assert_int_equal(error[0] == '\0', r == 0);
	return r;
}

static void
expect_error(const struct tls_settings *settings, const char *variable,
    const char *reason)
{
	assert_int_equal(load(settings), -1);
	if (strstr(error, variable) == NULL || strstr(error, reason) == NULL)
		fail_msg("expected \"%s ... %s\", got \"%s\"", variable, reason,
		    error);
}

static void
chain_and_key_come_out_as_they_are(void **state)
{
	struct tls_settings settings = { .certchainfile = write_pem(
					     "chain", NULL, leaf, middle, root),
		.certfile = "/nonexistent, and not needed",
		.keyfile = write_pem("key", leaf_key, NULL, NULL, NULL) };
	X509 *const all[] = { leaf, middle, root };
	struct tlsfiles files;
	struct tls_public public;
	struct tlskeys keys;
	size_t i, at = 0, len;
	struct buf row;

	(void)state;
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), 0);
	assert_true(files.is_chain);
	assert_string_equal(files.pairs[0].cert.path, settings.certchainfile);
	assert_int_equal(fcntl(files.pairs[0].key.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(files.dh.fd, -1);
	assert_int_equal(
	    tlsfile_load(&files, &public, &keys, take_warning, NULL, error), 0);
	assert_int_equal(files.pairs[0].cert.fd, -1);
	assert_int_equal(files.pairs[0].key.fd, -1);
	assert_string_equal(warning, "");
	assert_int_equal(public.certs.count, 1);
	assert_null(public.certs.all[0].name);
	assert_int_equal(chain_length(&public, 0), 3);
	row = chain_of(&public, 0);
	for (i = 0; i < 3; i++) {
		const unsigned char *der = tlstrust_next(&row, &at, &len);
		X509 *cert = d2i_X509(NULL, &der, (long)len);

		assert_int_equal(X509_cmp(cert, all[i]), 0);
		X509_free(cert);
	}
	tls_public_free(&public);
	tlskeys_free(&keys);
}

static void
one_file_may_hold_all(void **state)
{
	struct tls_settings settings = { .keyfile = "" };

	(void)state;
	settings.certfile = write_pem("both", leaf_key, leaf, NULL, NULL);
	assert_int_equal(load(&settings), 0);
	settings.certchainfile = write_pem("all", leaf_key, leaf, middle, root);
	settings.certfile = NULL;
	assert_int_equal(load(&settings), 0);
	/* A key file may hold a certificate, which is not looked at. */
	settings.keyfile = write_pem("key2", leaf_key, root, NULL, NULL);
	assert_int_equal(load(&settings), 0);
}

static void
certfile_takes_what_is_a_chain(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	struct tlsfiles files;
	struct tls_public public;
	struct tlskeys keys;

	(void)state;
	settings.certfile = write_pem("loose", leaf_key, leaf, middle, leaf);
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), 0);
	assert_false(files.is_chain);
	assert_int_equal(
	    tlsfile_load(&files, &public, &keys, take_warning, NULL, error), 0);
	assert_int_equal(chain_length(&public, 0), 2);
	tls_public_free(&public);
	tlskeys_free(&keys);
}

static void
wrong_files_have_their_sentences(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	char path[200];

	(void)state;
	expect_error(&settings, "CERTFILE", "is set");
	settings.certfile = "";
	expect_error(&settings, "CERTFILE", "is set");
	settings.certfile = path_of("missing");
	expect_error(&settings, "CERTFILE", "No such file");
	assert_non_null(strstr(error, settings.certfile));
	settings.certfile = util_dir;
	expect_error(&settings, "CERTFILE", "neither a file nor a pipe");
	settings.certfile = write_text("text", "no PEM at all\n");
	expect_error(&settings, "CERTFILE", "not a PEM file");
	settings.certfile = write_text("empty", "");
	expect_error(&settings, "CERTFILE", "not a PEM file");
	settings.certfile = write_text("bad",
	    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	expect_error(&settings, "CERTFILE", "bad certificate");
	settings.certfile =
	    write_text("torn", "-----BEGIN CERTIFICATE-----\nAAAA\n");
	expect_error(&settings, "CERTFILE", "bad PEM");
	settings.certfile = write_pem("nocert", leaf_key, NULL, NULL, NULL);
	expect_error(&settings, "CERTFILE", "no certificate in it");
	settings.certfile = write_pem("nokey", NULL, leaf, NULL, NULL);
	expect_error(&settings, "CERTFILE", "KEYFILE is not set");
	snprintf(path, sizeof(path), "%s", settings.certfile);
	settings.certfile = path;
	settings.keyfile = path_of("nowhere");
	expect_error(&settings, "KEYFILE", "No such file");
	settings.keyfile = write_pem("nokey2", NULL, root, NULL, NULL);
	expect_error(&settings, "KEYFILE", "no private key in it");
	settings.keyfile = write_pem("otherkey", other_key, NULL, NULL, NULL);
	expect_error(&settings, "KEYFILE", "do not match");
	settings.keyfile = NULL;
	settings.certfile = write_pem("mismatch", other_key, leaf, NULL, NULL);
	expect_error(&settings, "CERTFILE", "do not match");
}

/* Three kinds, as files NAME.cert and NAME.key and in one file each. */
static EVP_PKEY *kind_keys[3];
static char kind_certs[3][200], kind_keyfiles[3][200], kind_files[3][200];

static void
make_kinds(void)
{
	static const char *const kinds[] = { "RSA2048", "P-256", "ED25519" };
	char name[40];
	size_t i;

	for (i = 0; i < 3; i++) {
		EVP_PKEY *key = make_key(kinds[i]);
		X509 *cert = make_cert(kinds[i], key, kinds[i], key);

		snprintf(name, sizeof(name), "%s.cert", kinds[i]);
		strcpy(kind_certs[i], write_pem(name, NULL, cert, NULL, NULL));
		snprintf(name, sizeof(name), "%s.key", kinds[i]);
		strcpy(
		    kind_keyfiles[i], write_pem(name, key, NULL, NULL, NULL));
		snprintf(name, sizeof(name), "%s.both", kinds[i]);
		strcpy(kind_files[i], write_pem(name, key, cert, NULL, NULL));
		X509_free(cert);
		kind_keys[i] = key;
	}
}

static void
free_kinds(void)
{
	size_t i;

	for (i = 0; i < 3; i++)
		EVP_PKEY_free(kind_keys[i]);
}

/* Three of them, each with the key of its own certificate. */
static void
expect_kinds(const struct tls_settings *settings)
{
	static const char *const names[] = { "RSA", "ECDSA", "Ed25519" };
	struct tls_public public;
	struct tlsfiles files;
	struct tlskeys keys;
	size_t i;

	assert_int_equal(tlsfile_open(&files, settings, NULL, error), 0);
	assert_int_equal(
	    tlsfile_load(&files, &public, &keys, take_warning, NULL, error), 0);
	assert_int_equal(public.certs.count, 3);
	assert_int_equal(keys.count, 3);
	for (i = 0; i < 3; i++) {
		const struct buf row = chain_of(&public, i);
		const unsigned char *der;
		size_t at = 0, len;
		X509 *cert;

		der = tlstrust_next(&row, &at, &len);
		cert = d2i_X509(NULL, &der, (long)len);
		assert_int_equal(X509_check_private_key(cert, kind_keys[i]), 1);
		assert_string_equal(tlskey_kind(keys.all[i]), names[i]);
		X509_free(cert);
	}
	assert_null(tlskeys_get(&keys, 3));
	assert_null(tlskeys_get(&keys, UINT64_MAX));
	tls_public_free(&public);
	tlskeys_free(&keys);
}

/* a:b:c */
static const char *
list_of(char files[3][200])
{
	static char lists[2][700];
	static size_t next;
	char *list = lists[next++ % 2];

	snprintf(list, 700, "%s:%s:%s", files[0], files[1], files[2]);
	return list;
}

static void
need_three_kinds(void)
{
	if (LIB_SIGNS_TEXTS)
		return;
	puts("# skip: this build has no Ed25519");
	skip();
}

static void
lists_are_pairs_in_their_order(void **state)
{
	struct tls_settings settings = { .certfile = NULL };

	(void)state;
	need_three_kinds();
	make_kinds();
	warning[0] = '\0';
	settings.certfile = list_of(kind_certs);
	settings.keyfile = list_of(kind_keyfiles);
	expect_kinds(&settings);
	settings.certchainfile = settings.certfile;
	settings.certfile = "one:that:is:not:looked:at";
	expect_kinds(&settings);
	/* Without KEYFILE each key is beside its certificate. */
	settings =
	    (struct tls_settings){ .certchainfile = list_of(kind_files) };
	expect_kinds(&settings);
	assert_string_equal(warning, "");
	free_kinds();
}

static void
wrong_lists_have_their_sentences(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	char list[800];

	(void)state;
	need_three_kinds();
	make_kinds();
	settings.certfile = list_of(kind_certs);
	settings.keyfile = kind_keyfiles[0];
	expect_error(&settings, "CERTFILE and KEYFILE", "here are 3 and 1");
	settings.certfile = kind_certs[0];
	settings.keyfile = list_of(kind_keyfiles);
	expect_error(&settings, "CERTFILE and KEYFILE", "here are 1 and 3");
	settings.certchainfile = kind_certs[0];
	expect_error(&settings, "CERTCHAINFILE and KEYFILE", "1 and 3");
	/* The wrong one of a pair. */
	snprintf(list, sizeof(list), "%s:%s:%s", kind_certs[0], kind_certs[2],
	    kind_certs[1]);
	settings.certchainfile = list;
	expect_error(&settings, kind_certs[2], "do not match");
	assert_non_null(strstr(error, kind_keyfiles[1]));
	settings = (struct tls_settings){ .certfile = list };
	snprintf(list, sizeof(list), "%s:", kind_files[0]);
	expect_error(&settings, "CERTFILE", "empty");
	snprintf(list, sizeof(list), ":%s", kind_files[0]);
	expect_error(&settings, "CERTFILE", "empty");
	snprintf(list, sizeof(list), "%s::%s", kind_files[0], kind_files[1]);
	expect_error(&settings, "CERTFILE", "empty");
	settings.certfile = "a:b:c:d:e:f:g:h:i";
	expect_error(&settings, "CERTFILE names 9 files", "8 is the most");
	settings.certfile = list;
	snprintf(list, sizeof(list), "%s:/nowhere", kind_files[0]);
	expect_error(&settings, "CERTFILE /nowhere", "No such file");
	/* The second one of a file that has no key. */
	snprintf(list, sizeof(list), "%s:%s", kind_files[0], kind_certs[1]);
	expect_error(&settings, kind_certs[1], "KEYFILE is not set");
	free_kinds();
}

static void
only_a_strict_server_has_no_certificate_for_all(void **state)
{
	struct tls_settings settings = { .certdir = util_dir };
	struct tlsfiles files;
	bool is_strict;

	(void)state;
	expect_error(&settings, "CERTFILE", "only with SNI=strict");
	settings.sni = "";
	expect_error(&settings, "CERTFILE", "only with SNI=strict");
	settings.sni = "strictly";
	expect_error(&settings, "SNI strictly", "must be strict");
	settings.sni = "strict";
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), 0);
	assert_int_equal(files.count, 0);
	tlsfile_close(&files);
	settings.keyfile = "key.pem";
	expect_error(&settings, "KEYFILE", "neither CERTFILE");
	settings = (struct tls_settings){ .sni = "strict" };
	expect_error(&settings, "CERTFILE", "is set");
	assert_int_equal(
	    tls_settings_strict(&settings, &is_strict, error, sizeof(error)),
	    0);
	assert_true(is_strict);
	settings.sni = NULL;
	assert_int_equal(
	    tls_settings_strict(&settings, &is_strict, error, sizeof(error)),
	    0);
	assert_false(is_strict);
}

static void
of_two_of_a_kind_the_first_counts(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	struct tls_public public;
	struct tlsfiles files;
	struct tlskeys keys;
	char list[700];

	(void)state;
	make_kinds();
	snprintf(list, sizeof(list), "%s:%s:%s", kind_files[1],
	    write_pem("second", leaf_key, leaf, NULL, NULL), kind_files[0]);
	settings.certfile = list;
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), 0);
	assert_int_equal(
	    tlsfile_load(&files, &public, &keys, take_warning, NULL, error), 0);
	assert_int_equal(public.certs.count, 2);
	assert_int_equal(keys.count, 2);
	assert_string_equal(tlskey_kind(keys.all[1]), "RSA");
	assert_non_null(strstr(warning, "second: not used"));
	assert_non_null(strstr(warning, "ECDSA"));
	tls_public_free(&public);
	tlskeys_free(&keys);
	free_kinds();
}

static void
unreadable_files_have_their_sentence(void **state)
{
	struct tls_settings settings = { .certfile = NULL };

	(void)state;
	if (geteuid() == 0)
		skip();
	settings.certfile = write_pem("locked", leaf_key, leaf, NULL, NULL);
	chmod(settings.certfile, 0);
	expect_error(&settings, "CERTFILE", "Permission denied");
}

static void
chains_must_be_chains(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	EVP_PKEY *fake_key = make_key("P-256");
	X509 *fake = make_cert("middle", fake_key, "root", fake_key);

	(void)state;
	settings.keyfile = write_pem("chainkey", leaf_key, NULL, NULL, NULL);
	settings.certchainfile =
	    write_pem("backward", NULL, root, middle, leaf);
	expect_error(&settings, "CERTCHAINFILE", "root certificate first");
	settings.certchainfile = write_pem("gap", NULL, leaf, root, NULL);
	expect_error(&settings, "CERTCHAINFILE", "not a chain");
	settings.certchainfile = write_pem("rest", NULL, leaf, middle, leaf);
	expect_error(&settings, "CERTCHAINFILE", "not a chain");
	/* The right name is not enough. */
	settings.certchainfile = write_pem("fake", NULL, leaf, fake, NULL);
	expect_error(&settings, "CERTCHAINFILE", "not a chain");
	X509_free(fake);
	EVP_PKEY_free(fake_key);
}

static void
long_chains_are_refused(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	const char *path = write_pem("long", root_key, NULL, NULL, NULL);
	FILE *file = fopen(path, "a");
	int i;

	(void)state;
	for (i = 0; i < TLSFILE_CHAIN_MAX; i++)
		PEM_write_X509(file, root);
	fclose(file);
	settings.certchainfile = path;
	assert_int_equal(load(&settings), 0);
	file = fopen(path, "a");
	PEM_write_X509(file, root);
	fclose(file);
	expect_error(&settings, "CERTCHAINFILE", "more than 16");
}

static void
encrypted_keys_are_named_so(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	const char *path = path_of("encrypted");
	unsigned char phrase[] = "phrase";
	FILE *file;

	(void)state;
	settings.certfile = write_pem("cert", NULL, leaf, NULL, NULL);
	settings.keyfile = path;
	file = fopen(path, "w");
	PEM_write_PrivateKey(
	    file, leaf_key, EVP_aes_128_cbc(), phrase, 6, NULL, NULL);
	fclose(file);
	expect_error(&settings, "KEYFILE", "is encrypted");
	file = fopen(path, "w");
	fputs("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
	      "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
	      "AAAA\n-----END EC PRIVATE KEY-----\n",
	    file);
	fclose(file);
	expect_error(&settings, "KEYFILE", "is encrypted");
}

static void
every_key_format_loads(void **state)
{
	static const char *const kinds[] = { "RSA2048", "P-384", "ED25519" };
	struct tls_settings settings = { .certfile = NULL };
	size_t i;
	FILE *file;

	(void)state;
	for (i = 0; i < 3; i++) {
		EVP_PKEY *key = make_key(kinds[i]);
		X509 *cert = make_cert("me", key, "me", key);

		settings.certfile = write_pem("pkcs8", key, cert, NULL, NULL);
		if (i == 2 && !LIB_SIGNS_TEXTS)
			expect_error(&settings, "CERTFILE", "an Ed25519 key");
		else
			assert_int_equal(load(&settings), 0);
		/* "RSA PRIVATE KEY", "EC PRIVATE KEY" */
		settings.certfile = write_pem("old", NULL, cert, NULL, NULL);
		file = fopen(settings.certfile, "a");
		if (i < 2) {
			BIO *bio = BIO_new_fp(file, BIO_NOCLOSE);

			assert_int_equal(
			    PEM_write_bio_PrivateKey_traditional(
				bio, key, NULL, NULL, 0, NULL, NULL),
			    1);
			BIO_free(bio);
		}
		fclose(file);
		if (i < 2)
			assert_int_equal(load(&settings), 0);
		X509_free(cert);
		EVP_PKEY_free(key);
	}
}

static void
other_kinds_of_key_are_refused(void **state)
{
	EVP_PKEY *key = lib_make_key("ED448");
	X509 *cert = X509_new();
	struct tls_settings settings = { .certfile = NULL };

	(void)state;
	if (key == NULL) {
		X509_free(cert);
		puts("# skip: the library has no Ed448");
		skip();
	}
	X509_set_pubkey(cert, key);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 60);
	X509_sign(cert, key, NULL);
	settings.certfile = write_pem("ed448", key, cert, NULL, NULL);
	expect_error(&settings, "CERTFILE", "not RSA, ECDSA or Ed25519");
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
dates_are_warnings(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	X509 *cert;

	(void)state;
	cert = make_cert_dated("me", leaf_key, "me", leaf_key, -200, -100);
	settings.certfile = write_pem("expired", leaf_key, cert, NULL, NULL);
	X509_free(cert);
	assert_int_equal(load(&settings), 0);
	assert_non_null(strstr(warning, "has expired"));
	assert_non_null(strstr(warning, settings.certfile));
	cert = make_cert_dated("me", leaf_key, "me", leaf_key, 100, 200);
	settings.certfile = write_pem("early", leaf_key, cert, NULL, NULL);
	X509_free(cert);
	assert_int_equal(load(&settings), 0);
	assert_non_null(strstr(warning, "not yet valid"));
}

static void
dh_parameters_are_read(void **state)
{
	struct tls_settings settings = { .certfile = NULL };
	struct tlsfiles files;
	struct tls_public public;
	struct tlskeys keys;
	unsigned char der[1200];
	BIO *bio;

	(void)state;
	settings.certfile = write_pem("dhcert", leaf_key, leaf, NULL, NULL);
	settings.dhfile = path_of("dh");
	bio = BIO_new_file(settings.dhfile, "w");
	assert_true(PEM_write_bio(bio, PEM_STRING_DHPARAMS, "", der,
			(long)lib_dh_parameters(2048, der)) > 0);
	BIO_free(bio);
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), 0);
	assert_int_equal(
	    tlsfile_load(&files, &public, &keys, take_warning, NULL, error), 0);
	assert_int_equal(public.dh_bits, 2048);
	assert_true(public.dh_len > 256);
	tls_public_free(&public);
	tlskeys_free(&keys);
	settings.dhfile = settings.certfile;
	expect_error(&settings, "DHFILE", "no DH parameters");
	settings.dhfile = path_of("absent");
	expect_error(&settings, "DHFILE", "No such file");
	/* SEQUENCE { INTEGER 16, INTEGER 2 }: an even prime */
	settings.dhfile = write_text("evendh",
	    "-----BEGIN DH PARAMETERS-----\nMAYCARACAQI=\n"
	    "-----END DH PARAMETERS-----\n");
	expect_error(&settings, "DHFILE", "bad DH parameters");
}

static void
paths_are_tried_below_the_root_too(void **state)
{
	struct tls_settings settings = { .certfile = "/deep/cert.pem" };
	struct tlsfiles files;
	const char *deep = path_of("deep");

	(void)state;
	mkdir(deep, 0700);
	assert_int_equal(tlsfile_open(&files, &settings, util_dir, error), -1);
	assert_non_null(strstr(error, "CERTFILE /deep/cert.pem: No such"));
	write_pem("deep/cert.pem", leaf_key, leaf, NULL, NULL);
	assert_int_equal(tlsfile_open(&files, &settings, util_dir, error), 0);
	assert_string_equal(files.pairs[0].cert.path, path_of("deep/cert.pem"));
	tlsfile_close(&files);
	settings.certfile = "deep/cert.pem";
	assert_int_equal(tlsfile_open(&files, &settings, util_dir, error), 0);
	assert_string_equal(files.pairs[0].cert.path, path_of("deep/cert.pem"));
	tlsfile_close(&files);
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), -1);
}

static void *
feed(void *arg)
{
	int fd = open(arg, O_WRONLY);
	FILE *file = fdopen(fd, "w");

	usleep(50000);
	PEM_write_PrivateKey(file, leaf_key, NULL, NULL, 0, NULL, NULL);
	fflush(file);
	usleep(50000);
	PEM_write_X509(file, leaf);
	fclose(file);
	return NULL;
}

static void
pipes_are_read_to_their_end(void **state)
{
	struct tls_settings settings = { .certfile = path_of("fifo") };
	char path[200];
	struct tlsfiles files;
	struct tls_public public;
	struct tlskeys keys;
	pthread_t thread;

	(void)state;
	snprintf(path, sizeof(path), "%s", settings.certfile);
	assert_int_equal(mkfifo(path, 0600), 0);
	/* Without a writer: no waiting, nothing in it. */
	expect_error(&settings, "CERTFILE", "not a PEM file");
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), 0);
	thread = in_thread(feed, path);
	usleep(20000);
	assert_int_equal(
	    tlsfile_load(&files, &public, &keys, take_warning, NULL, error), 0);
	pthread_join(thread, NULL);
	tls_public_free(&public);
	tlskeys_free(&keys);
}

static void
huge_files_are_refused(void **state)
{
	struct tls_settings settings = { .certfile = NULL };

	(void)state;
	settings.certfile = write_pem("huge", leaf_key, leaf, NULL, NULL);
	assert_int_equal(truncate(settings.certfile, TLSFILE_MAX + 1), 0);
	expect_error(&settings, "CERTFILE", "larger than a megabyte");
}

static void
versions_are_read_strictly(void **state)
{
	static const char *const bad[] = { "1", "1.", "1.4", "1.22", "2.0",
		" 1.2", "1.2 ", "TLSv1.2" };
	struct tls_settings settings = { .certfile = NULL };
	unsigned min, max;
	size_t i;

	(void)state;
	assert_int_equal(
	    tls_settings_versions(&settings, &min, &max, error, sizeof(error)),
	    0);
	assert_int_equal(min, 2);
	assert_int_equal(max, 3);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		settings.tlsmax = bad[i];
		assert_int_equal(tls_settings_versions(&settings, &min, &max,
				     error, sizeof(error)),
		    -1);
		assert_non_null(strstr(error, "TLSMAX"));
	}
	settings.tlsmin = "1.3";
	settings.tlsmax = "1.2";
	assert_int_equal(
	    tls_settings_versions(&settings, &min, &max, error, sizeof(error)),
	    -1);
	assert_string_equal(error, "TLSMIN 1.3 is above TLSMAX 1.2");
	settings.tlsmin = settings.tlsmax = "1.0";
	assert_int_equal(
	    tls_settings_versions(&settings, &min, &max, error, sizeof(error)),
	    0);
	assert_int_equal(min, 0);
	assert_int_equal(max, 0);
}

static int
set_up(void **state)
{
	(void)state;
	dir_make();
	root_key = make_key("P-256");
	middle_key = make_key("P-256");
	leaf_key = make_key("P-256");
	other_key = make_key("P-256");
	root = make_cert("root", root_key, "root", root_key);
	middle = make_cert("middle", middle_key, "root", root_key);
	leaf = make_cert("leaf", leaf_key, "middle", middle_key);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	X509_free(root);
	X509_free(middle);
	X509_free(leaf);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(middle_key);
	EVP_PKEY_free(leaf_key);
	EVP_PKEY_free(other_key);
	dir_remove();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_and_key_come_out_as_they_are),
		cmocka_unit_test(one_file_may_hold_all),
		cmocka_unit_test(certfile_takes_what_is_a_chain),
		cmocka_unit_test(wrong_files_have_their_sentences),
		cmocka_unit_test(lists_are_pairs_in_their_order),
		cmocka_unit_test(wrong_lists_have_their_sentences),
		cmocka_unit_test(
		    only_a_strict_server_has_no_certificate_for_all),
		cmocka_unit_test(of_two_of_a_kind_the_first_counts),
		cmocka_unit_test(unreadable_files_have_their_sentence),
		cmocka_unit_test(chains_must_be_chains),
		cmocka_unit_test(long_chains_are_refused),
		cmocka_unit_test(encrypted_keys_are_named_so),
		cmocka_unit_test(every_key_format_loads),
		cmocka_unit_test(other_kinds_of_key_are_refused),
		cmocka_unit_test(dates_are_warnings),
		cmocka_unit_test(dh_parameters_are_read),
		cmocka_unit_test(paths_are_tried_below_the_root_too),
		cmocka_unit_test(pipes_are_read_to_their_end),
		cmocka_unit_test(huge_files_are_refused),
		cmocka_unit_test(versions_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
