/*
 * What --explain and --version print.
 *
 * Runs with the rights sslserver was started with; reads nothing but the
 * environment and asks the two other executables for their versions, each
 * of which links a TLS library of its own.
 */
#include "cmd/explain.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "net/ip.h"
#include "serve/children.h"
#include "serve/profile.h"
#include "serve/sandbox.h"
#include "serve/settings.h"

static void
print_text(const char *name, const char *value)
{
	printf("%s: %s\n", name, value == NULL ? "(unset)" : value);
}

static void
print_seconds(const char *name, long seconds)
{
	if (seconds == SETTINGS_NEVER)
		printf("%s: never\n", name);
	else
		printf("%s: %ld s\n", name, seconds);
}

static void
print_identity(const char *name, const struct settings_identity *id)
{
	if (id->is_set)
		printf("%s: uid %lu gid %lu\n", name, (unsigned long)id->uid,
		    (unsigned long)id->gid);
	else
		printf("%s: as started\n", name);
}

static void
print_program(const struct settings *s)
{
	size_t i;

	printf("program:");
	for (i = 0; s->program[i] != NULL; i++)
		printf(" %s", s->program[i]);
	printf("\nprogram uid: ");
	if (s->sets_uid)
		printf("%lu", (unsigned long)s->program_id.uid);
	else
		printf("as started");
	printf("\nprogram gid: ");
	if (s->sets_gid)
		printf("%lu", (unsigned long)s->program_id.gid);
	else
		printf("as started");
	printf("\n");
	print_text("program root", s->program_root);
	printf("TCP environment: %s\n", s->has_tcp_environment ? "on" : "off");
	print_text("local name", s->local_name);
	printf("greeting: %zu bytes\n", s->greeting_len);
}

void
explain_settings(const struct settings *s, const struct ip_endpoint *local)
{
	struct profile profile;
	char ip[IP_TEXT_SIZE];
	size_t i;

	printf("listen: %s port %u backlog %d\n", ip_format(ip, &local->ip),
	    local->port, s->backlog);
	printf("connections: %zu\n", s->limit);
	print_seconds("handshake timeout", (long)s->handshake_s);
	print_seconds("idle timeout", (long)s->idle_s);
	print_seconds("drain", s->drain_s);
	print_seconds("kill after", s->kill_after_s);
	printf("TCP_NODELAY: %s\n", s->no_delay ? "on" : "off");
	printf("IP options: %s\n", s->keeps_options ? "kept" : "dropped");
	printf("strict close: %s\n", s->strict_close ? "on" : "off");
	print_program(s);
	print_identity("keeper", &s->key_id);
	print_text("keeper root", s->key_root);
	printf("keepers: %u\n", s->keepers);
	print_identity("nursery and sessions", &s->net_id);
	print_identity("monitor and logger", &s->mon_id);
	printf("sandbox: %s\n",
	    sandbox_is_available() ? "on" : "none in this version");
	profile_from_environment(&profile);
	for (i = 0; i < PROFILE_VARIABLES; i++)
		print_text(profile_name(i), profile.values[i]);
}

int
explain_versions(void)
{
	char error[CHILDREN_ERROR_SIZE];

	printf("sslserver (ucspi-ssl) %s, libev %d.%d\n", VERSION,
	    ev_version_major(), ev_version_minor());
	fflush(stdout);
	if (children_print_version(CHILD_KEEPER, error) == 0 &&
	    children_print_version(CHILD_NURSERY, error) == 0)
		return 0;
	fprintf(stderr, "sslserver: fatal: (111) %s\n", error);
	return 111;
}
