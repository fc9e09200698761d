/*
 * Programs on the monitor's behalf.  Runs in master, as root as a rule.
 *
 * Reads what the monitor sends and nothing else; a pid is only ever
 * signalled while it is a child that has not been reaped.
 */
#include "serve/programs.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "serve/facts.h"
#include "serve/master_state.h"
#include "serve/orphan.h"
#include "serve/program.h"

#define KILL_MS 5000 /* from SIGTERM to SIGKILL */
/* Most programs run sooner, and then the monitor is woken once. */
#define TELL_MS 50
/* Variables in one EXEC: addresses and names, those of TLS, of rules. */
#define OVER_MAX (32 + TLSVARS_COUNT_MAX + 1 + 200)

static void
tell_execfailed(struct master *master, uint64_t conn, const char *reason)
{
	unsigned char body[PROGRAM_REASON_SIZE + 16];
	struct msg_writer w;
	size_t len;

	msg_write_to(&w, body, sizeof(body));
	msg_put_text(&w, reason);
	if (msg_written(&w, &len) == 0)
		chan_send_bytes(
		    &master->monitor, MSG_EXECFAILED, conn, body, len);
}

static void
tell_pid(struct master *master, enum msg_type type, uint64_t conn, pid_t pid)
{
	uint64_t number = (uint64_t)pid;

	chan_send_bytes(&master->monitor, type, conn, &number, sizeof(number));
}

static void
tell_started(struct master *master, struct starting *starting)
{
	if (!starting->is_told)
		tell_pid(master, MSG_STARTED, starting->conn, starting->pid);
	starting->is_told = true;
}

void
programs_tell_outcome(struct master *master, struct starting *starting)
{
	char reason[PROGRAM_REASON_SIZE];

	if (program_outcome(&starting->start, reason) == 0)
		tell_pid(master, MSG_EXECED, starting->conn, starting->pid);
	else {
		tell_started(master, starting);
		tell_execfailed(master, starting->conn, reason);
	}
	*starting = master->starting[--master->starting_count];
	if (master->starting_count == 0)
		master->tell_at = CLOCK_NEVER;
}

void
programs_keep_deadlines(struct master *master, int64_t now)
{
	size_t i;

	if (now < master->tell_at)
		return;
	master->tell_at = CLOCK_NEVER;
	for (i = 0; i < master->starting_count; i++)
		tell_started(master, &master->starting[i]);
}

static void
refuse_exec(struct master *master, uint64_t conn, const char *what, int error)
{
	char reason[PROGRAM_REASON_SIZE];

	text_format(reason, sizeof(reason), "%s: %s", what, strerror(error));
	tell_execfailed(master, conn, reason);
}

/* The texts of an EXEC.  Returns their number, or -1. */
static int
read_environment(const struct msg *msg, char *over[OVER_MAX])
{
	struct msg_reader r;
	const char *text;
	int count = 0;

	msg_read_from(&r, msg);
	while (r.left > 0 && count < OVER_MAX) {
		text = msg_get_text(&r);
		if (text == NULL)
			return -1;
		/* Inside our own buffer; exec takes them without const. */
		over[count++] = (char *)(uintptr_t)text;
	}
	return msg_read_all(&r) == -1 ? -1 : count;
}

static size_t
ends_wanted(const struct master *master)
{
	return master->settings->is_delayed ? 4 : 2;
}

/* The program's, in the order of MSG_EXEC.  -1: some are missing. */
static int
take_ends(const struct master *master, const struct msg *msg,
    struct program_ends *ends)
{
	const int *fds = msg->fds;

	if (msg->fd_count < ends_wanted(master))
		return -1;
	*ends = (struct program_ends){ fds[0], fds[1], -1, -1, -1 };
	if (master->settings->is_delayed)
		*ends = (struct program_ends){ fds[0], fds[0], fds[1], fds[2],
			fds[3] };
	return 0;
}

/*
 * A write end of the program's input, which keeps end of file from it,
 * whoever of us dies: with --strict-close until it has had its SIGTERM, with
 * -n until there is no way back into plain text.
 */
static int
take_input(const struct master *master, struct msg *msg)
{
	return msg->fd_count <= ends_wanted(master) ? -1
						    : msg->fds[--msg->fd_count];
}

