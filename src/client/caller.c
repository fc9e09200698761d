/*
 * The process that was started, and becomes the program.
 *
 * Keeps the rights of whoever started it, and reads no byte that came from
 * the network: names are looked up, hands shaken and certificates judged by
 * others, who tell it numbers and typed facts.  From those it makes the
 * names of variables itself.  What it leaves behind, besides the TLS
 * process, is nothing: its children are reaped before the exec.
 */
#include "client/caller.h"

#include <poll.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "client/addresses.h"
#include "client/delayed.h"
#include "client/handshake.h"
#include "client/helper.h"
#include "client/names.h"
#include "client/sessionfile.h"
#include "client/tlsprocess.h"
#include "net/sock.h"
#include "serve/environment.h"
#include "serve/facts.h"
#include "serve/msg.h"
#include "serve/program.h"
#include "tls/tlsvars.h"

/* Above what the program finds in its place. */
#define ABOVE 10
/* Files may be slow, and a pass phrase is typed by hand. */
#define READY_MS 60000
/* The TCP variables, and those of TLS. */
#define ENVIRONMENT_SIZE \
	(16 * 1024 + TLSVARS_TEXTS_MAX + TLSVARS_COUNT_MAX * 16)

struct caller {
	const struct client_settings *settings; /* own */
	struct client_settings own; /* with what is known of helpers */
	struct handshake handshake;
	int delayed_fd; /* to who waits for the program's byte, or -1 */
	int ask_fd;	/* the program's end of SSLCTLFD, or -1 */
	int server_fd;
	int read_fd, write_fd; /* the program's ends */
	struct ip_endpoint local, remote;
	struct names names;
};

/*
 * The TLS process
 */

/* Start a helper: the socket to it, out of the way. */
static int
start_helper(const struct caller *caller, helper_fn *run)
{
	int fd, moved = -1;

	if (helper_start(caller->settings, run, &fd) == 0)
		moved = fd_dup_above(fd, ABOVE);
	if (moved == -1)
		client_die(111, "fatal", "unable to make a TLS process: %s",
		    strerror(errno));
	fd_close(&fd);
	return moved;
}

/* Who writes --session's file; the TLS process inherits the way to it. */
static void
start_store(struct caller *caller)
{
	struct client_settings *own = &caller->own;
	char error[CLIENT_ERROR_SIZE];

	own->session_dir = own->store_fd = -1;
	if (own->session == NULL)
		return;
	own->session_dir = sessionfile_prepare(own, error);
	if (own->session_dir == -1)
		client_die(111, "fatal", "%s", error);
	if (sessionfile_digest(own, own->session_asked) == -1)
		client_die(111, "fatal", "no memory for --session");
	own->store_fd = start_helper(caller, sessionfile_run);
	fd_close(&own->session_dir);
}

static void
start_helpers(struct caller *caller)
{
	caller->delayed_fd = caller->ask_fd = -1;
	start_store(caller);
	if (caller->settings->is_delayed)
		caller->delayed_fd = start_helper(caller, delayed_run);
	handshake_init(
	    &caller->handshake, start_helper(caller, tlsprocess_run));
}

/* What it alone has to have from now on. */
static void
close_its_own(const struct client_settings *settings)
{
	int report = settings->report_fd, phrase = SETTINGS_PHRASE_FD;
	int store = settings->store_fd;

	if (report > 2)
		fd_close(&report);
	if (settings->reads_phrase)
		fd_close(&phrase);
	fd_close(&store);
}

/* Wait for one; leave when there will be none. */
static void
await(struct caller *caller, struct msg *msg, int ms)
{
	int64_t now = clock_now(), deadline = clock_after(now, ms);
	struct pollfd pollfd = { .fd = caller->handshake.control_fd,
		.events = POLLIN };
	int r = 0;

	for (; r == 0 && now < deadline; now = clock_now())
		if (poll(&pollfd, 1, clock_poll_timeout(now, deadline)) > 0)
			r = handshake_receive(&caller->handshake, msg);
	if (r != 1)
		client_die(111, "fatal", "the TLS process %s",
		    r == 0 ? "does not get ready" : "has ended");
}

