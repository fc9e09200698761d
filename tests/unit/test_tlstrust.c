/*
 * test_tlstrust: what files and directories of CAs hold comes out once and
 * in a certain order, whatever else lies there; what is wrong has its
 * sentence; and a context takes what comes out.
 */
#include "tls/tlstrust.h"

#include <dirent.h>
#include <sys/resource.h>

#include "tlsutil.h"

#include "tls/tlsstore.h"

static EVP_PKEY *key;
static X509 *a, *b, *c, *old;
static char error[TLSFILE_ERROR_SIZE], warnings[2048];
static size_t warning_count;

/* Below the directory of this run. */
static const char *
path_of(const char *name)
{
	static char paths[1000][100];
	static size_t next;
	char *path = paths[next++];

	assert_true(next <= 1000);
	snprintf(path, 100, "%s/%s", util_dir, name);
	return path;
}

static const char *
make_dir(const char *name)
{
	const char *path = path_of(name);

	assert_int_equal(mkdir(path, 0755), 0);
	return path;
}

static FILE *
open_for_writing(const char *name, const char **path)
{
	FILE *file;

	*path = path_of(name);
	file = fopen(*path, "w");
	assert_non_null(file);
	return file;
}

/* Certificates up to the first NULL. */
static const char *
write_certs(const char *name, X509 *one, X509 *two, X509 *three)
{
	const char *path;
	FILE *file = open_for_writing(name, &path);

	fprintf(file, "text in front\n");
	if (one != NULL)
		PEM_write_X509(file, one);
	fprintf(file, "text between\n");
	if (two != NULL)
		PEM_write_X509(file, two);
	if (three != NULL)
		PEM_write_X509(file, three);
	fclose(file);
	return path;
}

static const char *
write_text(const char *name, const char *text)
{
	const char *path;
	FILE *file = open_for_writing(name, &path);

	fputs(text, file);
	fclose(file);
	return path;
}

/* A list of nothing revoked, due in `to' seconds; 0: for ever. */
static X509_CRL *
make_crl(X509 *issuer, long to)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *time = ASN1_TIME_new();

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(crl, X509_gmtime_adj(time, -7200));
	if (to != 0)
		X509_CRL_set1_nextUpdate(crl, X509_gmtime_adj(time, to));
	ASN1_TIME_free(time);
	assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	return crl;
}

