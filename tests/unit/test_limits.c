/*
 * test_limits: counts are exact under every order of starts, questions and
 * ends (random interleavings beside a model that counts by hand), whatever
 * policies are asked; what was counted comes back, however addresses are
 * chosen; and the two settings are read strictly.
 */
#include "serve/limits.h"

#include "support.h"

#include <string.h>

#define CONNECTIONS 48
#define STEPS 200000

static struct ip
ip_of(const char *text)
{
	struct ip ip;

	assert_int_equal(ip_parse(text, &ip), 0);
	return ip;
}

static struct limits_policy
policy_of(size_t per_source, size_t per_network, unsigned prefix)
{
	struct limits_policy policy = { per_source, per_network, prefix };

	return policy;
}

/* How many of these addresses in a row are within the policy. */
static size_t
within(const struct limits_policy *policy, const char *const *texts)
{
	struct limits_hold holds[16];
	struct limits limits;
	size_t i, count = 0;

	memset(holds, 0, sizeof(holds));
	assert_int_equal(limits_init(&limits, COUNT(holds)), 0);
	for (i = 0; texts[i] != NULL; i++) {
		struct ip ip = ip_of(texts[i]);

		if (limits_reserve(&limits, &holds[i], &ip, policy) ==
		    LIMITS_WITHIN)
			count++;
		else
			limits_release(&limits, &holds[i]);
	}
	limits_free(&limits);
	return count;
}

static void
ipv4_counts_by_address(void **state)
{
	static const char *const same[] = { "192.0.2.1", "192.0.2.1",
		"::ffff:192.0.2.1", "192.0.2.1", NULL };
	static const char *const near[] = { "192.0.2.1", "192.0.2.0",
		"192.0.2.3", "192.0.2.2", NULL };
	struct limits_policy policy = policy_of(2, LIMITS_NONE, 0);

	(void)state;
	assert_int_equal(within(&policy, same), 2);
	assert_int_equal(within(&policy, near), 4);
}

static void
ipv6_counts_by_64_bits(void **state)
{
	static const char *const same[] = { "2001:db8::1", "2001:db8::2",
		"2001:db8::ffff:ffff:ffff:ffff", "2001:db8::", NULL };
	static const char *const near[] = { "2001:db8::1", "2001:db8:0:1::1",
		"2001:db8:0:2::1", "2001:db8:1::1", NULL };
	struct limits_policy policy = policy_of(1, LIMITS_NONE, 0);

	(void)state;
	assert_int_equal(within(&policy, same), 1);
	assert_int_equal(within(&policy, near), 4);
}

static void
networks_of_a_prefix(void **state)
{
	static const char *const v4[] = { "192.0.2.1", "192.0.2.130",
		"192.0.2.131", "192.0.3.1", "192.0.2.2", NULL };
	static const char *const v6[] = { "2001:db8::1", "2001:db8:0:1::1",
		"2001:db8:0:2::1", "2001:db9::1", NULL };
	struct limits_policy half = policy_of(LIMITS_NONE, 2, 25);
	struct limits_policy wide = policy_of(LIMITS_NONE, 2, 24);
	struct limits_policy all = policy_of(LIMITS_NONE, 2, 0);
	struct limits_policy v6_net = policy_of(LIMITS_NONE, 1, 32);

	(void)state;
	assert_int_equal(within(&half, v4), 5);
	assert_int_equal(within(&wide, v4), 3);
	assert_int_equal(within(&all, v4), 2);
	assert_int_equal(within(&v6_net, v6), 2);
}

/* A network as large as a source is counted beside it, not with it. */
static void
a_source_is_not_its_network(void **state)
{
	static const char *const v4[] = { "192.0.2.1", "192.0.2.1", "192.0.2.1",
		"192.0.2.1", NULL };
	static const char *const v6[] = { "2001:db8::1", "2001:db8::1",
		"2001:db8::1", "2001:db8::1", NULL };
	struct limits_policy policy = policy_of(3, 3, 32);

	(void)state;
	assert_int_equal(within(&policy, v4), 3);
	policy = policy_of(3, 3, 64);
	assert_int_equal(within(&policy, v6), 3);
}

