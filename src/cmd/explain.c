/*
 * What --explain and --version print.
 *
 * Runs with the rights of the start; reads nothing but the environment and
 * the user database, and asks the two other executables for their versions,
 * each of which links a TLS library of its own.
 */
#include "cmd/explain.h"

#include <net/if.h>

#include <ev.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/options.h"
#include "config.h"
#include "net/ip.h"
#include "serve/children.h"
#include "serve/defaults.h"
#include "serve/profile.h"
#include "serve/sandbox.h"
#include "serve/settings.h"

/* TLS variables that are unset or empty. */
static const struct {
	const char *name, *standard;
} tls_defaults[] = {
	{ "ALPN", "none" },
	{ "CADIR", "none" },
	{ "CAFILE", "none" },
	{ "CCADIR", "none" },
	{ "CCAFILE", "none" },
	{ "CCAVERIFY", "none" },
	{ "CERTCHAINFILE", "none" },
	{ "CERTDIR", "none" },
	{ "CERTFILE", "none" },
	{ "CIPHERS",
	    "ECDHE, and DHE with DHFILE, with AES-GCM or ChaCha20-Poly1305; "
	    "AES-CBC too when TLSMIN is below 1.2; those of TLS 1.3" },
	{ "CRLFILE", "none" },
	{ "DHFILE", "none" },
	{ "KEYFILE", "the certificate file" },
	{ "SNI", "unknown names get the default certificate" },
	{ "TLSGROUPS", "those of the library" },
	{ "TLSMAX", "1.3" },
	{ "TLSMIN", "1.2" },
	{ "VERIFYDEPTH", "1" },
};

static const char *const verbosities[] = { [VERBOSITY_QUIET] = "nothing (-q)",
	[VERBOSITY_ERRORS] = "warnings and errors (-Q)",
	[VERBOSITY_ALL] = "everything (-v)",
	[VERBOSITY_DETAILS] = "everything, with details (-V)" };

static const char *
mark(bool is_default)
{
	return is_default ? " (default)" : "";
}

/* value, or what stands for it when it is unset or empty. */
static void
print_text(const char *name, const char *value, const char *standard)
{
	bool is_set = value != NULL && value[0] != '\0';

	printf("%s: %s%s\n", name, is_set ? value : standard, mark(!is_set));
}

static void
print_number(const char *name, unsigned long n, unsigned long standard)
{
	printf("%s: %lu%s\n", name, n, mark(n == standard));
}

static void
print_seconds(const char *name, long seconds, long standard)
{
	printf("%s: %ld s%s\n", name, seconds, mark(seconds == standard));
}

/* Seconds that need not be set. */
static void
print_delay(const char *name, long seconds, const char *never)
{
	if (seconds == SETTINGS_NEVER)
		printf("%s: %s (default)\n", name, never);
	else
		printf("%s: %ld s\n", name, seconds);
}

static void
print_switch(const char *name, bool is_on, bool standard)
{
	printf(
	    "%s: %s%s\n", name, is_on ? "on" : "off", mark(is_on == standard));
}

static void
print_uid(uid_t uid)
{
	const struct passwd *entry = getpwuid(uid);

	printf("%lu", (unsigned long)uid);
	if (entry != NULL)
		printf(" %s", entry->pw_name);
}

static void
print_gid(gid_t gid)
{
	const struct group *entry = getgrgid(gid);

	printf("%lu", (unsigned long)gid);
	if (entry != NULL)
		printf(" %s", entry->gr_name);
}

static void
print_identity(const char *name, const struct settings_identity *id)
{
	printf("%s: uid ", name);
	print_uid(id->is_set ? id->uid : geteuid());
	printf(" gid ");
	print_gid(id->is_set ? id->gid : getegid());
	printf("%s\n", id->is_set ? "" : " (as started)");
}

static void
print_endpoint(const struct ip_endpoint *end)
{
	char ip[IP_TEXT_SIZE], interface[IF_NAMESIZE];

	printf("%s", ip_format(ip, &end->ip));
	if (end->scope != 0 && if_indextoname(end->scope, interface) != NULL)
		printf("%%%s", interface);
	printf(" port %u", end->port);
}

