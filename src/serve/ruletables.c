/*
 * Rule files and resolv.conf, watched.  Runs in master.
 *
 * A good copy stays in force until there is a better one.  Master keeps a
 * descriptor of it for a monitor that has to be started again; what is in
 * it, master does not know.
 */
#include "serve/ruletables.h"

#include <sys/stat.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "rules/rules.h"
#include "serve/generation.h"
#include "serve/master_state.h"
#include "serve/query.h"
#include "serve/roles.h"
#include "serve/ticketfile.h"

/* Rule files: that of -y; the other one is that of -x. */
#define EARLY 0
_Static_assert((int)PROFILES_LISTS == RULE_FILES, "a list for each rule file");

#define RESOLV_CONF "/etc/resolv.conf"

void
ruletables_prepare(struct master *master)
{
	const struct settings *settings = master->settings;
	const char *const paths[RULE_FILES] = { settings->early_rules,
		settings->rules };
	size_t i;

	for (i = 0; i < RULE_FILES; i++) {
		rulefile_init(&master->rulefiles[i], paths[i]);
		master->rulefiles[i].identity = &settings->mon_id;
		master->rule_fds[i] = -1;
		master->rule_news[i] = RULEFILE_SAME;
	}
	ticketfile_prepare(master);
	master->names = settings->names;
	master->look_at = 0;
}

/*
 * One table, or that there is none, to the monitor; later, when there is no
 * descriptor for it now: without one the news would be lost.
 */
static void
tell(struct master *master, size_t which)
{
	uint64_t body[2] = { which, master->rule_news[which] };
	struct msg msg = { .type = MSG_RULES,
		.body = (unsigned char *)body,
		.len = sizeof(body) };

	if (master->monitor.fd == -1)
		return;
	if (master->rule_fds[which] != -1) {
		body[1] = RULEFILE_NEW;
		msg.fds[0] = fd_dup_above(master->rule_fds[which], 3);
		msg.fd_count = 1;
	}
	master->rules_untold[which] = (msg.fd_count > 0 && msg.fds[0] == -1) ||
	    chan_send(&master->monitor, &msg) == -1;
}

/* One sentence; the last one before a --check ends. */
__attribute__((format(printf, 2, 3))) static void
complain(struct master *master, const char *format, ...)
{
	char sentence[1200];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (master->settings->only_checks)
		roles_give_up(master, sentence);
	events_error(&master->events, "%s", sentence);
}

/* One kind of a table's rules, which the start gives no meaning. */
struct misfit {
	enum rules_kind kind;
	bool is_here;
	const char *what;
};

static void
tell_misfit(struct master *master, size_t which, const struct misfit *misfit)
{
	const struct rulefile *file = &master->rulefiles[which];
	unsigned news = file->kinds & ~master->rule_misfits[which];

	if (!misfit->is_here || (news & misfit->kind) == 0)
		return;
	master->rule_misfits[which] |= misfit->kind;
	events_warning(&master->events, "rule file %s: rules with %s",
	    file->path, misfit->what);
}

/* Rules that do nothing, or refuse all: told once for each kind. */
static void
warn_of_misfits(struct master *master, size_t which)
{
	const struct settings *settings = master->settings;
	const bool is_early = which == EARLY;
	const struct misfit misfits[] = {
		{ RULES_BY_HOST, is_early,
		    "= fit nobody, as -y looks at addresses alone" },
		{ RULES_BY_HOST, !settings->wants_name,
		    "= fit nobody, as -H looks no names up" },
		{ RULES_BY_INFO, is_early,
		    "@ fit nobody, as -y looks at addresses alone" },
		{ RULES_BY_INFO, !settings->wants_ident,
		    "@ fit nobody, as users are asked for with -r only" },
		{ RULES_BY_CERT_NAME, !settings->wants_name,
		    "CCAVERIFY=z match no name, as -H looks no names up" },
		{ RULES_BY_CERT, !settings->has_cas,
		    "CCAVERIFY refuse everybody, as none of CAFILE, CADIR, "
		    "CCAFILE and CCADIR is set" },
	};
	size_t i;

	for (i = 0; i < sizeof(misfits) / sizeof(misfits[0]); i++)
		tell_misfit(master, which, &misfits[i]);
}

