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
#include "serve/profiles.h"
#include "serve/roleconfig.h"

#define ROLE_LIFE_FD 3

/* A role that is not ready by then is killed. */
#define ROLE_START_MS 60000

/*
 * A keeper's READY: the SHA-256 of what it read and the nursery needs, and
 * a descriptor of that, sealed.  At most so many bytes.
 */
#define ROLE_DIGEST_SIZE 32
#define ROLE_PUBLIC_MAX ((size_t)32 * 1024 * 1024)

struct tls_public;

/* The life line as the role sees it, and what came through it. */
struct role {
	int life_fd;
	int jail_fd;		      /* an empty directory, or -1 */
	int public_fd;		      /* nursery: what a keeper sealed, or -1 */
	int work_fd;		      /* to the monitor, or -1 until it comes */
	int phrase_fd;		      /* keeper: the pass phrase, or -1 */
	int asking_fd;		      /* keeper: another one wants it, or -1 */
	int list_fds[PROFILES_LISTS]; /* see role_make_profiles; -1: none */
	struct role_config config;    /* points into whole */
	struct profiles profiles;
	struct buf whole;
	struct msg_room room;
	void *secret; /* wiped when the role ends by itself, or NULL */
	size_t secret_len;
};

/*
 * First step of a role: ignore the terminal's signals, wait for CONFIG and
 * check the build id.  role must have static or heap storage.  Returns, or
 * exits: 111 after a sentence through the life line, 0 if master is gone.
 */
void role_begin(struct role *role);

/* Wipe what is secret, and exit. */
__attribute__((noreturn)) void role_exit(const struct role *role, int code);

/* Tell master one sentence and exit 111. */
__attribute__((noreturn)) void role_fail(
    const struct role *role, const char *sentence);

/* The same of something that is wrong with profile i. */
__attribute__((noreturn)) void role_fail_profile(
    const struct role *role, size_t i, const char *sentence);

/* Make role->profiles of what came with CONFIG, or fail. */
void role_make_profiles(struct role *role);

/* Tell master a warning, or a setting in use. */
void role_warn(const struct role *role, const char *sentence);
void role_setting(const struct role *role, const char *name, const char *value);

/*
 * Take the next message from the life line: a new work_fd or, for a keeper
 * with the pass phrase, an asking_fd.  Exits when master is gone or sends
 * anything else.
 */
void role_life(struct role *role);

/*
 * What a keeper tells a nursery, as bytes and back.  0, or -1 when it does
 * not fit, is malformed or memory is short.  get allocates what it fills,
 * but for certificates, which lie in bytes and need them for as long as
 * they are used.
 */
int role_public_put(const struct tls_public *public, struct msg_writer *w);
int role_public_get(
    struct tls_public *public, const unsigned char *bytes, size_t len);

/*
 * The same of each profile, by way of master, which reads none of it.
 * Give: put all of it into fd, from sealed_make, and tell master (READY).  Take: from
 * role->public_fd, which is closed; it stays mapped for ever.  Without an error it returns; else
 * role_fail.
 */
void role_public_give(
    const struct role *role, const struct tls_public *publics, int fd);
void role_public_take(struct role *role, struct tls_public *publics);

#endif