/* To a worker, which is there: it begins as soon as it is told. */
static void
exec_in_worker(struct master *master, struct msg *msg)
{
	uint64_t conn = msg->conn;
	int input_fd = take_input(master, msg);
	pid_t pid = -1;

	errno = EMFILE;
	if (msg->fd_count == ends_wanted(master))
		pid = workers_give(master, msg);
	if (pid == -1) {
		refuse_exec(master, conn, "no worker", errno);
		fd_close(&input_fd);
		return;
	}
	if (pids_add(&master->programs, pid, conn, input_fd) == -1)
		kill(pid, SIGKILL);
	tell_pid(master, MSG_EXECED, conn, pid);
}

void
programs_exec(struct master *master, struct msg *msg)
{
	struct program_ends ends;
	char *over[OVER_MAX];
	struct starting *starting;
	struct program_start start;
	int count;
	pid_t pid;

	if (master->settings->code != NULL) {
		exec_in_worker(master, msg);
		return;
	}
	count = read_environment(msg, over);
	if (take_ends(master, msg, &ends) == -1 || count == -1 ||
	    master->starting_count >= master->starting_limit) {
		refuse_exec(master, msg->conn, "unable to take descriptors",
		    msg->fd_count >= ends_wanted(master) ? EPROTO : EMFILE);
		return;
	}
	pid =
	    program_spawn(master->program, &ends, over, (size_t)count, &start);
	if (pid == -1) {
		refuse_exec(master, msg->conn, "unable to fork", errno);
		return;
	}
	/* As large as the monitor's table, so it cannot be full. */
	if (pids_add(&master->programs, pid, msg->conn,
		take_input(master, msg)) == -1)
		kill(pid, SIGKILL);
	reaper_started(&master->reaper, pid);
	starting = &master->starting[master->starting_count++];
	*starting = (struct starting){ pid, msg->conn, start, false };
	if (master->tell_at == CLOCK_NEVER)
		master->tell_at = clock_after(clock_now(), TELL_MS);
}

void
programs_signal(struct master *master, const struct msg *msg)
{
	struct msg_reader r;
	pid_t pid;
	int signo;

	msg_read_from(&r, msg);
	pid = (pid_t)msg_get_number(&r);
	signo = (int)msg_get_number(&r);
	if (msg_read_all(&r) == 0 &&
	    pids_has(&master->programs, pid, msg->conn)) {
		workers_will_signal(master, pid);
		kill(pid, signo);
	}
	pids_close_fd(&master->programs, pid, msg->conn);
	chan_send_bytes(&master->monitor, MSG_SIGNALLED, msg->conn, NULL, 0);
}

void
programs_close_input(struct master *master, const struct msg *msg)
{
	struct msg_reader r;
	pid_t pid;

	msg_read_from(&r, msg);
	pid = (pid_t)msg_get_number(&r);
	if (msg_read_all(&r) == 0)
		pids_close_fd(&master->programs, pid, msg->conn);
}

void
programs_kill_orphan(const struct master *master, const struct msg *msg)
{
	const struct settings_identity *id = &master->settings->net_id;
	struct msg_reader r;
	uint64_t centiseconds;
	pid_t pid;

	msg_read_from(&r, msg);
	pid = (pid_t)msg_get_number(&r);
	centiseconds = msg_get_number(&r);
	if (msg_read_all(&r) == 0)
		orphan_kill(pid, id->is_set ? id->uid : getuid(),
		    (double)centiseconds / 100);
}

void
programs_died(struct master *master, pid_t pid, uint64_t conn, int status)
{
	uint64_t number = (uint64_t)status;
	size_t i;

	/* How it began comes before how it ended. */
	for (i = 0; i < master->starting_count; i++)
		if (master->starting[i].pid == pid) {
			programs_tell_outcome(master, &master->starting[i]);
			break;
		}
	chan_send_bytes(
	    &master->monitor, MSG_EXITED, conn, &number, sizeof(number));
}

void
programs_end(struct master *master)
{
	workers_will_signal(master, 0);
	pids_signal_all(&master->programs, SIGTERM);
	pids_signal_all(&master->programs, SIGCONT);
	/* With -n nobody is left who could shut the client's socket down. */
	if (!master->settings->is_delayed)
		pids_close_fds(&master->programs);
	master->kill_at = clock_after(clock_now(), KILL_MS);
}
