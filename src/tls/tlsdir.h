/*
 * tlsdir: directories that variables name, and files of unknown size in
 * them, read whole.
 *
 * What tlstrust and tlscertdir share; nothing outside tls/ includes it.
 */
#ifndef TLS_TLSDIR_H
#define TLS_TLSDIR_H

#include <stddef.h>

/* Entries of a directory, at most. */
#define TLSDIR_ENTRIES_MAX 65536

/*
 * Open path, or, when it cannot be, path below chroot (NULL: not tried).
 * The descriptor, or -1 with errno of the first attempt.  taken, of
 * TLSFILE_PATH_SIZE bytes, is the path that was taken, or path.
 */
int tlsdir_open(char *taken, const char *path, const char *chroot);

/* A directory's entries, but those with a dot in front. */
struct tlsdir_entries {
	char **names; /* sorted */
	size_t count;
};

/*
 * Those of fd, which stays open.  0, or -1 with errno: E2BIG for too many.
 * In both cases tlsdir_free is due.
 */
int tlsdir_list(struct tlsdir_entries *entries, int fd);
void tlsdir_free(struct tlsdir_entries *entries);

/*
 * All of a file, which stays open; *bytes are for tlsdir_wipe.  0, or -1
 * with errno: EFBIG for more than max bytes.  No copy stays behind.
 */
int tlsdir_read(int fd, size_t max, unsigned char **bytes, size_t *len);

/* Wipe and free.  NULL is accepted. */
void tlsdir_wipe(unsigned char *bytes, size_t len);

#endif
