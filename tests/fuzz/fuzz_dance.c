/*
 * fuzz_dance: what a server says before TLS, in each of the protocols.
 *
 * The first byte chooses the protocol, the second how the rest is cut into
 * pieces.  The outcome is that of the same bytes one by one, what is said is
 * bounded, and a failure has a printable sentence.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "client/dance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Play against the bytes.  Returns how many were taken. */
static size_t
play(struct dance *d, enum starttls_protocol protocol, const uint8_t *data,
    size_t size, size_t piece)
{
	size_t at = 0, len, taken;

	dance_begin(d, protocol, "[192.0.2.1]", "host.example");
	for (;;) {
		if (d->state == DANCE_SEND) {
			assert(d->out_len > 0 && d->out_len < sizeof(d->out));
			dance_sent(d);
		}
		if (d->state != DANCE_READ || at == size)
			return at;
		len = size - at < piece ? size - at : piece;
		taken = dance_take(d, data + at, len);
		assert(taken <= len);
		assert(taken == len || d->state != DANCE_READ);
		at += taken;
	}
}

static void
check_sentence(const struct dance *d)
{
	size_t i, len = strnlen(d->why, sizeof(d->why));

	assert(len < sizeof(d->why) - 1);
	assert((len > 0) == (d->state == DANCE_FAILED));
	for (i = 0; i < len; i++)
		assert(d->why[i] >= ' ' && d->why[i] <= '~');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dance whole, single;
	enum starttls_protocol protocol;
	size_t taken;

	if (size < 2)
		return 0;
	protocol = data[0] % STARTTLS_PROTOCOLS;
	taken = play(&whole, protocol, data + 2, size - 2, data[1] + 1U);
	check_sentence(&whole);
	assert(play(&single, protocol, data + 2, size - 2, 1) == taken);
	assert(single.state == whole.state);
	assert(strcmp(single.why, whole.why) == 0);
	return 0;
}