static const char *
write_crl(const char *name, X509 *issuer, long to)
{
	const char *path;
	FILE *file = open_for_writing(name, &path);
	X509_CRL *crl = make_crl(issuer, to);

	PEM_write_X509_CRL(file, crl);
	X509_CRL_free(crl);
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

static void
take_warning(void *arg, const char *sentence)
{
	size_t len = strlen(warnings);

	assert_ptr_equal(arg, &warning_count);
	warning_count++;
	snprintf(warnings + len, sizeof(warnings) - len, "%s\n", sentence);
}

/* Read and load below chroot; 0 and *trust, or -1 and the error. */
static int
load_below(const struct tls_settings *settings, const char *chroot,
    struct tlstrust *trust, struct tlstrust_files *files)
{
	int before = count_descriptors(), r;

	error[0] = warnings[0] = '\0';
	warning_count = 0;
	r = tlstrust_read(files, settings, chroot, error);
	assert_int_equal(count_descriptors(), before);
	if (r == 0)
		r = tlstrust_load(
		    files, trust, take_warning, &warning_count, error);
	else
		tlstrust_forget(files);
	assert_null(files->files);
	assert_int_equal(strlen(error) > 0 && r == 0 && warning_count == 0, 0);
	return r;
}

static int
load(const struct tls_settings *settings, struct tlstrust *trust)
{
	static struct tlstrust_files files;

	return load_below(settings, NULL, trust, &files);
}

/* The subjects' common names of a row, each with a blank behind it. */
static const char *
subjects(const struct buf *row, bool are_names)
{
	static char text[400];
	const unsigned char *der;
	size_t at = 0, len, used = 0;

	text[0] = '\0';
	while ((der = tlstrust_next(row, &at, &len)) != NULL) {
		const unsigned char *p = der;
		X509 *cert =
		    are_names ? NULL : d2i_X509_AUX(NULL, &p, (long)len);
		X509_NAME *name = are_names
		    ? d2i_X509_NAME(NULL, &p, (long)len)
		    : X509_NAME_dup(X509_get_subject_name(cert));

		assert_ptr_equal(p, der + len);
		X509_NAME_get_text_by_NID(name, NID_commonName, text + used,
		    (int)(sizeof(text) - used - 2));
		used = strlen(text);
		text[used++] = ' ';
		text[used] = '\0';
		X509_NAME_free(name);
		X509_free(cert);
	}
	assert_int_equal(len, 0);
	return text;
}

static void
expect(const struct tls_settings *settings, const char *cas, const char *names)
{
	struct tlstrust trust;

	if (load(settings, &trust) == -1)
		fail_msg("%s", error);
	assert_string_equal(subjects(&trust.cas, false), cas);
	assert_string_equal(subjects(&trust.names, true), names);
	tlstrust_free(&trust);
}

/* Fails with exactly this sentence, around the path. */
static void
expect_error(const struct tls_settings *settings, const char *before,
    const char *path, const char *after)
{
	struct tlstrust trust;
	char expected[600];

	snprintf(expected, sizeof(expected), "%s%s%s", before, path, after);
	assert_int_equal(load(settings, &trust), -1);
	assert_string_equal(error, expected);
}

static void
nothing_set_is_nothing_trusted(void **state)
{
	static const struct tls_settings unset,
	    empty = { .cafile = "",
		    .cadir = "",
		    .ccafile = "",
		    .ccadir = "",
		    .crlfile = "" };
	static const struct tls_settings off = { .ccafile = "-" };

	(void)state;
	expect(&unset, "", "");
	expect(&empty, "", "");
	expect(&off, "", "");
	assert_int_equal(warning_count, 0);
}

static void
anchors_and_names_come_from_their_variables(void **state)
{
	const char *ab = write_certs("ab", a, b, NULL);
	const char *cb = write_certs("cb", c, b, NULL);
	const char *dir = make_dir("anchors"), *other = make_dir("names");
	struct tls_settings settings = { .cafile = ab };

	(void)state;
	write_certs("anchors/x", c, NULL, NULL);
	write_certs("names/x", a, NULL, NULL);
	expect(&settings, "a b ", "");
	settings.cadir = dir;
	expect(&settings, "a b c ", "");
	settings.cafile = NULL;
	expect(&settings, "c ", "");
	settings.ccadir = other;
	expect(&settings, "c ", "a ");
	settings.ccafile = cb;
	expect(&settings, "c ", "c b a ");
	/* Names are anchors as well where there are no others. */
	settings.cadir = "";
	expect(&settings, "c b a ", "c b a ");
	/* No certificate asked for: that file is none, the rest is. */
	settings.ccafile = "-";
	expect(&settings, "a ", "a ");
}

static void
everything_in_a_directory_counts_once(void **state)
{
	const char *dir = make_dir("hashed");
	struct tls_settings settings = { .cadir = dir, .ccadir = dir };

	(void)state;
	write_certs("hashed/m", b, a, b);
	write_certs("hashed/n", a, NULL, NULL);
	write_certs("hashed/.hidden", c, NULL, NULL);
	write_certs("elsewhere", c, NULL, NULL);
	write_text("hashed/README", "no certificate\n");
	write_text("hashed/empty", "");
	assert_int_equal(symlink("n", path_of("hashed/01234567.0")), 0);
	assert_int_equal(symlink("gone", path_of("hashed/dangling")), 0);
	assert_int_equal(mkfifo(path_of("hashed/fifo"), 0644), 0);
	make_dir("hashed/directory");
	assert_int_equal(symlink("/dev/tty", path_of("hashed/terminal")), 0);
	expect(&settings, "a b ", "a b ");
	assert_string_equal(warnings, "");
	assert_int_equal(symlink("../elsewhere", path_of("hashed/zzz")), 0);
	expect(&settings, "a b c ", "a b c ");
}

static void
a_directory_without_certificates_is_a_warning(void **state)
{
	const char *dir = make_dir("nothing");
	struct tls_settings settings = { .cadir = dir };
	char expected[300];

	(void)state;
	expect(&settings, "", "");
	snprintf(expected, sizeof(expected), "CADIR %s: no certificate in it\n",
	    dir);
	assert_string_equal(warnings, expected);
	settings.cadir = NULL;
	settings.ccadir = dir;
	expect(&settings, "", "");
	snprintf(expected, sizeof(expected),
	    "CCADIR %s: no certificate in it\n", dir);
	assert_string_equal(warnings, expected);
}

/* Whole or not at all, and the others count. */
static void
a_damaged_file_of_a_directory_is_skipped(void **state)
{
	const char *dir = make_dir("damaged"), *path;
	struct tls_settings settings = { .cadir = dir, .ccadir = dir };
	char expected[600];
	FILE *file;

	(void)state;
	write_certs("damaged/good", a, NULL, NULL);
	file = open_for_writing("damaged/bad", &path);
	PEM_write_X509(file, b);
	fputs("-----BEGIN CERTIFICATE-----\nMAA=\n"
	      "-----END CERTIFICATE-----\n",
	    file);
	fclose(file);
	write_text("damaged/cut", "-----BEGIN CERTIFICATE-----\nAAAA\n");
	expect(&settings, "a ", "a ");
	snprintf(expected, sizeof(expected),
	    "CADIR %s: files that do not count: 2, first bad: bad "
	    "certificate: ",
	    dir);
	assert_memory_equal(warnings, expected, strlen(expected));
	assert_int_equal(warning_count, 2);
}

static void
an_unreadable_file_of_a_directory_is_a_warning(void **state)
{
	const char *dir = make_dir("closed");
	struct tls_settings settings = { .cadir = dir };
	char expected[600];

	(void)state;
	if (geteuid() == 0) {
		print_message("# skip: root reads every file\n");
		skip();
	}
	write_certs("closed/a", a, NULL, NULL);
	write_certs("closed/b", b, NULL, NULL);
	assert_int_equal(chmod(path_of("closed/b"), 0), 0);
	expect(&settings, "a ", "");
	snprintf(expected, sizeof(expected),
	    "CADIR %s: files that do not count: 1, first b: Permission "
	    "denied\n",
	    dir);
	assert_string_equal(warnings, expected);
}

static void
what_is_wrong_with_a_file_is_said(void **state)
{
	const char *text = write_text("text", "nothing\n");
	const char *key_only = path_of("key-only");
	const char *gone = path_of("gone"), *file = write_text("file", "");
	const char *cut = write_text("cut", "-----BEGIN CERTIFICATE-----\nA");
	FILE *out = fopen(key_only, "w");

	(void)state;
	PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	fclose(out);
	expect_error(&(struct tls_settings){ .cafile = text }, "CAFILE ", text,
	    ": no certificate in it");
	expect_error(&(struct tls_settings){ .ccafile = key_only }, "CCAFILE ",
	    key_only, ": no certificate in it");
	expect_error(&(struct tls_settings){ .cafile = gone },
	    "unable to open CAFILE ", gone, ": No such file or directory");
	expect_error(&(struct tls_settings){ .ccadir = gone },
	    "unable to open CCADIR ", gone, ": No such file or directory");
	expect_error(&(struct tls_settings){ .cadir = file },
	    "unable to open CADIR ", file, ": Not a directory");
	expect_error(&(struct tls_settings){ .cafile = util_dir },
	    "unable to open CAFILE ", util_dir, ": neither a file nor a pipe");
	expect_error(&(struct tls_settings){ .crlfile = gone },
	    "unable to open CRLFILE ", gone, ": No such file or directory");
	expect_error(&(struct tls_settings){ .cafile = cut }, "CAFILE ", cut,
	    ": bad PEM: bad end line");
	expect_error(&(struct tls_settings){ .crlfile = write_certs(
						 "no-list", a, NULL, NULL) },
	    "CRLFILE ", path_of("no-list"), ": no revocation list in it");
}

static void
old_certificates_and_lists_are_counted(void **state)
{
	const char *path = write_certs("old", a, old, b);
	struct tls_settings settings = { .cafile = path };
	struct tlstrust trust;
	char expected[300];

	(void)state;
	expect(&settings, "a old b ", "");
	snprintf(expected, sizeof(expected),
	    "CAFILE %s: expired or not yet valid: 1 of 3 certificates\n", path);
	assert_string_equal(warnings, expected);
	settings.crlfile = write_crl("late", a, -3600);
	settings.cafile = NULL;
	assert_int_equal(load(&settings, &trust), 0);
	assert_true(trust.crls.len > 4);
	tlstrust_free(&trust);
	snprintf(expected, sizeof(expected),
	    "CRLFILE %s: expired or not yet valid: 1 of 1 revocation lists\n",
	    settings.crlfile);
	assert_string_equal(warnings, expected);
	settings.crlfile = write_crl("endless", a, 0);
	assert_int_equal(load(&settings, &trust), 0);
	tlstrust_free(&trust);
	assert_string_equal(warnings, "");
}

static void
a_path_is_tried_below_the_root_too(void **state)
{
	static struct tlstrust_files files;
	struct tls_settings settings = { .cafile = "/inner.pem",
		.cadir = "/inner" };
	struct tlstrust trust;

	(void)state;
	write_certs("inner.pem", a, NULL, NULL);
	make_dir("inner");
	write_certs("inner/b", b, NULL, NULL);
	if (load_below(&settings, util_dir, &trust, &files) == -1)
		fail_msg("%s", error);
	assert_string_equal(subjects(&trust.cas, false), "a b ");
	tlstrust_free(&trust);
	assert_string_equal(
	    files.sources[TLSTRUST_CAFILE].path, path_of("inner.pem"));
	assert_string_equal(
	    files.sources[TLSTRUST_CADIR].path, path_of("inner"));
	assert_string_equal(files.sources[TLSTRUST_CRLFILE].path, "");
	assert_int_equal(load_below(&settings, NULL, &trust, &files), -1);
	settings.cafile = NULL;
	settings.cadir = "/outer";
	assert_int_equal(load_below(&settings, util_dir, &trust, &files), -1);
	assert_string_equal(
	    error, "unable to open CADIR /outer: No such file or directory");
}

static void
many_files_need_one_descriptor(void **state)
{
	const char *dir = make_dir("many");
	struct tls_settings settings = { .cadir = dir };
	struct rlimit before, few;
	struct tlstrust trust;
	char name[40];
	int i, r;

	(void)state;
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "many/%03d", i);
		write_certs(name, i % 2 ? a : b, NULL, NULL);
	}
	getrlimit(RLIMIT_NOFILE, &before);
	few = before;
	few.rlim_cur = 16;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	r = load(&settings, &trust);
	setrlimit(RLIMIT_NOFILE, &before);
	if (r == -1)
		fail_msg("%s", error);
	assert_string_equal(subjects(&trust.cas, false), "b a ");
	tlstrust_free(&trust);
}

