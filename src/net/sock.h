/*
 * sock: the listening socket, accepted and own connections.
 */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <stdbool.h>

#include "net/ip.h"

struct sock_listen {
	struct ip_endpoint local;
	int family;    /* AF_INET or AF_INET6 */
	bool v6only;   /* IPv6 only: false for `:0', dual stack */
	bool no_delay; /* TCP_NODELAY, inherited by connections */
	int backlog;
};

/*
 * Make, bind and listen: close-on-exec, non-blocking, SO_REUSEADDR.
 * Returns the descriptor and fills *bound with the address and the port
 * the kernel chose, or -1 with errno.
 */
int sock_listen(const struct sock_listen *how, struct ip_endpoint *bound);

/*
 * Accept one connection, close-on-exec and blocking.  Returns the
 * descriptor and fills *remote, or -1 with errno.  EAGAIN: none waiting.
 * EMFILE, ENFILE, ENOBUFS, ENOMEM: we lack something, pause.  Others: that
 * one connection failed.  One that its client has left already is passed
 * over in silence.  Never blocks, given a non-blocking listener.
 */
int sock_accept(int listen_fd, struct ip_endpoint *remote);

/* Is there a connection to be accepted?  Does not block. */
bool sock_is_waiting(int listen_fd);

/*
 * Is the connection over in both directions: reset by its peer, as a rule?
 * A peer that has closed only its own direction may still read.  Reads
 * nothing and does not block.
 */
bool sock_has_ended(int fd);

/* The local end of a connection.  0 or -1. */
int sock_local(int fd, struct ip_endpoint *local);

/*
 * Drop IP options (source routes, RFC 791) a client sent.  Not for one over
 * IPv6, which has none: what could route a reply elsewhere was abolished
 * (RFC 5095).  0 or -1.
 */
int sock_kill_options(int fd);

struct sock_connect {
	struct ip_endpoint local; /* its port 0: any */
	bool has_local_ip;	  /* else any address */
	bool no_delay;
};

/*
 * Begin a connection to remote: close-on-exec, non-blocking.  Returns the
 * descriptor, to be polled for output and asked by sock_connected, or -1
 * with errno.
 */
int sock_connect(
    const struct sock_connect *how, const struct ip_endpoint *remote);

/*
 * Begin a connection to remote from the address, not the port, of local:
 * close-on-exec, non-blocking.  Returns the descriptor, to be polled for
 * output and asked by sock_connected, or -1 with errno.
 */
int sock_connect_from(
    const struct ip_endpoint *local, const struct ip_endpoint *remote);

/* How connecting ended: 0, or -1 with errno.  Nothing is waited for. */
int sock_connected(int fd);

/*
 * Let so many bytes wait to be sent, those that the kernel needs to keep
 * them included, or as many as this process may have: root is not bound by
 * the system's limit.
 */
void sock_deepen(int fd, int bytes);

/*
 * Send the acknowledgement that the kernel is holding back, where it can be
 * told to (TCP_QUICKACK).  For the moment after a handshake whose last
 * flight gets no answer: a client with Nagle's delay on would otherwise
 * keep its first data until the delayed acknowledgement, 40 ms later.
 */
void sock_acknowledge(int fd);

/*
 * Throw input away until the peer has ended too, or for ms milliseconds, or
 * until cancel_fd (-1: none) can be read: to close a socket with unread
 * input resets it, and the peer would lose what we sent last.  is_idle: not
 * until its end, only until nothing is there.
 */
void sock_linger(int fd, int cancel_fd, int ms, bool is_idle);

/*
 * Shut a connection down in both directions, for all who hold it, and have
 * the kernel throw away what has come and nobody has read: shutdown(2)
 * leaves that to be read.  None of it is seen by us.  Does not block.
 */
void sock_cut(int fd);

#endif
