/*
 * dnscompat: what differs between the versions of c-ares, from 1.17 on.
 *
 * For dnslink alone.  Each function does on every version what the newest
 * or the oldest does by itself; the build tells which by tests of the
 * library it found.
 */
#ifndef NET_DNSCOMPAT_H
#define NET_DNSCOMPAT_H

#include <stddef.h>

/*
 * The calls that every version has are those that newer ones would rather
 * see replaced.
 */
#define CARES_NO_DEPRECATED
#include <ares.h>

/*
 * As ares_init_options(3), but without a cache: what we asked once and ask
 * again, we want to know again, and c-ares (from 1.31 on) would answer
 * from within ares_send.
 */
int dnscompat_init(ares_channel *ares, struct ares_options *options, int mask);

/*
 * As ares_process_fd(3), but no question times out meanwhile where c-ares
 * can do without: from 1.32 on it gives up a question after five times the
 * mean time of earlier answers.  A server that knows most names at once
 * and must ask around for one would have 250 ms for that.
 */
void dnscompat_process(ares_channel ares, ares_socket_t in, ares_socket_t out);

/*
 * What c-ares may see of a datagram that was received: its length, or 0:
 * nothing.  From 1.28 on one that it cannot read ends every question of
 * the socket.  One that has at least its question whole becomes the answer
 * that the server failed, for that question alone; any other is dropped.
 */
size_t dnscompat_mend(unsigned char *bytes, size_t len);

#endif
