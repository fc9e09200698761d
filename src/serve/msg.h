/*
 * msg: the one format in which our processes speak to each other.
 *
 * SOCK_SEQPACKET keeps the borders: one piece is one header and at most
 * MSG_PIECE_MAX bytes of body; a longer body follows in further pieces.
 * A piece is decoded completely or refused.  Numbers are in host order:
 * both ends are the same build on the same machine, which the build id in
 * the first message proves.
 */
#ifndef SERVE_MSG_H
#define SERVE_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define MSG_PIECE_MAX 32768
#define MSG_BODY_MAX (1024 * 1024)
#define MSG_FDS_MAX 5
#define MSG_SIGN_MAX 8192 /* body of SIGN, as a session sends it */

enum msg_type {
	/* life lines: master to role, role to master, and front */
	MSG_CONFIG = 1, /* build id, settings; fds: see roleconfig.h */
	MSG_WORK,	/* fd: the new work socket to the monitor */
	MSG_PHRASE,	/* fd: give another keeper the pass phrase there */
	MSG_KEYS,	/* fd: the cache's TICKETKEYS, sealed */
	MSG_NOTE,	/* kind (enum msg_note), text */
	MSG_READY,	/* role is ready; keeper: digest, fd; see role.h;
			 * nursery: digests of profiles, see cache.h */
	MSG_FAILED,	/* one sentence */
	MSG_RELOAD,	/* load certificates, keys, lists and rules anew */
	MSG_STOP,	/* close the listener, take no more clients */
	MSG_STOPPED,	/* listener is closed */
	MSG_END,	/* end every connection now */
	/* master to monitor */
	MSG_LISTENER,	/* fd */
	MSG_NURSERY,	/* generation, its pid, digests of profiles, has lists
			 * of -y, of -x; fds: its socket, see profiles.h */
	MSG_KEEPER,	/* generation, number; fd */
	MSG_LOGGER,	/* fd */
	MSG_RESOLVER,	/* its pid; fd */
	MSG_CACHE,	/* its pid; fd */
	MSG_LEFT,	/* generation: its processes are gone */
	MSG_RULES,	/* which, enum rulefile_news, errno; fd if new */
	MSG_STARTED,	/* pid of the program (see EXECED), or of the session */
	MSG_EXECED,	/* the program runs: its pid, STARTED told or not */
	MSG_EXECFAILED, /* errno */
	MSG_EXITED,	/* wait status */
	MSG_SIGNALLED,	/* the SIGNAL of this connection was sent */
	/* monitor to master */
	MSG_EXEC,	  /* environment; fds: program's 0 and 1, or with -n
			   * client, SSLCTLFD, SSLREADFD, SSLWRITEFD; with
			   * -n, --strict-close one more: programs.h */
	MSG_SIGNAL,	  /* pid, signal */
	MSG_KILL_SESSION, /* pid, its latest possible start time */
	MSG_CLOSE_INPUT,  /* pid: let the program see its end of file */
	MSG_STUCK,	  /* enum msg_stuck, why, pid: kill it */
	MSG_SPENT,	  /* an old generation has no session any more */
	MSG_IDLE,	  /* stopped, and no connection is left */
	/* master to worker: also EXEC, and SIGNAL before one is sent; and
	 * back: READY or FAILED, and DONE with enum worker_done */
	/* monitor to nursery, and back (with STARTED and FAILED) */
	MSG_START, /* see start.h; fds: client, control, program in, out */
	MSG_KILL,  /* kill the session of this connection */
	MSG_GONE,  /* that session has been reaped */
	MSG_SHORT, /* errno: there is no process for it, START waits */
	/* session to monitor, and back */
	MSG_SIGN,	 /* number of the key, scheme, text; forwarded to a
			  * keeper, with the number of the profile before */
	MSG_SIGNATURE,	 /* enum msg_signed, signature */
	MSG_FACTS,	 /* protocol, cipher, and facts if they are wanted,
			  * see facts.h: the handshake is done */
	MSG_FETCH,	 /* see cache.h; forwarded to the cache */
	MSG_FETCHED,	 /* what was asked for; empty: nothing */
	MSG_STORE,	 /* see cache.h; forwarded to the cache */
	MSG_TICKETS,	 /* see cache.h; forwarded to the cache */
	MSG_RUN,	 /* the program runs: relay */
	MSG_INPUT_ENDED, /* --strict-close: the client's close_notify */
	MSG_TRUNCATED,	 /* end of file without close_notify */
	MSG_GO,		 /* the program has had its signal */
	MSG_DONE,	 /* end (enum msg_end), truncated, errno, text */
	MSG_VACANT,	 /* after DONE, of one that stays: a START may come,
			  * without the control socket */
	/* master to resolver: also WORK */
	MSG_SERVERS, /* name servers; see query.h */
	/* resolver to master */
	MSG_SILENCE, /* no name server answers */
	/* monitor to resolver */
	MSG_QUERY,  /* struct query; see query.h */
	MSG_CANCEL, /* the connection has ended, say nothing */
	/* resolver to monitor */
	MSG_NAMES, /* struct query_names; answers a QUERY, once */
	MSG_TYPES  /* number of types, not a type */
};

enum msg_note { MSG_NOTE_WARNING = 1, MSG_NOTE_SETTING };

enum msg_stuck { MSG_STUCK_NURSERY = 1, MSG_STUCK_RESOLVER, MSG_STUCK_CACHE };

/* And why it is of no use to the monitor. */
enum msg_stuck_why {
	MSG_STUCK_SILENT,   /* it does not answer */
	MSG_STUCK_NONSENSE, /* it said what cannot be meant */
	MSG_STUCK_CLOSED    /* it closed the work socket, perhaps by dying */
};

