/*
 * framework: a program of libsslhandle that does to its process whatever the
 * client says, a line each, until `return' or the end of input.  `state'
 * prints what a next client could find, lines of a name and a value.
 */
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <signal.h>
#include <sslhandle.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "serve/msg.h"

extern char **environ;

static int calls; /* memory is not put back */

static void
on_signal(int signo)
{
	(void)signo;
}

static void
print_text(const char *name, const char *text)
{
	printf("%s ", name);
	for (; *text != '\0'; text++)
		putchar(*text == '\n' ? '\t' : *text);
	putchar('\n');
}

static void
print_descriptors(void)
{
	char name[64], target[4096];
	ssize_t len;
	int fd;

	for (fd = 0; fd < 1024; fd++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		len = readlink(name, target, sizeof(target) - 1);
		if (len == -1)
			continue;
		target[len] = '\0';
		printf("fd %d %s\n", fd, target);
	}
}

static void
print_signals(void)
{
	struct sigaction action;
	struct itimerval timer;
	sigset_t mask, waiting;
	int signo;

	sigprocmask(SIG_SETMASK, NULL, &mask);
	sigpending(&waiting);
	for (signo = 1; signo < NSIG; signo++) {
		if (sigismember(&mask, signo) == 1)
			printf("blocked %d\n", signo);
		if (sigismember(&waiting, signo) == 1)
			printf("waiting %d\n", signo);
		if (sigaction(signo, NULL, &action) == 0 &&
		    action.sa_handler != SIG_DFL)
			printf("changed %d\n", signo);
	}
	getitimer(ITIMER_REAL, &timer);
	printf("timer %d\n",
	    timer.it_value.tv_sec != 0 || timer.it_value.tv_usec != 0);
}

static void
print_state(int argc, char *const *argv)
{
	char directory[4096];
	mode_t mode = umask(0);
	char **variable;
	int i;

	umask(mode);
	printf("pid %d\ncalls %d\numask %o\n", getpid(), calls, (unsigned)mode);
	printf(
	    "uid %d %d\ngid %d %d\n", getuid(), geteuid(), getgid(), getegid());
	printf("groups %d\n", getgroups(0, NULL));
	printf("group %d\nsession %d\n", getpgrp(), getsid(0));
	printf("child %d\n", waitpid(-1, NULL, WNOHANG) != -1);
	print_text(
	    "directory", getcwd(directory, sizeof(directory)) ? directory : "");
	for (i = 0; i < argc; i++)
		print_text("word", argv[i]);
	printf("last %d\n", argv[argc] == NULL);
	print_descriptors();
	print_signals();
	for (variable = environ; *variable != NULL; variable++)
		print_text("env", *variable);
	puts("end");
	fflush(stdout);
}

/* All that can be put back. */
static void
spoil(void)
{
	static char other[] = "LEAKED_TOO=1";
	struct itimerval soon = { .it_value = { .tv_sec = 3600 } };
	char *text = getenv("PATH");
	sigset_t set;
	int fd;

	if (text != NULL)
		text[0] = '?';
	setenv("LEAKED", "1", 1);
	putenv(other);
	unsetenv("HERE");
	for (fd = 0; fd < 5; fd++)
		(void)!open("/dev/zero", O_RDONLY);
	dup2(0, 50);
	dup2(1, 900);
	dup2(50, 2);
	(void)!chdir("/");
	umask(0);
	signal(SIGUSR1, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGCHLD, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	setitimer(ITIMER_REAL, &soon, NULL);
	ungetc('u', stdin);
}

static void
close_all(void)
{
	int fd;

	for (fd = 0; fd < 1024; fd++)
		close(fd);
}

/* Say nonsense wherever it may be heard. */
static void
lie(void)
{
	int fd;

	for (fd = 3; fd < 1024; fd++)
		(void)!send(fd, "nonsense", 8, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What a worker says once, again and again. */
static void
repeat(void)
{
	int fd, i;

	for (fd = 3; fd < 1024; fd++)
		for (i = 0; i < 1000; i++)
			if (msg_send_bytes(fd, MSG_READY, 0, NULL, 0, false) ==
			    -1)
				break;
}

/* As a shell's >/dev/stdout. */
static void
reopen(const char *text)
{
	FILE *again = fopen("/dev/stdout", "w");

	if (again == NULL)
		perror("/dev/stdout");
	else {
		fprintf(again, "%s\n", text);
		fclose(again);
	}
}

static void
stay(void)
{
	puts("here");
	fflush(stdout);
	for (;;)
		pause();
}

/* A child that writes when the client has said all. */
static void
leave_child(void)
{
	char byte;

	if (fork() != 0)
		return;
	while (read(0, &byte, 1) > 0)
		continue;
	(void)!write(1, "late\n", 5);
	_exit(0);
}

/* Whether to go on. */
static bool
obey(const char *word, const char *rest, int argc, char *const *argv)
{
	if (strcmp(word, "state") == 0)
		print_state(argc, argv);
	else if (strcmp(word, "say") == 0)
		puts(rest);
	else if (strcmp(word, "flush") == 0)
		fflush(stdout);
	else if (strcmp(word, "complain") == 0)
		fprintf(stderr, "%s\n", rest);
	else if (strcmp(word, "spoil") == 0)
		spoil();
	else if (strcmp(word, "exit") == 0)
		exit(atoi(rest));
	else if (strcmp(word, "raise") == 0)
		raise(atoi(rest));
	else if (strcmp(word, "setsid") == 0)
		setpgid(0, 0);
	else if (strcmp(word, "fclose") == 0)
		fclose(stdin);
	else if (strcmp(word, "close") == 0)
		close_all();
	else if (strcmp(word, "lie") == 0)
		lie();
	else if (strcmp(word, "repeat") == 0)
		repeat();
	else if (strcmp(word, "reopen") == 0)
		reopen(rest);
	else if (strcmp(word, "ignore") == 0)
		signal(SIGTERM, SIG_IGN);
	else if (strcmp(word, "catch") == 0)
		signal(SIGTERM, on_signal);
	else if (strcmp(word, "stay") == 0)
		stay();
	else if (strcmp(word, "child") == 0)
		leave_child();
	else if (strcmp(word, "fork") == 0)
		return fork() == 0 ? false : (wait(NULL), true);
	else if (strcmp(word, "zombie") == 0) {
		if (fork() == 0)
			_exit(0);
	}
	return strcmp(word, "return") != 0 && strcmp(word, "fclose") != 0;
}

void
server(int argc, char *const *argv)
{
	char line[4096], *rest;

	calls++;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		rest = line + strcspn(line, " ");
		if (*rest != '\0')
			*rest++ = '\0';
		if (!obey(line, rest, argc, argv))
			return;
	}
}
