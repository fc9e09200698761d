/*
 * test_environment: the exact variables of a connection, which inherited
 * names must go, and how one environment is laid over another.
 */
#include "serve/environment.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "net/ip.h"
#include "serve/msg.h"

static struct ip_endpoint local, remote;

static void
ends(const char *local_ip, const char *remote_ip)
{
	assert_int_equal(ip_parse(local_ip, &local.ip), 0);
	assert_int_equal(ip_parse(remote_ip, &remote.ip), 0);
	local.port = 443;
	remote.port = 65535;
}

/* All variables in order, joined by blanks. */
static const char *
made(const struct environment *env)
{
	static unsigned char bytes[4096];
	static char text[4096];
	struct msg msg = { .body = bytes };
	struct msg_writer w;
	struct msg_reader r;

	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(environment_put(env, &w), 0);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	text[0] = '\0';
	while (r.left > 0) {
		const char *variable = msg_get_text(&r);

		assert_non_null(variable);
		/* What we set is what is removed when inherited. */
		assert_true(environment_is_ours(variable));
		strcat(text, variable);
		strcat(text, " ");
	}
	return text;
}

static void
ipv4_with_names(void **state)
{
	struct environment env = { .local = &local,
		.remote = &remote,
		.local_host = "here.example",
		.remote_host = "there.example",
		.remote_info = "joe",
		.has_tcp = true };

	(void)state;
	ends("192.0.2.1", "192.0.2.9");
	assert_string_equal(made(&env),
	    "PROTO=TCP "
	    "SSLLOCALIP=192.0.2.1 SSLLOCALPORT=443 SSLLOCALHOST=here.example "
	    "SSLREMOTEIP=192.0.2.9 SSLREMOTEPORT=65535 "
	    "SSLREMOTEHOST=there.example SSLREMOTEINFO=joe "
	    "TCPLOCALIP=192.0.2.1 TCPLOCALPORT=443 TCPLOCALHOST=here.example "
	    "TCPREMOTEIP=192.0.2.9 TCPREMOTEPORT=65535 "
	    "TCPREMOTEHOST=there.example TCPREMOTEINFO=joe ");
	/* A mapped address is the IPv4 address. */
	ends("::ffff:192.0.2.1", "::ffff:192.0.2.9");
	assert_non_null(strstr(made(&env), " TCPREMOTEIP=192.0.2.9 "));
	assert_null(strstr(made(&env), "TCP6"));
	env.has_tcp = false;
	assert_string_equal(made(&env),
	    "PROTO=TLS "
	    "SSLLOCALIP=192.0.2.1 SSLLOCALPORT=443 SSLLOCALHOST=here.example "
	    "SSLREMOTEIP=192.0.2.9 SSLREMOTEPORT=65535 "
	    "SSLREMOTEHOST=there.example SSLREMOTEINFO=joe ");
	/* No TLS yet: it is not what the program speaks. */
	env.is_plain = true;
	assert_true(strncmp(made(&env), "PROTO=TCP SSLLOCALIP=", 21) == 0);
	env.has_tcp = true;
	assert_true(strncmp(made(&env), "PROTO=TCP SSLLOCALIP=", 21) == 0);
}

static void
real_ipv6_has_a_third_set(void **state)
{
	struct environment env = { .local = &local,
		.remote = &remote,
		.interface = "eth0",
		.has_tcp = true };

	(void)state;
	ends("fe80::1", "FE80:0:0::2");
	assert_string_equal(made(&env),
	    "PROTO=TCP6 "
	    "SSLLOCALIP=fe80::1 SSLLOCALPORT=443 "
	    "SSLREMOTEIP=fe80::2 SSLREMOTEPORT=65535 SSLINTERFACE=eth0 "
	    "TCPLOCALIP=fe80::1 TCPLOCALPORT=443 "
	    "TCPREMOTEIP=fe80::2 TCPREMOTEPORT=65535 "
	    "TCP6LOCALIP=fe80::1 TCP6LOCALPORT=443 "
	    "TCP6REMOTEIP=fe80::2 TCP6REMOTEPORT=65535 "
	    "TCP6INTERFACE=eth0 ");
	env.has_tcp = false;
	assert_string_equal(made(&env),
	    "PROTO=TLS SSLLOCALIP=fe80::1 SSLLOCALPORT=443 "
	    "SSLREMOTEIP=fe80::2 SSLREMOTEPORT=65535 SSLINTERFACE=eth0 ");
	env.is_plain = true;
	assert_true(strncmp(made(&env), "PROTO=TCP6 SSLLOCALIP=", 22) == 0);
}

static void
what_does_not_fit_is_refused(void **state)
{
	char name[2000];
	struct environment env = {
		.local = &local, .remote = &remote, .local_host = name
	};
	unsigned char bytes[4096];
	struct msg_writer w;
	size_t size, whole;

	(void)state;
	ends("192.0.2.1", "192.0.2.9");
	strcpy(name, "here.example");
	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(environment_put(&env, &w), 0);
	whole = w.len;
	for (size = 0; size < whole; size++) {
		msg_write_to(&w, bytes, size);
		assert_int_equal(environment_put(&env, &w), -1);
	}
	msg_write_to(&w, bytes, whole);
	assert_int_equal(environment_put(&env, &w), 0);
	/* As long as IDENT's can be. */
	memset(name, 'x', 512);
	name[512] = '\0';
	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(environment_put(&env, &w), 0);
	/* A value is there whole or the environment is not made. */
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(environment_put(&env, &w), -1);
}