static void
more_than_the_maximum_is_refused(void **state)
{
	const char *big = path_of("big"), *dir = make_dir("too-much");
	struct tls_settings settings = { .cafile = big };
	struct tlstrust trust;

	(void)state;
	write_certs("big", a, NULL, NULL);
	assert_int_equal(truncate(big, TLSTRUST_MAX), 0);
	assert_int_equal(load(&settings, &trust), 0);
	tlstrust_free(&trust);
	assert_int_equal(truncate(big, TLSTRUST_MAX + 1), 0);
	expect_error(&settings, "CAFILE ", big,
	    ": more than 32 megabytes, with what CAFILE, CADIR, CCAFILE, "
	    "CCADIR and CRLFILE name");
	/* Together, too. */
	assert_int_equal(truncate(big, TLSTRUST_MAX - 100), 0);
	write_certs("too-much/a", a, NULL, NULL);
	settings.cadir = dir;
	expect_error(&settings, "CADIR ", dir,
	    ": more than 32 megabytes, with what CAFILE, CADIR, CCAFILE, "
	    "CCADIR and CRLFILE name");
	unlink(big);
}

static void
more_names_than_a_handshake_carries_are_refused(void **state)
{
	const char *path;
	FILE *file = open_for_writing("names-file", &path);
	struct tls_settings settings = { .ccafile = path };
	struct tlstrust trust;
	char name[65];
	int i;

	(void)state;
	/* Some 75 bytes each, with TLS's own two. */
	for (i = 0; i < 900; i++) {
		X509 *cert;

		snprintf(name, sizeof(name), "%064d", i);
		cert = make_cert(name, key, name, key);
		PEM_write_X509(file, cert);
		X509_free(cert);
		if (i == 700) {
			fflush(file);
			assert_int_equal(load(&settings, &trust), 0);
			tlstrust_free(&trust);
		}
	}
	fclose(file);
	expect_error(&settings,
	    "CCAFILE and CCADIR: the names of all these CAs do not fit into a "
	    "handshake, which has room for 65000 bytes",
	    "", "");
	settings.cafile = path;
	settings.ccafile = NULL;
	assert_int_equal(load(&settings, &trust), 0);
	tlstrust_free(&trust);
}

