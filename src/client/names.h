/*
 * names: host names of both ends and the IDENT user, for the environment.
 */
#ifndef CLIENT_NAMES_H
#define CLIENT_NAMES_H

#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include "client/client.h"
#include "net/dns.h"
#include "net/ident.h"

struct names {
	pid_t pid;	  /* of the child that asks; -1: none */
	int life_fd;	  /* it ends with this one */
	int work_fd;	  /* to be polled; -1: nothing is asked (any more) */
	int64_t deadline; /* then it will not come: names_end */
	bool has_host, has_local_host, has_info;
	char host[DNS_NAME_SIZE], local_host[DNS_NAME_SIZE];
	char info[IDENT_INFO_SIZE];
};

/*
 * Begin to ask about the connection between these ends, in a child that has
 * given up its rights.  What cannot be asked stays unknown.
 */
void names_ask(struct names *names, const struct client_settings *settings,
    const struct ip_endpoint *local, const struct ip_endpoint *remote);

/* work_fd can be read: take what is there, and end the child. */
void names_take(struct names *names);

/* End the child, if there is one, and reap it: nothing more will come. */
void names_end(struct names *names);

#endif
