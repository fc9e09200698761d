/*
 * test_profile: the variables of the environment arrive as they are, set
 * but empty is not unset, and names are sorted as digests will need them.
 */
#include "serve/profile.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

#include "serve/msg.h"
#include "tls/tlsfile.h"

static void
clear_variables(void)
{
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		unsetenv(profile_name(i));
}

static void
names_are_sorted(void **state)
{
	size_t i;

	(void)state;
	for (i = 1; i < PROFILE_VARIABLES; i++)
		assert_true(strcmp(profile_name(i - 1), profile_name(i)) < 0);
}

static void
each_variable_reaches_its_setting(void **state)
{
	struct tls_settings settings;
	struct profile profile;
	size_t i;

	(void)state;
	clear_variables();
	for (i = 0; i < PROFILE_VARIABLES; i++)
		setenv(profile_name(i), profile_name(i), 1);
	profile_from_environment(&profile);
	profile_settings(&profile, &settings);
	assert_string_equal(settings.alpn, "ALPN");
	assert_string_equal(settings.cadir, "CADIR");
	assert_string_equal(settings.cafile, "CAFILE");
	assert_string_equal(settings.ccadir, "CCADIR");
	assert_string_equal(settings.ccafile, "CCAFILE");
	assert_string_equal(settings.certchainfile, "CERTCHAINFILE");
	assert_string_equal(settings.certdir, "CERTDIR");
	assert_string_equal(settings.certfile, "CERTFILE");
	assert_string_equal(settings.ciphers, "CIPHERS");
	assert_string_equal(settings.crlfile, "CRLFILE");
	assert_string_equal(settings.dhfile, "DHFILE");
	assert_string_equal(settings.keyfile, "KEYFILE");
	assert_string_equal(settings.sni, "SNI");
	assert_string_equal(settings.tlsgroups, "TLSGROUPS");
	assert_string_equal(settings.tlsmax, "TLSMAX");
	assert_string_equal(settings.tlsmin, "TLSMIN");
	clear_variables();
	profile_from_environment(&profile);
	profile_settings(&profile, &settings);
	assert_null(settings.certfile);
	assert_null(settings.tlsmin);
}

static void
the_journey_changes_nothing(void **state)
{
	struct profile profile, copy;
	unsigned char bytes[512];
	struct msg msg = { .body = bytes };
	struct msg_writer w;
	struct msg_reader r;
	size_t i, whole;

	(void)state;
	clear_variables();
	setenv("CERTFILE", "/etc/cert.pem", 1);
	setenv("DHFILE", "", 1);
	profile_from_environment(&profile);
	msg_write_to(&w, bytes, sizeof(bytes));
	profile_put(&profile, &w);
	assert_int_equal(msg_written(&w, &msg.len), 0);
	msg_read_from(&r, &msg);
	profile_get(&copy, &r);
	assert_int_equal(msg_read_all(&r), 0);
	for (i = 0; i < PROFILE_VARIABLES; i++) {
		if (profile.values[i] == NULL)
			assert_null(copy.values[i]);
		else
			assert_string_equal(copy.values[i], profile.values[i]);
	}
	/* Set but empty is not unset; others of the environment are none. */
	assert_null(copy.values[0]);
	for (i = 0; strcmp(profile_name(i), "DHFILE") != 0; i++)
		continue;
	assert_string_equal(copy.values[i], "");
	/* A part of it is marked as such. */
	whole = msg.len;
	for (msg.len = 0; msg.len < whole; msg.len++) {
		msg_read_from(&r, &msg);
		profile_get(&copy, &r);
		assert_int_equal(msg_read_all(&r), -1);
	}
	clear_variables();
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_sorted),
		cmocka_unit_test(each_variable_reaches_its_setting),
		cmocka_unit_test(the_journey_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
