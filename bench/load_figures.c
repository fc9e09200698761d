/*
 * load_figures: what a run of the load generator has seen, as JSON.
 *
 * Every value is kept and sorted at the end: exact percentiles of a few
 * hundred thousand values cost less than an explanation of approximate ones.
 */
#include "load_figures.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <sys/resource.h>

uint64_t
load_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

void
load_times_add(struct load_times *times, uint64_t value)
{
	if (times->count == times->room) {
		size_t room = times->room == 0 ? 1024 : 2 * times->room;
		uint32_t *values =
		    realloc(times->values, room * sizeof(*values));

		if (values == NULL) {
			fprintf(stderr, "load: out of memory\n");
			exit(1);
		}
		times->values = values;
		times->room = room;
	}
	times->values[times->count++] =
	    value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
print_times(const char *name, struct load_times *times)
{
	static const struct {
		const char *name;
		unsigned share; /* of 1000 */
	} points[] = { { "p50", 500 }, { "p90", 900 }, { "p99", 990 },
		{ "max", 1000 } };
	size_t i, at;

	if (times->count == 0)
		return;
	qsort(times->values, times->count, sizeof(*times->values), compare);
	printf(", \"%s\": {", name);
	for (i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		at = times->count * points[i].share / 1000;
		if (at == times->count)
			at--;
		printf("%s\"%s\": %u", i == 0 ? "" : ", ", points[i].name,
		    times->values[at]);
	}
	putchar('}');
}

static double
own_seconds(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* It is ours or the library's: quotes and backslashes are not in it. */
static void
print_reason(const char *reason)
{
	if (*reason != '\0')
		printf(", \"reason\": \"%s\"", reason);
}

void
load_figures_print(struct load_figures *figures)
{
	printf("{\"connections\": %u, \"failures\": %u, \"resumed\": %u, "
	       "\"truncated\": %u, \"bytes\": %llu, \"seconds\": %.6f, "
	       "\"client_cpu\": %.6f",
	    figures->connections, figures->failures, figures->resumed,
	    figures->truncated, (unsigned long long)figures->bytes,
	    (double)(load_now() - figures->began) / 1e6, own_seconds());
	print_times("handshake_us", &figures->handshake);
	print_times("whole_us", &figures->whole);
	print_times("trip_us", &figures->trips);
	print_reason(figures->reason);
	puts("}");
	fflush(stdout);
}