/* Keepers and nursery do not know them. */
static void
load_new_sets(struct master *master, size_t which)
{
	if (!master->is_serving || !master->rulefiles[which].has_new_sets)
		return;
	events_warning(&master->events,
	    "rule file %s: rules with new TLS settings; all are loaded anew",
	    master->rulefiles[which].path);
	generation_start(master);
}

static void
tell_missing(struct master *master, const char *path)
{
	if (master->settings->missing_is_empty)
		events_warning(&master->events,
		    "rule file %s is missing: everybody is let in (-X)", path);
	else
		complain(master, "rule file %s is missing", path);
}

static void
tell_late(struct master *master, const char *path, int error, const char *after)
{
	if (error == 0)
		complain(master,
		    "rule file %s changes all the time and is not taken%s",
		    path, after);
	else
		complain(master, "rule file %s cannot be copied: %s%s", path,
		    strerror(error), after);
}

/* One line, and what it means for the table in force. */
static void
take_news(struct master *master, size_t which, enum rulefile_news news, int fd,
    int error)
{
	const char *path = master->rulefiles[which].path;
	const char *after = master->rule_fds[which] == -1
	    ? ""
	    : "; the last one stays in force";

	switch (news) {
	case RULEFILE_SAME:
		return;
	case RULEFILE_NEW:
		fd_close(&master->rule_fds[which]);
		master->rule_fds[which] = fd;
		warn_of_misfits(master, which);
		load_new_sets(master, which);
		break;
	case RULEFILE_MISSING:
		fd_close(&master->rule_fds[which]);
		tell_missing(master, path);
		break;
	case RULEFILE_UNREADABLE:
		complain(
		    master, "rule file %s: %s%s", path, strerror(error), after);
		break;
	case RULEFILE_IRREGULAR:
		complain(master, "rule file %s: it is no regular file%s", path,
		    after);
		break;
	case RULEFILE_ABORTED:
		complain(master,
		    "rule file %s cannot be copied: copier ended by signal "
		    "%d%s",
		    path, master->rulefiles[which].ended_by, after);
		break;
	case RULEFILE_DAMAGED:
		complain(
		    master, "rule file %s is no table of rules%s", path, after);
		break;
	case RULEFILE_CROWDED:
		complain(master,
		    "rule file %s: more than %d different sets of TLS "
		    "settings, or too long ones%s",
		    path, PROFILES_MAX, after);
		break;
	case RULEFILE_LATE:
		tell_late(master, path, error, after);
		break;
	case RULEFILE_STUCK:
		complain(master,
		    "rule file %s: to look at it or copy it takes too long%s",
		    path, after);
		break;
	}
	master->rule_news[which] = news;
	master->rulefiles[which].in_force = master->rule_fds[which];
	/* To the monitor the table that stays is no news. */
	if (news == RULEFILE_NEW || master->rule_fds[which] == -1)
		tell(master, which);
}

static bool
is_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Tell the resolver what resolv.conf says now.  0, or -1: not this time. */
static int
tell_names(struct master *master, const struct child *resolver)
{
	unsigned char body[QUERY_SERVERS_SIZE];
	struct msg_writer w;
	struct stat st;
	int fd, r;

	fd = fd_open_regular(RESOLV_CONF, &st);
	if (fd == -1)
		return -1;
	r = resolvconf_read(&master->names, fd);
	fd_close(&fd);
	msg_write_to(&w, body, sizeof(body));
	if (r == -1 ||
	    query_put_servers(
		master->names.servers, master->names.server_count, &w) == -1)
		return -1;
	return msg_send_bytes(
	    resolver->life_fd, MSG_SERVERS, 0, body, w.len, true);
}

/*
 * What resolv.conf says may change while we run.  One that has changed since
 * the last look is taken, and taken once more when it has not: it may have
 * been half-written, and times of files are coarse.  What cannot be read now
 * is read at the next look.
 */
static void
look_at_names(struct master *master)
{
	const struct child *resolver = &master->children[RESOLVER];
	struct stat st;
	bool has_rested;

	if (!master->settings->has_resolv_conf ||
	    resolver->state != ROLE_READY || resolver->life_fd == -1 ||
	    stat(RESOLV_CONF, &st) == -1 ||
	    is_same_time(&st.st_mtim, &master->names_changed))
		return;
	has_rested = is_same_time(&st.st_mtim, &master->names_seen);
	master->names_seen = st.st_mtim;
	if (tell_names(master, resolver) == 0 && has_rested)
		master->names_changed = st.st_mtim;
}

