/*
 * settings: what the command line and the environment asked for, checked
 * and resolved, before anything is bound or started.  Filled by
 * cmd/options and cmd/servermain; read-only afterwards.
 */
#ifndef SERVE_SETTINGS_H
#define SERVE_SETTINGS_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>

#include "net/resolvconf.h"
#include "serve/certpolicy.h"
#include "serve/limits.h"

#define SETTINGS_KEEP_FDS_MAX 16
#define SETTINGS_KEEPERS_MAX 64
#define SETTINGS_PHRASE_FD 3 /* where -3 is read from */
#define SETTINGS_GREETING_MAX 1000
#define SETTINGS_NEVER (-1L)

enum settings_verbosity {
	VERBOSITY_QUIET,  /* -q: start errors only */
	VERBOSITY_ERRORS, /* -Q: warning, error, fatal */
	VERBOSITY_ALL,	  /* -v */
	VERBOSITY_DETAILS /* -V */
};

struct worker_code;

/* A user to become; not set: stay as we are. */
struct settings_identity {
	bool is_set;
	uid_t uid;
	gid_t gid;
};

struct settings {
	const char *program_name; /* in messages and titles: sslserver */

	/* what to listen on */
	const char *host;
	const char *port;
	int family;	       /* AF_UNSPEC, AF_INET, AF_INET6 */
	const char *interface; /* -I, or NULL */
	int backlog;

	/* connections */
	size_t limit;	      /* -c */
	unsigned long uses;   /* clients that a session serves, in turn */
	unsigned handshake_s; /* -T */
	unsigned idle_s;      /* -w */
	long drain_s;	      /* --drain, or SETTINGS_NEVER */
	long kill_after_s;    /* --kill-after, or SETTINGS_NEVER */
	/* admission */
	const char *early_rules;     /* -y, or NULL */
	const char *rules;	     /* -x, or NULL */
	bool missing_is_empty;	     /* -X */
	bool wants_name;	     /* -h */
	bool is_paranoid;	     /* -p */
	bool wants_resolver;	     /* any look-up at all */
	bool wants_ident;	     /* -r */
	unsigned ident_s;	     /* -t */
	struct limits_policy limits; /* MAXCONIP, MAXCONNET */
	struct certpolicy cert;	     /* -z, -m, CCAVERIFY, VERIFYDEPTH */
	bool has_cas;		     /* any that clients are verified by */
	bool cert_is_turned_off;     /* by CCAFILE=-, though -z or -m */
	struct resolvconf names;     /* servers and search domain */
	bool has_resolv_conf;	     /* names are from that file */

	bool is_delayed;    /* -n */
	bool no_delay;	    /* -D */
	bool keeps_options; /* -o */
	bool strict_close;
	const char *greeting; /* -B, or NULL */
	size_t greeting_len;

	/* resumption */
	unsigned session_s;	 /* SESSIONTIME; 0: none, and no cache */
	size_t session_count;	 /* SESSIONCACHE */
	const char *ticket_keys; /* TICKETKEYS, or NULL */

	/* the program */
	const struct worker_code *code;	     /* to be called instead, or NULL */
	char *const *program;		     /* argv, NULL-terminated */
	struct settings_identity program_id; /* see sets_uid, sets_gid */
	bool sets_uid, sets_gid;
	const char *program_root; /* --root, or NULL */
	const char *local_name;	  /* -l, or NULL */
	bool has_tcp_environment;
	bool has_tls_environment;
	int keep_fds[SETTINGS_KEEP_FDS_MAX];
	size_t keep_fd_count;

	/* our processes; identities are set only under root */
	struct settings_identity key_id, net_id, mon_id;
	const char *key_root; /* SSL_CHROOT, or NULL */
	unsigned keepers;
	bool reads_phrase; /* -3 */
	bool requires_sandbox;

	/* the log, and what else to print */
	enum settings_verbosity verbosity;
	bool prints_address; /* -1 */
	bool only_checks;    /* --check */
	bool only_explains;  /* --explain */
};

#endif
