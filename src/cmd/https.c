/*
 * https@: a page from a web server, to descriptor 1.  See cmd/smallclient.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/text.h"
#include "client/fetch.h"
#include "client/http.h"
#include "cmd/smallclient.h"

/* What 0 and nothing mean to sslclient. */
#define LOOPBACK "127.0.0.1"

/* A service's name is a number to sslclient; 0: unknown. */
static unsigned
port_number(const char *port)
{
	const char *found = getenv("SSLREMOTEPORT");
	unsigned long number = 0;

	if (text_number(port, 1, 65535, &number) == -1 && found != NULL)
		(void)text_number(found, 1, 65535, &number);
	return (unsigned)number;
}

/* Send the request.  0, or an exit code. */
static int
ask(const struct smallclient_task *task)
{
	bool is_loopback =
	    task->host[0] == '\0' || strcmp(task->host, "0") == 0;
	struct buf request;
	int code = 0;

	buf_init(&request, HTTP_REQUEST_MAX);
	if (http_request(&request, is_loopback ? LOOPBACK : task->host,
		port_number(task->port), task->page) == -1)
		code = errno == EINVAL
		    ? smallclient_say(task, 100, "this is no host name")
		    : smallclient_say(task, 111, "unable to make a request: %s",
			  strerror(errno));
	else if (fd_write_all(SMALLCLIENT_OUT, request.data, request.len) ==
		-1 &&
	    errno != EPIPE)
		code = smallclient_say(
		    task, 111, "unable to ask: %s", strerror(errno));
	/* EPIPE: it may have said why it does not read on. */
	buf_free(&request);
	return code;
}

static int
get(const struct smallclient_task *task)
{
	struct fetch_server server = { SMALLCLIENT_IN, SMALLCLIENT_OUT,
		task->report_fd };
	static struct http http;
	int code = ask(task);

	if (code != 0)
		return code;
	switch (fetch(&http, &server, 1)) {
	case FETCH_CUT:
		return smallclient_say(task, 2, "the body is cut short");
	case FETCH_NO_ANSWER:
		return smallclient_say(
		    task, 111, "the connection ended before an answer");
	case FETCH_BAD:
		return smallclient_say(
		    task, 111, "the answer is unusable: %s", http.why);
	case FETCH_READ_FAILED:
		return smallclient_say(
		    task, 111, "unable to read: %s", strerror(errno));
	case FETCH_WRITE_FAILED:
		return smallclient_say(
		    task, 111, "unable to write: %s", strerror(errno));
	case FETCH_WHOLE:
		break;
	}
	return http.status >= 400
	    ? smallclient_say(task, 1, "%s", http.status_text)
	    : 0;
}

int
main(int argc, char **argv)
{
	static const struct smallclient https = {
		.name = "https@",
		.does = "Gets a page of a web server and prints it.",
		.has_page = true,
		.carry = get,
	};

	return smallclient_main(&https, argc, argv);
}
