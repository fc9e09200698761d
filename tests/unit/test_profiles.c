/*
 * test_profiles: what rules say of TLS makes the same profiles, in the same
 * order, for whoever reads the lists; and a client finds its own.
 */
#include "serve/profiles.h"

#include "support.h"
#include "tableutil.h"

#include <errno.h>
#include <stdio.h>

#include "serve/msg.h"
#include "serve/sealed.h"

/* The list of a table of these lines. */
static int
list_of(const char *lines)
{
	struct table table = table_make(lines, NULL);
	int fd = sealed_make();

	assert_int_equal(
	    profiles_list(table.bytes, table.len, "/r.cdb", fd), 0);
	free(table.bytes);
	return fd;
}

static const struct profile *
start(void)
{
	static struct profile profile;
	size_t i;

	for (i = 0; i < PROFILE_VARIABLES; i++)
		profile.values[i] = i % 2 == 0 ? "start" : NULL;
	return &profile;
}

static struct profiles
make(const char *early, const char *late)
{
	int lists[PROFILES_LISTS] = { -1, -1 };
	struct profiles profiles;

	if (early != NULL)
		lists[PROFILES_EARLY] = list_of(early);
	if (late != NULL)
		lists[PROFILES_LATE] = list_of(late);
	assert_int_equal(profiles_make(&profiles, start(), lists), 0);
	fd_close(&lists[0]);
	fd_close(&lists[1]);
	return profiles;
}

static const char *
value(const struct profiles *profiles, size_t number, const char *name)
{
	size_t i = 0;

	while (strcmp(profile_name(i), name) != 0)
		i++;
	return profiles->all[number].profile.values[i];
}

#define FIND(profiles, variables) \
	profiles_find(&(profiles), variables, sizeof(variables) - 1)

static void
without_rules_there_is_the_start(void **state)
{
	struct profiles p = make(NULL, NULL);

	(void)state;
	assert_int_equal(p.count, 1);
	assert_true(profile_is_same(&p.all[0].profile, start()));
	assert_null(p.all[0].rule);
	assert_int_equal(profiles_find(&p, NULL, 0), 0);
	assert_int_equal(FIND(p, "WORD=x\0"), 0);
	assert_int_equal(FIND(p, "CERTFILE=/x\0"), -1);
	profiles_free(&p);
	/* Nor do rules that say nothing of TLS make one, nor those that deny. */
	p = make("1.2.3.4:allow,WORD=\"x\"\n2.:deny,CERTFILE=\"/y\"\n:allow",
	    "=:allow,CCAVERIFY=\"z\",VERIFYDEPTH=\"2\",CCAFILE=\"-\","
	    "SNI=\"strict\",MAXCONIP=\"5\"");
	assert_int_equal(p.count, 1);
	assert_int_equal(
	    FIND(p, "CCAVERIFY=z\0VERIFYDEPTH=2\0CCAFILE=-\0SNI=strict\0"), 0);
	profiles_free(&p);
}

static void
each_set_is_one(void **state)
{
	struct profiles p = make(NULL,
	    "1.2.3.4:allow,CERTFILE=\"/x\",WORD=\"1\"\n"
	    "2.:allow,CERTFILE=\"/x\",WORD=\"2\"\n"
	    "3.:allow,CERTFILE=\"/y\",CERTFILE=\"/x\"\n"
	    "10.1.0.0/16:allow,ALPN=\"\"\n");
	int x = FIND(p, "CERTFILE=/x\0"), alpn = FIND(p, "ALPN=\0");

	(void)state;
	assert_int_equal(p.count, 3);
	assert_true(x > 0 && alpn > 0 && x != alpn);
	assert_string_equal(value(&p, (size_t)x, "CERTFILE"), "/x");
	assert_string_equal(value(&p, (size_t)alpn, "ALPN"), "");
	/* What it says nothing of is the start's. */
	assert_string_equal(value(&p, (size_t)x, "ALPN"), "start");
	assert_null(value(&p, (size_t)x, "CADIR"));
	assert_string_equal(
	    p.all[alpn].rule, "rule file /r.cdb, rule 10.1.0.0/16");
	/* The later one wins; another one is unknown. */
	assert_int_equal(FIND(p, "CERTFILE=/z\0A=b\0CERTFILE=/x\0"), x);
	assert_int_equal(FIND(p, "CERTFILE=/x\0ALPN=\0"), -1);
	assert_int_equal(FIND(p, "ALPN=start\0"), 0);
	profiles_free(&p);
}

static void
a_default_rule_of_y_lies_below(void **state)
{
	struct profiles p = make("1.:allow,CERTFILE=\"/1\"\n"
				 ":allow,CERTFILE=\"/d\",TLSMIN=\"1.3\"\n",
	    "2.:allow,CERTFILE=\"/2\"\n:allow,ALPN=\"a\"\n");

	(void)state;
	assert_int_equal(p.count, 7);
	assert_true(FIND(p, "CERTFILE=/1\0") > 0);
	assert_true(FIND(p, "CERTFILE=/d\0TLSMIN=1.3\0") > 0);
	assert_true(FIND(p, "CERTFILE=/2\0") > 0);
	assert_true(FIND(p, "ALPN=a\0") > 0);
	assert_true(FIND(p, "CERTFILE=/d\0TLSMIN=1.3\0CERTFILE=/2\0") > 0);
	assert_true(FIND(p, "CERTFILE=/d\0TLSMIN=1.3\0ALPN=a\0") > 0);
	/* Any other rule of -y decides alone. */
	assert_int_equal(FIND(p, "CERTFILE=/1\0ALPN=a\0"), -1);
	profiles_free(&p);
}

