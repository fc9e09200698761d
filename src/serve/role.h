/*
 * role: how master and the executables it starts find each other.
 *
 * ucspissl-keeper and ucspissl-nursery are started with an empty
 * environment, /dev/null on 0, 1 and 2, and their life line to master on
 * ROLE_LIFE_FD.  The first message there is CONFIG.  A role that reads end
 * of file from its life line exits at once.
 */
#ifndef SERVE_ROLE_H
#define SERVE_ROLE_H

#include <stdbool.h>
#include <stddef.h>

#include "serve/msg.h"
#include "serve/profile.h"
#include "serve/settings.h"
#include "tls/tlsfile.h"

#define ROLE_LIFE_FD 3

struct role_config {
	const char *build_id;
	struct settings_identity identity;
	struct profile profile;
	/* keeper */
	const char *root; /* SSL_CHROOT, or NULL */
	/* nursery */
	size_t limit; /* sessions at once */
	unsigned idle_s;
	bool strict_close;
	const unsigned char *greeting;
	size_t greeting_len;
	const unsigned char *public; /* a keeper's READY, unread by master */
	size_t public_len;
};

/* The life line as the role sees it, and what came through it. */
struct role {
	int life_fd;
	int jail_fd;		   /* an empty directory, or -1 */
	int work_fd;		   /* to the monitor, or -1 until it comes */
	struct role_config config; /* points into whole */
	struct buf whole;
	struct msg_room room;
};

/*
 * Encode, for master.  0, or -1 when it does not fit.  Decode: 0, also for
 * another build, of which only build_id is read; -1 when malformed.
 */
int role_config_put(const struct role_config *config, struct msg_writer *w);
int role_config_get(struct role_config *config, const struct msg *msg);

/*
 * First step of a role: ignore the terminal's signals, wait for CONFIG and
 * check the build id.  role must have static or heap storage.  Returns, or
 * exits: 111 after a sentence through the life line, 0 if master is gone.
 */
void role_begin(struct role *role);

/* Tell master one sentence and exit 111. */
__attribute__((noreturn)) void role_fail(
    const struct role *role, const char *sentence);

/* Tell master a warning, or a setting in use. */
void role_warn(const struct role *role, const char *sentence);
void role_setting(const struct role *role, const char *name, const char *value);

/*
 * Take the next message from the life line: a new work socket.  Exits when
 * master is gone or sends anything else.
 */
void role_life(struct role *role);

/* What a keeper tells a nursery.  0 or -1; get allocates what it fills. */
int role_public_put(const struct tls_public *public, struct msg_writer *w);
int role_public_get(
    struct tls_public *public, const unsigned char *bytes, size_t len);

#endif
