/*
 * test_tlsphrase: keys under a pass phrase load with the right one, in
 * every form that is about, and with no other.
 */
#include "tls/tlsphrase.h"

#include "tlsutil.h"

#define RIGHT "correct horse"
#define WRONG "wrong pass phrase for KEYFILE"

static EVP_PKEY *key;
static struct tls_settings settings;
static char key_path[200], cert_path[200], error[TLSFILE_ERROR_SIZE];

static BIO *
open_key(void)
{
	BIO *bio = BIO_new_file(key_path, "w");

	assert_non_null(bio);
	return bio;
}

/* PKCS#8 under a scheme; cipher NULL: PBES1 or PKCS#12. */
static void
write_pkcs8(int scheme, const char *cipher, const char *phrase)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	const EVP_CIPHER *fetched = cipher == NULL ? NULL : lib_cipher(cipher);
	X509_SIG *sig = lib_encrypt(scheme, fetched, phrase, info);
	BIO *bio = open_key();

	assert_non_null(sig);
	assert_int_equal(PEM_write_bio_PKCS8(bio, sig), 1);
	BIO_free(bio);
	X509_SIG_free(sig);
	lib_cipher_free(fetched);
	PKCS8_PRIV_KEY_INFO_free(info);
}

/* The traditional form, made by hand, as any cipher may be wanted. */
static void
write_traditional(const char *cipher, const char *phrase)
{
	const EVP_CIPHER *fetched = lib_cipher(cipher);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	unsigned char iv[EVP_MAX_IV_LENGTH] = "16 bytes of salt";
	unsigned char derived[EVP_MAX_KEY_LENGTH], *der = NULL, out[8192];
	int len = i2d_PrivateKey(key, &der), n, rest;
	char header[200];
	size_t used;
	BIO *bio = open_key();

	assert_non_null(fetched);
	assert_true(len > 0 && len < 8000);
	assert_true(EVP_BytesToKey(fetched, EVP_md5(), iv,
			(const unsigned char *)phrase, (int)strlen(phrase), 1,
			derived, NULL) > 0);
	assert_int_equal(EVP_EncryptInit_ex(c, fetched, NULL, derived, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(c, out, &n, der, len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(c, out + n, &rest), 1);
	snprintf(header, sizeof(header),
	    "Proc-Type: 4,ENCRYPTED\nDEK-Info: %s,", cipher);
	for (len = 0; len < EVP_CIPHER_iv_length(fetched); len++) {
		used = strlen(header);
		snprintf(header + used, sizeof(header) - used, "%02X", iv[len]);
	}
	strcat(header, "\n");
	assert_true(PEM_write_bio(bio, PEM_STRING_ECPRIVATEKEY, header, out,
			n + rest) > 0);
	BIO_free(bio);
	OPENSSL_free(der);
	EVP_CIPHER_CTX_free(c);
	lib_cipher_free(fetched);
}

/* tlstrust_warn_fn */
static void
no_warning(void *arg, const char *sentence)
{
	(void)arg;
	fail_msg("a warning: %s", sentence);
}

/* Load with this phrase (NULL: none).  0 or -1 and the error. */
static int
load_through(struct tlsphrase *phrase, const char *bytes)
{
	struct tlsfiles files;
	struct tls_public public;
	struct tlskeys loaded;
	int r;

	error[0] = '\0';
	if (bytes != NULL)
		tlsphrase_set(phrase, bytes, strlen(bytes));
	assert_int_equal(tlsfile_open(&files, &settings, NULL, error), 0);
	assert_null(files.phrase);
	files.phrase = phrase;
	r = tlsfile_load(&files, &public, &loaded, no_warning, NULL, error);
	assert_int_equal(loaded.count, r == 0);
	assert_int_equal(error[0] == '\0', r == 0);
	assert_int_equal(ERR_peek_error(), 0);
	tls_public_free(&public);
	tlskeys_free(&loaded);
	return r;
}

static int
load(const char *bytes)
{
	struct tlsphrase *phrase = tlsphrase_new();
	int r;

	assert_non_null(phrase);
	r = load_through(phrase, bytes);
	tlsphrase_free(phrase);
	return r;
}

/* Refused with this sentence, the key file's path in its middle. */
static void
expect(const char *bytes, const char *before, const char *after)
{
	char whole[TLSFILE_ERROR_SIZE];

	snprintf(whole, sizeof(whole), "%s %s%s", before, key_path, after);
	assert_int_equal(load(bytes), -1);
	assert_string_equal(error, whole);
}

static void
right_opens_and_wrong_does_not(const char *what)
{
	if (load(RIGHT) == -1)
		fail_msg("%s: %s", what, error);
	expect("wrong", WRONG, "");
	expect(RIGHT " ", WRONG, "");
	expect("correct hors", WRONG, "");
	expect("", WRONG, ": it is empty");
	expect(RIGHT "\n", WRONG, ": it ends in a newline");
}

static const struct scheme {
	const char *name;
	int pbe;	    /* PKCS#8; 0: traditional */
	const char *cipher; /* of the latter two kinds */
	bool is_legacy;
} schemes[] = {
	{ "PBES2", NID_pbes2, "AES-256-CBC", false },
	{ "PBES2", NID_pbes2, "DES-EDE3-CBC", false },
	{ "PBES2", NID_pbes2, "DES-CBC", true },
	{ "PBE-SHA1-3DES", NID_pbe_WithSHA1And3_Key_TripleDES_CBC, NULL,
	    false },
	{ "PBE-SHA1-RC4-128", NID_pbe_WithSHA1And128BitRC4, NULL, true },
	{ "PBE-SHA1-RC4-40", NID_pbe_WithSHA1And40BitRC4, NULL, true },
	{ "PBE-SHA1-RC2-128", NID_pbe_WithSHA1And128BitRC2_CBC, NULL, true },
	{ "PBE-SHA1-RC2-40", NID_pbe_WithSHA1And40BitRC2_CBC, NULL, true },
	{ "PBE-MD5-DES", NID_pbeWithMD5AndDES_CBC, NULL, true },
	{ "PBE-SHA1-DES", NID_pbeWithSHA1AndDES_CBC, NULL, true },
	{ "AES-128-CBC", 0, "AES-128-CBC", false },
	{ "DES-EDE3-CBC", 0, "DES-EDE3-CBC", false },
	{ "DES-CBC", 0, "DES-CBC", true },
};
#define SCHEMES (sizeof(schemes) / sizeof(schemes[0]))

static void
write_key(const struct scheme *scheme, const char *phrase)
{
	if (scheme->pbe == 0)
		write_traditional(scheme->cipher, phrase);
	else if (scheme->cipher != NULL)
		write_pkcs8(-1, scheme->cipher, phrase);
	else
		write_pkcs8(scheme->pbe, NULL, phrase);
}

static void
every_scheme_is_read(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < SCHEMES; i++) {
		if (schemes[i].is_legacy && !lib_has_old_ciphers())
			continue;
		write_key(&schemes[i], RIGHT);
		right_opens_and_wrong_does_not(schemes[i].name);
	}
	if (!lib_has_old_ciphers()) {
		print_message("# skip: no legacy provider for the others\n");
		skip();
	}
}

/* Only when such a key comes, and by name. */
static void
without_legacy_some_are_not(void **state)
{
	char sentence[300];
	size_t i;

	(void)state;
	if (!LIB_HAS_LEGACY_APART) {
		print_message("# skip: the library has all ciphers\n");
		skip();
	}
	for (i = 0; i < SCHEMES; i++) {
		if (schemes[i].is_legacy && !lib_has_old_ciphers())
			continue;
		write_key(&schemes[i], RIGHT);
		setenv("OPENSSL_MODULES", "/nonexistent", 1);
		if (schemes[i].is_legacy) {
			snprintf(sentence, sizeof(sentence),
			    ": encrypted with %s, which needs "
			    "OpenSSL's legacy provider: could not load the "
			    "shared library",
			    schemes[i].name);
			expect(RIGHT, "KEYFILE", sentence);
			expect("wrong", "KEYFILE", sentence);
		} else
			right_opens_and_wrong_does_not(schemes[i].name);
		unsetenv("OPENSSL_MODULES");
	}
}

static void
a_phrase_may_be_empty_or_end_in_a_newline(void **state)
{
	(void)state;
	write_pkcs8(-1, "AES-256-CBC", "");
	assert_int_equal(load(""), 0);
	expect("x", WRONG, "");
	write_traditional("AES-128-CBC", "line\n");
	assert_int_equal(load("line\n"), 0);
	expect("line", WRONG, "");
}

/* What -3 gives is not needed, and nobody minds. */
static void
a_plain_key_needs_none(void **state)
{
	BIO *bio = open_key();

	(void)state;
	PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
	BIO_free(bio);
	assert_int_equal(load(RIGHT), 0);
	assert_int_equal(load(""), 0);
	assert_int_equal(load_through(NULL, NULL), 0);
}

static void
without_a_phrase_the_option_is_named(void **state)
{
	char sentence[300];

	(void)state;
	write_pkcs8(-1, "AES-256-CBC", RIGHT);
	snprintf(sentence, sizeof(sentence),
	    "KEYFILE %s: the private key is encrypted, "
	    "and its pass phrase is not given (-3)",
	    key_path);
	assert_int_equal(load_through(NULL, NULL), -1);
	assert_string_equal(error, sentence);
}

/* The first key counts; one in the certificate's file is named so. */
static void
the_right_file_is_named(void **state)
{
	struct tls_settings both = settings, saved = settings;
	char sentence[300], path[200], text[8192];
	FILE *file;
	size_t n;

	(void)state;
	write_pkcs8(-1, "AES-256-CBC", RIGHT);
	snprintf(path, sizeof(path), "%s/both", util_dir);
	file = fopen(cert_path, "r");
	n = fread(text, 1, sizeof(text), file);
	fclose(file);
	file = fopen(key_path, "r");
	n += fread(text + n, 1, sizeof(text) - n, file);
	fclose(file);
	file = fopen(path, "w");
	fwrite(text, 1, n, file);
	fclose(file);
	both.certfile = path;
	both.keyfile = NULL;
	settings = both;
	assert_int_equal(load(RIGHT), 0);
	assert_int_equal(load("x"), -1);
	settings = saved;
	snprintf(sentence, sizeof(sentence),
	    "wrong pass phrase for CERTFILE %s", path);
	assert_string_equal(error, sentence);
}

static void
write_text(const char *text)
{
	FILE *file = fopen(key_path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void
damaged_keys_have_their_sentence(void **state)
{
	(void)state;
	write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n"
		   "-----END ENCRYPTED PRIVATE KEY-----\n");
	assert_int_equal(load(RIGHT), -1);
	assert_non_null(strstr(error, ": bad private key: "));
	write_text("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
		   "DEK-Info: NONE-SUCH,00112233\n\nAAAA\n"
		   "-----END EC PRIVATE KEY-----\n");
	assert_int_equal(load(RIGHT), -1);
	assert_non_null(strstr(error, ": bad PEM header of the private key: "));
	/* SEQUENCE { SEQUENCE { OID 1.2.3 }, OCTET STRING "abcd" } */
	write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
		   "MAwwBAYCKgMEBGFiY2Q=\n"
		   "-----END ENCRYPTED PRIVATE KEY-----\n");
	assert_int_equal(load(RIGHT), -1);
	assert_non_null(strstr(error, ": encrypted with an unknown scheme"));
	/* Cut short under the cipher's block. */
	write_text("-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
		   "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
		   "AAAA\n-----END EC PRIVATE KEY-----\n");
	expect(RIGHT, WRONG, "");
}

static int
set_up(void **state)
{
	X509 *cert;
	FILE *file;

	(void)state;
	dir_make();
	key = make_key("P-256");
	cert = make_cert("localhost", key, "localhost", key);
	snprintf(cert_path, sizeof(cert_path), "%s/cert", util_dir);
	snprintf(key_path, sizeof(key_path), "%s/key", util_dir);
	file = fopen(cert_path, "w");
	PEM_write_X509(file, cert);
	fclose(file);
	X509_free(cert);
	settings.certfile = cert_path;
	settings.keyfile = key_path;
	lib_ciphers_start();
	ERR_clear_error();
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	lib_ciphers_stop();
	dir_remove();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_scheme_is_read),
		cmocka_unit_test(without_legacy_some_are_not),
		cmocka_unit_test(a_phrase_may_be_empty_or_end_in_a_newline),
		cmocka_unit_test(a_plain_key_needs_none),
		cmocka_unit_test(without_a_phrase_the_option_is_named),
		cmocka_unit_test(the_right_file_is_named),
		cmocka_unit_test(damaged_keys_have_their_sentence),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
