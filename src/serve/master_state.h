/*
 * master_state: what master's own files share, and nobody else.
 *
 * master.c has the loop and the ways to front and monitor, roles.c the
 * role processes, generation.c those that are made anew by a reload,
 * programs.c the programs.
 */
#ifndef SERVE_MASTER_STATE_H
#define SERVE_MASTER_STATE_H

#include <sys/types.h>

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/cache.h"
#include "serve/chan.h"
#include "serve/children.h"
#include "serve/events.h"
#include "serve/msg.h"
#include "net/resolvconf.h"
#include "serve/pids.h"
#include "serve/profiles.h"
#include "serve/program.h"
#include "serve/reaper.h"
#include "serve/role.h"
#include "serve/rulefile.h"
#include "serve/settings.h"
#include "serve/succession.h"
#include "serve/workers.h"

enum role_state { ROLE_DOWN, ROLE_STARTING, ROLE_READY };

enum role_kind {
	ROLE_LOGGER,
	ROLE_MONITOR,
	ROLE_RESOLVER,
	ROLE_CACHE,
	ROLE_NURSERY,
	ROLE_KEEPER
};

struct generation;

struct child {
	enum role_kind kind;
	const char *name;
	struct generation *generation; /* of a nursery, a keeper */
	size_t number;		       /* of a keeper in it */
	enum role_state state;
	pid_t pid;
	int life_fd;
	int64_t started, retry_at;
	int64_t retry_ms;  /* doubles with each start that fails */
	const char *fault; /* what it was killed for; NULL: nothing */
	bool is_dismissed; /* by us: it is to end, which is no news */
};

#define RULE_FILES 2

/* Slots of children[]; in each generation a nursery and the keepers. */
enum { LOGGER, MONITOR, RESOLVER, CACHE, GENERATIONS };

/* What one load of certificates, keys and lists has made: see generation.h. */
struct generation {
	enum succession_state state;
	uint64_t number;
	struct child *nursery, *keepers; /* in children[] */
	int public_fd; /* what the first keeper read, sealed; -1 */
	unsigned char public_digest[ROLE_DIGEST_SIZE];
	unsigned char digests[PROFILES_MAX * CACHE_PROFILE_SIZE];
	size_t digests_len; /* of profiles, says the nursery */
	/* what profiles are made of, see profiles.h; -1 */
	int list_fds[PROFILES_LISTS];
	unsigned list_serials[PROFILES_LISTS]; /* of the copies they are from */
	bool was_newest;		       /* so the monitor knows it */
	bool is_outdated;      /* a keeper has found other files */
	int64_t keepers_until; /* OLD: no handshake is older than that */
	int64_t until;	       /* OLD: it leaves; LEAVING: it is killed */
};

/* A program between fork and exec. */
struct starting {
	pid_t pid;
	uint64_t conn;
	struct program_start start;
	bool is_told; /* that it has started */
};

struct master {
	const struct settings *settings;
	const struct program *program;
	struct children how;
	struct child *children;
	size_t child_count;
	struct child **heard; /* those of them that poll(2) looked at */
	size_t heard_count;
	struct generation generations[GENERATIONS_MAX];
	size_t generation_limit;     /* what open files permit */
	struct generation *newest;   /* NULL: none yet */
	uint64_t generation_serial;  /* the last number given */
	bool wants_generation;	     /* as soon as there can be one */
	bool has_told_wait;	     /* that there cannot */
	int64_t generation_at;	     /* to be tried again */
	int64_t generation_retry_ms; /* doubles with each that fails */
	struct chan monitor;
	struct events events;
	struct rulefile rulefiles[RULE_FILES]; /* -y, -x */
	int rule_fds[RULE_FILES];	       /* the last sound copies; -1 */
	enum rulefile_news rule_news[RULE_FILES];
	bool rules_untold[RULE_FILES]; /* the monitor has to be told yet */
	unsigned
	    rule_misfits[RULE_FILES]; /* kinds of rules that were warned of */
	struct rulefile ticket_file;  /* TICKETKEYS */
	int ticket_fd;		      /* its last sound copy; -1 */
	struct resolvconf names;
	int64_t silence_at;	       /* not before, that no server answers */
	struct timespec names_changed; /* of resolv.conf, when it was taken */
	struct timespec names_seen;    /* and at the last look */
	int64_t look_at;	       /* at those files */
	struct pids programs;
	struct reaper reaper;	   /* of programs and all others */
	struct workers workers;	   /* in the place of programs; or none */
	struct starting *starting; /* limit of them */
	size_t starting_count;
	size_t starting_limit; /* what open files permit */
	int64_t tell_at;       /* of those that have started */
	struct pollfd *polled;
	int front_fd, listen_fd, signal_fd;
	int phrase_fd;	   /* -3, until the first keeper has it; -1 */
	size_t last_giver; /* keeper that was asked for the phrase */
	bool is_serving;   /* front has been told */
	bool is_stopping;
	bool must_stop;	  /* something that cannot be replaced is lost */
	bool is_idle;	  /* the monitor has no connection */
	int64_t drain_at; /* end every connection */
	int64_t kill_at;  /* SIGKILL every program */
	struct msg_room room;
};

#endif
