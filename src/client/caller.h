/*
 * caller: the process that was started, from its settings to the exec of
 * the program.
 */
#ifndef CLIENT_CALLER_H
#define CLIENT_CALLER_H

#include "client/client.h"

/*
 * Have a TLS process made, connect, let that one shake hands, and become
 * the program, with the connection on CLIENT_READ_FD and CLIENT_WRITE_FD.
 * Blocks.  Never returns: what fails is a sentence on descriptor 2 and an
 * exit, 110 for the server's certificate and 111 for all else.
 */
__attribute__((noreturn)) void caller_run(
    const struct client_settings *settings);

#endif
