/*
 * delayed: --delayed, where the program itself asks for TLS (UCSPI-TLS).
 */
#ifndef CLIENT_DELAYED_H
#define CLIENT_DELAYED_H

#include "client/client.h"

/* The descriptors that it gets in its START. */
enum {
	DELAYED_TLS,	     /* to the TLS process */
	DELAYED_SERVER,	     /* the server's socket */
	DELAYED_CONTROL,     /* the other end of SSLCTLFD */
	DELAYED_PROGRAM_IN,  /* of SSLREADFD */
	DELAYED_PROGRAM_OUT, /* of SSLWRITEFD */
	DELAYED_FDS
};

/*
 * Its whole life, as a helper (helper.h): wait for the program's byte, let
 * the TLS process shake hands, answer `Y', and leave.  Never returns.
 */
void delayed_run(const struct client_settings *settings, int control_fd);

#endif
