/*
 * test_rulevars: which variables of a rule sslserver refuses.
 */
#include "rules/rulevars.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
limits_are_read_wholly(void **state)
{
	unsigned long n = 7, bits = 7;

	(void)state;
	assert_int_equal(rulevars_read_source("12", &n), 0);
	assert_int_equal(n, 12);
	assert_int_equal(rulevars_read_network("3/48", &n, &bits), 0);
	assert_int_equal(n, 3);
	assert_int_equal(bits, 48);
	assert_int_equal(rulevars_read_network("0/0", &n, &bits), 0);
	assert_int_equal(n, 0);
	assert_int_equal(bits, 0);
}

static void
what_is_refused(void **state)
{
	static const char *const refused[] = { "MAXCONIP=", "MAXCONIP=many",
		"MAXCONIP=-1", "MAXCONIP=5 ", "MAXCONIP=99999999999999999999",
		"MAXCONNET=", "MAXCONNET=5", "MAXCONNET=5/", "MAXCONNET=/24",
		"MAXCONNET=5/129", "MAXCONNET=5/24/", "TLSMIN=1.4", "TLSMIN=1.",
		"TLSMAX=1.30", "TLSMAX=2.0", "TLSMIN=TLSv1.2", "VERIFYDEPTH=x",
		"VERIFYDEPTH=", "VERIFYDEPTH=101" };
	static const char *const served[] = { "MAXCONIP=0", "MAXCONIP=5",
		"MAXCONNET=5/24", "MAXCONNET=0/0", "MAXCONIPS=x", "XMAXCONIP=x",
		"maxconip=x", "RELAYCLIENT=", "CERTFILES=x", "CCAVERIFY=z",
		"CCAVERIFY=", "VERIFYDEPTH=0", "VERIFYDEPTH=100", "CCAFILE=-",
		"TLSMINIMUM=x", "A=MAXCONIP=x", "CERTFILE=/x",
		"KEYFILE=", "ALPN=h2", "CCAFILE=/x", "CCAFILE=", "TLSMIN=1.0",
		"TLSMAX=1.3", "TLSMAX=" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(refused); i++)
		if (rulevars_refusal(refused[i]) == NULL)
			fail_msg("%s is served", refused[i]);
	for (i = 0; i < COUNT(served); i++)
		if (rulevars_refusal(served[i]) != NULL)
			fail_msg("%s is refused", served[i]);
}

static void
which_name_cas(void **state)
{
	static const char *const names[] = { "CAFILE=/x", "CADIR=x",
		"CCAFILE=x", "CCADIR=x", "CADIR=-" };
	static const char *const others[] = { "CAFILE=", "CCAFILE=",
		"CCAFILE=-", "CAFILES=x", "CRLFILE=x", "A=CAFILE=x" };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++)
		assert_true(rulevars_names_cas(names[i]));
	for (i = 0; i < COUNT(others); i++)
		assert_false(rulevars_names_cas(others[i]));
}

static void
what_is_doubtful(void **state)
{
	static const char *const fine[] = { "CCAVERIFY=z", "CCAVERIFY=m",
		"CCAVERIFY=", "CCAVERIFY=yes", "A=Z", "CCAVERIFYX=Z" };
	size_t i;

	(void)state;
	assert_non_null(rulevars_doubt("CCAVERIFY=Z"));
	for (i = 0; i < COUNT(fine); i++)
		if (rulevars_doubt(fine[i]) != NULL)
			fail_msg("%s is doubtful", fine[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limits_are_read_wholly),
		cmocka_unit_test(what_is_refused),
		cmocka_unit_test(which_name_cas),
		cmocka_unit_test(what_is_doubtful),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
