/*
 * test_tlscertdir: a file name says whose certificate it is, keys are beside
 * it or in it, and what is wrong has its sentence.
 */
#include "tls/tlscertdir.h"

#include "tlsutil.h"

static char error[TLSFILE_ERROR_SIZE], warnings[4000];
static EVP_PKEY *key, *second_key, *rsa_key;

/* NAME in the directory; NULL: no certificate, no key. */
static void
put(const char *name, const char *server, EVP_PKEY *cert_key, EVP_PKEY *own_key)
{
	char path[400];
	FILE *file;
	X509 *cert;

	snprintf(path, sizeof(path), "%s/%s", util_dir, name);
	file = fopen(path, "w");
	assert_non_null(file);
	if (server != NULL) {
		cert = make_cert(server, cert_key, server, cert_key);
		PEM_write_X509(file, cert);
		X509_free(cert);
	}
	if (own_key != NULL)
		PEM_write_PrivateKey(file, own_key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
}

static void
drop(const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", util_dir, name);
	assert_int_equal(unlink(path), 0);
}

/* tlstrust_warn_fn */
static void
take_warning(void *arg, const char *sentence)
{
	size_t len = strlen(warnings);

	(void)arg;
	snprintf(warnings + len, sizeof(warnings) - len, "%s\n", sentence);
}

/* What is in the directory, as "name name"; or the error. */
static const char *
load_from(const char *path, const char *root)
{
	static char names[2000];
	struct tlscertdir dir;
	struct tlscerts certs = { .count = 0 };
	struct tlskeys keys = { .count = 0 };
	size_t i;
	int r;

	error[0] = warnings[0] = names[0] = '\0';
	r = tlscertdir_read(&dir, path, root, error);
	if (r == 0)
		r = tlscertdir_load(
		    &dir, NULL, &certs, &keys, take_warning, NULL, error);
	tlscertdir_forget(&dir);
	assert_int_equal(r, error[0] == '\0' ? 0 : -1);
	assert_int_equal(ERR_peek_error(), 0);
	if (r == 0)
		assert_int_equal(certs.count, keys.count);
	for (i = 0; r == 0 && i < certs.count; i++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names),
		    "%s%s:%s", i > 0 ? " " : "", certs.all[i].name,
		    tlskey_kind(keys.all[i]));
	tlscerts_free(&certs);
	tlskeys_free(&keys);
	return r == 0 ? names : error;
}

static const char *
load(void)
{
	return load_from(util_dir, NULL);
}

static void
expect(const char *part)
{
	const char *got = load();

	if (strstr(got, part) == NULL)
		fail_msg("expected \"%s\", got \"%s\"", part, got);
	assert_non_null(strstr(got, util_dir));
}

static void
begin(void)
{
	dir_make();
}

static void
names_of_files_are_names_of_servers(void **state)
{
	(void)state;
	begin();
	put("b.example.pem", "b.example", key, key);
	put("A.Example.pem", "a.example", key, NULL);
	put("A.Example.key", NULL, NULL, key);
	put("_.s.example.pem", "*.s.example", rsa_key, rsa_key);
	put("b.example+rsa.pem", "b.example", rsa_key, NULL);
	put("b.example+rsa.key", NULL, NULL, rsa_key);
	/* What is not looked at. */
	put(".hidden.pem", NULL, NULL, NULL);
	put("README", NULL, NULL, NULL);
	put("a.example.pem.bak", NULL, NULL, NULL);
	put("alone.key", NULL, NULL, NULL);
	put(".pem", NULL, NULL, NULL);
	assert_string_equal(load(),
	    "_.s.example:RSA a.example:ECDSA b.example:ECDSA b.example:RSA");
	assert_string_equal(warnings, "");
	dir_remove();
}

static void
nothing_is_nothing(void **state)
{
	(void)state;
	assert_string_equal(load_from(NULL, NULL), "");
	assert_string_equal(load_from("", "/nowhere"), "");
	assert_string_equal(warnings, "");
	begin();
	assert_string_equal(load(), "");
	assert_non_null(strstr(warnings, "no file that ends in .pem"));
	assert_non_null(strstr(warnings, util_dir));
	dir_remove();
}