/* Those without a limit, or with one of another prefix, are seen by it. */
static void
a_network_counts_whoever_is_in_it(void **state)
{
	struct limits_policy none = policy_of(LIMITS_NONE, LIMITS_NONE, 0);
	struct limits_policy wide = policy_of(LIMITS_NONE, 9, 8);
	struct limits_policy narrow = policy_of(LIMITS_NONE, 2, 24);
	struct limits_hold holds[4] = { { 0 } };
	struct ip near = ip_of("192.0.2.9"), far = ip_of("192.0.3.9");
	struct ip other_family = ip_of("2001:db8::1");
	struct limits limits;

	(void)state;
	assert_int_equal(limits_init(&limits, COUNT(holds)), 0);
	limits_reserve(&limits, &holds[0], &near, &none);
	limits_reserve(&limits, &holds[1], &far, &wide);
	assert_int_equal(limits_check(&holds[0], &narrow), LIMITS_WITHIN);
	assert_int_equal(
	    limits_reserve(&limits, &holds[2], &near, &narrow), LIMITS_WITHIN);
	assert_int_equal(
	    limits_reserve(&limits, &holds[3], &near, &narrow), LIMITS_NETWORK);
	assert_int_equal(limits_check(&holds[1], &narrow), LIMITS_WITHIN);
	wide.per_network = 3;
	assert_int_equal(limits_check(&holds[1], &wide), LIMITS_NETWORK);
	limits_release(&limits, &holds[0]);
	assert_int_equal(limits_check(&holds[3], &narrow), LIMITS_WITHIN);
	assert_int_equal(limits_check(&holds[1], &wide), LIMITS_WITHIN);
	/* ::/0 has no IPv4 address in it. */
	wide = policy_of(LIMITS_NONE, 1, 0);
	assert_int_equal(
	    limits_reserve(&limits, &holds[0], &other_family, &wide),
	    LIMITS_WITHIN);
	limits_free(&limits);
}

static void
a_release_is_for_once(void **state)
{
	struct limits_policy policy = policy_of(1, 1, 24);
	struct limits_hold first = { 0 }, second = { 0 };
	struct ip ip = ip_of("192.0.2.1");
	struct limits limits;

	(void)state;
	assert_int_equal(limits_init(&limits, 2), 0);
	limits_release(&limits, &first);
	assert_int_equal(
	    limits_reserve(&limits, &first, &ip, &policy), LIMITS_WITHIN);
	assert_int_equal(
	    limits_reserve(&limits, &second, &ip, &policy), LIMITS_SOURCE);
	limits_release(&limits, &second);
	limits_release(&limits, &second);
	assert_int_equal(
	    limits_reserve(&limits, &second, &ip, &policy), LIMITS_SOURCE);
	policy.per_source = LIMITS_NONE;
	assert_int_equal(limits_check(&second, &policy), LIMITS_NETWORK);
	limits_release(&limits, &second);
	/* Alone, and counted once however often it is asked. */
	policy.per_source = 1;
	assert_int_equal(limits_check(&first, &policy), LIMITS_WITHIN);
	assert_int_equal(limits_check(&first, &policy), LIMITS_WITHIN);
	limits_release(&limits, &first);
	limits_free(&limits);
	limits_free(&limits);
}

/* The model: every live connection, looked through each time. */
struct model {
	struct limits limits;
	struct {
		bool is_live;
		struct ip ip;
		struct limits_policy policy;
		struct limits_hold hold;
	} conns[CONNECTIONS];
	uint64_t random;
};

static unsigned
pick(struct model *model, unsigned count)
{
	model->random ^= model->random << 13;
	model->random ^= model->random >> 7;
	model->random ^= model->random << 17;
	return (unsigned)(model->random >> 33) % count;
}

/* Few sources and networks, so that they meet. */
static struct ip
pick_ip(struct model *model)
{
	char text[IP_TEXT_SIZE];

	if (pick(model, 2) == 0)
		snprintf(text, sizeof(text), "10.%u.0.%u", pick(model, 2),
		    pick(model, 3));
	else
		snprintf(text, sizeof(text), "2001:db8:%u:%u::%u",
		    pick(model, 2), pick(model, 2), pick(model, 3));
	return ip_of(text);
}

