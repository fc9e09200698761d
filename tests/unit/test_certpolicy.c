/*
 * test_certpolicy: options, the start's variables and those of rules, in
 * every order that matters; and what a session may answer to which wish.
 */
#include "serve/certpolicy.h"

#include <stdlib.h>

#include "support.h"

/* The variables of a rule, up to the first NULL, onto a policy. */
static int
apply(struct certpolicy *policy, const char *a, const char *b)
{
	struct certpolicy_change change = { 0 };

	if (certpolicy_take(&change, a) == -1 ||
	    (b != NULL && certpolicy_take(&change, b) == -1))
		return -1;
	certpolicy_apply(policy, &change);
	return 0;
}

static enum tlsverify_mode
mode_after(enum tlsverify_mode mode, const char *a, const char *b)
{
	struct certpolicy policy = { .mode = mode };

	assert_int_equal(apply(&policy, a, b), 0);
	return policy.mode;
}

static void
a_rule_turns_it_on_and_off(void **state)
{
	static const enum tlsverify_mode modes[] = { TLSVERIFY_NONE,
		TLSVERIFY_CERT, TLSVERIFY_NAME };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(modes); i++) {
		enum tlsverify_mode m = modes[i];

		assert_int_equal(
		    mode_after(m, "CCAVERIFY=z", NULL), TLSVERIFY_NAME);
		assert_int_equal(
		    mode_after(m, "CCAVERIFY=m", NULL), TLSVERIFY_CERT);
		assert_int_equal(
		    mode_after(m, "CCAVERIFY=Z", NULL), TLSVERIFY_CERT);
		assert_int_equal(
		    mode_after(m, "CCAVERIFY=zz", NULL), TLSVERIFY_CERT);
		assert_int_equal(mode_after(m, "CCAVERIFY=", NULL), m);
		assert_int_equal(
		    mode_after(m, "CCAFILE=-", NULL), TLSVERIFY_NONE);
		/* Both: on, whatever comes first. */
		assert_int_equal(
		    mode_after(m, "CCAFILE=-", "CCAVERIFY=z"), TLSVERIFY_NAME);
		assert_int_equal(
		    mode_after(m, "CCAVERIFY=1", "CCAFILE=-"), TLSVERIFY_CERT);
		assert_int_equal(
		    mode_after(m, "CCAVERIFY=", "CCAFILE=-"), TLSVERIFY_NONE);
	}
}

/* What CCAFILE=- has turned off is on again, and nothing else. */
static void
another_ccafile_takes_its_place(void **state)
{
	static const char *const names[] = { "CCAFILE=/etc/ca.pem",
		"CCAFILE=", "CCAFILE=--" };
	struct certpolicy policy;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(names); i++) {
		assert_int_equal(
		    mode_after(TLSVERIFY_NONE, names[i], NULL), TLSVERIFY_NONE);
		assert_int_equal(
		    mode_after(TLSVERIFY_CERT, names[i], NULL), TLSVERIFY_CERT);
		policy = (struct certpolicy){ .mode = TLSVERIFY_NAME };
		assert_int_equal(apply(&policy, "CCAFILE=-", NULL), 0);
		assert_int_equal(apply(&policy, names[i], NULL), 0);
		assert_int_equal(policy.mode, TLSVERIFY_NAME);
		/* The last one of a rule counts. */
		assert_int_equal(apply(&policy, names[i], "CCAFILE=-"), 0);
		assert_int_equal(policy.mode, TLSVERIFY_NONE);
		assert_int_equal(apply(&policy, "CCAFILE=-", names[i]), 0);
		assert_int_equal(policy.mode, TLSVERIFY_NAME);
	}
}

static void
a_later_rule_wins(void **state)
{
	struct certpolicy policy = { .mode = TLSVERIFY_NONE, .depth = 1 };

	(void)state;
	assert_int_equal(apply(&policy, "CCAVERIFY=z", "VERIFYDEPTH=3"), 0);
	assert_int_equal(apply(&policy, "CCAFILE=-", NULL), 0);
	assert_int_equal(policy.mode, TLSVERIFY_NONE);
	assert_int_equal(policy.depth, 3);
	assert_int_equal(apply(&policy, "CCAVERIFY=m", "VERIFYDEPTH=0"), 0);
	assert_int_equal(policy.mode, TLSVERIFY_CERT);
	assert_int_equal(policy.depth, 0);
	assert_int_equal(apply(&policy, "OTHER=1", "VERIFYDEPTH=100"), 0);
	assert_int_equal(policy.mode, TLSVERIFY_CERT);
	assert_int_equal(policy.depth, 100);
}

static void
a_depth_is_a_number_up_to_a_hundred(void **state)
{
	static const char *const bad[] = { "VERIFYDEPTH=", "VERIFYDEPTH=x",
		"VERIFYDEPTH=-1", "VERIFYDEPTH=+1", "VERIFYDEPTH=1 ",
		"VERIFYDEPTH=101", "VERIFYDEPTH=99999999999999999999" };
	struct certpolicy_change change = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		assert_int_equal(certpolicy_take(&change, bad[i]), -1);
	assert_false(change.has_depth);
	assert_int_equal(certpolicy_take(&change, "VERIFYDEPTH=007"), 1);
	assert_int_equal(change.depth, 7);
}

