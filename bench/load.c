/*
 * load: open many connections, so many at a time, and check each answer.
 *
 *   load -p PORT [-a CAFILE] [-m MODE] [-n COUNT | -d SECONDS] [-c AT_ONCE]
 *        [-v 1.2|1.3] [-r] [-C CERT -K KEY] [-s BYTES] [-t TRIPS]
 *   load -m floor -C CERT -K KEY -n COUNT [-a CAFILE] [-v 1.2|1.3] [-r]
 *
 * With a CAFILE it speaks TLS.  Modes: answer (a line, "served", the end),
 * http (likewise by HTTP/1.0), give and take (BYTES from or to bench/stream),
 * fetch (BYTES at least by HTTP/1.0), trips (BYTES sent back by cat, TRIPS
 * times), refused (no TLS; the end and no byte), hold (COUNT connections
 * stand until descriptor 0 ends; the line comes when the last one is there),
 * floor.
 *
 * One process, one epoll.  One line of JSON; floor prints a number.
 * Exits 1 when a connection has failed.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load_client.h"
#include "load_figures.h"
#include "load_floor.h"
#include "load_tls.h"

/* A server that says nothing for so long says nothing more. */
#define SILENCE_MS 30000

struct options {
	struct load_tls_settings tls;
	const char *mode;
	uint16_t port;
	unsigned count, seconds, at_once, trips;
	uint64_t size;
};

struct load {
	struct load_plan plan;
	struct load_figures figures;
	unsigned count, at_once;
	uint64_t until; /* 0: count decides */
	unsigned started, active, held;
	int epoll_fd;
};

static _Noreturn void
fail(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void
usage(void)
{
	fputs("load: usage: see the head of load.c\n", stderr);
	exit(100);
}

static bool
may_start(const struct load *load)
{
	if (load->active >= load->at_once)
		return false;
	return load->until != 0 ? load_now() < load->until
				: load->started < load->count;
}

static void
start_some(struct load *load)
{
	while (may_start(load)) {
		struct load_client *client = malloc(sizeof(*client));
		struct epoll_event event = { 0 };

		if (client == NULL)
			fail("memory");
		load->started++;
		if (load_client_start(client, &load->plan, &load->figures) ==
		    -1) {
			free(client);
			continue;
		}
		event.events = client->events;
		event.data.ptr = client;
		if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, client->fd,
			&event) == -1)
			fail("epoll_ctl");
		load->active++;
	}
}

static void
serve(struct load *load, struct load_client *client)
{
	struct epoll_event event = { .data.ptr = client };
	unsigned before = client->events;
	bool was_held = client->step == LOAD_HELD;

	switch (load_client_turn(client, &load->plan, &load->figures)) {
	case LOAD_IS_HELD:
		load->held++;
		load->active--;
		break;
	case LOAD_IS_OVER:
		load_client_free(client);
		free(client);
		if (was_held)
			load->held--;
		else
			load->active--;
		return;
	case LOAD_GOES_ON:
	default:
		break;
	}
	event.events = client->events;
	if (event.events != before &&
	    epoll_ctl(load->epoll_fd, EPOLL_CTL_MOD, client->fd, &event) == -1)
		fail("epoll_ctl");
}

/* One wait and what it brings.  false: nothing has come for too long. */
static bool
turn(struct load *load)
{
	struct epoll_event events[64];
	int i, n = epoll_wait(load->epoll_fd, events, 64, SILENCE_MS);

	if (n == -1 && errno != EINTR)
		fail("epoll_wait");
	for (i = 0; i < n; i++)
		serve(load, events[i].data.ptr);
	return n != 0;
}

/* All that are wanted stand: say so, and wait for the end of our input. */
static void
hold(struct load *load)
{
	char byte;

	load_figures_print(&load->figures);
	while (read(STDIN_FILENO, &byte, 1) == -1 && errno == EINTR)
		continue;
}

static void
drive(struct load *load)
{
	for (start_some(load); load->active > 0; start_some(load)) {
		if (turn(load))
			continue;
		while (load->active-- > 0)
			load_client_fail(
			    &load->figures, "the server says nothing");
		break;
	}
}

/* One connection for its session; it counts only if it fails. */
static void
prime(struct load *load)
{
	struct load first = *load;

	first.count = first.at_once = 1;
	first.until = 0;
	drive(&first);
	if (first.figures.failures > 0)
		load->figures = first.figures;
}

