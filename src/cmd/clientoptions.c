/*
 * The options of sslclient, as one table.
 *
 * Runs at the start, before anything else.  The table is also the --help
 * text; what an option does stands in the switches below it.
 */
#include "cmd/clientoptions.h"

#include <sys/socket.h>

#include <net/if.h>

#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/dnsmsg.h"
#include "serve/profile.h"

/* Codes of long options without a letter. */
enum {
	STRICT_NAMES = 256,
	STARTTLS,
	DELAYED,
	SESSION,
	REPORT,
	HELP,
	VERSION_OPTION
};

static const struct optiontable_row rows[] = {
	{ 'q', "quiet", NULL, "print nothing but why there is no connection" },
	{ 'Q', "warnings", NULL, "and warnings (default)" },
	{ 'v', "verbose", NULL, "and what is done" },
	{ '4', "ipv4", NULL, "IPv4 addresses of host only" },
	{ '6', "ipv6", NULL, "IPv6 addresses of host only" },
	{ 'i', "local-ip", "ip", "local address" },
	{ 'p', "local-port", "n", "local port" },
	{ 'I', "interface", "name", "for link-local addresses" },
	{ 'd', "delay", NULL, "leave Nagle's delay on" },
	{ 'D', "no-delay", NULL, "TCP_NODELAY (default)" },
	{ 'T', "connect-timeout", "x+y",
	    "seconds for an address, and again if all are silent (2+58)" },
	{ 'w', "idle-timeout", "s",
	    "seconds without a byte either way (3600)" },
	{ 'h', "remote-name", NULL, "look up the remote name (default)" },
	{ 'H', "no-remote-name", NULL, "do not" },
	{ 'l', "local-name", "name", "local host name" },
	{ 'r', "ident", NULL, "IDENT query" },
	{ 'R', "no-ident", NULL, "none (default)" },
	{ 't', "ident-timeout", "s", "seconds for IDENT (26)" },
	{ 'e', "tcp-env", NULL, "TCP environment, and TLS environment" },
	{ 'E', "no-tcp-env", NULL, "no TCP environment (default)" },
	{ 's', "tls-env", NULL, "TLS environment" },
	{ 'S', "no-tls-env", NULL, "none (default)" },
	{ 'a', "ca-file", "file", "CAs to trust (the system's)" },
	{ 'A', "ca-dir", "dir", "the same, files of a directory" },
	{ 'c', "cert", "file", "own certificate" },
	{ 'k', "key", "file", "its private key (in the certificate's file)" },
	{ '3', "passphrase", NULL,
	    "read the key's pass phrase from descriptor 3" },
	{ 'K', "passphrase-file", "file", "read it from file" },
	{ 'V', "depth", "n", "intermediate certificates (9; 1 with -a or -A)" },
	{ 'z', "ciphers", "list", "ciphers" },
	{ 'x', "verify", NULL, "verify the server's certificate (default)" },
	{ 'X', "no-verify", NULL, "do not" },
	{ 'n', "match-name", NULL, "match its name with host (default)" },
	{ 'N', "no-match-name", NULL, "do not" },
	{ STRICT_NAMES, "strict-names", NULL,
	    "never match a certificate's CN" },
	{ 'm', "sni", NULL, "tell the server its name (default)" },
	{ 'M', "no-sni", NULL, "do not" },
	{ STARTTLS, "starttls", "protocol",
	    "begin in plain text: smtp, imap, pop3, ftp, sieve, ldap, xmpp,\n"
	    "        postgres or mysql" },
	{ DELAYED, "delayed", NULL, "TLS when the program asks (UCSPI-TLS)" },
	{ SESSION, "session", "file", "resume the session kept in file" },
	{ REPORT, "report", "fd",
	    "at the end write `end' or `truncated' to fd" },
	{ HELP, "help", NULL, "this text" },
	{ VERSION_OPTION, "version", NULL, "versions" },
};

static optiontable_apply_fn apply;

static const struct optiontable table = { rows, sizeof(rows) / sizeof(rows[0]),
	apply };

/* Longest wait: the milliseconds of two of them fit into an int. */
#define SECONDS_MAX (INT_MAX / 2000)
#define DESCRIPTOR_MAX 1048575

const char *
clientoptions_usage(void)
{
	return "sslclient: usage: sslclient [-qQv346dDhHrReEsSxXnNmM] [-i ip] "
	       "[-p port] [-I ifname] [-T x+y] [-w s] [-l name] [-t s] "
	       "[-a file] [-A dir] [-c file] [-k file] [-K file] [-V depth] "
	       "[-z ciphers] host port program [args...]"
	       "; see sslclient --help\n";
}