/* OpenSSL's own form, with what it is good for behind the certificate. */
static void
trust_settings_are_kept(void **state)
{
	const char *path;
	FILE *file = open_for_writing("trusted", &path);
	struct tls_settings settings = { .cafile = path };
	ASN1_OBJECT *use = OBJ_nid2obj(NID_email_protect);
	X509 *cert = X509_dup(a);
	struct tlstrust trust;
	const unsigned char *der;
	unsigned char *whole;
	size_t at = 0, len;
	int whole_len;

	(void)state;
	assert_int_equal(X509_add1_trust_object(cert, use), 1);
	PEM_write_X509_AUX(file, cert);
	fclose(file);
	whole = lib_aux_der(cert, &whole_len);
	X509_free(cert);
	assert_true(whole_len > i2d_X509(a, NULL));
	assert_int_equal(load(&settings, &trust), 0);
	der = tlstrust_next(&trust.cas, &at, &len);
	assert_int_equal(len, whole_len);
	assert_memory_equal(der, whole, len);
	OPENSSL_free(whole);
	tlstrust_free(&trust);
}

static void
a_context_takes_what_comes_out(void **state)
{
	struct tls_settings settings = { .cafile = write_certs("x1", a, b, c),
		.ccafile = write_certs("x2", b, old, NULL),
		.crlfile = write_crl("x3", a, 3600) };
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct tlstrust trust;
	unsigned long flags;

	(void)state;
	assert_int_equal(load(&settings, &trust), 0);
	assert_int_equal(tlsstore_fill(ctx, &trust), 0);
	assert_int_equal(sk_X509_OBJECT_num(X509_STORE_get0_objects(
			     SSL_CTX_get_cert_store(ctx))),
	    4);
	assert_int_equal(sk_X509_NAME_num(SSL_CTX_get_client_CA_list(ctx)), 2);
	flags = X509_VERIFY_PARAM_get_flags(
	    X509_STORE_get0_param(SSL_CTX_get_cert_store(ctx)));
	assert_true(flags & X509_V_FLAG_CRL_CHECK);
	assert_true(flags & X509_V_FLAG_CRL_CHECK_ALL);
	tlstrust_free(&trust);
	SSL_CTX_free(ctx);
}

