/*
 * The file of TICKETKEYS, watched.  Runs in master, but for the check of
 * its text, which the copier makes as SSL_UID.
 *
 * At the start a file that is not sound is the end of it.  Later a sound copy
 * stays in force until there is a better one, even if the file has gone.
 */
#include "serve/ticketfile.h"

#include <sys/stat.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "serve/master_state.h"
#include "serve/roles.h"
#include "serve/ticketkeys.h"

/* rulefile_form's: what is empty cannot be mapped. */
static bool
is_not_empty(int fd, uint64_t len)
{
	(void)fd;
	return len > 0;
}

/* rulefile_form's; its kinds are none. */
static int
check_keys(const void *bytes, size_t len, unsigned *line)
{
	return ticketkeys_read(NULL, bytes, len, line);
}

static const struct rulefile_form list_of_keys = { .max = TICKETKEYS_FILE_MAX,
	.begins_well = is_not_empty,
	.check = check_keys };

void
ticketfile_prepare(struct master *master)
{
	const struct settings *settings = master->settings;

	rulefile_init(&master->ticket_file, settings->ticket_keys);
	master->ticket_file.form = &list_of_keys;
	/* Who reads keys is who has them. */
	master->ticket_file.identity = &settings->key_id;
	master->ticket_fd = -1;
}

/* One sentence; where there are no keys yet, the last one. */
__attribute__((format(printf, 2, 3))) static void
complain(struct master *master, const char *format, ...)
{
	char reason[256];
	char sentence[1400];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	snprintf(sentence, sizeof(sentence), "TICKETKEYS %.1000s: %s%s",
	    master->ticket_file.path, reason,
	    master->ticket_fd == -1 ? "" : "; the last keys stay in force");
	if (master->ticket_fd == -1)
		roles_give_up(master, sentence);
	events_error(&master->events, "%s", sentence);
}

static void
complain_of_damage(struct master *master, unsigned line)
{
	if (line > 0)
		complain(master, "line %u is no key of %d hexadecimal digits",
		    line, 2 * TICKETKEYS_KEY_SIZE);
	else
		complain(master,
		    "it is no list of 1 to %d keys of %d hexadecimal digits",
		    TICKETKEYS_MAX, 2 * TICKETKEYS_KEY_SIZE);
}

void
ticketfile_give(struct master *master, const struct child *cache)
{
	struct msg msg = {
		.type = MSG_KEYS, .fds = { master->ticket_fd }, .fd_count = 1
	};

	if (master->ticket_fd == -1)
		return;
	if (msg_send(cache->life_fd, &msg, true) == -1) {
		kill(cache->pid, SIGKILL); /* the next one gets them */
		return;
	}
	events_setting(&master->events, "ticketkeys", cache->pid,
	    master->ticket_file.path);
}

static void
take_copy(struct master *master, int fd)
{
	const struct rulefile *file = &master->ticket_file;
	const struct child *cache = &master->children[CACHE];

	fd_close(&master->ticket_fd);
	master->ticket_fd = fd;
	if (file->copied.st_mode & (S_IROTH | S_IWOTH))
		events_warning(&master->events,
		    "TICKETKEYS %s can be read or written by everybody",
		    file->path);
	if (cache->state == ROLE_READY && cache->life_fd != -1)
		ticketfile_give(master, cache);
}

static void
take_news(struct master *master, enum rulefile_news news, int fd, int error)
{
	struct rulefile *file = &master->ticket_file;

	switch (news) {
	case RULEFILE_SAME:
	case RULEFILE_CROWDED: /* with TLS variables: keys have none */
		return;
	case RULEFILE_NEW:
		take_copy(master, fd);
		file->in_force = fd;
		break;
	case RULEFILE_MISSING:
		complain(master, "there is no such file");
		break;
	case RULEFILE_UNREADABLE:
		complain(master, "%s", strerror(error));
		break;
	case RULEFILE_IRREGULAR:
		complain(master, "it is no regular file");
		break;
	case RULEFILE_ABORTED:
		complain(master, "its copier was ended by signal %d",
		    file->ended_by);
		break;
	case RULEFILE_DAMAGED:
		complain_of_damage(master, file->line);
		break;
	case RULEFILE_LATE:
		complain(master, "%s",
		    error == 0 ? "it changes all the time" : strerror(error));
		break;
	case RULEFILE_STUCK:
		complain(master, "to look at it or copy it takes too long");
		break;
	}
}

void
ticketfile_look(struct master *master, int64_t now)
{
	enum rulefile_news news = rulefile_turn(&master->ticket_file, now);

	take_news(master, news, -1, errno);
}

void
ticketfile_hear(struct master *master)
{
	enum rulefile_news news =
	    rulefile_hear(&master->ticket_file, clock_now());

	take_news(master, news, -1, errno);
}

bool
ticketfile_is_settled(const struct master *master)
{
	return master->ticket_file.path == NULL || master->ticket_fd != -1;
}

bool
ticketfile_reaped(struct master *master, pid_t pid, int status)
{
	enum rulefile_news news;
	int fd = -1;

	if (!rulefile_reaped(
		&master->ticket_file, pid, status, clock_now(), &news, &fd))
		return false;
	take_news(master, news, fd, errno);
	return true;
}