void
clientoptions_help(void)
{
	printf("usage: sslclient [options] host port program [args...]\n");
	optiontable_print(&table);
}

static bool
is_set(const char *value)
{
	return value != NULL && *value != '\0';
}

/* x+y, or x alone. */
static int
set_timeouts(struct client_settings *s, const char *shown, const char *word,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	const char *plus = strchr(word, '+');
	unsigned long first, again = 0;
	char text[24];

	if (text_format(text, sizeof(text), "%.*s",
		(int)(plus == NULL ? strlen(word) : (size_t)(plus - word)),
		word) == -1 ||
	    text_number(text, 1, SECONDS_MAX, &first) == -1 ||
	    (plus != NULL &&
		text_number(plus + 1, 0, SECONDS_MAX, &again) == -1))
		return optiontable_refuse_option(error, shown,
		    "takes two numbers of seconds, x+y, not ", word);
	s->first_s = (unsigned)first;
	s->again_s = (unsigned)again;
	return 0;
}

static int
apply_number(struct client_settings *s, int code, const char *shown,
    const char *word, char error[CLIENTOPTIONS_ERROR_SIZE])
{
	unsigned long min = 1, max = SECONDS_MAX, n;

	if (code == 'p' || code == 'V' || code == REPORT)
		min = 0;
	if (code == 'p')
		max = 65535;
	else if (code == 'V')
		max = TLSVERIFY_DEPTH_MAX;
	else if (code == REPORT)
		max = DESCRIPTOR_MAX;
	if (optiontable_number(shown, word, min, max, &n, error) == -1)
		return -1;
	switch (code) {
	case 'p':
		s->local.port = (uint16_t)n;
		break;
	case 'V':
		s->depth = (int)n;
		break;
	case REPORT:
		s->report_fd = (int)n;
		break;
	case 't':
		s->ident_s = (unsigned)n;
		break;
	default:
		s->idle_s = (unsigned)n;
		break;
	}
	return 0;
}

static int
set_starttls(struct client_settings *s, const char *shown, const char *word,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	s->has_starttls = true;
	if (starttls_named(word, &s->starttls) == 0)
		return 0;
	return optiontable_refuse_option(error, shown,
	    "takes smtp, imap, pop3, ftp, sieve, ldap, xmpp, postgres or "
	    "mysql, not ",
	    word);
}

static int
apply_word(struct clientoptions *o, int code, const char *shown,
    const char *word, char error[CLIENTOPTIONS_ERROR_SIZE])
{
	struct client_settings *s = &o->settings;

	switch (code) {
	case 'a':
		s->tls.cafile = word;
		break;
	case 'A':
		s->tls.cadir = word;
		break;
	case 'c':
		s->tls.certfile = word;
		s->tls.certchainfile = NULL;
		break;
	case 'k':
		s->tls.keyfile = word;
		o->has_key = true;
		break;
	case 'K':
		s->phrase_file = word;
		s->reads_phrase = false;
		break;
	case 'z':
		s->tls.ciphers = word;
		break;
	case 'i':
		o->local_word = word;
		break;
	case 'I':
		s->interface = word;
		break;
	case 'l':
		o->settings.local_name = o->local_name;
		return optiontable_host_name(
		    shown, word, o->local_name, sizeof(o->local_name), error);
	case SESSION:
		s->session = word;
		break;
	case STARTTLS:
		return set_starttls(s, shown, word, error);
	case 'T':
		return set_timeouts(s, shown, word, error);
	default:
		return apply_number(s, code, shown, word, error);
	}
	return 0;
}

static void
apply_flag(struct clientoptions *o, int code)
{
	struct client_settings *s = &o->settings;

	switch (code) {
	case 'q':
		s->verbosity = VERBOSITY_QUIET;
		break;
	case 'Q':
		s->verbosity = VERBOSITY_ERRORS;
		break;
	case 'v':
		s->verbosity = VERBOSITY_ALL;
		break;
	case '3':
		s->reads_phrase = true;
		s->phrase_file = NULL;
		break;
	case '4':
	case '6':
		s->family = code == '4' ? AF_INET : AF_INET6;
		break;
	case 'd':
	case 'D':
		s->no_delay = code == 'D';
		break;
	case 'h':
	case 'H':
		s->wants_name = code == 'h';
		break;
	case 'r':
	case 'R':
		s->wants_ident = code == 'r';
		break;
	case 'e': /* as if -s stood there too */
		s->has_tcp_environment = s->has_tls_environment = true;
		break;
	case 'E':
		s->has_tcp_environment = false;
		break;
	case 's':
	case 'S':
		s->has_tls_environment = code == 's';
		break;
	case 'x':
	case 'X':
		s->verifies_chain = code == 'x';
		break;
	case 'n':
	case 'N':
		s->matches_name = code == 'n';
		break;
	case 'm':
	case 'M':
		s->sends_sni = code == 'm';
		break;
	case DELAYED:
		s->is_delayed = true;
		break;
	case STRICT_NAMES:
		s->strict_names = true;
		break;
	case HELP:
		o->wants_help = true;
		break;
	case VERSION_OPTION:
		o->wants_version = true;
		break;
	default:
		break;
	}
}