enum msg_signed { MSG_SIGNED = 1, MSG_SIGN_REFUSED, MSG_SIGN_FAILED };

/* How a session ended: relay.h's ends, and a handshake's. */
enum msg_end {
	MSG_END_CLEAN = 1,
	MSG_END_HANDSHAKE, /* the handshake failed */
	MSG_END_RESET,
	MSG_END_TLS,
	MSG_END_IDLE,
	MSG_END_CUT, /* by us: the server stops */
	/* the handshake failed, for the client's certificate */
	MSG_END_NO_CERT,
	MSG_END_BAD_CERT,
	MSG_END_BAD_NAME,
	MSG_ENDS /* one more than there are */
};

struct msg {
	enum msg_type type;
	uint64_t conn; /* connection number; 0: none */
	const unsigned char *body;
	size_t len;
	int fds[MSG_FDS_MAX];
	size_t fd_count;
};

/* Where a received piece lies until the next one is received. */
struct msg_room {
	_Alignas(8) unsigned char bytes[MSG_PIECE_MAX + 16];
};

/*
 * Send one whole message; the descriptors stay the caller's.  Blocks if
 * the socket is full, unless dont_wait.  0, or -1 with errno (EAGAIN: full
 * and nothing was sent; EMSGSIZE: body too large, for dont_wait larger
 * than one piece).
 */
int msg_send(int fd, const struct msg *msg, bool dont_wait);

/*
 * msg_send of two messages, blocking, in one call where the system has one
 * and both are of one piece.
 */
int msg_send_both(int fd, const struct msg *first, const struct msg *second);

/*
 * Send the piece of the message's body that begins at *from, which becomes
 * where the next one begins; the descriptors go with the first.  0: that
 * was the last piece if *from is the body's length now.  -1: as msg_send,
 * and *from is as it was.
 */
int msg_send_piece(int fd, const struct msg *msg, size_t *from, bool dont_wait);

/* msg_send of a message without descriptors and with a short body. */
int msg_send_bytes(int fd, enum msg_type type, uint64_t conn, const void *body,
    size_t len, bool dont_wait);

/*
 * Receive one piece into room.  1 and *msg, whose body lies in room and
 * whose descriptors (at most max_fds, close-on-exec) are the caller's;
 * *more says that pieces of the same message follow.  0: nothing there
 * (dont_wait).  -1: errno 0 at end of file, EPROTO for a malformed piece
 * or for more descriptors than max_fds (they are closed), or another error.
 * When the descriptors do not fit into this process the message comes
 * without any of them: a receiver that needs them counts.
 */
int msg_receive(int fd, struct msg_room *room, struct msg *msg, size_t max_fds,
    bool dont_wait, bool *more);

/* Forget what was received: the message, whose body lies in room. */
void msg_wipe(struct msg_room *room, const struct msg *msg);

/*
 * msg_receive until the message is whole, joined in *whole (whose maximum
 * bounds it); msg->body then lies there.  Blocks between pieces: only for
 * senders that send all pieces at once.
 */
int msg_receive_whole(int fd, struct msg_room *room, struct buf *whole,
    struct msg *msg, size_t max_fds, bool dont_wait);

/*
 * The pieces of one sender's messages, for a receiver that does not wait
 * for the next one.
 */
struct msg_join {
	struct buf body;  /* of the pieces so far */
	struct msg first; /* its type, connection and descriptors */
	bool is_partial;  /* more pieces of it must follow */
};

/* Nothing yet; bodies of several pieces may have max bytes together. */
void msg_join_init(struct msg_join *join, size_t max);

/*
 * Take the received piece *msg with its descriptors.  1: *msg is a whole
 * message, as if it had come in one; its body lies where the piece's did
 * or in *join, until the next call.  0: more pieces must follow.  -1,
 * nothing kept and descriptors closed: EPROTO (the piece is of another
 * message, or it is not the last and not full), EMSGSIZE or ENOMEM.
 */
int msg_join_add(struct msg_join *join, struct msg *msg, bool more);

/* Free what is there, descriptors included; ready for a new sender. */
void msg_join_clear(struct msg_join *join);

/* Close the descriptors of a received message that nobody took. */
void msg_close_fds(struct msg *msg);

/*
 * Bodies are put together from fields.  A writer that overflows its bytes
 * remembers it, and msg_written returns -1.  Without bytes (NULL) it only
 * counts, up to size: what is written then to as many bytes will fit.
 */
struct msg_writer {
	unsigned char *bytes;
	size_t size;
	size_t len;
	bool failed;
};

void msg_write_to(struct msg_writer *w, void *bytes, size_t size);
void msg_put_number(struct msg_writer *w, uint64_t n); /* 8 bytes */
void msg_put_bytes(struct msg_writer *w, const void *bytes, size_t len);
void msg_put_text(struct msg_writer *w, const char *s); /* NULL is kept */
/* The text `NAME=value', as one: value has len bytes and no NUL. */
void msg_put_variable(
    struct msg_writer *w, const char *name, const void *value, size_t len);
int msg_written(const struct msg_writer *w, size_t *len);

/*
 * Fields are taken out in the same order.  Past the end, or with a length
 * that does not fit, the reader is marked and everything reads as 0, NULL.
 */
struct msg_reader {
	const unsigned char *bytes;
	size_t left;
	bool failed;
};

void msg_read_from(struct msg_reader *r, const struct msg *msg);
uint64_t msg_get_number(struct msg_reader *r);
const unsigned char *msg_get_bytes(struct msg_reader *r, size_t *len);
/* A C string inside the body (its NUL was sent), or NULL. */
const char *msg_get_text(struct msg_reader *r);
/* 0 when all was read and nothing is left over; else -1. */
int msg_read_all(const struct msg_reader *r);

#endif