static void
await_ready(struct caller *caller)
{
	const char *sentence;
	struct msg msg;

	await(caller, &msg, READY_MS);
	if (msg.type == MSG_READY)
		return;
	sentence = (const char *)msg.body;
	if (msg.type != MSG_FAILED || msg.len == 0 ||
	    sentence[msg.len - 1] != '\0')
		client_die(111, "fatal", "the TLS process talks nonsense");
	client_die(111, "fatal", "%s", sentence);
}

/*
 * The connection
 */

/* connect_note_fn */
static void
note_failure(void *arg, const struct connect_target *target)
{
	char ip[IP_TEXT_SIZE];

	client_say(arg, VERBOSITY_ALL, "unable to connect to %s port %u: %s",
	    ip_format(ip, &target->remote.ip), target->remote.port,
	    strerror(target->error));
}

/* One line of all that failed. */
__attribute__((noreturn)) static void
give_up(const struct client_settings *settings,
    const struct connect_target *targets, size_t count)
{
	char line[CLIENT_ERROR_SIZE] = "", ip[IP_TEXT_SIZE];
	size_t i, used;

	for (i = 0; i < count; i++) {
		used = strlen(line);
		text_format(line + used, sizeof(line) - used, "%s%s: %s",
		    i > 0 ? "; " : "", ip_format(ip, &targets[i].remote.ip),
		    strerror(targets[i].error));
	}
	client_die(111, "fatal", "unable to connect to %s port %u: %s",
	    settings->shown, targets[0].remote.port, line);
}

/* A name of both families, and nobody wants just one of them. */
static bool
is_racing(const struct client_settings *settings,
    const struct connect_target *targets, size_t count)
{
	size_t i;

	for (i = 1; i < count; i++)
		if (ip_is_v4(&targets[i].remote.ip) !=
		    ip_is_v4(&targets[0].remote.ip))
			return settings->family == AF_UNSPEC;
	return false;
}

static void
connect_to(struct caller *caller)
{
	struct connect_target targets[CONNECT_TARGETS_MAX];
	const struct client_settings *s = caller->settings;
	struct connect_plan plan = { .targets = targets,
		.first_ms = (int)s->first_s * 1000,
		.again_ms = (int)s->again_s * 1000,
		.has_local_ip = s->has_local_ip,
		.local = s->local,
		.no_delay = s->no_delay,
		.note = note_failure,
		.arg = (void *)(uintptr_t)s };
	char error[CLIENT_ERROR_SIZE], ip[IP_TEXT_SIZE];
	size_t which;

	if (addresses_find(s, targets, &plan.count, error) == -1)
		client_die(111, "fatal", "%s", error);
	plan.is_racing = is_racing(s, targets, plan.count);
	if (plan.is_racing)
		connect_interleave(targets, plan.count);
	caller->server_fd = connect_run(&plan, &which);
	if (caller->server_fd == -1)
		give_up(s, targets, plan.count);
	caller->remote = targets[which].remote;
	if (sock_local(caller->server_fd, &caller->local) == -1)
		client_die(111, "fatal", "the connection has no local address");
	client_say(s, VERBOSITY_ALL, "connected to %s port %u",
	    ip_format(ip, &caller->remote.ip), caller->remote.port);
}

/* A pipe, with our end out of the way. */
static void
make_pipe(int ends[2], int ours)
{
	int moved = -1;

	if (fd_pipe(ends) == 0)
		moved = fd_dup_above(ends[ours], ABOVE);
	if (moved == -1)
		client_die(
		    111, "fatal", "unable to make a pipe: %s", strerror(errno));
	fd_close(&ends[ours]);
	ends[ours] = moved;
}

