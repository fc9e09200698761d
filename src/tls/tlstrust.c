/*
 * tlstrust: CA files, directories of them, and revocation lists.
 *
 * Runs in the keeper.  Files are read with the rights the process was
 * started with, because root alone may be able to, and parsed without
 * them.  A session can open nothing, so everything is read here, once; a
 * directory needs no hashed names for that.  The order of what comes out
 * depends on names and contents alone: all keepers must say the same.
 * A file may hold a key beside its certificate, so what was read is wiped.
 */
#include "tls/tlstrust.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/fd.h"
#include "base/text.h"
#include "tls/tlsdir.h"
#include "tls/tlsfile.h"
#include "tls/tlslib.h"
#include "tls/tlspem.h"

static const char *const names[TLSTRUST_VARIABLES] = { "CAFILE", "CADIR",
	"CCAFILE", "CCADIR", "CRLFILE" };

static bool
is_directory(enum tlstrust_variable variable)
{
	return variable == TLSTRUST_CADIR || variable == TLSTRUST_CCADIR;
}

/* Say what is wrong with a variable's file.  Always -1. */
static int
blame(const struct tlstrust_files *files, enum tlstrust_variable variable,
    const char *what, char *error)
{
	text_format(error, TLSFILE_ERROR_SIZE, "%s %s: %s", names[variable],
	    files->sources[variable].path, what);
	return -1;
}

/* A file of a directory does not count. */
static void
skip(struct tlstrust_source *source, const char *name, const char *why)
{
	if (source->skipped++ == 0)
		text_format(source->first, sizeof(source->first), "%.60s: %s",
		    name, why);
}

/*
 * Reading
 */

/* Take all of fd, which stays open.  0 or -1 with errno. */
static int
take_file(struct tlstrust_files *files, enum tlstrust_variable variable,
    const char *name, int fd)
{
	struct tlstrust_file file = { .variable = variable };
	struct tlstrust_file *grown;
	size_t room = files->room == 0 ? 16 : 2 * files->room;

	if (files->count == files->room) {
		grown = realloc(files->files, room * sizeof(*grown));
		if (grown == NULL)
			return -1;
		files->files = grown;
		files->room = room;
	}
	if (name != NULL && (file.name = strdup(name)) == NULL)
		return -1;
	if (tlsdir_read(
		fd, TLSTRUST_MAX - files->size, &file.bytes, &file.len) == -1) {
		free(file.name);
		return -1;
	}
	files->size += file.len;
	files->files[files->count++] = file;
	return 0;
}

static int
blame_errno(const struct tlstrust_files *files, enum tlstrust_variable variable,
    int reason, char *error)
{
	const char *what = strerror(reason);

	if (reason == EFBIG)
		what = "more than 32 megabytes, with what CAFILE, CADIR, "
		       "CCAFILE, CCADIR and CRLFILE name";
	else if (reason == E2BIG)
		what = "more than 65536 entries";
	return blame(files, variable, what, error);
}

static int
read_file(struct tlstrust_files *files, enum tlstrust_variable variable,
    const char *path, const char *chroot, char *error)
{
	struct tlsfile file;
	int r;

	if (tlspem_open(&file, names[variable], path, chroot, error) == -1)
		return -1;
	text_copy(files->sources[variable].path,
	    sizeof(files->sources[variable].path), file.path);
	r = take_file(files, variable, NULL, file.fd);
	if (r == -1)
		r = blame_errno(files, variable, errno, error);
	fd_close(&file.fd);
	return r;
}

/*
 * One entry.  What is no file, or a link to nowhere, is passed over; what
 * cannot be read is too, with a word later.  -1 with errno: all must end.
 */
