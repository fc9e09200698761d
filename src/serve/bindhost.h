/*
 * bindhost: from the words `host' and `port' to an address to listen on.
 */
#ifndef SERVE_BINDHOST_H
#define SERVE_BINDHOST_H

#include <stddef.h>

struct settings;
struct sock_listen;

#define BINDHOST_ERROR_SIZE 256

/*
 * Resolve settings->host and port into *how (family, v6only, local).
 * Literals and numbers are read here; names are looked up by a child that
 * has become SSLNET_USER, because an answer may come from the network, and
 * waited for.  Returns 0; 100 for a wrong use and 111 for a look-up that
 * failed, with one sentence in error.
 */
int bindhost_resolve(const struct settings *settings, struct sock_listen *how,
    char error[BINDHOST_ERROR_SIZE]);

#endif
