/*
 * The UCSPI environment.
 *
 * environment_put runs in the monitor; the rest in master and its child.
 * Values are addresses, numbers and names the administrator or a resolver
 * gave, never a client's bytes.
 */
#include "serve/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "net/ip.h"
#include "serve/msg.h"

/* Names that a program must never find inherited from somewhere else. */
static const char *const ours[] = { "LOCALIP", "LOCALPORT", "LOCALHOST",
	"REMOTEIP", "REMOTEPORT", "REMOTEHOST", "REMOTEINFO", "INTERFACE" };
static const char *const prefixes[] = { "SSL", "TCP6", "TCP" };
static const char *const other[] = { "PROTO", "SSLCTLFD", "SSLREADFD",
	"SSLWRITEFD", "SSL_PROTOCOL", "SSL_SESSION_ID", "SSL_CIPHER",
	"SSL_KEX_GROUP", "SSL_TLS_SNI", "SSL_ALPN", "SSL_SESSION_RESUMED",
	"SSL_EXPORTER" };
/* Every name that begins so. */
static const char *const families[] = { "SSL_CIPHER_", "SSL_VERSION_",
	"SSL_SERVER_", "SSL_CLIENT_" };

static void
put(struct msg_writer *w, const char *prefix, const char *name,
    const char *value)
{
	char text[1024]; /* the longest value is IDENT's, 512 bytes */

	if (value == NULL)
		return;
	if (text_format(text, sizeof(text), "%s%s=%s", prefix, name, value) ==
	    -1)
		w->failed = true;
	else
		msg_put_text(w, text);
}

static void
put_ends(
    const struct environment *env, struct msg_writer *w, const char *prefix)
{
	char ip[IP_TEXT_SIZE], port[8];

	put(w, prefix, "LOCALIP", ip_format(ip, &env->local->ip));
	text_format(port, sizeof(port), "%u", env->local->port);
	put(w, prefix, "LOCALPORT", port);
	put(w, prefix, "LOCALHOST", env->local_host);
	put(w, prefix, "REMOTEIP", ip_format(ip, &env->remote->ip));
	text_format(port, sizeof(port), "%u", env->remote->port);
	put(w, prefix, "REMOTEPORT", port);
	put(w, prefix, "REMOTEHOST", env->remote_host);
	put(w, prefix, "REMOTEINFO", env->remote_info);
}

int
environment_put(const struct environment *env, struct msg_writer *w)
{
	bool is_v6 = !ip_is_v4(&env->remote->ip);
	size_t len;

	put(w, "", "PROTO",
	    !env->has_tcp && !env->is_plain ? "TLS"
		: is_v6			    ? "TCP6"
					    : "TCP");
	put_ends(env, w, "SSL");
	put(w, "SSL", "INTERFACE", env->interface);
	if (env->has_tcp)
		put_ends(env, w, "TCP");
	if (env->has_tcp && is_v6) {
		put_ends(env, w, "TCP6");
		put(w, "TCP6", "INTERFACE", env->interface);
	}
	return msg_written(w, &len);
}

/* Are the first len bytes of variable exactly name? */
static bool
is_name(const char *variable, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(variable, name, len) == 0;
}

static bool
has_end_of_ours(const char *variable, size_t len, const char *prefix)
{
	size_t skip = strlen(prefix), i;

	if (!text_begins(variable, prefix))
		return false;
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (is_name(variable + skip, len - skip, ours[i]))
			return true;
	return false;
}

bool
environment_is_ours(const char *variable)
{
	size_t len = strcspn(variable, "="), i;

	for (i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		if (is_name(variable, len, other[i]))
			return true;
	for (i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		if (text_begins(variable, families[i]))
			return true;
	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (has_end_of_ours(variable, len, prefixes[i]))
			return true;
	return false;
}

/* Put variable in place of the one of the same name, or at the end. */
static size_t
lay_over(char **env, size_t used, char *variable)
{
	size_t len = strcspn(variable, "="), i;

	for (i = 0; i < used; i++)
		if (strncmp(env[i], variable, len) == 0 && env[i][len] == '=')
			break;
	if (variable[len] == '=') {
		env[i] = variable;
		return i == used ? used + 1 : used;
	}
	if (i == used)
		return used;
	env[i] = env[used - 1]; /* a removal */
	return used - 1;
}

char **
environment_merge(char *const *base, char *const *over, size_t count)
{
	size_t used = 0, i;
	char **env;

	while (base[used] != NULL)
		used++;
	env = calloc(used + count + 1, sizeof(*env));
	if (env == NULL)
		return NULL;
	for (used = 0; base[used] != NULL; used++)
		env[used] = base[used];
	for (i = 0; i < count; i++)
		used = lay_over(env, used, over[i]);
	env[used] = NULL;
	return env;
}
