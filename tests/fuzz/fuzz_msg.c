/*
 * fuzz_msg: a message between processes, as a session taken over could
 * send it to the monitor.
 *
 * The input goes through a real socket as one piece.  Whatever comes out,
 * the body must lie within the room, and fields taken from it within the
 * body: the sanitizers watch, and the asserts say what they cannot see.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "serve/msg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Take fields of every kind until the reader ends or is marked. */
static void
read_fields(const struct msg *msg)
{
	struct msg_reader reader;
	const unsigned char *bytes;
	const char *text;
	size_t len, i;

	msg_read_from(&reader, msg);
	for (i = 0; reader.left > 0 && !reader.failed; i++) {
		size_t before = reader.left;

		switch (i % 3) {
		case 0:
			(void)msg_get_number(&reader);
			break;
		case 1:
			bytes = msg_get_bytes(&reader, &len);
			assert(bytes != NULL || len == 0);
			assert(len == 0 ||
			    (bytes >= msg->body &&
				bytes + len <= msg->body + msg->len));
			break;
		default:
			text = msg_get_text(&reader);
			assert(text == NULL || strlen(text) < before);
			break;
		}
		assert(reader.failed || reader.left < before);
	}
	if (reader.failed) {
		assert(msg_read_all(&reader) == -1);
		assert(msg_get_number(&reader) == 0);
		assert(msg_get_text(&reader) == NULL);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct msg_room room;
	struct msg msg;
	bool more;
	int ends[2];

	if (size == 0 || fd_message_pair(ends) == -1)
		return 0;
	if (send(ends[0], data, size, MSG_DONTWAIT | MSG_NOSIGNAL) ==
		(ssize_t)size &&
	    msg_receive(ends[1], &room, &msg, 1, true, &more) == 1) {
		assert(msg.len <= MSG_PIECE_MAX);
		assert(msg.fd_count == 0);
		assert(msg.len == 0 ||
		    (msg.body >= room.bytes &&
			msg.body + msg.len <= room.bytes + sizeof(room.bytes)));
		read_fields(&msg);
	}
	fd_close(&ends[0]);
	fd_close(&ends[1]);
	return 0;
}
