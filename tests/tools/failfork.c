/*
 * failfork: run a program whose forks can be made to fail from outside.
 *
 * usage: failfork [-s] FLAGFILE program [args...]
 *
 * The program runs under a seccomp filter that hands clone, clone3, fork
 * and vfork to a supervisor.  While FLAGFILE does not exist they go ahead;
 * while it exists they fail with EAGAIN: all of them if the file is empty,
 * else those of the process ids listed in it.  Each refusal is written to
 * FLAGFILE.hits as one line with the process id.  With -s the same for
 * socketpair in their place, and EMFILE.
 *
 * The supervisor is no child of the program and ends with the last process
 * under the filter.  Root needs no no_new_privs for this and sets none, so
 * that set-uid programs go on working.  Exit 99: the kernel cannot do it.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
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

#define SYSCALL_NR (offsetof(struct seccomp_data, nr))
#define WATCH(number) \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

static void
fail(const char *what, int code)
{
	fprintf(stderr, "failfork: %s: %s\n", what, strerror(errno));
	exit(code);
}

/* Returns the supervisor's end of the filter, close-on-exec. */
static int
install_filter(int takes_sockets)
{
	struct sock_filter socketpairs[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SYSCALL_NR),
		WATCH(__NR_socketpair),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_filter forks[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SYSCALL_NR),
		WATCH(__NR_clone),
#ifdef __NR_clone3
		WATCH(__NR_clone3),
#endif
#ifdef __NR_fork
		WATCH(__NR_fork),
		WATCH(__NR_vfork),
#endif
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {
		.len = sizeof(forks) / sizeof(forks[0]),
		.filter = forks,
	};
	int fd;

	if (takes_sockets) {
		filter.len = sizeof(socketpairs) / sizeof(socketpairs[0]);
		filter.filter = socketpairs;
	}

	if (geteuid() != 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		fail("no_new_privs", EXIT_UNSUPPORTED);
	fd = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
	if (fd == -1)
		fail("seccomp with user notification", EXIT_UNSUPPORTED);
	return fd;
}

union control {
	struct cmsghdr align;
	char space[CMSG_SPACE(sizeof(int))];
};

static void
send_fd(int sock, int fd)
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

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, 0) != 1)
		fail("sendmsg", 111);
}

/* Returns -1 if the other side went away without sending one. */
static int
receive_fd(int sock)
{
	char byte;
	int fd = -1;
	union control control = { .space = { 0 } };
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.space),
	};
	struct cmsghdr *head;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	head = CMSG_FIRSTHDR(&msg);
	if (head != NULL && head->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

static int
is_listed(FILE *list, unsigned int pid)
{
	unsigned int listed;
	int is_empty = 1;

	while (fscanf(list, "%u", &listed) == 1) {
		if (listed == pid)
			return 1;
		is_empty = 0;
	}
	return is_empty;
}

static int
is_refused(const char *flagfile, unsigned int pid)
{
	FILE *list = fopen(flagfile, "re");
	int answer;

	if (list == NULL)
		return 0;
	answer = is_listed(list, pid);
	fclose(list);
	return answer;
}

static void
count_refusal(const char *flagfile, unsigned int pid)
{
	char name[4096];
	FILE *hits;

	snprintf(name, sizeof(name), "%s.hits", flagfile);
	hits = fopen(name, "ae");
	if (hits == NULL)
		return;
	fprintf(hits, "%u\n", pid);
	fclose(hits);
}

static void
answer_one(int listener, const char *flagfile, int error)
{
	struct seccomp_notif request;
	struct seccomp_notif_resp answer;

	memset(&request, 0, sizeof(request));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request) == -1)
		return;
	memset(&answer, 0, sizeof(answer));
	answer.id = request.id;
	if (is_refused(flagfile, request.pid)) {
		answer.error = -error;
		count_refusal(flagfile, request.pid);
	} else {
		answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	}
	/* Fails harmlessly when a signal has withdrawn the request. */
	(void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

static void
supervise(int listener, const char *flagfile, int error)
{
	struct pollfd waiting = { .fd = listener, .events = POLLIN };

	for (;;) {
		if (poll(&waiting, 1, -1) == -1) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (waiting.revents & POLLIN)
			answer_one(listener, flagfile, error);
		else
			return;
	}
}

/* The supervisor is a grandchild, so that the program never reaps it. */
static void
start_supervisor(int sock, const char *flagfile, int error)
{
	pid_t child = fork();
	int listener, fd;

	if (child == -1)
		fail("fork", 111);
	if (child > 0) {
		while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
			;
		return;
	}
	if (fork() != 0)
		_exit(0);
	setsid();
	/* Whoever waits for the program's output must not wait for us. */
	for (fd = 0; fd <= 2; fd++)
		close(fd);
	open("/dev/null", O_RDWR);
	listener = receive_fd(sock);
	if (listener != -1)
		supervise(listener, flagfile, error);
	_exit(0);
}

int
main(int argc, char **argv)
{
	int pair[2], takes_sockets;

	takes_sockets = argc > 1 && strcmp(argv[1], "-s") == 0;
	argc -= takes_sockets;
	argv += takes_sockets;
	if (argc < 3) {
		fprintf(
		    stderr, "usage: failfork [-s] FLAGFILE program [args]\n");
		return 100;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		fail("socketpair", 111);
	start_supervisor(pair[1], argv[1], takes_sockets ? EMFILE : EAGAIN);
	close(pair[1]);
	send_fd(pair[0], install_filter(takes_sockets));
	execvp(argv[2], argv + 2);
	fail(argv[2], 111);
}
