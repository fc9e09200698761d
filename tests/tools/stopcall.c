/*
 * stopcall: run a program whose fresh children can be stopped on the way.
 *
 * usage: stopcall FLAGFILE program [args...]
 *
 * While FLAGFILE holds a line "CALL PID", with close_range, execve, openat or exit_group, each
 * child of the process PID is stopped with SIGSTOP where it makes that call for the first
 * time, before the call is made, and its process id is appended to
 * FLAGFILE.hits.  SIGCONT lets it go on.  What a
 * sibling that kills at random hits now and then, this hits always.
 *
 * The calls are handed to a supervisor by a seccomp filter.  It is no child
 * of the program and ends with the last process under the filter.  Exit 99:
 * the kernel cannot do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define EXIT_UNSUPPORTED 99

/* The same on all systems that have it, but one. */
#ifndef __NR_close_range
#define __NR_close_range 436
#endif

#define SYSCALL_NR (offsetof(struct seccomp_data, nr))
#define WATCH(number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

static void
fail(const char *what, int code)
{
	fprintf(stderr, "stopcall: %s: %s\n", what, strerror(errno));
	exit(code);
}

/* Returns the supervisor's end of the filter, close-on-exec. */
static int
install_filter(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SYSCALL_NR),
		WATCH(__NR_close_range),
		WATCH(__NR_execve),
		WATCH(__NR_openat),
		WATCH(__NR_exit_group),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {
		.len = sizeof(code) / sizeof(code[0]),
		.filter = code,
	};
	int fd;

	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fail("no_new_privs", EXIT_UNSUPPORTED);
	fd = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
	if (fd == -1)
		fail("seccomp with user notification", EXIT_UNSUPPORTED);
	return fd;
}

static int
parent_of(int pid)
{
	char name[64], line[512], *end;
	int parent = -1;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/stat", pid);
	file = fopen(name, "re");
	if (file == NULL)
		return -1;
	/* The name may hold blanks and parentheses. */
	if (fgets(line, sizeof(line), file) != NULL &&
	    (end = strrchr(line, ')')) != NULL)
		sscanf(end, ") %*c %d", &parent);
	fclose(file);
	return parent;
}

static int
is_wanted(const char *flagfile, const char *call, int pid)
{
	FILE *list = fopen(flagfile, "re");
	int parent, listed, answer = 0;
	char word[16];

	if (list == NULL)
		return 0;
	parent = parent_of(pid);
	while (!answer && fscanf(list, "%15s %d", word, &listed) == 2)
		answer = listed == parent && strcmp(word, call) == 0;
	fclose(list);
	return answer;
}

/* Was it stopped before?  A hundred are more than a scenario needs. */
static int hit[100];
static size_t hit_count;

static int
was_hit(int pid)
{
	size_t i;

	for (i = 0; i < hit_count; i++)
		if (hit[i] == pid)
			return 1;
	return 0;
}

static void
note(const char *flagfile, int pid)
{
	char name[4096];
	FILE *hits;

	if (hit_count < sizeof(hit) / sizeof(hit[0]))
		hit[hit_count++] = pid;

	snprintf(name, sizeof(name), "%s.hits", flagfile);
	hits = fopen(name, "ae");
	if (hits == NULL)
		return;
	fprintf(hits, "%d\n", pid);
	fclose(hits);
}

static void
answer_one(int listener, const char *flagfile)
{
	struct seccomp_notif request;
	struct seccomp_notif_resp answer;
	const char *call;

	memset(&request, 0, sizeof(request));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == -1)
		return;
	call = request.data.nr == __NR_execve	 ? "execve"
	    : request.data.nr == __NR_openat	 ? "openat"
	    : request.data.nr == __NR_exit_group ? "exit_group"
						 : "close_range";
	/* The signal withdraws the call; SIGCONT makes it come again. */
	if (!was_hit((int)request.pid) &&
	    is_wanted(flagfile, call, (int)request.pid) &&
	    kill((pid_t)request.pid, SIGSTOP) == 0) {
		note(flagfile, (int)request.pid);
		return;
	}
	memset(&answer, 0, sizeof(answer));
	answer.id = request.id;
	answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

/* One descriptor through a socket: send it, or, if it is -1, receive one. */
static int
pass(int sock, int fd)
{
	char byte = 0;
	union control control = { .space = { 0 } };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	if (fd != -1) {
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &fd, sizeof(fd));
		return sendmsg(sock, &msg, 0) == 1 ? 0 : -1;
	}
	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) == 1 &&
	    (head = CMSG_FIRSTHDR(&msg)) != NULL)
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

static void
supervise(int sock, const char *flagfile)
{
	struct pollfd waiting = { .events = POLLIN };

	setsid();
	/* Whoever waits for the program's output must not wait for us. */
	close(0);
	close(1);
	close(2);
	waiting.fd = pass(sock, -1);
	if (waiting.fd == -1)
		return;
	while (poll(&waiting, 1, -1) != -1 || errno == EINTR) {
		if (waiting.revents & POLLIN)
			answer_one(waiting.fd, flagfile);
		else if (waiting.revents != 0)
			break;
	}
}

/*
 * Before there is a filter, which would otherwise last as long as the
 * supervisor.  A grandchild, so that the program never reaps it.
 */
static void
start_supervisor(int pair[2], const char *flagfile)
{
	pid_t child = fork();

	if (child == -1)
		fail("fork", 111);
	if (child > 0) {
		close(pair[1]);
		while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
			;
		return;
	}
	if (fork() == 0) {
		close(pair[0]);
		supervise(pair[1], flagfile);
	}
	_exit(0);
}

int
main(int argc, char **argv)
{
	int pair[2];

	if (argc < 3) {
		fprintf(stderr, "usage: stopcall FLAGFILE program [args]\n");
		return 100;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		fail("socketpair", 111);
	start_supervisor(pair, argv[1]);
	if (pass(pair[0], install_filter()) == -1)
		fail("sendmsg", 111);
	execvp(argv[2], argv + 2);
	fail(argv[2], 111);
}