static void
run(struct load *load, bool is_resuming)
{
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->epoll_fd == -1)
		fail("epoll_create1");
	if (load->plan.tls != NULL && is_resuming)
		prime(load);
	load->figures.began = load_now();
	if (load->until != 0)
		load->until += load->figures.began;
	drive(load);
	if (load->plan.is_held)
		hold(load);
	else
		load_figures_print(&load->figures);
}
/* What each mode sends and expects. */
static void
plan_mode(struct load_plan *plan, const struct options *options)
{
	static char head[64];
	const char *mode = options->mode;

	plan->head = "";
	if (strcmp(mode, "answer") == 0) {
		plan->head = "please\n";
		plan->ending = "served\n";
	} else if (strcmp(mode, "http") == 0) {
		plan->head = "GET / HTTP/1.0\r\n\r\n";
		plan->ending = "served\n";
	} else if (strcmp(mode, "give") == 0) {
		snprintf(
		    head, sizeof(head), "give %" PRIu64 "\n", options->size);
		plan->head = head;
		plan->wanted = options->size;
	} else if (strcmp(mode, "fetch") == 0) {
		plan->head = "GET /large HTTP/1.0\r\n\r\n";
		plan->wanted = options->size;
	} else if (strcmp(mode, "take") == 0) {
		snprintf(
		    head, sizeof(head), "take %" PRIu64 "\n", options->size);
		plan->head = head;
		plan->filler = options->size;
		plan->ending = "served\n";
	} else if (strcmp(mode, "trips") == 0) {
		plan->filler = options->size;
		plan->trips = options->trips;
	} else if (strcmp(mode, "refused") == 0) {
		plan->is_refused = true;
	} else if (strcmp(mode, "hold") == 0) {
		plan->is_held = true;
	} else
		usage();
}

static uint64_t
number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text == '\0' || *end != '\0')
		usage();
	return value;
}

static void
parse(struct options *options, int argc, char **argv)
{
	struct load_tls_settings *tls = &options->tls;
	int letter;

	while ((letter = getopt(argc, argv, "p:a:m:n:d:c:v:rC:K:s:t:")) != -1)
		switch (letter) {
		case 'p':
			options->port = (uint16_t)number(optarg);
			break;
		case 'a':
			tls->ca_file = optarg;
			break;
		case 'm':
			options->mode = optarg;
			break;
		case 'n':
			options->count = (unsigned)number(optarg);
			break;
		case 'd':
			options->seconds = (unsigned)number(optarg);
			break;
		case 'c':
			options->at_once = (unsigned)number(optarg);
			break;
		case 'v':
			tls->version = optarg;
			break;
		case 'r':
			tls->is_resuming = true;
			break;
		case 'C':
			tls->cert_file = optarg;
			break;
		case 'K':
			tls->key_file = optarg;
			break;
		case 's':
			options->size = number(optarg);
			break;
		case 't':
			options->trips = (unsigned)number(optarg);
			break;
		default:
			usage();
		}
	if (optind != argc ||
	    (tls->cert_file == NULL) != (tls->key_file == NULL))
		usage();
}

/* As many descriptors as we may have: ten thousand are held. */
static void
raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

int
main(int argc, char **argv)
{
	struct options options = { .mode = "answer",
		.count = 1,
		.at_once = 1,
		.size = 1,
		.trips = 1 };
	struct load load = { .epoll_fd = -1 };

	parse(&options, argc, argv);
	if (strcmp(options.mode, "floor") == 0) {
		if (options.tls.cert_file == NULL || options.count == 0)
			usage();
		printf("%.1f\n", load_floor(&options.tls, options.count));
		return 0;
	}
	raise_limit();
	/* A server that has gone is a failure to be counted. */
	signal(SIGPIPE, SIG_IGN);
	plan_mode(&load.plan, &options);
	if (options.tls.ca_file != NULL && !load.plan.is_refused)
		load.plan.tls = load_tls_client(&options.tls);
	load.plan.server.sin_family = AF_INET;
	load.plan.server.sin_port = htons(options.port);
	load.plan.server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	load.count = options.count;
	load.at_once = options.at_once == 0 ? 1 : options.at_once;
	load.until = (uint64_t)options.seconds * 1000000;
	run(&load, options.tls.is_resuming);
	return load.figures.failures == 0 ? 0 : 1;
}
