/*
 * handshake: from messages of the TLS process to facts, or to a sentence.
 *
 * The TLS process has read bytes from the network and may have been taken
 * over: texts are shown printable, facts are checked, anything else is
 * nonsense.
 */
#include "client/handshake.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "client/tlsprocess.h"
#include "serve/facts.h"

/* The TLS process knows best what is late; this is for one that hangs. */
#define GRACE_MS 5000

void
handshake_init(struct handshake *handshake, int control_fd)
{
	memset(handshake, 0, sizeof(*handshake));
	handshake->control_fd = control_fd;
	msg_join_init(&handshake->join, FACTS_BODY_MAX);
}

int
handshake_receive(struct handshake *handshake, struct msg *msg)
{
	bool more;
	int r = msg_receive(
	    handshake->control_fd, &handshake->room, msg, 0, true, &more);

	return r == 1 ? msg_join_add(&handshake->join, msg, more) : r;
}

int
handshake_start(
    struct handshake *handshake, int server_fd, int program_in, int program_out)
{
	struct msg msg = { .type = MSG_START, .fd_count = TLSPROCESS_FDS };

	msg.fds[TLSPROCESS_SERVER] = server_fd;
	msg.fds[TLSPROCESS_PROGRAM_IN] = program_in;
	msg.fds[TLSPROCESS_PROGRAM_OUT] = program_out;
	return msg_send(handshake->control_fd, &msg, false);
}

/* Always -1. */
static int
fail(struct handshake *handshake, int code, const char *sentence)
{
	handshake->code = code;
	text_copy(handshake->sentence, sizeof(handshake->sentence), sentence);
	return -1;
}

static int
explain(struct handshake *handshake, const struct client_settings *settings,
    const struct msg *msg)
{
	const char *shown = settings->shown;
	struct tlsprocess_failure failure;
	char sentence[CLIENT_ERROR_SIZE];

	if (tlsprocess_get_failure(&failure, msg) == -1)
		return fail(handshake, 111, "the TLS process talks nonsense");
	if (failure.refusal == TLSVERIFY_BAD_NAME)
		text_format(sentence, sizeof(sentence),
		    "certificate of %s refused: %s: it is for %s, not for %s",
		    shown, failure.subject, failure.reason, shown);
	else if (failure.refusal != TLSVERIFY_NOT_REFUSED)
		text_format(sentence, sizeof(sentence),
		    "certificate of %s refused: %s: %s", shown, failure.subject,
		    failure.reason);
	else
		text_format(sentence, sizeof(sentence),
		    "unable to speak TLS with %s: %s%s", shown, failure.reason,
		    failure.was_truncated ? " truncated" : "");
	return fail(handshake,
	    failure.refusal == TLSVERIFY_NOT_REFUSED ? 111 : 110, sentence);
}

static void
say_protocol(const struct client_settings *settings, bool is_resumed,
    const char *protocol, const char *cipher)
{
	char protocol_shown[TEXT_PRINTABLE_SIZE];
	char cipher_shown[TEXT_PRINTABLE_SIZE];

	client_say(settings, VERBOSITY_ALL, "tls %ld connect %s:%s%s",
	    (long)getpid(),
	    text_printable(protocol_shown, protocol, strlen(protocol)),
	    text_printable(cipher_shown, cipher, strlen(cipher)),
	    is_resumed ? " resumed" : "");
}

static int
take_facts(struct handshake *handshake, const struct client_settings *settings,
    const struct msg *msg)
{
	const char *protocol, *cipher;
	struct msg_reader r;
	bool is_resumed;

	msg_read_from(&r, msg);
	is_resumed = msg_get_number(&r) == 1;
	protocol = msg_get_text(&r);
	cipher = msg_get_text(&r);
	if (msg->type != MSG_FACTS || r.failed || protocol == NULL ||
	    cipher == NULL || facts_check(r.bytes, r.left) == -1 ||
	    (r.left > 0 && !client_wants_facts(settings)))
		return fail(handshake, 111, "the TLS process talks nonsense");
	handshake->facts = r.bytes;
	handshake->facts_len = r.left;
	say_protocol(settings, is_resumed, protocol, cipher);
	return 1;
}

int64_t
handshake_deadline(const struct client_settings *settings)
{
	return clock_after(
	    clock_now(), client_handshake_ms(settings) + GRACE_MS);
}

void
handshake_late(
    struct handshake *handshake, const struct client_settings *settings)
{
	char sentence[CLIENT_ERROR_SIZE];

	text_format(sentence, sizeof(sentence),
	    "unable to speak TLS with %s: handshake timeout", settings->shown);
	fail(handshake, 111, sentence);
}

int
handshake_take(
    struct handshake *handshake, const struct client_settings *settings)
{
	struct msg msg;
	int r = handshake_receive(handshake, &msg);

	if (r == 0)
		return 0;
	if (r == -1)
		return fail(handshake, 111, "the TLS process has ended");
	if (msg.type == MSG_DONE)
		return explain(handshake, settings, &msg);
	return take_facts(handshake, settings, &msg);
}