static void
print_listening(const struct settings *s, const struct settings *standard,
    const struct ip_endpoint *local)
{
	printf("listen: ");
	print_endpoint(local);
	printf("\n");
	print_number("backlog", (unsigned long)s->backlog,
	    (unsigned long)standard->backlog);
	print_switch("announce", s->prints_address, standard->prints_address);
	printf("log: %s%s\n", verbosities[s->verbosity],
	    mark(s->verbosity == standard->verbosity));
}

static void
print_connections(const struct settings *s, const struct settings *standard)
{
	print_number("connections", s->limit, standard->limit);
	print_seconds("handshake timeout", (long)s->handshake_s,
	    (long)standard->handshake_s);
	print_seconds("idle timeout", (long)s->idle_s, (long)standard->idle_s);
	print_delay("drain", s->drain_s, "leave at once");
	print_delay("kill after", s->kill_after_s, "never");
	if (standard->uses > 1)
		print_number(
		    "clients per TLS process", s->uses, standard->uses);
	print_switch("TCP_NODELAY", s->no_delay, standard->no_delay);
	printf("IP options: %s%s\n", s->keeps_options ? "kept" : "dropped",
	    mark(s->keeps_options == standard->keeps_options));
	print_switch("delayed TLS", s->is_delayed, standard->is_delayed);
	print_switch("strict close", s->strict_close, standard->strict_close);
	printf("greeting: %zu bytes%s\n", s->greeting_len,
	    mark(s->greeting == NULL));
}

static void
print_resumption(const struct settings *s, const struct settings *standard)
{
	if (s->session_s == 0) {
		printf("sessions resumed: none\n");
		return;
	}
	print_seconds("sessions resumed for", (long)s->session_s,
	    (long)standard->session_s);
	print_number(
	    "sessions kept", s->session_count, standard->session_count);
	print_text("ticket keys", s->ticket_keys, "none");
}

static void
print_limits(const struct settings *s)
{
	const struct limits_policy *limits = &s->limits;

	printf("connections per client: %zu%s\n",
	    limits_shown(limits, s->limit),
	    mark(limits->per_source == LIMITS_NONE));
	if (limits->per_network == LIMITS_NONE)
		printf("connections per network: no limit (default)\n");
	else
		printf("connections per network: %zu in a /%u\n",
		    limits->per_network, limits->prefix);
}

static void
print_servers(const struct settings *s)
{
	size_t i;

	printf("DNS servers:");
	for (i = 0; i < s->names.server_count && s->wants_resolver; i++) {
		printf("%s ", i > 0 ? "," : "");
		print_endpoint(&s->names.servers[i]);
	}
	if (!s->wants_resolver)
		printf(" not needed\n");
	else
		printf("%s%s\n", i > 0 ? "" : " none",
		    s->has_resolv_conf ? " (/etc/resolv.conf, default)"
				       : " (DNSCACHEIP)");
	if (s->wants_resolver)
		printf("search domain: %s\n",
		    s->names.domain[0] != '\0' ? s->names.domain : "none");
}

static void
print_admission(const struct settings *s, const struct settings *standard)
{
	print_text("early rules", s->early_rules, "none");
	print_text("rules", s->rules, "none");
	printf("missing rule file: %s%s\n",
	    s->missing_is_empty ? "no rules" : "refuse",
	    mark(s->missing_is_empty == standard->missing_is_empty));
	print_limits(s);
	print_switch("remote name", s->wants_name, standard->wants_name);
	print_switch("paranoid", s->is_paranoid, standard->is_paranoid);
	print_switch("IDENT", s->wants_ident, standard->wants_ident);
	print_seconds(
	    "IDENT timeout", (long)s->ident_s, (long)standard->ident_s);
	print_text("local name", s->local_name, "looked up");
	print_servers(s);
}

static void
print_program_identity(const struct settings *s)
{
	printf("program uid: ");
	print_uid(s->sets_uid ? s->program_id.uid : geteuid());
	printf("%s\nprogram gid: ", s->sets_uid ? "" : " (as started)");
	print_gid(s->sets_gid ? s->program_id.gid : getegid());
	printf("%s\n", s->sets_gid ? "" : " (as started)");
}

