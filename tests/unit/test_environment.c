/*
 * test_environment: the exact variables of a connection, which inherited
 * names must go, and how one environment is laid over another.
 */
#include "serve/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/ip.h"
#include "serve/msg.h"

static struct ip_endpoint local, remote;

static void
ends(const char *local_ip, const char *remote_ip)
{
	assert_int_equal(ip_parse(local_ip, &local.ip), 0);
	assert_int_equal(ip_parse(remote_ip, &remote.ip), 0);
	local.port = 443;
	remote.port = 50000;
}

/* All variables in order, joined by blanks. */
static const char *
made(const struct environment *env, char *text, size_t size)
{
	unsigned char bytes[4096];
	struct msg_writer w;
	struct msg_reader r;
	struct msg msg = { .body = bytes };

	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(environment_put(env, &w), 0);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	text[0] = '\0';
	while (r.left > 0) {
		const char *variable = msg_get_text(&r);

		assert_non_null(variable);
		assert_true(strlen(text) + strlen(variable) + 2 < size);
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
	char text[2048];

	(void)state;
	ends("192.0.2.1", "192.0.2.9");
	assert_string_equal(made(&env, text, sizeof(text)),
	    "PROTO=TCP "
	    "SSLLOCALIP=192.0.2.1 SSLLOCALPORT=443 SSLLOCALHOST=here.example "
	    "SSLREMOTEIP=192.0.2.9 SSLREMOTEPORT=50000 "
	    "SSLREMOTEHOST=there.example SSLREMOTEINFO=joe "
	    "TCPLOCALIP=192.0.2.1 TCPLOCALPORT=443 TCPLOCALHOST=here.example "
	    "TCPREMOTEIP=192.0.2.9 TCPREMOTEPORT=50000 "
	    "TCPREMOTEHOST=there.example TCPREMOTEINFO=joe ");
}

static void
without_tcp(void **state)
{
	struct environment env = { .local = &local, .remote = &remote };
	char text[2048];

	(void)state;
	ends("2001:db8::1", "2001:db8::2");
	assert_string_equal(made(&env, text, sizeof(text)),
	    "PROTO=TLS SSLLOCALIP=2001:db8::1 SSLLOCALPORT=443 "
	    "SSLREMOTEIP=2001:db8::2 SSLREMOTEPORT=50000 ");
}

static void
real_ipv6_has_a_third_set(void **state)
{
	struct environment env = { .local = &local,
		.remote = &remote,
		.interface = "eth0",
		.has_tcp = true };
	char text[2048];

	(void)state;
	ends("fe80::1", "fe80::2");
	made(&env, text, sizeof(text));
	assert_ptr_equal(strstr(text, "PROTO=TCP6 "), text);
	assert_non_null(strstr(text, " SSLINTERFACE=eth0 "));
	assert_non_null(strstr(text, " TCPREMOTEIP=fe80::2 "));
	assert_non_null(strstr(text, " TCP6REMOTEIP=fe80::2 "));
	assert_non_null(strstr(text, " TCP6INTERFACE=eth0 "));
}

static void
mapped_address_is_ipv4(void **state)
{
	struct environment env = {
		.local = &local, .remote = &remote, .has_tcp = true
	};
	char text[2048];

	(void)state;
	ends("::ffff:192.0.2.1", "::ffff:192.0.2.9");
	made(&env, text, sizeof(text));
	assert_ptr_equal(strstr(text, "PROTO=TCP "), text);
	assert_non_null(strstr(text, " TCPREMOTEIP=192.0.2.9 "));
	assert_null(strstr(text, "TCP6"));
}

static void
what_does_not_fit_is_refused(void **state)
{
	struct environment env = { .local = &local, .remote = &remote };
	unsigned char bytes[64];
	struct msg_writer w;

	(void)state;
	ends("192.0.2.1", "192.0.2.9");
	msg_write_to(&w, bytes, sizeof(bytes));
	assert_int_equal(environment_put(&env, &w), -1);
}

static void
names_that_are_ours(void **state)
{
	static const char *const yes[] = { "PROTO", "PROTO=x", "SSLREMOTEIP=1",
		"TCPREMOTEHOST", "TCP6INTERFACE=x",
		"TCPLOCALPORT=", "SSLCTLFD=3", "SSL_CIPHER=x",
		"SSL_CLIENT_S_DN_CN=x", "SSL_SERVER_CERT=x" };
	static const char *const no[] = { "PATH=/bin", "PROTOCOL=1",
		"TCPREMOTE=1", "TCPREMOTEIPX=1", "XTCPREMOTEIP=1", "SSL_UID=1",
		"SSL_USER=x", "SSL_CHROOT=/", "SSLNET_USER=1", "TCP=1", "",
		"=" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
		if (!environment_is_ours(yes[i]))
			fail_msg("%s is not ours", yes[i]);
	for (i = 0; i < sizeof(no) / sizeof(no[0]); i++)
		if (environment_is_ours(no[i]))
			fail_msg("%s is ours", no[i]);
}

static void
later_values_replace_and_names_remove(void **state)
{
	char path[] = "PATH=/bin", home[] = "HOME=/", proto[] = "PROTO=old";
	char new_proto[] = "PROTO=TCP", no_home[] = "HOME", none[] = "NONE";
	char added[] = "TCPREMOTEIP=192.0.2.9", pa[] = "PA=x";
	char *base[] = { path, home, proto, NULL };
	char *over[] = { new_proto, no_home, none, added, pa };
	char **env = environment_merge(base, over, 5);
	size_t i;
	unsigned found = 0;

	(void)state;
	assert_non_null(env);
	for (i = 0; env[i] != NULL; i++)
		found |= env[i] == path	  ? 1u
		    : env[i] == new_proto ? 2u
		    : env[i] == added	  ? 4u
		    : env[i] == pa	  ? 8u
					  : 64u;
	assert_int_equal(i, 4);
	assert_int_equal(found, 15);
	free(env);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_with_names),
		cmocka_unit_test(without_tcp),
		cmocka_unit_test(real_ipv6_has_a_third_set),
		cmocka_unit_test(mapped_address_is_ipv4),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(names_that_are_ours),
		cmocka_unit_test(later_values_replace_and_names_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