static int
read_entry(struct tlstrust_files *files, enum tlstrust_variable variable,
    int dir_fd, const char *name)
{
	struct tlstrust_source *source = &files->sources[variable];
	struct stat st;
	int fd, r;

	if (fstatat(dir_fd, name, &st, 0) == -1) {
		if (errno != ENOENT)
			skip(source, name, strerror(errno));
		return 0;
	}
	/* Devices may do something when they are opened. */
	if (!S_ISREG(st.st_mode))
		return 0;
	fd = openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1) {
		skip(source, name, strerror(errno));
		return 0;
	}
	r = take_file(files, variable, name, fd);
	if (r == -1 && errno != EFBIG && errno != ENOMEM) {
		skip(source, name, strerror(errno));
		r = 0;
	}
	fd_close(&fd);
	return r;
}

static int
read_directory(struct tlstrust_files *files, enum tlstrust_variable variable,
    const char *path, const char *chroot, char *error)
{
	struct tlstrust_source *source = &files->sources[variable];
	struct tlsdir_entries entries = { NULL, 0 };
	int dir_fd = tlsdir_open(source->path, path, chroot), r;
	size_t i;

	if (dir_fd == -1) {
		text_format(error, TLSFILE_ERROR_SIZE,
		    "unable to open %s %s: %s", names[variable], source->path,
		    strerror(errno));
		return -1;
	}
	r = tlsdir_list(&entries, dir_fd);
	for (i = 0; r == 0 && i < entries.count; i++)
		r = read_entry(files, variable, dir_fd, entries.names[i]);
	if (r == -1)
		blame_errno(files, variable, errno, error);
	tlsdir_free(&entries);
	fd_close(&dir_fd);
	return r;
}

/* The path that a variable names, or NULL. */
static const char *
path_of(const struct tls_settings *settings, enum tlstrust_variable variable)
{
	const char *const paths[TLSTRUST_VARIABLES] = { settings->cafile,
		settings->cadir, settings->ccafile, settings->ccadir,
		settings->crlfile };
	const char *path = paths[variable];

	if (path == NULL || *path == '\0')
		return NULL;
	/* `-' says that no certificate is asked for, and names no file. */
	if (variable == TLSTRUST_CCAFILE && strcmp(path, "-") == 0)
		return NULL;
	return path;
}

int
tlstrust_read(struct tlstrust_files *files, const struct tls_settings *settings,
    const char *chroot, char *error)
{
	const char *path;
	int i, r = 0;

	memset(files, 0, sizeof(*files));
	for (i = 0; r == 0 && i < TLSTRUST_VARIABLES; i++) {
		path = path_of(settings, (enum tlstrust_variable)i);
		if (path == NULL)
			continue;
		if (is_directory((enum tlstrust_variable)i))
			r = read_directory(files, (enum tlstrust_variable)i,
			    path, chroot, error);
		else
			r = read_file(files, (enum tlstrust_variable)i, path,
			    chroot, error);
	}
	return r;
}

void
tlstrust_forget(struct tlstrust_files *files)
{
	size_t i;

	for (i = 0; i < files->count; i++) {
		free(files->files[i].name);
		tlsdir_wipe(files->files[i].bytes, files->files[i].len);
	}
	free(files->files);
	files->files = NULL;
	files->count = files->room = files->size = 0;
}

/*
 * Rows of DER, in the order in which they were found
 */

struct item {
	unsigned char *der; /* owned */
	size_t len, place;
};

struct list {
	struct item *items;
	size_t count, room;
};

/* Take over der.  0, or -1: out of memory. */
static int
add_item(struct list *list, unsigned char *der, size_t len)
{
	size_t room = list->room == 0 ? 64 : 2 * list->room;
	struct item *grown;

	if (list->count == list->room) {
		grown = realloc(list->items, room * sizeof(*grown));
		if (grown == NULL) {
			OPENSSL_free(der);
			return -1;
		}
		list->items = grown;
		list->room = room;
	}
	list->items[list->count] = (struct item){ der, len, list->count };
	list->count++;
	return 0;
}