static void
look_at_rules(struct master *master, size_t which, int64_t now)
{
	enum rulefile_news news;

	news = rulefile_turn(&master->rulefiles[which], now);
	take_news(master, which, news, -1, errno);
	if (master->rules_untold[which])
		tell(master, which);
}

void
ruletables_look(struct master *master)
{
	int64_t now = clock_now();
	size_t i;

	if (now < master->look_at)
		return;
	master->look_at = CLOCK_NEVER;
	look_at_names(master);
	if (master->settings->has_resolv_conf)
		master->look_at = clock_after(now, RULEFILE_LOOK_MS * 4);
	if (master->ticket_file.path != NULL) {
		ticketfile_look(master, now);
		master->look_at = clock_after(now, RULEFILE_LOOK_MS);
	}
	for (i = 0; i < RULE_FILES; i++) {
		if (master->rulefiles[i].path == NULL)
			continue;
		look_at_rules(master, i, now);
		master->look_at = clock_after(now, RULEFILE_LOOK_MS);
	}
}

/* As if it had changed; that it cannot be opened is told only here. */
static void
reload_names(struct master *master)
{
	struct stat st;
	int fd;

	if (!master->settings->has_resolv_conf)
		return;
	master->names_changed = (struct timespec){ 0, 0 };
	fd = fd_open_regular(RESOLV_CONF, &st);
	if (fd == -1)
		events_error(&master->events,
		    RESOLV_CONF ": %s; the old name servers stay in force",
		    strerror(errno));
	fd_close(&fd);
}

void
ruletables_reload(struct master *master)
{
	size_t i;

	for (i = 0; i < RULE_FILES; i++)
		rulefile_reload(&master->rulefiles[i]);
	rulefile_reload(&master->ticket_file);
	reload_names(master);
	master->look_at = 0;
}

void
ruletables_hear(struct master *master, size_t which)
{
	enum rulefile_news news;

	news = rulefile_hear(&master->rulefiles[which], clock_now());
	take_news(master, which, news, -1, errno);
}

bool
ruletables_are_settled(const struct master *master)
{
	size_t i;

	for (i = 0; i < RULE_FILES; i++)
		if (master->rulefiles[i].path != NULL &&
		    master->rule_news[i] == RULEFILE_SAME)
			return false;
	return ticketfile_is_settled(master);
}

int
ruletables_give_lists(struct master *master, struct generation *generation)
{
	const struct rulefile *file;
	size_t i;

	for (i = 0; i < RULE_FILES; i++) {
		file = &master->rulefiles[i];
		generation->list_serials[i] = file->sets_serial;
		if (file->sets_fd == -1)
			continue;
		generation->list_fds[i] = fd_dup_above(file->sets_fd, 3);
		if (generation->list_fds[i] == -1)
			return -1;
	}
	return 0;
}

bool
ruletables_lists_are_in_force(
    struct master *master, const struct generation *generation)
{
	struct rulefile *file;
	bool are_all = true;
	size_t i;

	for (i = 0; i < RULE_FILES; i++) {
		file = &master->rulefiles[i];
		file->sets_in_force = generation->list_fds[i];
		if (file->sets_serial != generation->list_serials[i] &&
		    !profiles_is_empty(file->sets_fd))
			are_all = false;
	}
	return are_all;
}

void
ruletables_tell(struct master *master)
{
	size_t i;

	for (i = 0; i < RULE_FILES; i++)
		if (master->rulefiles[i].path != NULL)
			tell(master, i);
}

bool
ruletables_reaped(struct master *master, pid_t pid, int status)
{
	enum rulefile_news news;
	int64_t now = clock_now();
	int fd = -1;
	size_t i;

	for (i = 0; i < RULE_FILES; i++)
		if (rulefile_reaped(
			&master->rulefiles[i], pid, status, now, &news, &fd)) {
			take_news(master, i, news, fd, errno);
			return true;
		}
	return ticketfile_reaped(master, pid, status);
}
