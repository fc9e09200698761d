/*
 * A file that holds one TLS session.
 *
 * Read in the TLS process before it gives up its rights, and written by a
 * helper that keeps those of the start, as the directory may be the user's
 * alone: it understands nothing of what it writes, and can write that one
 * name.  The file is never seen half-written.  It is a cache: nothing is
 * brought to the disk, and a failure to write is a warning.
 */
#include "client/sessionfile.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "client/helper.h"
#include "serve/msg.h"
#include "serve/privs.h"
#include "serve/title.h"
#include "tls/tlslib.h"

static const char magic[] = "ucspi-ssl session 2\n";
#define MAGIC_SIZE (sizeof(magic) - 1)
_Static_assert(SESSIONFILE_HEAD_SIZE == MAGIC_SIZE + CLIENT_ASKED_SIZE,
    "the head is these two");
#define SESSION_AT (SESSIONFILE_HEAD_SIZE + SESSIONFILE_BINDING_SIZE)
#define DESCRIPTORS 16
#define NAME_SIZE 256

/* What follows the last slash. */
static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static int
fail(char error[CLIENT_ERROR_SIZE], const char *path, const char *what)
{
	text_format(
	    error, CLIENT_ERROR_SIZE, "--session %.500s: %s", path, what);
	return -1;
}

