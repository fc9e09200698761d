/*
 * The old functions that tell: TLS variables and errors.
 *
 * Runs in programs of others.  A stralloc belongs to the program, whose own
 * library may have got its bytes from an allocator of its own (djb's
 * alloc hands out static memory first): so where the program has a
 * stralloc_ready, that one makes room, and ours is for programs without.
 */
#include "tls/oldapi.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tls/tlsconn_internal.h"
#include "tls/tlsvars.h"

/* 1, or 0: no memory.  Of the program, if it has one. */
extern int stralloc_ready(stralloc *to, unsigned int room)
    __attribute__((weak));

static int
make_room(stralloc *to, size_t room)
{
	size_t size = room + room / 8 + 32;
	char *grown;

	if (size > UINT_MAX)
		return -1;
	if (stralloc_ready != NULL)
		return stralloc_ready(to, (unsigned)room) != 0 ? 0 : -1;
	if (to->s != NULL && to->a >= room)
		return 0;
	grown = realloc(to->s, size);
	if (grown == NULL)
		return -1;
	if (to->s == NULL)
		to->len = 0;
	to->s = grown;
	to->a = (unsigned)size;
	return 0;
}

int
oldapi_append(stralloc *to, const char *bytes, size_t len)
{
	unsigned at = to->s == NULL ? 0 : to->len;

	if (len > UINT_MAX / 2 || at > UINT_MAX / 2 ||
	    make_room(to, at + len) == -1)
		return -1;
	if (len > 0)
		memcpy(to->s + at, bytes, len);
	to->len = at + (unsigned)len;
	return 0;
}

static int
append_variable(stralloc *env, const char *name, const char *value)
{
	if (oldapi_append(env, name, strlen(name)) == -1 ||
	    oldapi_append(env, "=", 1) == -1)
		return -1;
	return oldapi_append(env, value, strlen(value) + 1);
}

/* value has a NUL behind it: what is in a collection has. */
static int
put_variable(stralloc *env, const char *name, const char *value)
{
	if (env != NULL)
		return append_variable(env, name, value);
	return setenv(name, value, 1);
}

static int
put_fact(stralloc *env, const struct tlsinfo_fact *fact)
{
	char name[TLSVARS_NAME_SIZE], *value = malloc(fact->len + 1);
	int r;

	if (value == NULL)
		return -1;
	if (fact->len > 0)
		memcpy(value, fact->bytes, fact->len);
	value[fact->len] = '\0';
	r = put_variable(env, tlsvars_name(name, fact), value);
	free(value);
	return r;
}

static int
put_interface(stralloc *env)
{
	char text[64], *value;

	if (text_copy(text, sizeof(text), tlsvars_interface()) == -1)
		return -1;
	value = strchr(text, '=');
	*value++ = '\0';
	return put_variable(env, text, value);
}

static int
put_all(SSL *ssl, stralloc *env)
{
	struct tlsvars *vars = tlsvars_new();
	size_t i, count;
	int r = -1;

	if (vars == NULL || tlsinfo_walk_ssl(ssl, tlsvars_add, vars) == -1)
		goto out;
	count = tlsvars_fit(vars);
	for (i = 0; i < count; i++)
		if (put_fact(env, tlsvars_get(vars, i)) == -1)
			goto out;
	/* Last: old callers find protocol and cipher by their places. */
	r = put_interface(env);
out:
	tlsvars_free(vars);
	return r;
}

/* Which end it is, tlsinfo sees itself. */
int
ssl_server_env(SSL *ssl, stralloc *env)
{
	return put_all(ssl, env) == 0;
}

int
ssl_client_env(SSL *ssl, stralloc *env)
{
	return put_all(ssl, env) == 0;
}

int
ssl_error(int (*print)(const char *))
{
	char text[256];
	unsigned long code;
	int r = 0;

	while (r == 0 && (code = ERR_get_error()) != 0) {
		ERR_error_string_n(code, text, sizeof(text));
		r = print(text);
	}
	return r;
}

char *
ssl_error_str(int error)
{
	/* Arrays, as 0.12 promised a char * without const. */
	static char words[][26] = {
		[SSL_ERROR_NONE] = "no error",
		[SSL_ERROR_SSL] = "TLS error",
		[SSL_ERROR_WANT_READ] = "waiting for input",
		[SSL_ERROR_WANT_WRITE] = "waiting for output",
		[SSL_ERROR_WANT_X509_LOOKUP] = "waiting for a certificate",
		[SSL_ERROR_SYSCALL] = "connection lost",
		[SSL_ERROR_ZERO_RETURN] = "closed by the peer",
	};
	static char unknown[] = "unknown error";

	if (error < 0 || (size_t)error >= sizeof(words) / sizeof(words[0]))
		return unknown;
	return words[error];
}
