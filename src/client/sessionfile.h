/*
 * sessionfile: --session, a TLS session that outlives its connection.
 *
 * The file belongs to the user alone.  Its contents are opaque to all but
 * the TLS process, which parses them when it has given up its rights, and
 * which takes a session only for what it was made for: the same server,
 * port and wishes, which its writer notes, and the same trust, which the TLS
 * process notes itself.  Since it has no rights any more when the server
 * has sent a new one, a helper writes.
 */
#ifndef CLIENT_SESSIONFILE_H
#define CLIENT_SESSIONFILE_H

#include <stddef.h>

#include "client/client.h"

/* Larger ones are not kept. */
#define SESSIONFILE_MAX 30000

#define SESSIONFILE_BINDING_SIZE 32

/*
 * Can the file be written?  A descriptor of its directory, the caller's, or
 * -1 and one sentence.
 */
int sessionfile_prepare(
    const struct client_settings *settings, char error[CLIENT_ERROR_SIZE]);

/* Digest what the settings ask for, with the rights we have.  0 or -1. */
int sessionfile_digest(const struct client_settings *settings,
    unsigned char asked[CLIENT_ASKED_SIZE]);

/*
 * Read the file with the rights we have: bytes in file, or 0 when there is
 * none.  -1 and one sentence: it cannot be read, or is not the user's alone.
 */
int sessionfile_read(const char *path, unsigned char file[SESSIONFILE_MAX],
    char error[CLIENT_ERROR_SIZE]);

/* What a file begins with. */
#define SESSIONFILE_HEAD_SIZE 52
void sessionfile_head(unsigned char head[SESSIONFILE_HEAD_SIZE],
    const unsigned char asked[CLIENT_ASKED_SIZE]);

/*
 * The session in len bytes of file, and its length; NULL: there is none for
 * these wishes and this binding.
 */
const unsigned char *sessionfile_get(const unsigned char *file, size_t len,
    const unsigned char asked[CLIENT_ASKED_SIZE],
    const unsigned char binding[SESSIONFILE_BINDING_SIZE], size_t *session_len);

/*
 * Have session kept by the helper at store_fd.  Never waits; what does not
 * fit, or that it does not take, is lost.
 */
void sessionfile_keep(int store_fd,
    const unsigned char binding[SESSIONFILE_BINDING_SIZE],
    const unsigned char *session, size_t len);

/*
 * The helper's whole life (helper.h): with the rights of the start, but
 * without files, it writes what it is sent, each time a whole file in the
 * place of the old one, until its socket ends.  settings->session_dir is
 * the directory.  Who sends has met the network and may have been taken over:
 * the beginning of the file is settings->session_asked, whatever it says, so
 * that no session can be put in for another host.  Never returns.
 */
void sessionfile_run(const struct client_settings *settings, int control_fd);

#endif
