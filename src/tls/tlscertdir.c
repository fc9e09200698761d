/*
 * tlscertdir: certificates by server name.
 *
 * Runs in the keeper.  Files are read with the rights the process was
 * started with, because root alone may be able to, and parsed without
 * them.  A session can open nothing, so everything is read here, once.
 * The order of what comes out depends on names alone: all keepers must
 * number their keys alike.  What was read is wiped.
 */
#include "tls/tlscertdir.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "tls/tlsdir.h"
#include "tls/tlsfile.h"
#include "tls/tlskey.h"
#include "tls/tlspair.h"

#define CERT_END ".pem"
#define KEY_END ".key"
#define END_LEN (sizeof(CERT_END) - 1)

/* errno values with words of their own. */
#define NOT_A_FILE -1
#define NOT_A_NAME -2
#define TOO_MANY -3

/* Say what is wrong with a file of the directory.  Always -1. */
static int
blame(const struct tlscertdir *dir, const char *file, int reason, char *error)
{
	const char *what;

	switch (reason) {
	case NOT_A_FILE:
		what = "not a regular file";
		break;
	case NOT_A_NAME:
		what = "not the name of a server";
		break;
	case TOO_MANY:
		what = "more than 4096 certificates";
		break;
	case E2BIG:
		what = "more than 65536 entries";
		break;
	case EFBIG:
		what = "larger than a megabyte, or 64 megabytes with others";
		break;
	default:
		what = strerror(reason);
		break;
	}
	text_format(error, TLSFILE_ERROR_SIZE, "CERTDIR %.250s%s%s: %s",
	    dir->path, *file == '\0' ? "" : "/", file, what);
	return -1;
}

/*
 * Names
 */

static bool
is_cert_file(const char *file)
{
	size_t len = strlen(file);

	return len > END_LEN && strcmp(file + len - END_LEN, CERT_END) == 0;
}

/* Of which server?  0, or -1: of none. */
static int
read_name(char name[TLSCERTS_NAME_SIZE], const char *file)
{
	size_t len = strcspn(file, "+");
	char text[TLSCERTS_NAME_SIZE];

	if (file[len] == '\0')
		len -= END_LEN;
	if (len >= sizeof(text))
		return -1;
	memcpy(text, file, len);
	text[len] = '\0';
	return tlscerts_normal(name, text);
}

/* Several of a name in the order of their files, the plain one first. */
static int
compare_files(const void *a, const void *b)
{
	const struct tlscertdir_file *left = a, *right = b;
	int order = strcmp(left->name, right->name);

	if (order == 0)
		order = (strchr(left->file, '+') != NULL) -
		    (strchr(right->file, '+') != NULL);
	return order != 0 ? order : strcmp(left->file, right->file);
}

static int
take_name(struct tlscertdir *dir, const char *file, char *error)
{
	struct tlscertdir_file *entry = &dir->files[dir->count];

	if (dir->count == TLSCERTDIR_MAX)
		return blame(dir, "", TOO_MANY, error);
	if (read_name(entry->name, file) == -1)
		return blame(dir, file, NOT_A_NAME, error);
	entry->file = strdup(file);
	if (entry->file == NULL)
		return blame(dir, file, ENOMEM, error);
	dir->count++;
	return 0;
}

static int
take_names(
    struct tlscertdir *dir, const struct tlsdir_entries *entries, char *error)
{
	size_t i, room = 1;

	for (i = 0; i < entries->count; i++)
		room += is_cert_file(entries->names[i]);
	if (room > TLSCERTDIR_MAX)
		room = TLSCERTDIR_MAX;
	dir->files = calloc(room, sizeof(*dir->files));
	if (dir->files == NULL)
		return blame(dir, "", ENOMEM, error);
	for (i = 0; i < entries->count; i++)
		if (is_cert_file(entries->names[i]) &&
		    take_name(dir, entries->names[i], error) == -1)
			return -1;
	qsort(dir->files, dir->count, sizeof(*dir->files), compare_files);
	return 0;
}

/*
 * Reading
 */

