/*
 * client: what the command line and the environment of sslclient asked for,
 * checked, before anything is started.  Filled by cmd/clientoptions and
 * cmd/sslclient; read-only afterwards.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/starttls.h"
#include "net/ip.h"
#include "net/resolvconf.h"
#include "serve/settings.h"
#include "tls/tlsclient.h"
#include "tls/tlsfile.h"

/* Where the program finds the connection (UCSPI). */
#define CLIENT_READ_FD 6
#define CLIENT_WRITE_FD 7

#define CLIENT_ERROR_SIZE 1024

#define CLIENT_ASKED_SIZE 32

/* VERIFYDEPTH or -V was not given. */
#define CLIENT_DEPTH_DEFAULT (-1)

struct client_settings {
	/* whom to connect to */
	const char *host;      /* a name in lower case, or NULL: a literal */
	const char *lookup;    /* the same as it was typed */
	struct ip_endpoint ip; /* the literal, with its zone */
	char shown[300];       /* either, for messages */
	const char *port;      /* a service's name, or NULL: a number */
	uint16_t port_number;
	int family;	       /* AF_UNSPEC, AF_INET, AF_INET6 */
	const char *interface; /* -I, or NULL */
	uint32_t scope;	       /* its index, or 0 */
	bool has_local_ip;     /* -i */
	struct ip_endpoint local;
	bool no_delay;
	unsigned first_s, again_s; /* -T x+y */
	struct resolvconf names;   /* whom to ask */
	bool has_dnscache;	   /* DNSCACHEIP says that */

	/* TLS */
	struct tls_settings tls;
	bool has_own_store;    /* CAFILE or CADIR was given */
	bool left_servers_own; /* CERTFILE and others, of a server around us */
	int depth;	       /* or CLIENT_DEPTH_DEFAULT */
	bool verifies_chain, matches_name, strict_names, sends_sni;
	unsigned char alpn[TLSCLIENT_ALPN_MAX];
	size_t alpn_len;
	bool reads_phrase;	 /* -3 */
	const char *phrase_file; /* -K, or NULL */

	/* the connection */
	bool is_delayed;   /* --delayed: TLS when the program asks */
	bool has_starttls; /* --starttls: first speak this */
	enum starttls_protocol starttls;
	unsigned idle_s;     /* -w */
	int report_fd;	     /* --report, or -1 */
	const char *session; /* --session, or NULL */
	int session_dir;     /* its directory, or -1 */
	int store_fd;	     /* to who writes it, or -1 */
	/* What its session is for, as far as settings say (sessionfile.h). */
	unsigned char session_asked[CLIENT_ASKED_SIZE];

	/* the program */
	char *const *program; /* argv, NULL-terminated */
	bool has_tcp_environment, has_tls_environment;
	bool wants_name, wants_ident;
	unsigned ident_s;
	const char *local_name; /* -l, or NULL */

	struct settings_identity identity; /* of what meets the network */
	enum settings_verbosity verbosity;
};

/* The time for a connection's handshake, in milliseconds. */
int client_handshake_ms(const struct client_settings *settings);

/* Are the TLS variables wanted, or might they be? */
bool client_wants_facts(const struct client_settings *settings);

/* One line on descriptor 2, if that much is to be said. */
__attribute__((format(printf, 3, 4))) void client_say(
    const struct client_settings *settings, enum settings_verbosity verbosity,
    const char *format, ...);

/* Say why there is no connection, and exit with that code. */
__attribute__((noreturn, format(printf, 3, 4))) void client_die(
    int code, const char *kind, const char *format, ...);

#endif