/* It waits in our place when we are the program.  0 or -1. */
static int
hand_to_delayed(struct caller *caller, int program_in, int program_out)
{
	struct msg msg = { .type = MSG_START, .fd_count = DELAYED_FDS };
	int ends[2], r;

	if (fd_stream_pair(ends) == -1)
		return -1;
	caller->ask_fd = fd_dup_above(ends[0], ABOVE);
	fd_close(&ends[0]);
	msg.fds[DELAYED_TLS] = caller->handshake.control_fd;
	msg.fds[DELAYED_SERVER] = caller->server_fd;
	msg.fds[DELAYED_CONTROL] = ends[1];
	msg.fds[DELAYED_PROGRAM_IN] = program_in;
	msg.fds[DELAYED_PROGRAM_OUT] = program_out;
	r = caller->ask_fd == -1 ? -1
				 : msg_send(caller->delayed_fd, &msg, false);
	fd_close(&ends[1]);
	return r;
}

/* All that it takes is there: TLS may begin, or with --delayed wait. */
static void
hand_over(struct caller *caller)
{
	int in[2], out[2], r;

	make_pipe(in, 0);
	make_pipe(out, 1);
	caller->read_fd = in[0];
	caller->write_fd = out[1];
	if (caller->settings->is_delayed)
		r = hand_to_delayed(caller, in[1], out[0]);
	else
		r = handshake_start(
		    &caller->handshake, caller->server_fd, in[1], out[0]);
	if (r == -1)
		client_die(111, "fatal", "the TLS process has ended");
	if (!caller->settings->is_delayed)
		fd_close(&caller->server_fd);
	fd_close(&in[1]);
	fd_close(&out[0]);
}

/*
 * What becomes of the handshake
 */

/* The handshake's end, or the names', whichever is awaited and is first. */
static void
wait_for_news(struct caller *caller, bool has_facts, int64_t deadline,
    struct pollfd fds[2])
{
	struct names *names = &caller->names;
	int64_t now = clock_now(), until = has_facts ? CLOCK_NEVER : deadline;

	if (!has_facts && now >= deadline) {
		handshake_late(&caller->handshake, caller->settings);
		client_die(111, "fatal", "%s", caller->handshake.sentence);
	}
	if (names->work_fd != -1 && now >= names->deadline)
		names_end(names);
	if (names->work_fd != -1 && names->deadline < until)
		until = names->deadline;
	fds[0] = (struct pollfd){ has_facts ? -1 : caller->handshake.control_fd,
		POLLIN, 0 };
	fds[1] = (struct pollfd){ names->work_fd, POLLIN, 0 };
	if (poll(fds, 2, clock_poll_timeout(now, until)) == -1)
		fds[0].revents = fds[1].revents = 0;
}

/* Until the TLS process has its facts, and the names are there. */
static void
await_facts(struct caller *caller)
{
	int64_t deadline = handshake_deadline(caller->settings);
	struct handshake *handshake = &caller->handshake;
	bool has_facts = caller->settings->is_delayed;
	struct pollfd fds[2];
	int r;

	while (!has_facts || caller->names.work_fd != -1) {
		wait_for_news(caller, has_facts, deadline, fds);
		if (fds[1].revents != 0)
			names_take(&caller->names);
		if (fds[0].revents == 0)
			continue;
		r = handshake_take(handshake, caller->settings);
		if (r == -1)
			client_die(handshake->code, "fatal", "%s",
			    handshake->sentence);
		has_facts = r == 1;
	}
}

/*
 * The program
 */

/* Texts one behind the other become NAME=value for environment_merge. */
static char **
collect_texts(const struct msg *texts, size_t *count)
{
	static char *over[TLSVARS_COUNT_MAX + 64];
	struct msg_reader r;

	msg_read_from(&r, texts);
	for (*count = 0; r.left > 0; (*count)++) {
		if (*count == sizeof(over) / sizeof(over[0]))
			return NULL;
		over[*count] = (char *)(uintptr_t)msg_get_text(&r);
		if (over[*count] == NULL)
			return NULL;
	}
	return over;
}

