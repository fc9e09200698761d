/*
 * tlscertdir: CERTDIR, a directory with one file per server name.
 *
 * Used by the keeper: tlscertdir_read as root, then the process gives up
 * its rights, then tlscertdir_load parses.
 *
 * NAME.pem is for the server NAME, _.NAME.pem for every name that is NAME
 * with one more label in front.  It holds the certificate with its chain,
 * leaf first; the key is in NAME.key, or in the same file where that does
 * not exist.  NAME+ANYTHING.pem is a further one for NAME, of another kind.
 */
#ifndef TLS_TLSCERTDIR_H
#define TLS_TLSCERTDIR_H

#include <stddef.h>

#include "tls/tlscerts.h"
#include "tls/tlstrust.h"

struct tlskeys;
struct tlsphrase;

/* Files of certificates, at most. */
#define TLSCERTDIR_MAX 4096

/* All files together, in bytes. */
#define TLSCERTDIR_SIZE_MAX ((size_t)64 * 1024 * 1024)

/* Files that have been read but not looked into. */
struct tlscertdir_file {
	char *file;		       /* its name in the directory */
	char name[TLSCERTS_NAME_SIZE]; /* the server's */
	unsigned char *bytes, *key;    /* key NULL: has no file */
	size_t len, key_len;
};

struct tlscertdir {
	char path[1024]; /* the path that was taken; "": not set */
	struct tlscertdir_file *files; /* sorted by name; owned */
	size_t count;
	size_t size; /* bytes of all */
};

/*
 * Read what is in the directory, with the rights the process has now, one
 * file open at a time.  path (NULL or "": no directory) is tried as given,
 * then below chroot (NULL: not tried).  Files whose names end neither in
 * .pem nor in .key, or begin with a dot, are not looked at.  0, or -1 and a
 * sentence in error (of TLSFILE_ERROR_SIZE bytes) that names the file and
 * the reason: what cannot be read, a name that no server can have, too
 * many or too large files.  In both cases tlscertdir_forget is due.
 */
int tlscertdir_read(
    struct tlscertdir *dir, const char *path, const char *chroot, char *error);

/*
 * Parse what was read, append it to *certs and *keys, and forget it.
 * Refused is what tlspair_load refuses, of a file as of CERTCHAINFILE.
 * Warned of: a directory without certificates, one that is not for its
 * name, a second one of a kind for a name, which is left out.  0, or -1
 * and a sentence in error.
 */
int tlscertdir_load(struct tlscertdir *dir, const struct tlsphrase *phrase,
    struct tlscerts *certs, struct tlskeys *keys, tlstrust_warn_fn *warn,
    void *arg, char *error);

/* Wipe and free what was read; the path stays. */
void tlscertdir_forget(struct tlscertdir *dir);

#endif
