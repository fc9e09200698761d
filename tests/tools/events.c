/*
 * events: a program behind the server that writes down what it sees.
 *
 * usage: events FILE [greet] [ignore] [stay] [mute]
 *
 * Appends one word per line to FILE: START and its pid, DATA n for input of
 * n bytes, EOF at the end of input, TERM for SIGTERM, PIPE for SIGPIPE or a
 * write that failed, EXIT.  Input is echoed.  SIGTERM and end-of-file end it.
 * greet: writes "ready" first.  ignore: SIGTERM is noted but does not end it.
 * stay: neither does end-of-file.  mute: closes 1 after the greeting and
 * echoes nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int events_fd = -1;
static int ignores_term;

static void
note(const char *line)
{
	/* One write each, so that lines of several instances do not mix. */
	if (write(events_fd, line, strlen(line)) == -1)
		_exit(1);
}

static void
on_term(int number)
{
	int saved = errno;

	(void)number;
	note("TERM\n");
	if (!ignores_term)
		_exit(1);
	errno = saved;
}

static void
on_pipe(int number)
{
	(void)number;
	note("PIPE\n");
	_exit(2);
}

static void
catch_signal(int number, void (*handler)(int))
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	sigaction(number, &action, NULL);
}

static void
echo(const char *data, size_t length)
{
	while (length > 0) {
		ssize_t n = write(1, data, length);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1) {
			note("PIPE\n");
			_exit(2);
		}
		data += n;
		length -= (size_t)n;
	}
}

static void
read_to_end(int is_mute)
{
	char data[65536], line[64];

	for (;;) {
		ssize_t n = read(0, data, sizeof(data));

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		snprintf(line, sizeof(line), "DATA %zd\n", n);
		note(line);
		if (!is_mute)
			echo(data, (size_t)n);
	}
	note("EOF\n");
}

static int
has_word(int argc, char **argv, const char *word)
{
	for (int i = 2; i < argc; i++)
		if (strcmp(argv[i], word) == 0)
			return 1;
	return 0;
}

int
main(int argc, char **argv)
{
	char line[64];
	int is_mute = has_word(argc, argv, "mute");

	if (argc < 2)
		return 100;
	events_fd =
	    open(argv[1], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (events_fd == -1)
		return 111;
	ignores_term = has_word(argc, argv, "ignore");
	catch_signal(SIGTERM, on_term);
	catch_signal(SIGPIPE, on_pipe);
	snprintf(line, sizeof(line), "START %ld\n", (long)getpid());
	note(line);
	if (has_word(argc, argv, "greet"))
		echo("ready\n", 6);
	if (is_mute)
		close(1);
	read_to_end(is_mute);
	while (has_word(argc, argv, "stay"))
		pause();
	note("EXIT\n");
	return 0;
}