static struct limits_policy
pick_policy(struct model *model, const struct ip *ip)
{
	static const unsigned v4[] = { 0, 8, 15, 16, 24, 30, 31, 32 };
	static const unsigned v6[] = { 0, 32, 33, 47, 48, 63, 64, 65, 128 };
	struct limits_policy policy = { LIMITS_NONE, LIMITS_NONE, 0 };

	if (pick(model, 4) != 0)
		policy.per_source = 1 + pick(model, 6);
	if (pick(model, 3) != 0)
		policy.per_network = 1 + pick(model, 9);
	policy.prefix = ip_is_v4(ip) ? v4[pick(model, COUNT(v4))]
				     : v6[pick(model, COUNT(v6))];
	return policy;
}

static bool
is_within(const struct ip *a, const struct ip *b, unsigned prefix)
{
	unsigned bit;

	for (bit = 0; bit < prefix; bit++)
		if (((a->bytes[bit / 8] ^ b->bytes[bit / 8]) >> (7 - bit % 8) &
			1) != 0)
			return false;
	return true;
}

static enum limits_verdict
expected(const struct model *model, size_t number)
{
	const struct limits_policy *policy = &model->conns[number].policy;
	const struct ip *ip = &model->conns[number].ip;
	unsigned own = ip_is_v4(ip) ? 128 : 64;
	unsigned prefix = policy->prefix + (ip_is_v4(ip) ? 96 : 0);
	size_t i, source = 0, network = 0;

	for (i = 0; i < CONNECTIONS; i++) {
		const struct ip *other = &model->conns[i].ip;

		/* All are counted, whatever policy let them in. */
		if (!model->conns[i].is_live || ip_is_v4(other) != ip_is_v4(ip))
			continue;
		source += is_within(ip, other, own);
		network += is_within(ip, other, prefix);
	}
	if (source > policy->per_source)
		return LIMITS_SOURCE;
	if (policy->per_network != LIMITS_NONE && network > policy->per_network)
		return LIMITS_NETWORK;
	return LIMITS_WITHIN;
}

static void
start(struct model *model, size_t number)
{
	struct ip ip = pick_ip(model);
	enum limits_verdict verdict;

	model->conns[number].is_live = true;
	model->conns[number].ip = ip;
	model->conns[number].policy = pick_policy(model, &ip);
	verdict = limits_reserve(&model->limits, &model->conns[number].hold,
	    &ip, &model->conns[number].policy);
	assert_int_equal(verdict, expected(model, number));
}

static void
change(struct model *model, size_t number)
{
	struct ip *ip = &model->conns[number].ip;
	enum limits_verdict verdict;

	model->conns[number].policy = pick_policy(model, ip);
	verdict = limits_check(
	    &model->conns[number].hold, &model->conns[number].policy);
	assert_int_equal(verdict, expected(model, number));
}

static void
end(struct model *model, size_t number)
{
	limits_release(&model->limits, &model->conns[number].hold);
	model->conns[number].is_live = false;
}

static void
random_interleavings_agree_with_a_model(void **state)
{
	struct model model = { .random = 88172645463325252u };
	size_t i, step;

	(void)state;
	assert_int_equal(limits_init(&model.limits, CONNECTIONS), 0);
	for (step = 0; step < STEPS; step++) {
		size_t number = pick(&model, CONNECTIONS);

		if (!model.conns[number].is_live)
			start(&model, number);
		else if (pick(&model, 3) == 0)
			change(&model, number);
		else
			end(&model, number);
	}
	for (i = 0; i < CONNECTIONS; i++)
		end(&model, i);
	limits_free(&model.limits);
}

