/*
 * Starting role processes.  Runs in master.
 *
 * Two kinds: executables with the TLS library, so that master, which is
 * root, holds none; and forks of master itself, monitor and logger, which
 * need nothing but what is already here.  Each child gives up its rights
 * itself before it reads anything from outside.
 */
#include "serve/children.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include <fcntl.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/sig.h"
#include "base/text.h"
#include "build_id.h"
#include "net/ident.h"
#include "config.h"
#include "serve/cache.h"
#include "serve/defaults.h"
#include "serve/emptydir.h"
#include "serve/logger.h"
#include "serve/monitor.h"
#include "serve/msg.h"
#include "serve/privs.h"
#include "serve/resolver.h"
#include "serve/role.h"
#include "serve/sandbox.h"
#include "serve/title.h"

#define LOGGER_DESCRIPTORS 4
#define MOVED "/../libexec/ucspi-ssl" /* seen from bin */

static const char *const file_names[] = {
	[CHILD_KEEPER] = "ucspissl-keeper", [CHILD_NURSERY] = "ucspissl-nursery"
};
static const char *const role_names[] = {
	[CHILD_KEEPER] = "keeper", [CHILD_NURSERY] = "nursery"
};

/* The directory of the running executable, without a final slash. */
static int
own_directory(char *directory, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", directory, size - 1);
	char *slash;

	if (len == -1)
		return -1;
	directory[len] = '\0';
	slash = strrchr(directory, '/');
	if (slash == NULL)
		return -1;
	*slash = '\0';
	return 0;
}