/* With --delayed: where the program finds what it needs to ask.  0 or -1. */
static int
put_numbers(const struct caller *caller, struct msg_writer *w)
{
	static const char *const names[] = { "SSLCTLFD", "SSLREADFD",
		"SSLWRITEFD" };
	const int numbers[] = { caller->ask_fd, caller->read_fd,
		caller->write_fd };
	char text[24];
	size_t i;

	if (!caller->settings->is_delayed)
		return 0;
	for (i = 0; i < 3; i++) {
		text_format(text, sizeof(text), "%d", numbers[i]);
		msg_put_variable(w, names[i], text, strlen(text));
	}
	return w->failed ? -1 : 0;
}

static char **
make_environment(const struct caller *caller)
{
	static unsigned char bytes[ENVIRONMENT_SIZE];
	const struct client_settings *s = caller->settings;
	const struct names *names = &caller->names;
	const struct environment env = { .local = &caller->local,
		.remote = &caller->remote,
		.local_host = s->local_name != NULL ? s->local_name
		    : names->has_local_host	    ? names->local_host
						    : NULL,
		.remote_host =
		    names->has_host && s->wants_name ? names->host : NULL,
		.remote_info = names->has_info ? names->info : NULL,
		.interface = s->interface,
		.has_tcp = s->has_tcp_environment,
		.is_plain = s->is_delayed };
	struct msg texts = { .body = bytes };
	char **base = program_environment(), **over;
	struct msg_writer w;
	size_t count;

	msg_write_to(&w, bytes, sizeof(bytes));
	if (base == NULL || environment_put(&env, &w) == -1 ||
	    facts_put_texts(caller->handshake.facts,
		caller->handshake.facts_len, &w) == -1 ||
	    put_numbers(caller, &w) == -1 || msg_written(&w, &texts.len) == -1)
		return NULL;
	over = collect_texts(&texts, &count);
	return over == NULL ? NULL : environment_merge(base, over, count);
}

/* dup2 would leave one that is there already to be closed by the exec. */
static int
place_at(int fd, int number)
{
	return fd == number ? fd_inherit(fd) : dup2(fd, number);
}

/*
 * Copy it to the lowest number that is free: shells know numbers of one digit
 * alone, and some programs wait with select(2).  0 or -1.
 */
static int
place_low(int *fd)
{
	*fd = fd_dup_above(*fd, 3);
	return *fd == -1 ? -1 : fd_inherit(*fd);
}

/* Without close-on-exec, which all else of ours has.  0 or -1. */
static int
set_descriptors(struct caller *caller)
{
	bool is_delayed = caller->settings->is_delayed;
	int in = is_delayed ? caller->server_fd : caller->read_fd;
	int out = is_delayed ? caller->server_fd : caller->write_fd;

	if (place_at(in, CLIENT_READ_FD) == -1 ||
	    place_at(out, CLIENT_WRITE_FD) == -1)
		return -1;
	if (!is_delayed)
		return 0;
	/* Its number may be a low one. */
	if (in != CLIENT_READ_FD && in != CLIENT_WRITE_FD)
		fd_close(&caller->server_fd);
	if (place_low(&caller->ask_fd) == -1 ||
	    place_low(&caller->read_fd) == -1)
		return -1;
	return place_low(&caller->write_fd);
}

__attribute__((noreturn)) static void
become_program(struct caller *caller)
{
	const struct client_settings *s = caller->settings;
	char **environment;

	/* First: the environment says which they are. */
	if (set_descriptors(caller) == -1)
		client_die(111, "fatal", "unable to set descriptors: %s",
		    strerror(errno));
	environment = make_environment(caller);
	if (environment == NULL)
		client_die(111, "fatal", "no memory for the environment");
	program_execute(s->program, environment);
	client_die(111, "fatal", "unable to run %s: %s", s->program[0],
	    strerror(errno));
}

void
caller_run(const struct client_settings *settings)
{
	static struct caller caller;

	caller.own = *settings;
	caller.settings = settings = &caller.own;
	start_helpers(&caller);
	close_its_own(settings);
	await_ready(&caller);
	connect_to(&caller);
	hand_over(&caller);
	names_ask(&caller.names, settings, &caller.local, &caller.remote);
	await_facts(&caller);
	become_program(&caller);
}