/* 0, an errno value, or NOT_A_FILE. */
static int
read_file(struct tlscertdir *dir, int dir_fd, const char *file,
    unsigned char **bytes, size_t *len)
{
	size_t max = TLSCERTDIR_SIZE_MAX - dir->size;
	struct stat st;
	int fd, reason = 0;

	/* Devices may do something when they are opened, and fifos wait. */
	if (fstatat(dir_fd, file, &st, 0) == -1)
		return errno;
	if (!S_ISREG(st.st_mode))
		return NOT_A_FILE;
	fd = openat(dir_fd, file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return errno;
	if (tlsdir_read(
		fd, max < TLSFILE_MAX ? max : TLSFILE_MAX, bytes, len) == -1)
		reason = errno;
	else
		dir->size += *len;
	fd_close(&fd);
	return reason;
}

/* A certificate, and the key beside it if there is one. */
static int
read_pair(struct tlscertdir *dir, int dir_fd, struct tlscertdir_file *entry,
    char *error)
{
	char key[300];
	int reason;

	reason =
	    read_file(dir, dir_fd, entry->file, &entry->bytes, &entry->len);
	if (reason != 0)
		return blame(dir, entry->file, reason, error);
	text_format(key, sizeof(key), "%.*s" KEY_END,
	    (int)(strlen(entry->file) - END_LEN), entry->file);
	reason = read_file(dir, dir_fd, key, &entry->key, &entry->key_len);
	return reason == 0 || reason == ENOENT ? 0
					       : blame(dir, key, reason, error);
}

int
tlscertdir_read(
    struct tlscertdir *dir, const char *path, const char *chroot, char *error)
{
	struct tlsdir_entries entries = { NULL, 0 };
	int dir_fd, r = 0;
	size_t i;

	memset(dir, 0, sizeof(*dir));
	if (path == NULL || *path == '\0')
		return 0;
	dir_fd = tlsdir_open(dir->path, path, chroot);
	if (dir_fd == -1 || tlsdir_list(&entries, dir_fd) == -1)
		r = blame(dir, "", errno, error);
	if (r == 0)
		r = take_names(dir, &entries, error);
	for (i = 0; r == 0 && i < dir->count; i++)
		r = read_pair(dir, dir_fd, &dir->files[i], error);
	tlsdir_free(&entries);
	fd_close(&dir_fd);
	return r;
}

void
tlscertdir_forget(struct tlscertdir *dir)
{
	size_t i;

	for (i = 0; i < dir->count; i++) {
		free(dir->files[i].file);
		tlsdir_wipe(dir->files[i].bytes, dir->files[i].len);
		tlsdir_wipe(dir->files[i].key, dir->files[i].key_len);
	}
	free(dir->files);
	dir->files = NULL;
	dir->count = dir->size = 0;
}

/*
 * Parsing
 */

struct parsing {
	const struct tlscertdir *dir;
	const struct tlsphrase *phrase;
	struct tlscerts *certs;
	struct tlskeys *keys;
	tlstrust_warn_fn *warn;
	void *arg;
	char *error;
};

/* Is there one of that kind for that name?  A client gets but one. */
static bool
is_second(const struct parsing *parsing, const char *name, const char *path,
    const struct tlskey *key)
{
	char sentence[TLSFILE_ERROR_SIZE];
	size_t i = parsing->certs->count;
	const char *other;

	for (; i > 0; i--) {
		other = parsing->certs->all[i - 1].name;
		if (other == NULL || strcmp(other, name) != 0)
			return false;
		if (tlskey_kind(parsing->keys->all[i - 1]) == tlskey_kind(key))
			break;
	}
	if (i == 0)
		return false;
	text_format(sentence, sizeof(sentence),
	    "CERTDIR %.400s: not used, as there is an %s certificate for "
	    "that name before it",
	    path, tlskey_kind(key));
	parsing->warn(parsing->arg, sentence);
	return true;
}

/* Take over what has been parsed. */
static int
keep_pair(const struct parsing *parsing, const struct tlscertdir_file *entry,
    const char *path, struct buf *chain, struct tlskey *key)
{
	if (is_second(parsing, entry->name, path, key)) {
		tlskey_free(key);
		return 0;
	}
	if (tlskeys_add(parsing->keys, key) == -1) {
		tlskey_free(key);
		return blame(parsing->dir, entry->file, ENOMEM, parsing->error);
	}
	if (tlscerts_add(parsing->certs, entry->name, chain) == -1)
		return blame(parsing->dir, entry->file, ENOMEM, parsing->error);
	return 0;
}

static int
parse_pair(const struct parsing *parsing, const struct tlscertdir_file *entry)
{
	char path[1400], key_path[1400];
	struct tlspair pair = { .cert = { "CERTDIR", path, entry->bytes,
				    entry->len },
		.key = { "CERTDIR", key_path, entry->key, entry->key_len },
		.is_chain = true,
		.no_key = "there is no file beside it that ends in " KEY_END,
		.phrase = parsing->phrase,
		.name = entry->name };
	struct tlskey *key;
	struct buf chain;
	int r;

	text_format(
	    path, sizeof(path), "%s/%s", parsing->dir->path, entry->file);
	text_format(key_path, sizeof(key_path), "%.*s" KEY_END,
	    (int)(strlen(path) - END_LEN), path);
	buf_init(&chain, TLSFILE_MAX);
	r = tlspair_load(
	    &pair, &chain, &key, parsing->warn, parsing->arg, parsing->error);
	if (r == 0)
		r = keep_pair(parsing, entry, path, &chain, key);
	buf_free(&chain);
	return r;
}

int
tlscertdir_load(struct tlscertdir *dir, const struct tlsphrase *phrase,
    struct tlscerts *certs, struct tlskeys *keys, tlstrust_warn_fn *warn,
    void *arg, char *error)
{
	const struct parsing parsing = { dir, phrase, certs, keys, warn, arg,
		error };
	char sentence[TLSFILE_ERROR_SIZE];
	size_t i;
	int r = 0;

	if (dir->path[0] != '\0' && dir->count == 0) {
		text_format(sentence, sizeof(sentence),
		    "CERTDIR %.400s: no file that ends in " CERT_END,
		    dir->path);
		warn(arg, sentence);
	}
	for (i = 0; r == 0 && i < dir->count; i++)
		r = parse_pair(&parsing, &dir->files[i]);
	tlscertdir_forget(dir);
	return r;
}