static void
a_damaged_row_is_refused(void **state)
{
	struct tls_settings settings = { .cafile = write_certs("y1", a, b, c),
		.ccafile = path_of("y1"),
		.crlfile = write_crl("y3", a, 3600) };
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	struct tlstrust trust;
	struct buf *const rows[] = { &trust.cas, &trust.crls, &trust.names };
	size_t i, len;

	(void)state;
	assert_int_equal(load(&settings, &trust), 0);
	for (i = 0; i < 3; i++) {
		len = rows[i]->len--;
		assert_int_equal(tlsstore_fill(ctx, &trust), -1);
		rows[i]->len = 3;
		assert_int_equal(tlsstore_fill(ctx, &trust), -1);
		rows[i]->len = len;
		rows[i]->data[4] ^= 0xff;
		assert_int_equal(tlsstore_fill(ctx, &trust), -1);
		rows[i]->data[4] ^= 0xff;
		rows[i]->data[0] = 0xff;
		assert_int_equal(tlsstore_fill(ctx, &trust), -1);
		rows[i]->data[0] = 0;
	}
	assert_int_equal(tlsstore_fill(ctx, &trust), 0);
	tlstrust_free(&trust);
	SSL_CTX_free(ctx);
}

static int
make_all(void **state)
{
	(void)state;
	dir_make();
	key = make_key("P-256");
	a = make_cert("a", key, "a", key);
	b = make_cert("b", key, "b", key);
	c = make_cert("c", key, "c", key);
	old = make_cert_dated("old", key, "old", key, -7200, -3600);
	return 0;
}

static int
free_all(void **state)
{
	(void)state;
	EVP_PKEY_free(key);
	X509_free(a);
	X509_free(b);
	X509_free(c);
	X509_free(old);
	dir_remove();
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_set_is_nothing_trusted),
		cmocka_unit_test(anchors_and_names_come_from_their_variables),
		cmocka_unit_test(everything_in_a_directory_counts_once),
		cmocka_unit_test(a_directory_without_certificates_is_a_warning),
		cmocka_unit_test(a_damaged_file_of_a_directory_is_skipped),
		cmocka_unit_test(
		    an_unreadable_file_of_a_directory_is_a_warning),
		cmocka_unit_test(what_is_wrong_with_a_file_is_said),
		cmocka_unit_test(old_certificates_and_lists_are_counted),
		cmocka_unit_test(a_path_is_tried_below_the_root_too),
		cmocka_unit_test(many_files_need_one_descriptor),
		cmocka_unit_test(more_than_the_maximum_is_refused),
		cmocka_unit_test(
		    more_names_than_a_handshake_carries_are_refused),
		cmocka_unit_test(trust_settings_are_kept),
		cmocka_unit_test(a_context_takes_what_comes_out),
		cmocka_unit_test(a_damaged_row_is_refused),
	};

	return cmocka_run_group_tests(tests, make_all, free_all);
}