static int
open_in(const char *directory, const char *name)
{
	char path[4096];

	if (text_format(path, sizeof(path), "%s/%s", directory, name) == -1) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* A FIFO holds nobody up. */
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/*
 * In the tree of bin and libexec that we are in, which may have been packed
 * up (DESTDIR) or moved.  The directory above ours may be open to others, as
 * /tmp is: what they put there is not run with our rights.
 */
static int
open_moved(const char *own, const char *name)
{
	char directory[2048 + sizeof(MOVED)];
	struct stat self, found;
	int fd;

	text_format(directory, sizeof(directory), "%s" MOVED, own);
	fd = open_in(directory, name);
	if (fd != -1 &&
	    (stat("/proc/self/exe", &self) == -1 || fstat(fd, &found) == -1 ||
		found.st_uid != self.st_uid))
		fd_close(&fd);
	return fd;
}

/* Beside us as after a build, or where an installation has them. */
static int
open_executable(const char *name, char error[CHILDREN_ERROR_SIZE])
{
	char own[2048];
	int fd = -1;

	if (own_directory(own, sizeof(own)) == 0) {
		fd = open_in(own, name);
		if (fd == -1)
			fd = open_moved(own, name);
	}
	if (fd == -1)
		fd = open_in(LIBEXECDIR, name);
	if (fd == -1)
		text_format(error, CHILDREN_ERROR_SIZE,
		    "%s is neither beside this program nor in its "
		    "directory" MOVED " or in %s: %s",
		    name, LIBEXECDIR, strerror(errno));
	return fd;
}

int
children_prepare(struct children *children, const struct settings *settings,
    char error[CHILDREN_ERROR_SIZE])
{
	children->settings = settings;
	children->jail_fd = -1;
	children->keeper_fd = open_executable(file_names[CHILD_KEEPER], error);
	children->nursery_fd =
	    open_executable(file_names[CHILD_NURSERY], error);
	if (children->keeper_fd == -1 || children->nursery_fd == -1)
		return -1;
	if (geteuid() != 0)
		return 0;
	children->jail_fd = emptydir_make(error, CHILDREN_ERROR_SIZE);
	return children->jail_fd == -1 ? -1 : 0;
}

/* Nothing of the log is left to a role but what it is given. */
static int
hide_standard(void)
{
#ifdef ROLE_STDERR
	return 0;
#else
	return fd_set_null(2);
#endif
}

/* In the child.  Everything else closes at exec. */
__attribute__((noreturn)) static void
exec_role(int exe_fd, const char *program, const char *role, int life_fd)
{
	char name[32];
	char *argv[] = { name, NULL };
	char *environment[] = { NULL };

	text_format(name, sizeof(name), "%s: %s", program, role);
	/* The executable must not lie where the life line goes. */
	exe_fd = fd_dup_above(exe_fd, ROLE_LIFE_FD + 1);
	if (exe_fd != -1 && hide_standard() == 0 &&
	    (life_fd == ROLE_LIFE_FD || dup2(life_fd, ROLE_LIFE_FD) != -1) &&
	    fd_inherit(ROLE_LIFE_FD) == 0)
		fexecve(exe_fd, argv, environment);
	_exit(111);
}

/*
 * fork, with a life line between the two: *life_fd is the caller's end of
 * it, in master as in the child.  Returns as fork; errno is kept.
 */
static pid_t
fork_with_line(int *life_fd)
{
	int ends[2], error;
	pid_t pid;

	if (fd_message_pair(ends) == -1)
		return -1;
	pid = fork();
	error = errno;
	if (pid == 0)
		fd_close(&ends[0]);
	else
		fd_close(&ends[1]);
	if (pid == -1)
		fd_close(&ends[0]);
	*life_fd = pid == 0 ? ends[1] : ends[0];
	errno = error;
	return pid;
}

pid_t
children_exec(
    const struct children *children, enum children_kind kind, int *life_fd)
{
	pid_t pid = fork_with_line(life_fd);

	if (pid == 0)
		exec_role(kind == CHILD_KEEPER ? children->keeper_fd
					       : children->nursery_fd,
		    children->settings->program_name, role_names[kind],
		    *life_fd);
	return pid;
}

static void
fill_config(struct role_config *config, const struct settings *settings,
    enum children_kind kind)
{
	memset(config, 0, sizeof(*config));
	config->build_id = BUILD_ID;
	defaults_profile(&config->profile);
	if (kind == CHILD_KEEPER) {
		config->identity = settings->key_id;
		config->root = settings->key_root;
		return;
	}
	config->identity = settings->net_id;
	config->limit = settings->limit;
	config->idle_s = settings->idle_s;
	config->strict_close = settings->strict_close;
	config->session_s = settings->session_s;
	config->is_pooled = settings->uses > 1;
	config->seals_tickets = settings->ticket_keys != NULL;
	if (settings->is_delayed)
		return; /* then it comes before TLS */
	config->greeting = (const unsigned char *)settings->greeting;
	config->greeting_len = settings->greeting_len;
}

/* Its bytes are the caller's to free; NULL with errno. */
static unsigned char *
encode_config(const struct role_config *config, size_t *len)
{
	struct msg_writer w;
	unsigned char *bytes;

	msg_write_to(&w, NULL, MSG_BODY_MAX);
	if (roleconfig_put(config, &w) == -1) {
		errno = EMSGSIZE;
		return NULL;
	}
	*len = w.len;
	bytes = malloc(*len);
	if (bytes == NULL)
		return NULL;
	msg_write_to(&w, bytes, *len);
	(void)roleconfig_put(config, &w);
	return bytes;
}

/* fd, unless it is -1, goes behind the jail, and lists behind it. */
static int
send_config(const struct children *children, int life_fd,
    struct role_config *config, int fd, const int lists[PROFILES_LISTS])
{
	struct msg msg = { .type = MSG_CONFIG };
	unsigned char *body;
	size_t i;
	int r;

	config->has_jail = children->jail_fd != -1;
	for (i = 0; i < PROFILES_LISTS; i++)
		config->has_list[i] = lists[i] != -1;
	body = encode_config(config, &msg.len);
	if (body == NULL)
		return -1;
	msg.body = body;
	if (config->has_jail)
		msg.fds[msg.fd_count++] = children->jail_fd;
	if (fd != -1)
		msg.fds[msg.fd_count++] = fd;
	for (i = 0; i < PROFILES_LISTS; i++)
		if (lists[i] != -1)
			msg.fds[msg.fd_count++] = lists[i];
	r = msg_send(life_fd, &msg, false);
	free(body);
	return r;
}

int
children_configure_keeper(const struct children *children, int life_fd,
    const int lists[PROFILES_LISTS], enum role_phrase phrase, int phrase_fd)
{
	struct role_config config;

	fill_config(&config, children->settings, CHILD_KEEPER);
	config.phrase = phrase;
	config.has_phrase = phrase_fd != -1;
	return send_config(children, life_fd, &config, phrase_fd, lists);
}

int
children_configure_nursery(const struct children *children, int life_fd,
    const int lists[PROFILES_LISTS], int public_fd)
{
	struct role_config config;

	fill_config(&config, children->settings, CHILD_NURSERY);
	config.has_public = true;
	return send_config(children, life_fd, &config, public_fd, lists);
}

/*
 * In a forked role: close all but keep_fd, hide, and be what the settings
 * say.  Failure ends it: with a sentence if there is somebody to read it.
 */
static void
settle(const struct children *children, const char *title,
    const struct settings_identity *identity, int keep_fd, size_t descriptors,
    enum sandbox_role role)
{
	int keep[] = { 0, 1, 2, keep_fd, children->jail_fd };
	struct privs privs = { .identity = identity,
		.root_fd = children->jail_fd,
		.descriptors = descriptors,
		.processes = 0 };
	char error[PRIVS_ERROR_SIZE] = "unable to enter the sandbox";

	title_set(title);
	if (sig_ignore_terminal() == 0 &&
	    fd_close_except(keep, sizeof(keep) / sizeof(keep[0])) == 0 &&
	    privs_drop(&privs, error) == 0 && sandbox_enter(role) == 0)
		return;
	msg_send_bytes(keep_fd, MSG_FAILED, 0, error, strlen(error) + 1, true);
	_exit(111);
}

__attribute__((noreturn)) static void
become_monitor(const struct children *children, int life_fd)
{
	const struct settings *settings = children->settings;
	char error[MONITOR_ERROR_SIZE];

	if (hide_standard() == -1)
		_exit(111);
	if (monitor_raise_descriptors(settings, error) == -1) {
		msg_send_bytes(
		    life_fd, MSG_FAILED, 0, error, strlen(error) + 1, true);
		_exit(111);
	}
	settle(children, "monitor", &settings->mon_id, life_fd, PRIVS_KEEP,
	    SANDBOX_MONITOR);
	monitor_run(settings, life_fd);
}

pid_t
children_fork_monitor(const struct children *children, int *life_fd)
{
	pid_t pid = fork_with_line(life_fd);

	if (pid == 0)
		become_monitor(children, *life_fd);
	return pid;
}

__attribute__((noreturn)) static void
become_resolver(const struct children *children, const struct resolvconf *names,
    int life_fd)
{
	const struct settings *settings = children->settings;
	struct resolver_settings how;

	if (hide_standard() == -1)
		_exit(111);
	memset(&how, 0, sizeof(how));
	memcpy(how.servers, names->servers, sizeof(how.servers));
	how.server_count = names->server_count;
	how.limit = settings->limit;
	how.ident_port = IDENT_PORT;
	settle(children, "resolver", &settings->net_id, life_fd,
	    resolver_descriptors(settings->limit), SANDBOX_RESOLVER);
	resolver_run(&how, life_fd);
}

pid_t
children_fork_resolver(const struct children *children,
    const struct resolvconf *names, int *life_fd)
{
	pid_t pid = fork_with_line(life_fd);

	if (pid == 0)
		become_resolver(children, names, *life_fd);
	return pid;
}

__attribute__((noreturn)) static void
become_cache(const struct children *children, int life_fd)
{
	const struct settings *settings = children->settings;
	const struct cache_settings how = { .entries = settings->session_count,
		.lifetime_s = settings->session_s };

	if (hide_standard() == -1)
		_exit(111);
	settle(children, "cache", &settings->key_id, life_fd, CACHE_DESCRIPTORS,
	    SANDBOX_CACHE);
	cache_run(&how, life_fd);
}

pid_t
children_fork_cache(const struct children *children, int *life_fd)
{
	pid_t pid = fork_with_line(life_fd);

	if (pid == 0)
		become_cache(children, *life_fd);
	return pid;
}

pid_t
children_fork_logger(const struct children *children, int work_fd)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	settle(children, "logger", &children->settings->mon_id, work_fd,
	    LOGGER_DESCRIPTORS, SANDBOX_LOGGER);
	logger_run(work_fd);
	_exit(0);
}

int
children_print_version(enum children_kind kind, char error[CHILDREN_ERROR_SIZE])
{
	char name[32], option[] = "--version";
	char *argv[] = { name, option, NULL };
	char *environment[] = { NULL };
	int fd = open_executable(file_names[kind], error), status = -1;
	pid_t pid;

	if (fd == -1)
		return -1;
	text_copy(name, sizeof(name), file_names[kind]);
	pid = fork();
	if (pid == 0) {
		fexecve(fd, argv, environment);
		_exit(111);
	}
	fd_close(&fd);
	if (pid != -1)
		while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
			continue;
	if (status == 0)
		return 0;
	text_format(error, CHILDREN_ERROR_SIZE, "%s does not run", name);
	return -1;
}