static void
cut_list(struct list *list, size_t count)
{
	while (list->count > count)
		OPENSSL_free(list->items[--list->count].der);
}

static void
free_list(struct list *list)
{
	cut_list(list, 0);
	free(list->items);
}

static int
compare_contents(const struct item *a, const struct item *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return memcmp(a->der, b->der, a->len);
}

/* Equal ones next to each other, the first found in front. */
static int
by_contents(const void *a, const void *b)
{
	const struct item *left = a, *right = b;
	int order = compare_contents(left, right);

	if (order != 0)
		return order;
	return left->place < right->place ? -1 : 1;
}

static int
by_place(const void *a, const void *b)
{
	const struct item *left = a, *right = b;

	return left->place < right->place ? -1 : left->place > right->place;
}

int
tlstrust_add(struct buf *row, const unsigned char *der, size_t len)
{
	const unsigned char length[4] = { (unsigned char)(len >> 24),
		(unsigned char)(len >> 16), (unsigned char)(len >> 8),
		(unsigned char)len };

	if (buf_append(row, length, sizeof(length)) == -1)
		return -1;
	return buf_append(row, der, len);
}

/* Those that do not come a second time.  0, or -1: out of memory. */
static int
put_list(struct buf *row, struct list *list)
{
	struct item *items = list->items;
	size_t i;
	int r = 0;

	if (list->count == 0)
		return 0;
	qsort(items, list->count, sizeof(*items), by_contents);
	for (i = list->count - 1; i > 0; i--)
		if (compare_contents(&items[i - 1], &items[i]) == 0)
			items[i].place = SIZE_MAX;
	qsort(items, list->count, sizeof(*items), by_place);
	for (i = 0; r == 0 && i < list->count; i++)
		if (items[i].place != SIZE_MAX)
			r = tlstrust_add(row, items[i].der, items[i].len);
	return r;
}

const unsigned char *
tlstrust_next(const struct buf *row, size_t *at, size_t *len)
{
	size_t left = row->len - *at;
	const unsigned char *p;

	*len = 0;
	if (left == 0)
		return NULL;
	p = row->data + *at;
	if (left >= 4)
		*len = (size_t)p[0] << 24 | (size_t)p[1] << 16 |
		    (size_t)p[2] << 8 | p[3];
	if (left < 4 || *len > left - 4) {
		*len = (size_t)-1;
		return NULL;
	}
	*at += 4 + *len;
	return p + 4;
}

void
tlstrust_free(struct tlstrust *trust)
{
	buf_free(&trust->cas);
	buf_free(&trust->crls);
	buf_free(&trust->names);
}

/*
 * Parsing
 */

struct parsing {
	struct tlstrust_files *files;
	struct list cas, crls, names;
	bool wants_cca; /* for anchors: neither CAFILE nor CADIR is set */
	bool is_short;	/* of memory */
	char reason[TEXT_PRINTABLE_SIZE + 40]; /* of a damaged file */
};

static bool
is_past(const ASN1_TIME *from, const ASN1_TIME *to)
{
	return (from != NULL && X509_cmp_current_time(from) > 0) ||
	    (to != NULL && X509_cmp_current_time(to) < 0);
}

/* The library's reason, behind what is wrong.  Always -1. */
static int
damaged(struct parsing *parsing, const char *what)
{
	char reason[TEXT_PRINTABLE_SIZE];

	text_format(parsing->reason, sizeof(parsing->reason), "%s: %s", what,
	    tlslib_reason(reason));
	return -1;
}

static int
short_of_memory(struct parsing *parsing)
{
	parsing->is_short = true;
	text_copy(parsing->reason, sizeof(parsing->reason), "out of memory");
	return -1;
}

static int
keep(struct parsing *parsing, struct list *list, const unsigned char *der,
    size_t len)
{
	unsigned char *copy = OPENSSL_malloc(len);

	if (copy == NULL)
		return short_of_memory(parsing);
	memcpy(copy, der, len);
	if (add_item(list, copy, len) == -1)
		return short_of_memory(parsing);
	return 0;
}