/* optiontable_apply_fn */
static int
apply(void *target, int code, const char *shown, const char *word,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	if (word != NULL)
		return apply_word(target, code, shown, word, error);
	apply_flag(target, code);
	return 0;
}

static void
set_defaults(struct clientoptions *o)
{
	struct client_settings *s = &o->settings;

	memset(o, 0, sizeof(*o));
	s->family = AF_UNSPEC;
	s->no_delay = true;
	s->first_s = 2;
	s->again_s = 58;
	s->idle_s = 3600;
	s->ident_s = 26;
	s->wants_name = true;
	s->depth = CLIENT_DEPTH_DEFAULT;
	s->verifies_chain = s->matches_name = s->sends_sni = true;
	s->report_fd = -1;
	s->verbosity = VERBOSITY_ERRORS;
}

/*
 * A program of sslserver inherits what that server is made of.  Its
 * certificate and key are not for others to see, nor, as a rule, for the
 * program to read; its ciphers and protocols were chosen for another peer.
 * What says whom to trust is left: without it more might be trusted.
 */
static void
leave_servers_own(struct client_settings *s)
{
	struct tls_settings *tls = &s->tls;

	if (getenv("SSLLOCALPORT") == NULL)
		return;
	s->left_servers_own = tls->certfile != NULL ||
	    tls->certchainfile != NULL || tls->keyfile != NULL ||
	    tls->ciphers != NULL || tls->alpn != NULL;
	tls->certfile = tls->certchainfile = tls->keyfile = NULL;
	tls->ciphers = tls->alpn = NULL;
}

/* What the options may still change.  0 or 111. */
static int
read_environment(
    struct client_settings *s, char error[CLIENTOPTIONS_ERROR_SIZE])
{
	const char *depth = getenv("VERIFYDEPTH"), *alpn;
	struct profile profile;
	unsigned long n;

	profile_from_environment(&profile);
	profile_settings(&profile, &s->tls);
	leave_servers_own(s);
	alpn = s->tls.alpn;
	/* A server's own. */
	s->tls.ccafile = s->tls.ccadir = s->tls.dhfile = NULL;
	s->tls.certdir = s->tls.sni = NULL;
	if (depth != NULL && *depth != '\0') {
		if (text_number(depth, 0, TLSVERIFY_DEPTH_MAX, &n) == -1) {
			optiontable_refuse(error,
			    "VERIFYDEPTH is not a number from 0 to 100: ",
			    depth);
			return 111;
		}
		s->depth = (int)n;
	}
	if (alpn != NULL && *alpn != '\0' &&
	    tlsclient_alpn(s->alpn, &s->alpn_len, alpn) == -1) {
		optiontable_refuse(
		    error, "ALPN is no list of protocols: ", alpn);
		return 111;
	}
	return 0;
}

/*
 * Addresses and names
 */

/*
 * An address with an optional %interface.  1, 0: it is none, 100 or 111: it
 * is a bad one.
 */
static int
read_literal(struct client_settings *s, struct ip_endpoint *end,
    const char *word, char error[CLIENTOPTIONS_ERROR_SIZE])
{
	const char *zone = strchr(word, '%');
	size_t len = zone == NULL ? strlen(word) : (size_t)(zone - word);
	char address[IP_TEXT_SIZE];

	if (len >= sizeof(address) ||
	    text_format(address, sizeof(address), "%.*s", (int)len, word) ==
		-1 ||
	    ip_parse(address, &end->ip) == -1)
		return 0;
	end->scope = 0;
	if (!ip_is_link_local(&end->ip)) {
		if (zone == NULL)
			return 1;
		optiontable_refuse(error,
		    "an interface belongs to a link-local address only: ",
		    word);
		return 100;
	}
	end->scope = zone == NULL ? s->scope : if_nametoindex(zone + 1);
	if (end->scope != 0)
		return 1;
	if (zone != NULL) {
		optiontable_refuse(error, "no such interface: ", zone + 1);
		return 111;
	}
	optiontable_refuse(
	    error, "a link-local address needs an interface (-I): ", word);
	return 100;
}