int
sessionfile_prepare(
    const struct client_settings *settings, char error[CLIENT_ERROR_SIZE])
{
	const char *path = settings->session, *name = base_name(path);
	char directory[4096];
	int fd;

	if (*name == '\0' || strlen(name) + 32 > NAME_SIZE ||
	    text_format(directory, sizeof(directory), "%.*s",
		(int)(name - path), path) == -1)
		return fail(error, path, "is no name of a file");
	fd = open(*directory == '\0' ? "." : directory,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return fail(error, path, strerror(errno));
	if (faccessat(fd, ".", W_OK | X_OK, 0) == -1) {
		fd_close(&fd);
		return fail(error, path, "its directory cannot be written to");
	}
	return fd;
}

int
sessionfile_read(const char *path, unsigned char file[SESSIONFILE_MAX],
    char error[CLIENT_ERROR_SIZE])
{
	struct stat status;
	int fd = fd_open_regular(path, &status);
	ssize_t len;

	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return fail(error, path,
		    errno == EINVAL ? "is no regular file" : strerror(errno));
	if (status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
		fd_close(&fd);
		return fail(error, path,
		    "is not yours alone (another owner, or a mode that is "
		    "not 0600)");
	}
	len = fd_read_all(fd, file, SESSIONFILE_MAX);
	fd_close(&fd);
	return len == -1 ? fail(error, path, strerror(errno)) : (int)len;
}

/* A word that is not there differs from an empty one. */
static int
add_word(struct buf *all, const char *word)
{
	return buf_append(all, word == NULL ? "-" : "+", 1) == -1 ||
		buf_append_string(all, word == NULL ? "" : word) == -1
	    ? -1
	    : 0;
}

static int
add_numbers(struct buf *all, const struct client_settings *s)
{
	const long numbers[] = { (long)s->ip.scope, s->port_number, s->depth,
		s->verifies_chain, s->matches_name, s->strict_names,
		s->sends_sni, s->has_own_store,
		s->has_starttls ? (long)s->starttls : -1 };

	return buf_append(all, numbers, sizeof(numbers));
}

int
sessionfile_digest(
    const struct client_settings *s, unsigned char asked[CLIENT_ASKED_SIZE])
{
	struct buf all;
	int r = -1;

	buf_init(&all, SIZE_MAX);
	if (add_word(&all, s->host) == 0 && add_word(&all, s->port) == 0 &&
	    add_word(&all, s->tls.ciphers) == 0 &&
	    add_word(&all, s->tls.tlsmin) == 0 &&
	    add_word(&all, s->tls.tlsmax) == 0 &&
	    add_word(&all, s->tls.tlsgroups) == 0 &&
	    buf_append(&all, s->ip.ip.bytes, sizeof(s->ip.ip.bytes)) == 0 &&
	    add_numbers(&all, s) == 0 &&
	    buf_append(&all, s->alpn, s->alpn_len) == 0)
		r = tlslib_sha256(all.data, all.len, asked);
	buf_free(&all);
	return r;
}

void
sessionfile_head(unsigned char head[SESSIONFILE_HEAD_SIZE],
    const unsigned char asked[CLIENT_ASKED_SIZE])
{
	memcpy(head, magic, MAGIC_SIZE);
	memcpy(head + MAGIC_SIZE, asked, CLIENT_ASKED_SIZE);
}

const unsigned char *
sessionfile_get(const unsigned char *file, size_t len,
    const unsigned char asked[CLIENT_ASKED_SIZE],
    const unsigned char binding[SESSIONFILE_BINDING_SIZE], size_t *session_len)
{
	unsigned char head[SESSIONFILE_HEAD_SIZE];

	sessionfile_head(head, asked);
	if (len <= SESSION_AT || memcmp(file, head, sizeof(head)) != 0 ||
	    memcmp(file + sizeof(head), binding, SESSIONFILE_BINDING_SIZE) != 0)
		return NULL;
	*session_len = len - SESSION_AT;
	return file + SESSION_AT;
}

void
sessionfile_keep(int store_fd,
    const unsigned char binding[SESSIONFILE_BINDING_SIZE],
    const unsigned char *session, size_t len)
{
	static unsigned char body[SESSIONFILE_MAX];

	if (len > SESSIONFILE_MAX - SESSION_AT)
		return;
	memcpy(body, binding, SESSIONFILE_BINDING_SIZE);
	memcpy(body + SESSIONFILE_BINDING_SIZE, session, len);
	(void)msg_send_bytes(
	    store_fd, MSG_STORE, 0, body, SESSIONFILE_BINDING_SIZE + len, true);
	explicit_bzero(body, SESSIONFILE_BINDING_SIZE + len);
}

/*
 * In the helper
 */

static int
write_file(
    int fd, const struct client_settings *settings, const struct msg *msg)
{
	unsigned char head[SESSIONFILE_HEAD_SIZE];

	sessionfile_head(head, settings->session_asked);
	if (fd == -1 || fchmod(fd, 0600) == -1 ||
	    fd_write_all(fd, head, sizeof(head)) == -1)
		return -1;
	return fd_write_all(fd, msg->body, msg->len);
}

/* A whole file in the place of the old one.  0 or -1 with errno. */
static int
replace(int dir, const struct client_settings *settings, const struct msg *msg)
{
	const char *name = base_name(settings->session);
	char temporary[NAME_SIZE];
	int fd, error;

	text_format(
	    temporary, sizeof(temporary), ".%s.%ld", name, (long)getpid());
	fd = openat(dir, temporary,
	    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd == -1)
		return -1;
	if (write_file(fd, settings, msg) == 0 &&
	    renameat(dir, temporary, dir, name) == 0) {
		fd_close(&fd);
		return 0;
	}
	error = errno;
	fd_close(&fd);
	(void)unlinkat(dir, temporary, 0);
	errno = error;
	return -1;
}

/* It stays who it is, as nobody else may write there. */
static void
give_up_rights(void)
{
	static const struct settings_identity nobody_else;
	const struct privs privs = { .identity = &nobody_else,
		.root_fd = -1,
		.descriptors = DESCRIPTORS,
		.processes = 0 };
	char error[PRIVS_ERROR_SIZE];

	if (chdir("/") == -1 || privs_drop(&privs, error) == -1)
		_exit(111);
}

void
sessionfile_run(const struct client_settings *settings, int control_fd)
{
	static struct msg_room room;
	int keep[1] = { fd_dup_above(settings->session_dir, HELPER_ABOVE) };
	struct msg msg;
	bool more;

	if (keep[0] == -1)
		_exit(111);
	helper_arrange(settings, control_fd, keep, 1);
	title_set("store");
	give_up_rights();
	while (
	    msg_receive(HELPER_CONTROL_FD, &room, &msg, 0, false, &more) == 1) {
		if (more || msg.type != MSG_STORE ||
		    msg.len > SESSIONFILE_MAX - SESSIONFILE_HEAD_SIZE)
			_exit(111);
		if (replace(keep[0], settings, &msg) == -1)
			client_say(settings, VERBOSITY_ERRORS,
			    "warning: --session %s: %s", settings->session,
			    strerror(errno));
	}
	_exit(0);
}