static int
keep_name(struct parsing *parsing, const X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(X509_get_subject_name(cert), &der);

	if (len <= 0 || add_item(&parsing->names, der, (size_t)len) == -1)
		return short_of_memory(parsing);
	return 0;
}

static bool
is_cert_name(const char *name)
{
	return strcmp(name, PEM_STRING_X509) == 0 ||
	    strcmp(name, PEM_STRING_X509_OLD) == 0 ||
	    strcmp(name, PEM_STRING_X509_TRUSTED) == 0;
}

static int
take_cert(struct parsing *parsing, enum tlstrust_variable variable,
    const struct tlspem *pem)
{
	struct tlstrust_source *source = &parsing->files->sources[variable];
	bool is_cca =
	    variable == TLSTRUST_CCAFILE || variable == TLSTRUST_CCADIR;
	const unsigned char *at = pem->data;
	X509 *cert;
	int r = 0;

	/* TRUSTED ones say behind the certificate what they are good for. */
	if (strcmp(pem->name, PEM_STRING_X509_TRUSTED) == 0)
		cert = d2i_X509_AUX(NULL, &at, pem->len);
	else
		cert = d2i_X509(NULL, &at, pem->len);
	if (cert == NULL)
		return damaged(parsing, "bad certificate");
	source->count++;
	if (is_past(X509_get0_notBefore(cert), X509_get0_notAfter(cert)))
		source->bad_dates++;
	if (!is_cca || parsing->wants_cca)
		r = keep(parsing, &parsing->cas, pem->data,
		    (size_t)(at - pem->data));
	if (r == 0 && is_cca)
		r = keep_name(parsing, cert);
	X509_free(cert);
	return r;
}

static int
take_crl(struct parsing *parsing, const struct tlspem *pem)
{
	struct tlstrust_source *source =
	    &parsing->files->sources[TLSTRUST_CRLFILE];
	const unsigned char *at = pem->data;
	X509_CRL *crl = d2i_X509_CRL(NULL, &at, pem->len);
	int r;

	if (crl == NULL)
		return damaged(parsing, "bad revocation list");
	source->count++;
	if (is_past(
		X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl)))
		source->bad_dates++;
	r = keep(parsing, &parsing->crls, pem->data, (size_t)(at - pem->data));
	X509_CRL_free(crl);
	return r;
}

static int
take_block(struct parsing *parsing, enum tlstrust_variable variable,
    const struct tlspem *pem)
{
	if (variable == TLSTRUST_CRLFILE)
		return strcmp(pem->name, PEM_STRING_X509_CRL) == 0
		    ? take_crl(parsing, pem)
		    : 0;
	return is_cert_name(pem->name) ? take_cert(parsing, variable, pem) : 0;
}

static int
walk_blocks(struct parsing *parsing, const struct tlstrust_file *file)
{
	struct tlspem pem = { NULL, NULL, NULL, 0 };
	BIO *bio = BIO_new_mem_buf(file->bytes, (int)file->len);
	int r = 0, more;

	if (bio == NULL)
		return short_of_memory(parsing);
	while (r == 0 && (more = tlspem_next(bio, &pem)) != 0) {
		if (more == -1)
			r = damaged(parsing, "bad PEM");
		else
			r = take_block(parsing, file->variable, &pem);
		tlspem_clear(&pem);
	}
	BIO_free(bio);
	return r;
}

/* A file that is damaged counts as a whole, or not at all. */
static int
parse_file(
    struct parsing *parsing, const struct tlstrust_file *file, char *error)
{
	struct tlstrust_source *source =
	    &parsing->files->sources[file->variable];
	const struct tlstrust_source before = *source;
	size_t cas = parsing->cas.count, ccas = parsing->names.count;