static void
other_variables_are_not_taken(void **state)
{
	static const char *const others[] = { "CCAFILE", "CCAVERIFYX=z",
		"XCCAVERIFY=z", "CAFILE=-", "CADIR=-", "ccaverify=z",
		"VERIFYDEPTH", "", "=" };
	struct certpolicy_change change = { 0 };
	struct certpolicy policy = { .mode = TLSVERIFY_CERT, .depth = 9 };
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(others); i++)
		assert_int_equal(certpolicy_take(&change, others[i]), 0);
	certpolicy_apply(&policy, &change);
	assert_int_equal(policy.mode, TLSVERIFY_CERT);
	assert_int_equal(policy.depth, 9);
}

static void
set(const char *name, const char *value)
{
	if (value == NULL)
		unsetenv(name);
	else
		setenv(name, value, 1);
}

/* Mode and depth of a start; -1: refused. */
static int
start(enum tlsverify_mode mode, const char *ccafile, const char *ccaverify,
    const char *depth)
{
	struct certpolicy policy = { .mode = mode, .depth = 1 };
	int r;

	set("CCAFILE", ccafile);
	set("CCAVERIFY", ccaverify);
	set("VERIFYDEPTH", depth);
	r = certpolicy_from_environment(&policy);
	set("CCAFILE", NULL);
	set("CCAVERIFY", NULL);
	set("VERIFYDEPTH", NULL);
	return r == -1 ? -1 : (int)policy.mode * 1000 + (int)policy.depth;
}

#define IS(mode, depth) ((int)(mode)*1000 + (depth))

static void
the_environment_changes_the_options(void **state)
{
	(void)state;
	assert_int_equal(
	    start(TLSVERIFY_NAME, NULL, NULL, NULL), IS(TLSVERIFY_NAME, 1));
	assert_int_equal(
	    start(TLSVERIFY_NAME, "", "", ""), IS(TLSVERIFY_NAME, 1));
	assert_int_equal(
	    start(TLSVERIFY_NAME, "/a/file", NULL, "2"), IS(TLSVERIFY_NAME, 2));
	assert_int_equal(
	    start(TLSVERIFY_NAME, "-", NULL, NULL), IS(TLSVERIFY_NONE, 1));
	assert_int_equal(
	    start(TLSVERIFY_NONE, "-", "x", "0"), IS(TLSVERIFY_CERT, 0));
	assert_int_equal(
	    start(TLSVERIFY_CERT, NULL, "z", NULL), IS(TLSVERIFY_NAME, 1));
	assert_int_equal(start(TLSVERIFY_NONE, NULL, NULL, "x"), -1);
	assert_int_equal(start(TLSVERIFY_NONE, NULL, NULL, "101"), -1);
}

static void
a_session_is_told_what_it_must_know(void **state)
{
	struct certpolicy policy = { .mode = TLSVERIFY_NAME,
		.depth = 4,
		.matches_name = true,
		.strict_names = true };
	struct tlsverify verify;
	struct ip remote;

	(void)state;
	assert_int_equal(ip_parse("192.0.2.1", &remote), 0);
	verify = certpolicy_verify(&policy, "a.example", &remote);
	assert_int_equal(verify.mode, TLSVERIFY_NAME);
	assert_int_equal(verify.depth, 4);
	assert_true(verify.matches_name);
	assert_true(verify.strict_names);
	assert_string_equal(verify.host, "a.example");
	assert_true(ip_equal(&verify.remote, &remote));
	policy.mode = TLSVERIFY_CERT;
	assert_false(certpolicy_verify(&policy, NULL, &remote).matches_name);
	policy.mode = TLSVERIFY_NAME;
	policy.matches_name = false; /* -H */
	assert_false(certpolicy_verify(&policy, NULL, &remote).matches_name);
}

static void
a_session_refuses_only_as_it_was_told(void **state)
{
	static const struct {
		enum tlsverify_mode mode;
		bool matches_name;
		bool no_cert, bad_cert, bad_name;
	} rows[] = { { TLSVERIFY_NONE, true, false, false, false },
		{ TLSVERIFY_CERT, true, true, true, false },
		{ TLSVERIFY_NAME, false, true, true, false },
		{ TLSVERIFY_NAME, true, true, true, true } };
	enum msg_end end;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(rows); i++) {
		struct certpolicy policy = { .mode = rows[i].mode,
			.matches_name = rows[i].matches_name };

		assert_int_equal(certpolicy_permits(&policy, MSG_END_NO_CERT),
		    rows[i].no_cert);
		assert_int_equal(certpolicy_permits(&policy, MSG_END_BAD_CERT),
		    rows[i].bad_cert);
		assert_int_equal(certpolicy_permits(&policy, MSG_END_BAD_NAME),
		    rows[i].bad_name);
		for (end = MSG_END_CLEAN; end < MSG_END_NO_CERT; end++)
			assert_true(certpolicy_permits(&policy, end));
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_turns_it_on_and_off),
		cmocka_unit_test(another_ccafile_takes_its_place),
		cmocka_unit_test(a_later_rule_wins),
		cmocka_unit_test(a_depth_is_a_number_up_to_a_hundred),
		cmocka_unit_test(other_variables_are_not_taken),
		cmocka_unit_test(the_environment_changes_the_options),
		cmocka_unit_test(a_session_is_told_what_it_must_know),
		cmocka_unit_test(a_session_refuses_only_as_it_was_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
