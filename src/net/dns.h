/*
 * dns: the host name of an address, asked of name servers that may be
 * dead, slow or hostile.
 *
 * Asynchronous, for thousands at once: a question costs memory, never a
 * process, and ends with its deadline whatever the servers do.  Questions
 * for the same address share one look-up; answers are kept for a while.
 * The search domain has no say: a PTR record names its host in full.
 */
#ifndef NET_DNS_H
#define NET_DNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ip.h"

#define DNS_SERVERS_MAX 16
#define DNS_NAME_SIZE 256
#define DNS_TTL_MAX 3600 /* seconds an answer is kept at most */
#define DNS_NONE_TTL 60	 /* that there is no name */
#define DNS_FAILED_TTL 5 /* that the servers failed */

enum dns_result {
	DNS_FOUND,
	DNS_NONE,  /* permanent: no name, no fit one, or none confirmed */
	DNS_FAILED /* temporary: no server, no usable answer, or too late */
};

/* No server answers: see dns_settings. */
typedef void dns_silence(void *arg);

struct dns_settings {
	struct ip_endpoint servers[DNS_SERVERS_MAX];
	size_t server_count;  /* 0: every question fails */
	size_t max_questions; /* at once; beyond it dns_ask fails */
	size_t max_cached;    /* answers kept */
	/*
	 * Called, from the loop or from dns_ask, when a look-up has failed, or
	 * a question for it is too late, no server has answered anything since
	 * the look-up began, and the same has happened to one of another
	 * address since the last answer: a server that is well may be silent
	 * about a single address, because those whom it asks are.  NULL:
	 * nobody wants to know.
	 */
	dns_silence *silence;
	void *silence_arg;
};

struct dns;
struct dns_question;
struct ev_loop;

/* name is set for DNS_FOUND alone, and good during the call. */
typedef void dns_answer(void *arg, enum dns_result result, const char *name);

/*
 * *settings is copied.  No file is opened, now or later, and no socket
 * now.  NULL when memory is short.
 */
struct dns *dns_new(struct ev_loop *loop, const struct dns_settings *settings);

/*
 * Ask for the name of ip: the first of its PTR records that is a host name
 * (dnsmsg_host_name), in lower case; is_confirmed: the first found to have
 * ip among its own addresses.  deadline is absolute (clock_now); when it
 * passes the result is DNS_FAILED.  answer is called once, from the loop,
 * never from here.  NULL with errno: too many questions (EAGAIN) or memory
 * is short.
 */
struct dns_question *dns_ask(struct dns *dns, const struct ip *ip,
    bool is_confirmed, int64_t deadline, dns_answer *answer, void *arg);

/* No answer any more.  Not after the answer.  NULL is accepted. */
void dns_forget(struct dns_question *question);

/*
 * Free everything once the last question has its answer or is forgotten:
 * at once when there is none.  No dns_ask after it.  With other servers,
 * make a new one and free this one.  NULL is accepted.
 */
void dns_free(struct dns *dns);

#endif