	if (walk_blocks(parsing, file) == 0)
		return 0;
	if (parsing->is_short || file->name == NULL)
		return blame(
		    parsing->files, file->variable, parsing->reason, error);
	cut_list(&parsing->cas, cas);
	cut_list(&parsing->names, ccas);
	*source = before;
	skip(source, file->name, parsing->reason);
	return 0;
}

/* What a variable has brought, when all of it has been seen. */
static int
judge(const struct tlstrust_files *files, enum tlstrust_variable variable,
    tlstrust_warn_fn *warn, void *arg, char *error)
{
	const struct tlstrust_source *source = &files->sources[variable];
	const char *what =
	    variable == TLSTRUST_CRLFILE ? "revocation list" : "certificate";
	char sentence[TLSFILE_ERROR_SIZE];
	const char *name = names[variable];

	if (source->path[0] == '\0')
		return 0;
	if (source->skipped > 0) {
		text_format(sentence, sizeof(sentence),
		    "%s %.200s: files that do not count: %zu, first %s", name,
		    source->path, source->skipped, source->first);
		warn(arg, sentence);
	}
	if (source->count == 0) {
		text_format(sentence, sizeof(sentence), "no %s in it", what);
		(void)blame(files, variable, sentence, error);
		if (!is_directory(variable))
			return -1;
		warn(arg, error);
	}
	if (source->bad_dates > 0) {
		text_format(sentence, sizeof(sentence),
		    "%s %.300s: expired or not yet valid: %zu of %zu %ss", name,
		    source->path, source->bad_dates, source->count, what);
		warn(arg, sentence);
	}
	return 0;
}

static int
check_names(const struct tlstrust *trust, char *error)
{
	size_t at = 0, len, total = 0;

	while (tlstrust_next(&trust->names, &at, &len) != NULL)
		total += len + 2;
	if (total <= TLSTRUST_NAMES_MAX)
		return 0;
	text_copy(error, TLSFILE_ERROR_SIZE,
	    "CCAFILE and CCADIR: the names of all these CAs do not fit into a "
	    "handshake, which has room for 65000 bytes");
	return -1;
}

static int
parse_all(struct parsing *parsing, struct tlstrust *trust,
    tlstrust_warn_fn *warn, void *arg, char *error)
{
	struct tlstrust_files *files = parsing->files;
	size_t i;

	for (i = 0; i < files->count; i++)
		if (parse_file(parsing, &files->files[i], error) == -1)
			return -1;
	for (i = 0; i < TLSTRUST_VARIABLES; i++)
		if (judge(files, (enum tlstrust_variable)i, warn, arg, error) ==
		    -1)
			return -1;
	if (put_list(&trust->cas, &parsing->cas) == -1 ||
	    put_list(&trust->crls, &parsing->crls) == -1 ||
	    put_list(&trust->names, &parsing->names) == -1) {
		text_copy(error, TLSFILE_ERROR_SIZE,
		    "out of memory for the certificates of CAs");
		return -1;
	}
	return check_names(trust, error);
}

int
tlstrust_load(struct tlstrust_files *files, struct tlstrust *trust,
    tlstrust_warn_fn *warn, void *arg, char *error)
{
	struct parsing parsing = { .files = files };
	int r;

	tlslib_start();
	parsing.wants_cca = files->sources[TLSTRUST_CAFILE].path[0] == '\0' &&
	    files->sources[TLSTRUST_CADIR].path[0] == '\0';
	buf_init(&trust->cas, TLSTRUST_MAX);
	buf_init(&trust->crls, TLSTRUST_MAX);
	buf_init(&trust->names, TLSTRUST_MAX);
	r = parse_all(&parsing, trust, warn, arg, error);
	if (r == -1)
		tlstrust_free(trust);
	free_list(&parsing.cas);
	free_list(&parsing.crls);
	free_list(&parsing.names);
	tlstrust_forget(files);
	ERR_clear_error();
	return r;
}
