/*
 * tlsfile: certificate, key and parameter files, from path to parsed form.
 *
 * Used by the keeper: tlsfile_open as root, then the process gives up its
 * rights, then tlsfile_load reads and parses.  What comes out is public
 * (certificates, DH parameters, the group list) and travels on to the
 * nursery, or is the private key, which stays.
 */
#ifndef TLS_TLSFILE_H
#define TLS_TLSFILE_H

#include <stddef.h>
#include <stdbool.h>

#include "tls/tlscerts.h"
#include "tls/tlstrust.h"

struct tlskeys;
struct tlsphrase;

/* Room for one sentence about what went wrong. */
#define TLSFILE_ERROR_SIZE 512

/* Largest file that is read, in bytes. */
#define TLSFILE_MAX (1024 * 1024)

/* Certificates in one chain, at most. */
#define TLSFILE_CHAIN_MAX 16

/* Files of certificates in one variable, at most. */
#define TLSFILE_PAIRS_MAX 8

/*
 * The TLS variables of INTERFACE.md section 2, as strings that outlive
 * this object; NULL: unset, "" : none.
 */
struct tls_settings {
	const char *certfile;
	const char *certchainfile;
	const char *keyfile;
	const char *dhfile;
	const char *ciphers;
	const char *tlsmin;
	const char *tlsmax;
	const char *tlsgroups;
	const char *cafile;
	const char *cadir;
	const char *ccafile; /* "-": do not ask for a certificate */
	const char *ccadir;
	const char *crlfile;
	const char *certdir;
	const char *sni;
	const char *alpn;
	unsigned session_s; /* SESSIONTIME; 0: nothing is resumed */
	bool seals_tickets; /* TICKETKEYS: see tlsresume_seal */
};

/*
 * SNI: are names refused that are not known?  0, or -1 and a sentence in
 * error: it is not "strict".
 */
int tls_settings_strict(const struct tls_settings *settings, bool *is_strict,
    char *error, size_t error_size);

/*
 * TLSMIN and TLSMAX as the x of TLS 1.x: 2 and 3 unless set.  0, or -1 and
 * a sentence in error that names the variable.
 */
int tls_settings_versions(const struct tls_settings *settings, unsigned *min,
    unsigned *max, char *error, size_t error_size);

#define TLSFILE_PATH_SIZE 1024

/* A file that has been opened but not read. */
struct tlsfile {
	int fd;			      /* -1: not wanted */
	char path[TLSFILE_PATH_SIZE]; /* the path that was taken */
};

/* A certificate, and the key if that has a file of its own. */
struct tlsfile_pair {
	struct tlsfile cert; /* from CERTCHAINFILE, else CERTFILE */
	struct tlsfile key;  /* from KEYFILE; -1: in cert's file */
};

struct tlsfiles {
	struct tlsfile_pair pairs[TLSFILE_PAIRS_MAX];
	size_t count;
	bool is_chain;	   /* certificates are from CERTCHAINFILE */
	struct tlsfile dh; /* -1: no DHFILE */
	/* set before tlsfile_load for an encrypted key; NULL: none */
	const struct tlsphrase *phrase;
	/* set before it: keys are elsewhere, and none is looked for */
	bool has_no_keys;
};

/* What a nursery needs to know; nothing in it is secret. */
struct tls_public {
	struct tlscerts certs; /* owned, or borrowed */
	unsigned char *dh;     /* DER, PKCS#3 or X9.42, or NULL; owned */
	size_t dh_len;
	unsigned dh_bits;
	struct tlstrust trust; /* filled by tlstrust_load; owned */
};

/*
 * Which variable names the certificates, CERTFILE or CERTCHAINFILE, and what
 * it says (NULL or "": nothing).
 */
const char *tlsfile_variable(const struct tls_settings *settings);
const char *tlsfile_path(const struct tls_settings *settings);

/*
 * The n-th path, counted from 0, of a list that is separated by colons.  0;
 * 1: there are no more; -1: it is empty or too long.
 */
int tlsfile_nth(char path[TLSFILE_PATH_SIZE], const char *list, size_t n);

/*
 * Open what settings name, with the rights the process has now.  A path
 * is tried as given, then below chroot (NULL: not tried).  CERTCHAINFILE
 * beats CERTFILE; one of them must be set, unless CERTDIR and SNI=strict
 * are.  It and KEYFILE are lists of
 * as many paths each, or there is no KEYFILE.  Only regular files and pipes;
 * never blocks on a fifo.  0 and *files, or -1 and a sentence in error
 * that names variable, path and reason.
 */
int tlsfile_open(struct tlsfiles *files, const struct tls_settings *settings,
    const char *chroot, char error[TLSFILE_ERROR_SIZE]);

/*
 * Read, parse and check what was opened, and close it.  *public and *keys
 * become the caller's.  Refused, each with a sentence of its own: what
 * tlspair_load refuses, and DH parameters that are none.  Of two
 * certificates of a kind the first one counts; the other is left out, with
 * a warning.  What is strange
 * but no error goes to warn.  File contents are wiped from memory after
 * parsing, on every path.  0 or -1.
 */
int tlsfile_load(struct tlsfiles *files, struct tls_public *public,
    struct tlskeys *keys, tlstrust_warn_fn *warn, void *arg,
    char error[TLSFILE_ERROR_SIZE]);

/* Close what is open. */
void tlsfile_close(struct tlsfiles *files);

void tls_public_free(struct tls_public *public);

#endif
