/*
 * ident: who the client's machine says the client is (RFC 1413).
 */
#ifndef NET_IDENT_H
#define NET_IDENT_H

#include <stddef.h>
#include <stdint.h>

#include "net/ip.h"

#define IDENT_PORT 113
#define IDENT_INFO_SIZE 513  /* user id of at most 512 bytes, and NUL */
#define IDENT_REPLY_MAX 1000 /* bytes of a reply line, as the RFC says */

struct ident;
struct ev_loop;

/* info NULL: unknown.  It is good during the call. */
typedef void ident_answer(void *arg, const char *info);

/*
 * Ask port 113 of the machine at remote, from the address of local, about
 * the connection between the two.  answer is called once, from the loop,
 * never from here, at the absolute deadline (clock_now) at the latest.
 * NULL with errno when memory is short.
 */
struct ident *ident_ask(struct ev_loop *loop, const struct ip_endpoint *local,
    const struct ip_endpoint *remote, int64_t deadline, ident_answer *answer,
    void *arg);

/* ident_ask with another port in the place of 113, for tests. */
struct ident *ident_ask_port(struct ev_loop *loop,
    const struct ip_endpoint *local, const struct ip_endpoint *remote,
    uint16_t port, int64_t deadline, ident_answer *answer, void *arg);

/* No answer any more.  Not after the answer.  NULL is accepted. */
void ident_forget(struct ident *ident);

/*
 * The user id in a reply line without its end, which must be about these
 * two ports.  0, or -1: an error, another pair of ports, malformed, empty,
 * or too long (a name cut short would be a false one).  Leading blanks are
 * dropped; bytes other than 0x21-0x7e and blank become '?'.  Pure.
 */
int ident_parse(char info[IDENT_INFO_SIZE], const char *line, size_t len,
    uint16_t remote_port, uint16_t local_port);

#endif
