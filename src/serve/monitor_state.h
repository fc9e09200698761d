/*
 * monitor_state: what the monitor's own files share, and nobody else.
 *
 * monitor.c has the loop and the sockets, admission.c and lookup.c the way to
 * a session, life.c how a connection ends, nurseries.c, signing.c and
 * resuming.c the ways to nurseries, keepers and cache, pool.c sessions between
 * two clients, attend.c what sessions
 * and programs report.
 */
#ifndef SERVE_MONITOR_STATE_H
#define SERVE_MONITOR_STATE_H

#include <ev.h>
#include <stdbool.h>

#include "serve/cache.h"
#include "serve/chan.h"
#include "net/dns.h"
#include "serve/events.h"
#include "serve/msg.h"
#include "serve/pool.h"
#include "serve/profiles.h"
#include "serve/settings.h"
#include "serve/start.h"
#include "serve/succession.h"
#include "serve/table.h"

struct keeper {
	struct chan chan;
	ev_io io;
	unsigned load; /* requests not yet answered */
};

/* The ways to the processes of one generation. */
struct generation {
	uint64_t number; /* 0: none */
	struct chan nursery;
	ev_io nursery_io;
	uint64_t nursery_pid;	  /* as master told it */
	int lost_fd;		  /* of a nursery that is to be killed; -1 */
	struct keeper *keepers;	  /* as many as the settings say */
	size_t sessions;	  /* asked for, and not gone */
	struct profiles profiles; /* as its nursery and keepers have them */
	unsigned char digests[PROFILES_MAX * CACHE_PROFILE_SIZE];
	size_t digest_count; /* of profiles, for what is resumed */
};

/* The descriptors of the next connection; -1 where there is none. */
struct spare {
	int control[2]; /* ours, the session's; with -n the program's */
	int in[2];	/* the program's, the session's */
	int out[2];	/* the session's, the program's */
	int input;	/* -n, --strict-close: ours, of in[1] */
};

/* Rules of a table whose defects are told; there is a line for each client. */
#define RULES_TOLD_MAX 16

/* A sealed copy of a rule file, mapped; bytes NULL: none. */
struct rule_table {
	void *bytes;
	size_t len;
	bool is_missing;	     /* the file is not there */
	size_t told[RULES_TOLD_MAX]; /* where their keys are */
	size_t told_count;
};

#define LOCAL_NAMES_MAX 16

/* What a local address is called; "": unknown, and asked again later. */
struct local_name {
	struct ip ip;
	int64_t ask_at;
	uint64_t used; /* local_name_uses when it last was */
	char name[DNS_NAME_SIZE];
};

struct monitor {
	const struct settings *settings;
	struct ev_loop *loop;
	struct table table;
	struct events events;
	struct chan master, resolver;
	uint64_t resolver_pid, cache_pid; /* as master told them */
	struct generation generations[GENERATIONS_MAX];
	struct generation *newest;
	struct pool pool;
	ev_io master_io, resolver_io, listen_io;
	struct limits limits;
	struct rule_table early_rules, rules;
	struct local_name local_names[LOCAL_NAMES_MAX];
	size_t local_name_count;
	uint64_t local_name_uses;
	ev_tstamp resolver_heard;     /* when it last said something */
	ev_timer leavers;	      /* see admission.c */
	struct connection *looked_at; /* last; NULL: begin */
	ev_timer pause;
	struct chan cache;
	ev_io cache_io;
	unsigned cache_waits; /* questions it has not answered */
	bool cache_is_late;
	ev_timer cache_silence;
	int listen_fd;
	struct spare spare;
	int descriptor_max;   /* none from that number on is for a client */
	bool is_short;	      /* told that accepting pauses */
	bool lacks_processes; /* it pauses for nothing else */
	bool is_refusing; /* the last turn of the listener did nothing else */
	ev_prepare rest;
	bool is_stopping;
	struct msg_room room;
};

/* So many messages of one socket at a time: then it is others' turn. */
#define MESSAGES_PER_TURN 16

/* Flush the channel's queue when its socket takes more; read always. */
void monitor_watch(struct monitor *m, struct chan *chan, ev_io *io);

/* chan_send to master. */
int monitor_send_master(struct monitor *m, const struct msg *msg);

/*
 * Processes are short, for that reason: accept nobody for a while but for
 * sessions that wait.
 */
void monitor_lacks_processes(struct monitor *m, int error);

/* A process could be made. */
void monitor_has_processes(struct monitor *m);

/* Accept nobody for a while if the kernel holds descriptors back. */
void monitor_pause_if_held(struct monitor *m);

/* Tell master that a role is of no use any more: it is to be replaced. */
void monitor_tell_stuck(struct monitor *m, enum msg_stuck which,
    enum msg_stuck_why why, uint64_t pid);

/* Have another resolver; what this one was asked is unknown. */
void monitor_replace_resolver(struct monitor *m, enum msg_stuck_why why);

/* Accept if there is room, a nursery and no pause; else do not. */
void monitor_watch_listener(struct monitor *m);

/* Make the connection's watchers and find its local end. */
void monitor_prepare(struct monitor *m, struct connection *conn);

/* Can a session be made now: is there a nursery, are there descriptors? */
bool monitor_is_ready(struct monitor *m);

/*
 * It has been admitted: have a session made, or with -n its program.  Takes
 * client_fd.  Only after monitor_is_ready.  May release the connection.
 */
void monitor_admit(struct monitor *m, struct connection *conn, int client_fd);

/* Have a session made; takes the descriptors.  0, or -1 with errno. */
int monitor_start_session(
    struct monitor *m, struct connection *conn, const int fds[START_FDS]);

/* Why none could be made, for that errno of monitor_start_session. */
const char *monitor_session_error(int error);

/* None could be made, for that errno.  May release the connection. */
void monitor_refuse_session(
    struct monitor *m, struct connection *conn, int error);

/* The `status:' line. */
void monitor_tell_status(struct monitor *m);

#endif