/* Lines of so many sets, from that one on.  The caller frees them. */
static char *
many(size_t first, size_t count)
{
	char *lines = malloc(count * 64), *at = lines;
	size_t i;

	for (i = first; i < first + count; i++)
		at += sprintf(at, "10.%zu.%zu.:allow,ALPN=\"%zu\"\n", i / 256,
		    i % 256, i);
	return lines;
}

static void
there_may_be_so_many(void **state)
{
	char *full = many(0, PROFILES_MAX), *over = many(0, PROFILES_MAX + 1);
	char *half = many(1000, PROFILES_MAX / 2);
	struct table table = table_make(over, NULL);
	int lists[PROFILES_LISTS], fd = sealed_make();
	struct profiles p;

	(void)state;
	assert_int_equal(
	    profiles_list(table.bytes, table.len, "/r.cdb", fd), -1);
	assert_int_equal(errno, E2BIG);
	free(table.bytes);
	/* A list may be full, but one of the profiles is the start's. */
	lists[0] = list_of(full);
	lists[1] = list_of(half);
	assert_int_equal(profiles_make(&p, start(), lists), -1);
	assert_int_equal(errno, E2BIG);
	close(lists[0]);
	close(lists[1]);
	full[strlen(full) - 1] = '\0';
	*strrchr(full, '\n') = '\0';
	p = make(full, NULL);
	assert_int_equal(p.count, PROFILES_MAX);
	profiles_free(&p);
	free(full);
	free(over);
	free(half);
	close(fd);
}

static void
a_list_that_is_too_long_is_refused(void **state)
{
	static char line[64 * 1024];
	static char lines[40 * sizeof(line)];
	struct table table;
	int i, at = 0, fd = sealed_make();

	(void)state;
	memset(line, 'x', 60000);
	for (i = 0; i < 20; i++)
		at += sprintf(
		    lines + at, "10.%d.:allow,ALPN=\"%d%s\"\n", i, i, line);
	table = table_make(lines, NULL);
	assert_int_equal(
	    profiles_list(table.bytes, table.len, "/r.cdb", fd), -1);
	assert_int_equal(errno, E2BIG);
	free(table.bytes);
	close(fd);
}

static void
what_is_new_is_seen(void **state)
{
	int none = list_of(""), one = list_of("1.:allow,ALPN=\"a\""),
	    two = list_of("2.:allow,ALPN=\"b\"\n3.:allow,ALPN=\"a\""),
	    of_default = list_of(":allow,ALPN=\"a\"");

	(void)state;
	assert_true(profiles_covers(-1, none));
	assert_true(profiles_covers(none, -1));
	assert_true(profiles_covers(two, one));
	assert_true(profiles_covers(one, one));
	assert_true(profiles_covers(one, none));
	assert_false(profiles_covers(one, two));
	assert_false(profiles_covers(-1, one));
	/* It makes other profiles, with those of -x. */
	assert_false(profiles_covers(one, of_default));
	close(none);
	close(one);
	close(two);
	close(of_default);
}

/* As a list that somebody else made. */
static int
sealed_bytes(const unsigned char *bytes, size_t len)
{
	int fd = sealed_make();

	assert_int_equal(fd_write_all(fd, bytes, len), 0);
	assert_int_equal(sealed_seal(fd), 0);
	return fd;
}

static void
malformed_lists_are_refused(void **state)
{
	int good = list_of("1.:allow,ALPN=\"a\"\n2.:allow,ALPN=\"b\"");
	int lists[PROFILES_LISTS] = { -1, -1 };
	unsigned char bytes[2000];
	struct profiles p;
	size_t len, i;

	(void)state;
	assert_int_equal(sealed_check(good, sizeof(bytes), &len), 0);
	assert_int_equal(pread(good, bytes, len, 0), len);
	for (i = 1; i <= len + 1; i++) {
		if (i == len)
			continue;
		bytes[len] = 0;
		lists[PROFILES_LATE] = sealed_bytes(bytes, i);
		assert_int_equal(profiles_make(&p, start(), lists), -1);
		assert_int_equal(errno, EPROTO);
		assert_false(profiles_covers(good, lists[PROFILES_LATE]));
		close(lists[PROFILES_LATE]);
	}
	/* More sets than there can be, and more than there are. */
	for (i = 0; i < 8; i++) {
		bytes[i] ^= 255;
		lists[PROFILES_LATE] = sealed_bytes(bytes, len);
		assert_int_equal(profiles_make(&p, start(), lists), -1);
		close(lists[PROFILES_LATE]);
		bytes[i] ^= 255;
	}
	/* Not sealed. */
	lists[PROFILES_LATE] = sealed_make();
	assert_int_equal(fd_write_all(lists[PROFILES_LATE], bytes, len), 0);
	assert_int_equal(profiles_make(&p, start(), lists), -1);
	close(lists[PROFILES_LATE]);
	close(good);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_rules_there_is_the_start),
		cmocka_unit_test(each_set_is_one),
		cmocka_unit_test(a_default_rule_of_y_lies_below),
		cmocka_unit_test(there_may_be_so_many),
		cmocka_unit_test(a_list_that_is_too_long_is_refused),
		cmocka_unit_test(what_is_new_is_seen),
		cmocka_unit_test(malformed_lists_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
