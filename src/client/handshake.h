/*
 * handshake: what the TLS process is given, and what it says of it.
 *
 * For the process that was started and, with --delayed, for the one that
 * stays in its place.
 */
#ifndef CLIENT_HANDSHAKE_H
#define CLIENT_HANDSHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "client/client.h"
#include "serve/msg.h"

struct handshake {
	int control_fd; /* to the TLS process */
	struct msg_room room;
	struct msg_join join;
	const unsigned char *facts; /* checked; in room or join, or NULL */
	size_t facts_len;
	/* When there is none: the exit code, and one sentence. */
	int code;
	char sentence[CLIENT_ERROR_SIZE];
};

/* control_fd becomes its own. */
void handshake_init(struct handshake *handshake, int control_fd);

/*
 * A message that is not the handshake's outcome: 1 and *msg, whose body is
 * good until the next call; 0: not there yet; -1: none will come.
 */
int handshake_receive(struct handshake *handshake, struct msg *msg);

/*
 * Let it begin: with the server's socket, and the ends of the pipes that
 * are not the program's, all of which stay the caller's.  0, or -1.
 */
int handshake_start(struct handshake *handshake, int server_fd, int program_in,
    int program_out);

/*
 * The TLS process gives up in time itself; one that has not done so by then,
 * a time of clock.h, never will.  To be called when it begins.
 */
int64_t handshake_deadline(const struct client_settings *settings);

/* It is not over then: code and sentence. */
void handshake_late(
    struct handshake *handshake, const struct client_settings *settings);

/*
 * control_fd can be read: what came?  1: it has succeeded, and *handshake
 * has facts, of which there are none unless they are wanted; 0: not over
 * yet; -1: it has failed, with code and sentence.
 */
int handshake_take(
    struct handshake *handshake, const struct client_settings *settings);

#endif
