/*
 * connect: attempts side by side, until one of them is a connection.
 *
 * Runs in sslclient before it has read a byte from the network, with the
 * rights it was started with: a local port below 1024 needs them.  All
 * attempts of a round share one loop; the order in which they begin is that
 * of the targets, and the first that connects ends all others.
 */
#include "net/connect.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "net/sock.h"

/* One round: every target that may be tried is, once. */
struct round {
	const struct connect_plan *plan;
	bool is_second;
	int fds[CONNECT_TARGETS_MAX]; /* -1: no attempt under way */
	int64_t deadlines[CONNECT_TARGETS_MAX];
	size_t next, open; /* to begin with; under way */
	int64_t next_at;   /* when the next one may join */
	int64_t now;
};

void
connect_interleave(struct connect_target *targets, size_t count)
{
	struct connect_target moved;
	size_t i, at;

	for (i = 1; i < count; i++) {
		bool wants_v4 = !ip_is_v4(&targets[i - 1].remote.ip);

		for (at = i; at < count; at++)
			if (ip_is_v4(&targets[at].remote.ip) == wants_v4)
				break;
		if (at == count)
			return; /* the rest is of one family */
		moved = targets[at];
		memmove(&targets[i + 1], &targets[i], (at - i) * sizeof(moved));
		targets[i] = moved;
	}
}

static void
fail(struct round *round, size_t i, int error)
{
	const struct connect_plan *plan = round->plan;

	if (round->fds[i] != -1)
		round->open--;
	fd_close(&round->fds[i]);
	plan->targets[i].error = error;
	if (plan->note != NULL)
		plan->note(plan->arg, &plan->targets[i]);
	/* Nobody waits for one that has failed: section 5. */
	round->next_at = round->now;
}

static void
begin(struct round *round, size_t i)
{
	const struct connect_plan *plan = round->plan;
	struct sock_connect how = { .local = plan->local,
		.has_local_ip = plan->has_local_ip,
		.no_delay = plan->no_delay };
	int ms = round->is_second ? plan->again_ms : plan->first_ms;

	round->fds[i] = sock_connect(&how, &plan->targets[i].remote);
	if (round->fds[i] == -1) {
		fail(round, i, errno);
		return;
	}
	round->open++;
	round->deadlines[i] = clock_after(round->now, ms);
	round->next_at = plan->is_racing
	    ? clock_after(round->now, CONNECT_DELAY_MS)
	    : CLOCK_NEVER;
}

/* Those that timed out are tried twice. */
static bool
is_due(const struct round *round, size_t i)
{
	return !round->is_second || round->plan->targets[i].error == ETIMEDOUT;
}

static void
begin_due(struct round *round)
{
	while (
	    round->next < round->plan->count && round->now >= round->next_at) {
		if (is_due(round, round->next))
			begin(round, round->next);
		round->next++;
	}
}

static int
wait_for_one(struct round *round, struct pollfd set[CONNECT_TARGETS_MAX])
{
	size_t i, count = round->plan->count;
	int64_t until = round->next < count ? round->next_at : CLOCK_NEVER;

	for (i = 0; i < count; i++) {
		set[i] =
		    (struct pollfd){ .fd = round->fds[i], .events = POLLOUT };
		if (round->fds[i] != -1 && round->deadlines[i] < until)
			until = round->deadlines[i];
	}
	return poll(set, count, clock_poll_timeout(round->now, until));
}

/* The place of the connection, or count: none yet. */
static size_t
collect(struct round *round, const struct pollfd set[CONNECT_TARGETS_MAX])
{
	size_t i, count = round->plan->count;

	for (i = 0; i < count; i++) {
		if (round->fds[i] == -1)
			continue;
		if (set[i].revents == 0) {
			if (round->now >= round->deadlines[i])
				fail(round, i, ETIMEDOUT);
		} else if (sock_connected(round->fds[i]) == 0) {
			return i;
		} else {
			fail(round, i, errno);
		}
	}
	return count;
}

/* The place of the connection, or count: all have failed. */
static size_t
run_round(struct round *round)
{
	struct pollfd set[CONNECT_TARGETS_MAX];
	size_t which, count = round->plan->count;

	for (;;) {
		round->now = clock_now();
		begin_due(round);
		if (round->open == 0)
			return count;
		if (wait_for_one(round, set) == -1)
			continue; /* a signal */
		round->now = clock_now();
		which = collect(round, set);
		if (which < count)
			return which;
	}
}

/* All but the one at which. */
static void
close_others(struct round *round, size_t which)
{
	size_t i;

	for (i = 0; i < round->plan->count; i++)
		if (i != which)
			fd_close(&round->fds[i]);
}

int
connect_run(const struct connect_plan *plan, size_t *which)
{
	struct round round;
	int second;
	size_t i;

	for (second = 0; second < 2; second++) {
		if (second == 1 && plan->again_ms == 0)
			break;
		round = (struct round){
			.plan = plan, .is_second = second == 1, .next_at = 0
		};
		for (i = 0; i < CONNECT_TARGETS_MAX; i++)
			round.fds[i] = -1;
		*which = run_round(&round);
		if (*which == plan->count)
			continue;
		close_others(&round, *which);
		if (fd_set_nonblocking(round.fds[*which], 0) == 0)
			return round.fds[*which];
		fd_close(&round.fds[*which]);
		plan->targets[*which].error = errno;
	}
	return -1;
}