/* Each address shares one bit more with the next: as deep as can be. */
static void
the_deepest_tree(void **state)
{
	struct limits_policy policy = policy_of(LIMITS_NONE, 0, 0);
	struct limits_hold holds[129];
	struct limits limits;
	unsigned i, round;

	(void)state;
	memset(holds, 0, sizeof(holds));
	assert_int_equal(limits_init(&limits, COUNT(holds)), 0);
	for (round = 0; round < 3; round++) {
		struct ip ip = { { 0 } };

		for (i = 0; i < COUNT(holds); i++) {
			limits_reserve(&limits, &holds[i], &ip, &policy);
			if (i < 128)
				ip.bytes[i / 8] |=
				    (unsigned char)(0x80 >> i % 8);
		}
		/* The first n bits are set in all but the first n. */
		for (i = 0; i <= 128; i++) {
			policy.prefix = i;
			policy.per_network = 129 - i;
			assert_int_equal(
			    limits_check(&holds[128], &policy), LIMITS_WITHIN);
			policy.per_network--;
			assert_int_equal(
			    limits_check(&holds[128], &policy), LIMITS_NETWORK);
		}
		for (i = 0; i < COUNT(holds); i++)
			limits_release(
			    &limits, &holds[(i * 50 + round) % COUNT(holds)]);
	}
	limits_free(&limits);
}

/* As many sources and networks as there can be, again and again. */
static void
every_counter_comes_back(void **state)
{
	struct limits_policy policy = policy_of(1, 1, 31);
	struct limits_hold holds[100];
	struct limits limits;
	unsigned round, i;

	(void)state;
	memset(holds, 0, sizeof(holds));
	assert_int_equal(limits_init(&limits, COUNT(holds)), 0);
	for (round = 0; round < 50; round++) {
		for (i = 0; i < COUNT(holds); i++) {
			struct ip ip = ip_of("10.0.0.0");

			ip.bytes[14] = (unsigned char)round;
			ip.bytes[15] = (unsigned char)(2 * i);
			assert_int_equal(
			    limits_reserve(&limits, &holds[i], &ip, &policy),
			    LIMITS_WITHIN);
		}
		for (i = 0; i < COUNT(holds); i++)
			limits_release(
			    &limits, &holds[(i * 37) % COUNT(holds)]);
	}
	limits_free(&limits);
}

static void
settings_are_read_strictly(void **state)
{
	static const char *const bad_source[] = { "", " 5", "5 ", "-1", "+5",
		"5x", "0x5", "1/2", "99999999999999999999" };
	static const char *const bad_network[] = { "", "5", "/", "/24", "5/",
		"5/24/8", "5/129", "5/-1", " 5/24", "5/24 ", "x/24",
		"00000000000000000000005/24", "99999999999/24" };
	struct limits_policy policy = policy_of(7, 8, 9);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(bad_source); i++)
		assert_int_equal(
		    limits_read_source(&policy, bad_source[i]), -1);
	for (i = 0; i < COUNT(bad_network); i++)
		assert_int_equal(
		    limits_read_network(&policy, bad_network[i]), -1);
	assert_true(policy.per_source == 7 && policy.per_network == 8 &&
	    policy.prefix == 9);
	assert_int_equal(limits_read_source(&policy, "3"), 0);
	assert_int_equal(limits_read_network(&policy, "12/128"), 0);
	assert_true(policy.per_source == 3 && policy.per_network == 12 &&
	    policy.prefix == 128);
	assert_int_equal(limits_read_source(&policy, "0"), 0);
	assert_int_equal(limits_read_network(&policy, "0/24"), 0);
	assert_true(policy.per_source == LIMITS_NONE &&
	    policy.per_network == LIMITS_NONE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_counts_by_address),
		cmocka_unit_test(ipv6_counts_by_64_bits),
		cmocka_unit_test(networks_of_a_prefix),
		cmocka_unit_test(a_source_is_not_its_network),
		cmocka_unit_test(a_network_counts_whoever_is_in_it),
		cmocka_unit_test(a_release_is_for_once),
		cmocka_unit_test(random_interleavings_agree_with_a_model),
		cmocka_unit_test(the_deepest_tree),
		cmocka_unit_test(every_counter_comes_back),
		cmocka_unit_test(settings_are_read_strictly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
