/*
 * badkeeper: stands in the place of ucspissl-keeper and says that it is
 * ready, in a wrong way.  CERTFILE says which: `none' (no descriptor),
 * `unsealed', `empty', `huge' (more than a nursery takes), `file' (not
 * memory at all), `short' (half a digest), `chatty' (a message in pieces).
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "serve/msg.h"
#include "serve/role.h"
#include "serve/roleconfig.h"
#include "serve/sealed.h"
#include "tls/tlsfile.h"

static struct role role;

static int
make_file(const char *how)
{
	int fd;

	if (strcmp(how, "none") == 0)
		return -1;
	if (strcmp(how, "file") == 0)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd = sealed_make();
	if (strcmp(how, "empty") != 0 &&
	    ftruncate(fd,
		strcmp(how, "huge") == 0 ? (off_t)ROLE_PUBLIC_MAX + 1 : 64) ==
		-1)
		_exit(1);
	if (strcmp(how, "unsealed") != 0 && sealed_seal(fd) == -1)
		_exit(1);
	return fd;
}

int
main(void)
{
	static unsigned char body[MSG_PIECE_MAX + ROLE_DIGEST_SIZE];
	struct msg ready = {
		.type = MSG_READY, .body = body, .len = ROLE_DIGEST_SIZE
	};
	struct tls_settings settings;
	const char *how;

	role_begin(&role);
	profile_settings(&role.config.profile, &settings);
	how = settings.certfile;
	ready.fds[0] = make_file(how);
	ready.fd_count = ready.fds[0] != -1;
	if (strcmp(how, "short") == 0)
		ready.len /= 2;
	if (strcmp(how, "chatty") == 0)
		ready.len = sizeof(body);
	if (msg_send(role.life_fd, &ready, false) == -1)
		return 1;
	for (;;)
		role_life(&role);
}
