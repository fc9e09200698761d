/*
 * test_tlscerts: names are found exactly or by one wildcard, as a plain walk
 * through the list finds them, and strange ones are nobody's.
 */
#include "tls/tlscerts.h"

#include "support.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static struct tlscerts certs;

static void
add(const char *name)
{
	struct buf chain;

	buf_init(&chain, 100);
	assert_int_equal(buf_append_string(&chain, name ? name : "none"), 0);
	assert_int_equal(tlscerts_add(&certs, name, &chain), 0);
	assert_null(chain.data);
}

static void
expect(const char *name, size_t count, size_t first)
{
	size_t found = SIZE_MAX;

	if (tlscerts_find(&certs, name, &found) != count)
		fail_msg("%s: not %zu", name, count);
	if (count > 0)
		assert_int_equal(found, first);
}

static void
exact_names_win_over_wildcards(void **state)
{
	(void)state;
	add(NULL);
	add(NULL);
	add("_.example.org");
	add("a.example.org");
	add("a.example.org");
	add("b.example.org");
	add("example.org");
	assert_int_equal(tlscerts_nameless(&certs), 2);
	expect("a.example.org", 2, 3);
	expect("b.example.org", 1, 5);
	expect("example.org", 1, 6);
	expect("c.example.org", 1, 2);
	expect("A.Example.ORG", 2, 3);
	expect("X.EXAMPLE.ORG", 1, 2);
	/* One label only, and not none. */
	expect("c.d.example.org", 0, 0);
	expect(".example.org", 0, 0);
	expect("example.com", 0, 0);
	expect("org", 0, 0);
	tlscerts_free(&certs);
}

static void
an_empty_list_has_nothing(void **state)
{
	(void)state;
	expect("a.example.org", 0, 0);
	add(NULL);
	expect("a.example.org", 0, 0);
	expect("", 0, 0);
	tlscerts_free(&certs);
	tlscerts_free(&certs);
}

static void
strange_names_are_nobodys(void **state)
{
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "a b",
		"a/b", "../a", "*.a", "a\n", "\xc3\xa4.de", "a+b", "a:b" };
	char normal[TLSCERTS_NAME_SIZE], label[80], name[300];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad); i++)
		assert_int_equal(tlscerts_normal(normal, bad[i]), -1);
	assert_int_equal(tlscerts_normal(normal, "A-1_z.9Z"), 0);
	assert_string_equal(normal, "a-1_z.9z");
	memset(label, 'a', sizeof(label));
	label[63] = '\0';
	assert_int_equal(tlscerts_normal(normal, label), 0);
	label[63] = 'a';
	label[64] = '\0';
	assert_int_equal(tlscerts_normal(normal, label), -1);
	memset(name, 'a', sizeof(name));
	for (i = 1; i < sizeof(name); i += 2)
		name[i] = '.';
	name[253] = '\0';
	assert_int_equal(tlscerts_normal(normal, name), 0);
	assert_string_equal(normal, name);
	name[253] = '.';
	name[255] = '\0';
	assert_int_equal(tlscerts_normal(normal, name), -1);
}

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* What a walk through the whole list finds. */
static size_t
walk(const char *name, size_t *first)
{
	size_t i, count = 0;

	for (i = certs.count; i-- > 0;)
		if (certs.all[i].name != NULL &&
		    strcmp(certs.all[i].name, name) == 0) {
			*first = i;
			count++;
		}
	return count;
}

static void
thousands_are_found_as_a_walk_finds_them(void **state)
{
	static char names[4000][16];
	char name[16], wild[16];
	size_t i, count, first = 0;

	(void)state;
	srand(4711);
	for (i = 0; i < COUNT(names); i++)
		snprintf(names[i], 16, "%s%d.%c", rand() % 8 == 0 ? "_." : "",
		    rand() % 3000, 'a' + rand() % 2);
	qsort(names, COUNT(names), 16, compare);
	add(NULL);
	for (i = 0; i < COUNT(names); i++)
		add(names[i]);
	for (i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "%s%d.%c",
		    rand() % 2 == 0 ? "x." : "", rand() % 3000,
		    'a' + rand() % 3);
		snprintf(wild, sizeof(wild), "_%s", strchr(name, '.'));
		count = walk(name, &first);
		if (count == 0)
			count = walk(wild, &first);
		expect(name, count, first);
	}
	tlscerts_free(&certs);
}

static void
there_is_a_most(void **state)
{
	struct buf chain;
	size_t i;

	(void)state;
	buf_init(&chain, 100);
	for (i = 0; tlscerts_add(&certs, NULL, &chain) == 0; i++)
		assert_true(i < 10 * (size_t)TLSCERTS_MAX);
	assert_true(i >= TLSCERTS_MAX);
	tlscerts_free(&certs);
}

/* What is borrowed is not freed: the sanitizers see it. */
static void
what_is_borrowed_stays(void **state)
{
	static const unsigned char chain[] = "chain";

	(void)state;
	assert_int_equal(tlscerts_borrow(&certs, 2), 0);
	assert_null(certs.all[0].name);
	certs.all[1] = (struct tlscert){ "b", chain, sizeof(chain) };
	expect("b", 1, 1);
	tlscerts_free(&certs);
	assert_int_equal(tlscerts_borrow(&certs, 0), 0);
	expect("b", 0, 0);
	tlscerts_free(&certs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_names_win_over_wildcards),
		cmocka_unit_test(an_empty_list_has_nothing),
		cmocka_unit_test(strange_names_are_nobodys),
		cmocka_unit_test(thousands_are_found_as_a_walk_finds_them),
		cmocka_unit_test(there_is_a_most),
		cmocka_unit_test(what_is_borrowed_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
