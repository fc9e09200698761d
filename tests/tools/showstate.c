/*
 * showstate: prints what a program inherits, as one JSON object: descriptors
 * with their targets, identity, groups, limits, signal mask and dispositions,
 * directory, umask, priority, process group and environment.
 *
 * Needs no /proc (targets, NoNewPrivs and Seccomp are null without it) and no
 * library files, so that it also runs in an empty root directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/stat.h>

extern char **environ;

static void
print_string(const char *text)
{
	putchar('"');
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < ' ' || byte >= 127 || byte == '"' || byte == '\\')
			printf("\\u%04x", byte);
		else
			putchar(byte);
	}
	putchar('"');
}

static const char *
kind_of(mode_t mode)
{
	if (S_ISFIFO(mode))
		return "pipe";
	if (S_ISSOCK(mode))
		return "socket";
	if (S_ISREG(mode))
		return "file";
	if (S_ISDIR(mode))
		return "directory";
	if (S_ISCHR(mode))
		return "device";
	return "other";
}

static void
print_descriptor(int fd, const struct stat *st)
{
	char name[64], target[4096];
	ssize_t length;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	length = readlink(name, target, sizeof(target) - 1);
	printf("\"%d\": {\"kind\": \"%s\", \"flags\": %d, \"target\": ", fd,
	    kind_of(st->st_mode), fcntl(fd, F_GETFL));
	if (length == -1) {
		printf("null}");
		return;
	}
	target[length] = '\0';
	print_string(target);
	printf("}");
}

static void
print_descriptors(void)
{
	const char *comma = "";
	long highest = sysconf(_SC_OPEN_MAX);

	/* A lowered limit does not close what lies above it. */
	if (highest < 4096)
		highest = 4096;
	if (highest > 65536)
		highest = 65536;
	printf("\"fds\": {");
	for (int fd = 0; fd < highest; fd++) {
		struct stat st;

		if (fstat(fd, &st) == -1)
			continue;
		printf("%s", comma);
		print_descriptor(fd, &st);
		comma = ", ";
	}
	printf("},\n");
}

static void
print_identity(void)
{
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid, groups[1024];
	int count;

	if (getresuid(&ruid, &euid, &suid) == -1 ||
	    getresgid(&rgid, &egid, &sgid) == -1)
		exit(111);
	printf("\"uids\": [%u, %u, %u],\n", ruid, euid, suid);
	printf("\"gids\": [%u, %u, %u],\n", rgid, egid, sgid);
	count = getgroups(1024, groups);
	printf("\"groups\": [");
	for (int i = 0; i < count; i++)
		printf("%s%u", i > 0 ? ", " : "", groups[i]);
	printf("],\n");
}

static void
print_limits(void)
{
	static const struct {
		const char *name;
		int which;
	} limits[] = {
		{ "AS", RLIMIT_AS },
		{ "CORE", RLIMIT_CORE },
		{ "CPU", RLIMIT_CPU },
		{ "DATA", RLIMIT_DATA },
		{ "FSIZE", RLIMIT_FSIZE },
		{ "MEMLOCK", RLIMIT_MEMLOCK },
		{ "NOFILE", RLIMIT_NOFILE },
		{ "NPROC", RLIMIT_NPROC },
		{ "STACK", RLIMIT_STACK },
	};
	size_t count = sizeof(limits) / sizeof(limits[0]);

	printf("\"limits\": {");
	for (size_t i = 0; i < count; i++) {
		struct rlimit limit;

		if (getrlimit((unsigned int)limits[i].which, &limit) == -1)
			exit(111);
		printf("%s\"%s\": [%lld, %lld]", i > 0 ? ", " : "",
		    limits[i].name, (long long)limit.rlim_cur,
		    (long long)limit.rlim_max);
	}
	printf("},\n");
}

static void
print_signals(void)
{
	sigset_t mask;
	const char *comma = "";

	sigprocmask(SIG_BLOCK, NULL, &mask);
	printf("\"blocked\": [");
	for (int number = 1; number < 65; number++) {
		if (sigismember(&mask, number) != 1)
			continue;
		printf("%s%d", comma, number);
		comma = ", ";
	}
	printf("],\n\"ignored\": [");
	comma = "";
	for (int number = 1; number < 65; number++) {
		struct sigaction action;

		if (sigaction(number, NULL, &action) == -1 ||
		    action.sa_handler != SIG_IGN)
			continue;
		printf("%s%d", comma, number);
		comma = ", ";
	}
	printf("],\n");
}

static void
print_status_line(const char *name)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long value = -1;
	size_t length = strlen(name);

	while (status != NULL && fgets(line, sizeof(line), status) != NULL)
		if (strncmp(line, name, length) == 0 && line[length] == ':')
			value = strtol(line + length + 1, NULL, 10);
	if (status != NULL)
		fclose(status);
	if (value == -1)
		printf("\"%s\": null,\n", name);
	else
		printf("\"%s\": %ld,\n", name, value);
}

static void
print_surroundings(void)
{
	char directory[4096];
	mode_t mask = umask(0);

	umask(mask);
	printf("\"umask\": %u,\n", (unsigned int)mask);
	errno = 0;
	printf("\"priority\": %d,\n", getpriority(PRIO_PROCESS, 0));
	printf("\"pid\": %ld,\n\"pgrp\": %ld,\n\"ppid\": %ld,\n",
	    (long)getpid(), (long)getpgrp(), (long)getppid());
	printf("\"cwd\": ");
	if (getcwd(directory, sizeof(directory)) == NULL)
		printf("null");
	else
		print_string(directory);
	printf(",\n");
}

static void
print_environment(void)
{
	const char *comma = "";

	printf("\"env\": {");
	for (char **entry = environ; *entry != NULL; entry++) {
		char *equals = strchr(*entry, '=');

		if (equals == NULL)
			continue;
		*equals = '\0';
		printf("%s", comma);
		print_string(*entry);
		printf(": ");
		print_string(equals + 1);
		comma = ",\n";
	}
	printf("}\n");
}

int
main(int argc, char **argv)
{
	printf("{\"args\": [");
	for (int i = 0; i < argc; i++) {
		printf("%s", i > 0 ? ", " : "");
		print_string(argv[i]);
	}
	printf("],\n");
	print_descriptors();
	print_identity();
	print_limits();
	print_signals();
	print_status_line("NoNewPrivs");
	print_status_line("Seccomp");
	print_surroundings();
	print_environment();
	printf("}\n");
	return fflush(stdout) == 0 ? 0 : 111;
}
