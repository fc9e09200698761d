/*
 * addresses: where the host is.
 */
#ifndef CLIENT_ADDRESSES_H
#define CLIENT_ADDRESSES_H

#include <stddef.h>

#include "client/client.h"
#include "net/connect.h"

/*
 * The addresses and the port of settings->host, in the resolver's order; of
 * a literal, just that.  A name is looked up by a child that has given up
 * its rights, for as long as a connection may take.  0 and *count of
 * targets; or -1 and one sentence in error.
 */
int addresses_find(const struct client_settings *settings,
    struct connect_target targets[CONNECT_TARGETS_MAX], size_t *count,
    char error[CLIENT_ERROR_SIZE]);

#endif