static void
print_program(const struct settings *s, const struct settings *standard)
{
	size_t i;

	printf(s->code != NULL ? "arguments:" : "program:");
	for (i = 0; s->program[i] != NULL; i++)
		printf(" %s", s->program[i]);
	printf("\n");
	print_program_identity(s);
	print_text("program root", s->program_root, "as started");
	print_switch("TCP environment", s->has_tcp_environment,
	    standard->has_tcp_environment);
	print_switch("TLS environment", s->has_tls_environment,
	    standard->has_tls_environment);
	printf("kept descriptors:%s", s->keep_fd_count > 0 ? "" : " none");
	for (i = 0; i < s->keep_fd_count; i++)
		printf(" %d", s->keep_fds[i]);
	printf("%s\n", mark(s->keep_fd_count == 0));
}

static void
print_processes(const struct settings *s, const struct settings *standard)
{
	print_identity("keeper and cache", &s->key_id);
	print_text("keeper root", s->key_root,
	    geteuid() == 0 ? "an empty directory" : "as started");
	print_number("keepers", s->keepers, standard->keepers);
	printf("pass phrase: %s%s\n",
	    s->reads_phrase ? "from descriptor 3" : "none",
	    mark(!s->reads_phrase));
	print_identity("resolver, nursery and sessions", &s->net_id);
	print_identity("monitor and logger", &s->mon_id);
	printf("sandbox: %s\n",
	    sandbox_is_available() ? "on" : "none in this version");
}

/* As options and environment together have it; a rule may change it. */
static void
print_cert_policy(const struct certpolicy *cert)
{
	static const char *const modes[] = { [TLSVERIFY_NONE] = "not asked for",
		[TLSVERIFY_CERT] = "required (-m)",
		[TLSVERIFY_NAME] = "required, with the client's name (-z)" };

	printf("client certificate: %s%s\n", modes[cert->mode],
	    mark(cert->mode == TLSVERIFY_NONE));
	print_switch("strict names", cert->strict_names, false);
}

/* What stands for a TLS variable that is unset or empty. */
static const char *
tls_default(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(tls_defaults) / sizeof(tls_defaults[0]); i++)
		if (strcmp(tls_defaults[i].name, name) == 0)
			return tls_defaults[i].standard;
	return "none";
}

/* Is another variable used in the place of this one? */
static bool
is_beaten(const char *name)
{
	const char *chain = getenv("CERTCHAINFILE");

	return strcmp(name, "CERTFILE") == 0 && chain != NULL &&
	    chain[0] != '\0';
}

static void
print_tls(void)
{
	struct profile profile;
	size_t i;

	defaults_profile(&profile);
	for (i = 0; i < PROFILE_VARIABLES; i++)
		if (is_beaten(profile_name(i)))
			printf("%s: not used, CERTCHAINFILE beats it\n",
			    profile_name(i));
		else
			print_text(profile_name(i), profile.values[i],
			    tls_default(profile_name(i)));
}

void
explain_settings(const struct options *options, const struct ip_endpoint *local)
{
	static struct options standard;
	const struct settings *s = &options->settings;

	options_defaults(&standard, options->program);
	print_listening(s, &standard.settings, local);
	print_connections(s, &standard.settings);
	print_admission(s, &standard.settings);
	print_program(s, &standard.settings);
	print_resumption(s, &standard.settings);
	print_processes(s, &standard.settings);
	print_cert_policy(&s->cert);
	print_tls();
}

int
explain_versions(const char *program)
{
	char error[CHILDREN_ERROR_SIZE];

	printf("%s (ucspi-ssl) %s, libev %d.%d\n", program, VERSION,
	    ev_version_major(), ev_version_minor());
	fflush(stdout);
	if (children_print_version(CHILD_KEEPER, error) == 0 &&
	    children_print_version(CHILD_NURSERY, error) == 0)
		return 0;
	fprintf(stderr, "%s: fatal: (111) %s\n", program, error);
	return 111;
}
