/*
 * tlsprocess: the process that holds the user's key and certificates, meets
 * the server, and carries the program's bytes.
 *
 * It speaks msg.h with the process that was started, in this order: READY,
 * or FAILED with one sentence; then START comes; then FACTS, which is a number,
 * 1 if a session was resumed, and what factsreport.h says; or DONE when there is no connection; then it waits for the socket's end,
 * which is the program's start, and relays until both directions have ended.
 */
#ifndef CLIENT_TLSPROCESS_H
#define CLIENT_TLSPROCESS_H

#include <stdbool.h>

#include "base/text.h"
#include "client/client.h"
#include "client/starttls.h"

struct msg;

/* The descriptors of START. */
enum {
	TLSPROCESS_SERVER,
	TLSPROCESS_PROGRAM_IN,	/* it writes what the server sent */
	TLSPROCESS_PROGRAM_OUT, /* it reads what goes to the server */
	TLSPROCESS_FDS
};

/* Why there is no connection, the body of DONE. */
struct tlsprocess_failure {
	enum tlsverify_refusal refusal;	   /* of the server's certificate */
	bool was_truncated;		   /* the server left in between */
	char reason[STARTTLS_WHY_SIZE];	   /* printable, as the next */
	char subject[TEXT_PRINTABLE_SIZE]; /* of the certificate refused */
};

/* Decode.  0, or -1: malformed. */
int tlsprocess_get_failure(
    struct tlsprocess_failure *failure, const struct msg *msg);

/* Its whole life, as a helper (helper.h); never returns. */
void tlsprocess_run(const struct client_settings *settings, int control_fd);

#endif
