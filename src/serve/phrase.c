/*
 * The pass phrase.  Runs in keepers.
 *
 * The first one reads the administrator's descriptor 3: a file, pipe,
 * socket or terminal that others may hold as well, so its modes are left
 * alone and every wait is a poll(2) with a deadline.  The others read the
 * same form from a keeper that has it, through a socket that master made
 * and cannot read.
 */
#include "serve/phrase.h"

#include <sys/mman.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "compat/compat.h"

/* With the byte that tells a phrase from one that is too long. */
#define ROOM (PHRASE_MAX + 1)

int
phrase_init(struct phrase *phrase)
{
	void *room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return -1;
	/* Each where it is allowed: the phrase is needed all the same. */
	(void)mlock(room, ROOM);
#ifdef MADV_DONTDUMP
	(void)madvise(room, ROOM, MADV_DONTDUMP);
#endif
	phrase->bytes = room;
	phrase->len = 0;
	return 0;
}

void
phrase_wipe(struct phrase *phrase)
{
	if (phrase->bytes != NULL)
		explicit_bzero(phrase->bytes, ROOM);
	phrase->len = 0;
}

/* Until fd can be read. */
static enum phrase_news
wait_for(int fd, int life_fd, int64_t deadline)
{
	struct pollfd fds[2] = { { life_fd, POLLIN, 0 }, { fd, POLLIN, 0 } };
	int64_t now;

	for (;;) {
		now = clock_now();
		if (now >= deadline)
			return PHRASE_LATE;
		if (poll(fds, 2, clock_poll_timeout(now, deadline)) == -1) {
			if (errno != EINTR)
				return PHRASE_UNREADABLE;
			continue;
		}
		if (fds[0].revents != 0)
			return PHRASE_LIFE;
		if (fds[1].revents != 0)
			return PHRASE_WHOLE;
	}
}

/* The next bytes behind those that are there, as read(2). */
static ssize_t
read_more(struct phrase *phrase, int fd)
{
	ssize_t n = read(fd, phrase->bytes + phrase->len, ROOM - phrase->len);

	if (n > 0)
		phrase->len += (size_t)n;
	return n;
}

static enum phrase_news
read_all(struct phrase *phrase, int fd, bool needs_nul, int life_fd,
    int64_t deadline)
{
	enum phrase_news news;
	const char *end;
	ssize_t n;

	for (;;) {
		news = wait_for(fd, life_fd, deadline);
		if (news != PHRASE_WHOLE)
			return news;
		n = read_more(phrase, fd);
		if (n == -1 && errno != EINTR && errno != EAGAIN)
			return PHRASE_UNREADABLE;
		end = memchr(phrase->bytes, '\0', phrase->len);
		if (end != NULL) {
			phrase->len = (size_t)(end - phrase->bytes);
			return PHRASE_WHOLE;
		}
		if (phrase->len == ROOM)
			return PHRASE_LONG;
		if (n == 0)
			return needs_nul ? PHRASE_CUT : PHRASE_WHOLE;
	}
}

enum phrase_news
phrase_read(struct phrase *phrase, int fd, bool needs_nul, int life_fd,
    int64_t deadline)
{
	enum phrase_news news = PHRASE_UNREADABLE;
	int flags = fcntl(fd, F_GETFL), error;

	phrase_wipe(phrase);
	/* Polling such a one would wait for nothing. */
	if (flags != -1 && (flags & O_ACCMODE) == O_WRONLY)
		errno = EBADF;
	else if (flags != -1)
		news = read_all(phrase, fd, needs_nul, life_fd, deadline);
	error = errno;
	if (news == PHRASE_WHOLE)
		explicit_bzero(phrase->bytes + phrase->len, ROOM - phrase->len);
	else
		phrase_wipe(phrase);
	errno = error;
	return news;
}

int
phrase_give(const struct phrase *phrase, int fd)
{
	ssize_t n;

	do
		n = send(fd, phrase->bytes, phrase->len + 1,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n == -1 && errno == EINTR);
	return n == -1 ? -1 : 0;
}