static void
the_directory_may_be_below_the_root(void **state)
{
	char path[200];

	(void)state;
	begin();
	put("a.example.pem", "a.example", key, key);
	snprintf(path, sizeof(path), "%s", strrchr(util_dir, '/'));
	assert_string_equal(load_from(path, "/tmp"), "a.example:ECDSA");
	assert_non_null(strstr(load_from(path, NULL), "No such file"));
	assert_non_null(strstr(load_from(path, "/var"), "No such file"));
	dir_remove();
}

static void
what_is_wrong_has_its_sentence(void **state)
{
	char path[400];

	(void)state;
	begin();
	put("bad name.pem", "x", key, key);
	expect("/bad name.pem: not the name of a server");
	drop("bad name.pem");
	put("+rsa.pem", "x", key, key);
	expect("/+rsa.pem: not the name of a server");
	drop("+rsa.pem");
	put("a.example.pem", "a.example", key, NULL);
	expect("/a.example.pem: no private key in it, and there is no file "
	       "beside it that ends in .key");
	put("a.example.key", "a.example", key, NULL);
	expect("/a.example.key: no private key in it");
	put("a.example.key", NULL, NULL, second_key);
	expect("/a.example.key: certificate and private key do not match");
	/* The file beside it counts, whatever is in it. */
	put("a.example.pem", "a.example", key, key);
	expect("/a.example.key: certificate and private key do not match");
	drop("a.example.key");
	put("a.example.pem", NULL, NULL, key);
	expect("/a.example.pem: no certificate in it");
	put("a.example.pem", NULL, NULL, NULL);
	expect("/a.example.pem: not a PEM file");
	drop("a.example.pem");
	snprintf(path, sizeof(path), "%s/a.example.pem", util_dir);
	assert_int_equal(symlink("nowhere", path), 0);
	expect("/a.example.pem: No such file");
	drop("a.example.pem");
	assert_int_equal(mkfifo(path, 0600), 0);
	expect("/a.example.pem: not a regular file");
	drop("a.example.pem");
	put("a.example.pem", "a.example", key, key);
	assert_int_equal(truncate(path, TLSFILE_MAX + 1), 0);
	expect("/a.example.pem: larger than a megabyte");
	dir_remove();
}

static void
what_is_strange_is_a_warning(void **state)
{
	(void)state;
	begin();
	put("a.example.pem", "other.example", key, key);
	put("_.b.example.pem", "b.example", key, key);
	put("_.c.example.pem", "*.c.example", key, key);
	put("d.example+1.pem", "d.example", key, key);
	put("d.example+2.pem", "d.example", second_key, second_key);
	put("d.example+3.pem", "d.example", rsa_key, rsa_key);
	/* Of another name there may be the same kind. */
	put("e.example.pem", "e.example", second_key, second_key);
	assert_string_equal(load(),
	    "_.b.example:ECDSA _.c.example:ECDSA a.example:ECDSA "
	    "d.example:ECDSA d.example:RSA e.example:ECDSA");
	assert_non_null(strstr(warnings,
	    "/a.example.pem: the certificate is not for a.example\n"));
	assert_non_null(strstr(warnings,
	    "/_.b.example.pem: the certificate is not for *.b.example\n"));
	assert_non_null(strstr(warnings,
	    "/d.example+2.pem: not used, as there is an ECDSA certificate for "
	    "that name before it\n"));
	assert_null(strstr(warnings, "c.example.pem"));
	assert_null(strstr(warnings, "d.example+3.pem"));
	assert_null(strstr(warnings, "e.example"));
	dir_remove();
}

static void
there_is_a_most(void **state)
{
	char name[40];
	int i;

	(void)state;
	begin();
	for (i = 0; i <= TLSCERTDIR_MAX; i++) {
		snprintf(name, sizeof(name), "%d.example.pem", i);
		put(name, NULL, NULL, NULL);
	}
	expect(": more than 4096 certificates");
	drop(name);
	expect("/0.example.pem: not a PEM file");
	dir_remove();
}

static int
set_up(void **state)
{
	(void)state;
	key = make_key("P-256");
	second_key = make_key("P-256");
	rsa_key = make_key("RSA2048");
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	EVP_PKEY_free(second_key);
	EVP_PKEY_free(rsa_key);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_files_are_names_of_servers),
		cmocka_unit_test(nothing_is_nothing),
		cmocka_unit_test(the_directory_may_be_below_the_root),
		cmocka_unit_test(what_is_wrong_has_its_sentence),
		cmocka_unit_test(what_is_strange_is_a_warning),
		cmocka_unit_test(there_is_a_most),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