/* Is name, with and without a value, ours or not, as expected? */
static void
expect_ours(
    const char *prefix, const char *name, const char *suffix, bool expected)
{
	char text[64];

	snprintf(text, sizeof(text), "%s%s%s", prefix, name, suffix);
	if (environment_is_ours(text) != expected)
		fail_msg("%s: %d", text, !expected);
	strcat(text, "=SSLREMOTEIP=x");
	if (environment_is_ours(text) != expected)
		fail_msg("%s: %d", text, !expected);
}

static void
names_that_are_ours(void **state)
{
	static const char *const prefixes[] = { "SSL", "TCP", "TCP6" };
	static const char *const names[] = { "LOCALIP", "LOCALPORT",
		"LOCALHOST", "REMOTEIP", "REMOTEPORT", "REMOTEHOST",
		"REMOTEINFO", "INTERFACE" };
	static const char *const others[] = { "PROTO", "SSLCTLFD", "SSLREADFD",
		"SSLWRITEFD", "SSL_PROTOCOL", "SSL_SESSION_ID", "SSL_CIPHER",
		"SSL_TLS_SNI", "SSL_ALPN", "SSL_KEX_GROUP",
		"SSL_SESSION_RESUMED", "SSL_EXPORTER" };
	/* Of these all that begin so, too. */
	static const char *const families[] = { "SSL_CIPHER_EXPORT",
		"SSL_CIPHER_USEKEYSIZE", "SSL_CIPHER_ALGKEYSIZE",
		"SSL_VERSION_INTERFACE", "SSL_VERSION_LIBRARY",
		"SSL_SERVER_CERT", "SSL_SERVER_S_DN", "SSL_SERVER_END_POINT",
		"SSL_CLIENT_S_DN_Email", "SSL_CLIENT_VERIFY",
		"SSL_CLIENT_CERT_CHAIN_0", "SSL_CLIENT_CERT_SHA256" };
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(prefixes); i++) {
		for (j = 0; j < COUNT(names); j++) {
			expect_ours(prefixes[i], names[j], "", true);
			expect_ours("X", prefixes[i], names[j], false);
			expect_ours(prefixes[i], names[j], "X", false);
			expect_ours(prefixes[i], names[j] + 1, "", false);
			expect_ours("UDP", names[j], "", false);
			expect_ours(prefixes[i], "_", names[j], false);
		}
	}
	for (i = 0; i < COUNT(others); i++) {
		expect_ours("", others[i], "", true);
		expect_ours("X", others[i], "", false);
		expect_ours("", others[i], "X", false);
		expect_ours("", others[i] + 1, "", false);
	}
	for (i = 0; i < COUNT(families); i++) {
		expect_ours("", families[i], "", true);
		expect_ours("X", families[i], "", false);
	}
}

static void
names_that_are_not(void **state)
{
	static const char *const names[] = { "PATH", "PROTOCOL", "PROT",
		"proto", "TCP", "TCP6", "SSL", "SSL_", "SSL_UID", "SSL_GID",
		"SSL_USER", "SSL_GROUP", "SSL_CHROOT", "SSL_CERT_FILE",
		"SSL_CERT_DIR", "SSLNET_USER", "SSLMON_USER", "TCPREMOTE",
		"sslremoteip", "CERTFILE", "CIPHERS", "UID", "" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++)
		expect_ours("", names[i], "", false);
}

/* Lay over and compare with expected, in any order. */
static void
expect_merged(char *const *base, char *const *over, size_t count,
    const char *const *expected, size_t expected_count)
{
	char **env = environment_merge(base, over, count);
	size_t i, j;

	assert_non_null(env);
	for (i = 0; env[i] != NULL; i++) {
		for (j = 0; j < expected_count; j++)
			if (strcmp(env[i], expected[j]) == 0)
				break;
		if (j == expected_count)
			fail_msg("%s is there", env[i]);
	}
	assert_int_equal(i, expected_count);
	free(env);
}

static void
later_values_replace_and_names_remove(void **state)
{
	static char path[] = "PATH=/bin", home[] = "HOME=/";
	static char proto[] = "PROTO=old", new_proto[] = "PROTO=TCP";
	static char no_home[] = "HOME", none[] = "NONE", pa[] = "PA=x";
	static char added[] = "TCPREMOTEIP=192.0.2.9", empty[] = "HOME=";
	static char again[] = "HOME=again", no_path[] = "PATH";
	static char no_proto[] = "PROTO";
	char *base[] = { path, home, proto, NULL };
	char *nothing[] = { NULL };
	char *mixed[] = { new_proto, no_home, none, added, pa };
	char *back[] = { no_home, again, empty };
	char *all[] = { no_path, no_home, no_proto };
	const char *const merged[] = { path, new_proto, added, pa };
	const char *const kept[] = { path, home, proto };
	const char *const emptied[] = { path, proto, empty };

	(void)state;
	expect_merged(base, mixed, 5, merged, 4);
	expect_merged(base, NULL, 0, kept, 3);
	expect_merged(base, back, 3, emptied, 3);
	expect_merged(base, all, 3, NULL, 0);
	expect_merged(nothing, all, 3, NULL, 0);
	expect_merged(nothing, mixed, 1, merged + 1, 1);
	/* The base is nobody's to change: it serves every program. */
	assert_true(base[0] == path && base[1] == home && base[2] == proto);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_with_names),
		cmocka_unit_test(real_ipv6_has_a_third_set),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(names_that_are_ours),
		cmocka_unit_test(names_that_are_not),
		cmocka_unit_test(later_values_replace_and_names_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
