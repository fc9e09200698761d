/*
 * tlstrust: whom a server believes a client's certificate, from path to
 * DER: CAs, revocation lists, and the names of CAs that clients are told.
 *
 * Used by the keeper: tlstrust_read as root, then the process gives up its
 * rights, then tlstrust_load parses.  What comes out is public and travels
 * to the nursery.
 */
#ifndef TLS_TLSTRUST_H
#define TLS_TLSTRUST_H

#include <stddef.h>

#include "base/buf.h"

struct tls_settings;

/* All files together, in bytes. */
#define TLSTRUST_MAX (32 * 1024 * 1024)

/* Names of CAs, as a handshake carries them: a 16-bit length. */
#define TLSTRUST_NAMES_MAX 65000

enum tlstrust_variable {
	TLSTRUST_CAFILE,
	TLSTRUST_CADIR,
	TLSTRUST_CCAFILE,
	TLSTRUST_CCADIR,
	TLSTRUST_CRLFILE,
	TLSTRUST_VARIABLES
};

/* A file that has been read but not looked into. */
struct tlstrust_file {
	enum tlstrust_variable variable;
	char *name; /* in its directory; NULL: the variable's own path */
	unsigned char *bytes;
	size_t len;
};

/* What is known of a variable. */
struct tlstrust_source {
	char path[1024];  /* the path that was taken; "": not set */
	size_t count;	  /* certificates, or lists, found */
	size_t bad_dates; /* of them: expired or not yet valid */
	size_t skipped;	  /* files of the directory that are of no use */
	char first[160];  /* the first of those, and why */
};

struct tlstrust_files {
	struct tlstrust_file *files; /* owned */
	size_t count, room;
	size_t size; /* bytes of all */
	struct tlstrust_source sources[TLSTRUST_VARIABLES];
};

/*
 * What a nursery needs to know: each a row of items, which are four bytes
 * of length, most significant first, and DER.  No item comes twice.
 */
struct tlstrust {
	struct buf cas;	  /* trust anchors, X509 and perhaps X509_AUX */
	struct buf crls;  /* X509_CRL */
	struct buf names; /* X509_NAME */
};

/* A sentence about what is strange, but no error. */
typedef void tlstrust_warn_fn(void *arg, const char *sentence);

/*
 * Read what the settings name, with the rights the process has now, one
 * file open at a time.  A path is tried as given, then below chroot (NULL:
 * not tried).  Of a directory every regular file counts, links to one
 * included, but none whose name begins with a dot.  0, or -1 and a
 * sentence in error (of TLSFILE_ERROR_SIZE bytes) that names variable, path
 * and reason: a file or directory that cannot be read, more than
 * TLSTRUST_MAX bytes.  In both cases tlstrust_forget is due.
 */
int tlstrust_read(struct tlstrust_files *files,
    const struct tls_settings *settings, const char *chroot, char *error);

/*
 * Parse what was read, and forget it.  Anchors are the certificates of
 * CAFILE and CADIR, or, when neither is set, of CCAFILE and CCADIR; names
 * are those of CCAFILE and CCADIR.  0 and *trust, the caller's; or -1 and a
 * sentence in error: a file without a certificate or, of CRLFILE, without a
 * revocation list, one that is damaged, more names than a handshake
 * carries.  Warned of: a directory without certificates, files of one that
 * are damaged or cannot be read, which do not count, and what has expired.
 */
int tlstrust_load(struct tlstrust_files *files, struct tlstrust *trust,
    tlstrust_warn_fn *warn, void *arg, char *error);

/* Wipe and free what was read; the sources stay. */
void tlstrust_forget(struct tlstrust_files *files);

void tlstrust_free(struct tlstrust *trust);

/* Append an item to a row.  0, or -1 as buf_append, and it is cut short. */
int tlstrust_add(struct buf *row, const unsigned char *der, size_t len);

/*
 * Walk a row: the next item, whose length becomes *len, and *at moves on;
 * NULL at the end.  A row cut short ends with -1 in *len.  Begin with *at 0.
 */
const unsigned char *tlstrust_next(
    const struct buf *row, size_t *at, size_t *len);

#endif