/* The only family that word may be of, or that it says. */
static int
narrow_family(struct client_settings *s, const struct ip *ip, const char *word,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	int family = ip_is_v4(ip) ? AF_INET : AF_INET6;

	if (s->family != AF_UNSPEC && s->family != family) {
		optiontable_refuse(
		    error, "not of the family asked for: ", word);
		return 100;
	}
	s->family = family;
	return 0;
}

static int
read_local_ip(struct clientoptions *o, char error[CLIENTOPTIONS_ERROR_SIZE])
{
	struct client_settings *s = &o->settings;
	int r;

	if (o->local_word == NULL)
		return 0;
	r = read_literal(s, &s->local, o->local_word, error);
	if (r > 1)
		return r;
	if (r == 0) {
		optiontable_refuse(error,
		    "-i (--local-ip) takes an address, not ", o->local_word);
		return 100;
	}
	s->has_local_ip = true;
	return narrow_family(s, &s->local.ip, o->local_word, error);
}

static int
read_host(struct clientoptions *o, const char *word,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	struct client_settings *s = &o->settings;
	int r;

	if (word[0] == '\0' || strcmp(word, "0") == 0)
		word = s->family == AF_INET6 ? "::1" : "127.0.0.1";
	text_printable(s->shown, word, strlen(word));
	r = read_literal(s, &s->ip, word, error);
	if (r > 1)
		return r;
	if (r == 1) {
		/* Nothing strange is in it, and its % says something. */
		text_copy(s->shown, sizeof(s->shown), word);
		return narrow_family(s, &s->ip.ip, word, error);
	}
	if (dnsmsg_host_name(o->host, word) == -1) {
		optiontable_refuse(
		    error, "neither an address nor a host name: ", word);
		return 100;
	}
	s->host = o->host;
	s->lookup = word;
	return 0;
}

static int
read_port(struct client_settings *s, const char *word,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	unsigned long n;

	if (text_number(word, 1, 65535, &n) == 0) {
		s->port_number = (uint16_t)n;
		return 0;
	}
	if (word[0] == '\0' || (word[0] >= '0' && word[0] <= '9')) {
		optiontable_refuse(error, "bad port: ", word);
		return 100;
	}
	s->port = word;
	return 0;
}

/* Who says -k has a certificate to show.  0 or 100. */
static int
check_key(const struct clientoptions *o, char error[CLIENTOPTIONS_ERROR_SIZE])
{
	const struct tls_settings *tls = &o->settings.tls;

	if (!o->has_key || is_set(tls->certfile) || is_set(tls->certchainfile))
		return 0;
	optiontable_refuse(
	    error, "-k (--key) needs a certificate (-c, --cert)", "");
	return 100;
}

/* What options mean for each other.  0, 100 or 111. */
static int
check_together(struct client_settings *s, char error[CLIENTOPTIONS_ERROR_SIZE])
{
	const char *sentence = NULL;

	if (s->reads_phrase && s->report_fd == SETTINGS_PHRASE_FD)
		sentence = "-3 (--passphrase) takes the descriptor of "
			   "--report 3";
	if (s->is_delayed && s->has_starttls)
		sentence = "--delayed and --starttls exclude each other";
	if (sentence != NULL) {
		optiontable_refuse(error, sentence, "");
		return 100;
	}
	if (s->interface == NULL)
		return 0;
	s->scope = if_nametoindex(s->interface);
	if (s->scope != 0)
		return 0;
	optiontable_refuse(error, "no such interface: ", s->interface);
	return 111;
}

static int
read_words(struct clientoptions *o, int argc, char **argv,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	struct client_settings *s = &o->settings;
	int code;

	if (argc - optind < 3 || argv[optind + 2][0] == '\0') {
		optiontable_refuse(error,
		    argc == optind	     ? "no host"
			: argc - optind == 1 ? "no port"
					     : "no program",
		    "");
		return 100;
	}
	code = check_key(o, error);
	if (code == 0)
		code = check_together(s, error);
	if (code == 0)
		code = read_local_ip(o, error);
	if (code == 0)
		code = read_host(o, argv[optind], error);
	if (code == 0)
		code = read_port(s, argv[optind + 1], error);
	s->program = argv + optind + 2;
	return code;
}

int
clientoptions_read(struct clientoptions *o, int argc, char **argv,
    char error[CLIENTOPTIONS_ERROR_SIZE])
{
	int code;

	set_defaults(o);
	code = read_environment(&o->settings, error);
	if (optiontable_read(&table, o, argc, argv, error) == -1)
		return 100;
	if (o->wants_help || o->wants_version)
		return 0;
	return code != 0 ? code : read_words(o, argc, argv, error);
}
