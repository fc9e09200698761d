/*
 * rules: the look-up of a client in a rule table, and its verdict.
 *
 * Used by the monitor for every connection and by tcprulescheck.  The bytes
 * may come from a damaged or hostile file, so each offset is compared with
 * the table's end before it is followed, and a search ends after as many
 * slots as the table has.  The cdb library's reader is not used: it wants a
 * descriptor that it maps itself, so that a file cut short would kill the
 * reader, and it cannot compare a key that lies in pieces.
 *
 * Format: 256 pairs of offset and number of slots, the records (two
 * lengths, key, data), and the hash tables with slots of hash and offset.
 * All numbers are 32 bits, least byte first.
 */
#include "rules/rules.h"

#include <string.h>

#include "rules/rulekey.h"
#include "rules/rulevars.h"

#define TABLES 256
#define SLOT_SIZE 8
#define HASH_START 5381

struct table {
	const unsigned char *bytes;
	size_t len;
};

/* A key in pieces, so that none must be put together first. */
struct key {
	uint32_t hash;
	size_t len;
	unsigned count;
	struct piece {
		const void *bytes;
		size_t len;
	} pieces[3];
};

struct record {
	size_t key_at, key_len, data_at, data_len;
};

static uint32_t
number_at(const struct table *t, size_t at)
{
	const unsigned char *from = t->bytes + at;

	return (uint32_t)from[0] | (uint32_t)from[1] << 8 |
	    (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static uint32_t
hash_more(uint32_t hash, const void *bytes, size_t len)
{
	const unsigned char *from = bytes;

	while (len-- > 0)
		hash = ((hash << 5) + hash) ^ *from++;
	return hash;
}

static void
key_start(struct key *key)
{
	key->hash = HASH_START;
	key->len = 0;
	key->count = 0;
}

/* At most three times for one key. */
static void
key_add(struct key *key, const void *bytes, size_t len)
{
	struct piece *piece = &key->pieces[key->count++];

	piece->bytes = bytes;
	piece->len = len;
	key->len += len;
	key->hash = hash_more(key->hash, bytes, len);
}

static bool
key_equals(const struct key *key, const unsigned char *bytes)
{
	unsigned i;

	for (i = 0; i < key->count; i++) {
		const struct piece *piece = &key->pieces[i];

		if (piece->len > 0 &&
		    memcmp(piece->bytes, bytes, piece->len) != 0)
			return false;
		bytes += piece->len;
	}
	return true;
}

/* 0, or -1 when no whole record lies at that offset. */
static int
read_record(const struct table *t, size_t at, struct record *record)
{
	size_t left;

	if (at < RULES_HEADER_SIZE || at > t->len || t->len - at < 8)
		return -1;
	record->key_len = number_at(t, at);
	record->data_len = number_at(t, at + 4);
	left = t->len - at - 8;
	if (record->key_len > left || record->data_len > left - record->key_len)
		return -1;
	record->key_at = at + 8;
	record->data_at = record->key_at + record->key_len;
	return 0;
}

/* The slots of hash table i.  0, or -1 when they do not lie inside. */
static int
read_header(const struct table *t, unsigned i, size_t *at, size_t *slots)
{
	if (t->len < RULES_HEADER_SIZE)
		return -1;
	*at = number_at(t, (size_t)i * 8);
	*slots = number_at(t, (size_t)i * 8 + 4);
	if (*slots > 0 &&
	    (*at < RULES_HEADER_SIZE || *at > t->len ||
		*slots > (t->len - *at) / SLOT_SIZE))
		return -1;
	return 0;
}

/* 1 and the first record with that key, 0 when there is none, -1 damaged. */
static int
find(const struct table *t, const struct key *key, struct record *record)
{
	size_t at, slots, i, slot, offset;

	if (read_header(t, key->hash % TABLES, &at, &slots) == -1)
		return -1;
	slot = slots > 0 ? (key->hash >> 8) % slots : 0;
	for (i = 0; i < slots; i++) {
		offset = number_at(t, at + slot * SLOT_SIZE + 4);
		if (offset == 0)
			return 0;
		if (number_at(t, at + slot * SLOT_SIZE) == key->hash) {
			if (read_record(t, offset, record) == -1)
				return -1;
			if (record->key_len == key->len &&
			    key_equals(key, t->bytes + record->key_at))
				return 1;
		}
		slot = slot + 1 == slots ? 0 : slot + 1;
	}
	return 0;
}

static int
find_text(const struct table *t, const char *mark, const char *text, size_t len,
    struct record *record)
{
	struct key key;

	key_start(&key);
	key_add(&key, mark, strlen(mark));
	key_add(&key, text, len);
	return find(t, &key, record);
}

static int
find_ident(const struct table *t, const char *info, const char *mark,
    const char *text, size_t len, struct record *record)
{
	struct key key;

	key_start(&key);
	key_add(&key, info, strlen(info));
	key_add(&key, mark, strlen(mark));
	key_add(&key, text, len);
	return find(t, &key, record);
}

/* Steps 1 and 2. */
static int
find_info(const struct table *t, const struct rules_client *c, const char *ip,
    size_t ip_len, struct record *record)
{
	int result = 0;

	if (c->info == NULL)
		return 0;
	if (c->ip != NULL)
		result = find_ident(t, c->info, "@", ip, ip_len, record);
	if (result == 0 && c->host != NULL)
		result = find_ident(
		    t, c->info, "@=", c->host, strlen(c->host), record);
	return result;
}

/* Step 5: "1.2.3." "1.2." "1." */
static int
find_dotted(
    const struct table *t, const char *ip, size_t len, struct record *record)
{
	int result = 0;

	for (; len > 0 && result == 0; len--)
		if (ip[len - 1] == '.')
			result = find_text(t, "", ip, len, record);
	return result;
}

/*
 * Step 6.  The hash of a prefix is a step on the way to that of a longer
 * one, so all are computed in one pass.
 */
static int
find_prefix(
    const struct table *t, const unsigned char *ip, struct record *record)
{
	char text[RULEKEY_SIZE];
	uint32_t hashes[RULEKEY_SIZE];
	bool is_v4 = rulekey_is_v4(ip);
	size_t i, len = rulekey_prefix(text, ip, is_v4, is_v4 ? 32 : 128);
	struct key key = { .count = 1, .pieces = { { text, 0 } } };
	int result = 0;

	hashes[0] = hash_more(HASH_START, text, 1);
	for (i = 1; i < len; i++)
		hashes[i] = hash_more(hashes[i - 1], text + i, 1);
	for (i = len - 1; i > 0 && result == 0; i--) {
		key.hash = hashes[i];
		key.len = i + 1;
		key.pieces[0].len = i + 1;
		result = find(t, &key, record);
	}
	return result;
}

/* Steps 3 to 6, with that of the host name between. */
static int
find_address(const struct table *t, const struct rules_client *c,
    const char *ip, size_t ip_len, struct record *record)
{
	int result = 0;

	if (c->ip != NULL)
		result = find_text(t, "", ip, ip_len, record);
	if (result == 0 && c->host != NULL)
		result = find_text(t, "=", c->host, strlen(c->host), record);
	if (c->ip == NULL)
		return result;
	if (result == 0 && rulekey_is_v4(c->ip))
		result = find_dotted(t, ip, ip_len, record);
	if (result == 0)
		result = find_prefix(t, c->ip, record);
	return result;
}

/* Steps 7 and 8. */
static int
find_suffix(const struct table *t, const char *host, struct record *record)
{
	int result = 0;

	if (host == NULL)
		return 0;
	for (; *host != '\0' && result == 0; host++)
		if (*host == '.')
			result = find_text(t, "=", host, strlen(host), record);
	return result != 0 ? result : find_text(t, "=", "", 0, record);
}

static int
find_client(const struct table *t, const struct rules_client *client,
    struct record *record)
{
	char ip[RULEKEY_SIZE];
	size_t ip_len = 0;
	int result;

	if (client->ip != NULL)
		ip_len =
		    rulekey_address(ip, client->ip, rulekey_is_v4(client->ip));
	result = find_info(t, client, ip, ip_len, record);
	if (result == 0)
		result = find_address(t, client, ip, ip_len, record);
	if (result == 0)
		result = find_suffix(t, client->host, record);
	if (result == 0)
		result = find_text(t, "", "", 0, record);
	return result;
}

/*
 * The instruction that begins at *at of data: a C string.  NULL at the end;
 * *at is advanced past it.  What has no NUL is no instruction.
 */
static const char *
next_instruction(const unsigned char *data, size_t len, size_t *at)
{
	const unsigned char *start, *end;

	if (*at >= len) /* of no data too, which may be NULL */
		return NULL;
	start = data + *at;
	end = memchr(start, '\0', len - *at);
	if (end == NULL)
		return NULL;
	*at += (size_t)(end - start) + 1;
	return (const char *)start;
}

static bool
is_deny(const char *instruction)
{
	return instruction[0] == 'D';
}

static bool
is_variable(const char *instruction)
{
	return instruction[0] == '+' && strchr(instruction + 1, '=') != NULL;
}

static void
fill_verdict(
    struct rules_verdict *v, const struct table *t, const struct record *record)
{
	const char *instruction;
	size_t at = 0;

	v->is_found = true;
	v->is_default = record->key_len == 0;
	v->key = t->bytes + record->key_at;
	v->key_len = record->key_len;
	v->data = t->bytes + record->data_at;
	v->data_len = record->data_len;
	while (
	    (instruction = next_instruction(v->data, v->data_len, &at)) != NULL)
		if (is_deny(instruction))
			v->denies = true;
}

int
rules_decide(struct rules_verdict *verdict, const void *table, size_t len,
    const struct rules_client *client)
{
	struct table t = { .bytes = table, .len = len };
	struct record record;

	memset(verdict, 0, sizeof(*verdict));
	switch (find_client(&t, client, &record)) {
	case 1:
		fill_verdict(verdict, &t, &record);
		return 0;
	case 0:
		return 0;
	default:
		verdict->denies = true;
		return -1;
	}
}

const char *
rules_variable(const struct rules_verdict *verdict, size_t *at)
{
	const char *instruction;

	while ((instruction = next_instruction(
		    verdict->data, verdict->data_len, at)) != NULL)
		if (is_variable(instruction) && instruction[1] != '=')
			return instruction + 1;
	return NULL;
}

size_t
rules_locate(const void *table, size_t len, const void *key, size_t key_len)
{
	struct table t = { .bytes = table, .len = len };
	struct record record;
	struct key wanted;

	key_start(&wanted);
	key_add(&wanted, key, key_len);
	return find(&t, &wanted, &record) == 1 ? record.key_at - 8 : 0;
}

const unsigned char *
rules_key_at(const void *table, size_t len, size_t offset, size_t *key_len)
{
	struct table t = { .bytes = table, .len = len };
	struct record record;

	if (read_record(&t, offset, &record) == -1)
		return NULL;
	*key_len = record.key_len;
	return t.bytes + record.key_at;
}

/*
 * An instruction that is not understood may be a newer way to deny: then
 * the table is not for us.
 */
static bool
is_sound(const unsigned char *data, size_t len)
{
	const char *instruction;
	size_t at = 0;

	while ((instruction = next_instruction(data, len, &at)) != NULL)
		if (!is_deny(instruction) && !is_variable(instruction))
			return false;
	return at == len;
}

/* Space that records and slots of a sound table, which share none, need. */
static int
take(size_t *space, size_t size)
{
	if (size > *space)
		return -1;
	*space -= size;
	return 0;
}

/* The record of a slot of hash table i.  0 or -1. */
static int
check_record(const struct table *t, unsigned i, size_t slot, size_t *space)
{
	uint32_t hash = number_at(t, slot);
	struct record record;

	if (read_record(t, number_at(t, slot + 4), &record) == -1 ||
	    take(space, 8 + record.key_len + record.data_len) == -1)
		return -1;
	if (hash % TABLES != i ||
	    hash !=
		hash_more(HASH_START, t->bytes + record.key_at, record.key_len))
		return -1;
	return is_sound(t->bytes + record.data_at, record.data_len) ? 0 : -1;
}

/* An empty slot of the table at that offset, or slots when there is none. */
static size_t
empty_slot(const struct table *t, size_t at, size_t slots)
{
	size_t k;

	for (k = 0; k < slots; k++)
		if (number_at(t, at + k * SLOT_SIZE + 4) == 0)
			break;
	return k;
}

/*
 * All slots of hash table i.  A search goes from a key's own slot up to an
 * empty one, so a record may be no further from there than the run of used
 * slots that it stands in.  *space bounds the sum of all that is looked at:
 * overlapping tables or records cannot cost more than a sound table of that
 * length.
 */
static int
check_slots(const struct table *t, unsigned i, size_t *space)
{
	size_t at, slots, k, j, slot, own, run = 0;

	if (read_header(t, i, &at, &slots) == -1 ||
	    take(space, slots * SLOT_SIZE) == -1)
		return -1;
	k = empty_slot(t, at, slots);
	/* Without one, a search in vain would look at every slot. */
	if (slots > 0 && k == slots)
		return -1;
	for (j = 1; j < slots; j++) {
		k = k + 1 == slots ? 0 : k + 1;
		slot = at + k * SLOT_SIZE;
		if (number_at(t, slot + 4) == 0) {
			run = 0;
			continue;
		}
		own = (number_at(t, slot) >> 8) % slots;
		if ((k + slots - own) % slots > run++ ||
		    check_record(t, i, slot, space) == -1)
			return -1;
	}
	return 0;
}

const char *
rules_show(char shown[TEXT_PRINTABLE_SIZE], const struct rules_verdict *verdict)
{
	char text[RULEKEY_TEXT_SIZE];

	if (!verdict->is_found)
		return NULL;
	if (verdict->is_default)
		return "default";
	if (rulekey_spell(text, verdict->key, verdict->key_len) == 0)
		return text_printable(shown, text, strlen(text));
	return text_printable(shown, verdict->key, verdict->key_len);
}

bool
rules_next(const void *table, size_t len, struct rules_walk *walk,
    struct rules_verdict *rule)
{
	const struct table t = { .bytes = table, .len = len };
	struct record record;
	size_t at, slots, slot;

	for (; walk->hash < TABLES; walk->hash++, walk->slot = 0) {
		if (read_header(&t, walk->hash, &at, &slots) == -1)
			continue;
		while (walk->slot < slots) {
			slot = at + walk->slot++ * SLOT_SIZE;
			if (read_record(&t, number_at(&t, slot + 4), &record) ==
			    -1)
				continue;
			memset(rule, 0, sizeof(*rule));
			fill_verdict(rule, &t, &record);
			return true;
		}
	}
	return false;
}

/*
 * The kinds that a rule's CCAVERIFY makes; the last one counts.  Whoever
 * names CAs for his rule need not have them in the start's environment.
 */
static unsigned
kinds_of_data(const struct rules_verdict *rule)
{
	const char *variable, *value = "";
	bool has_cas = false;
	size_t at = 0;

	if (rule->denies)
		return 0;
	while ((variable = rules_variable(rule, &at)) != NULL) {
		if (rulevars_is(variable, "CCAVERIFY"))
			value = strchr(variable, '=') + 1;
		has_cas = has_cas || rulevars_names_cas(variable);
	}
	if (*value == '\0')
		return 0;
	return (strcmp(value, "z") == 0 ? RULES_BY_CERT_NAME : 0u) |
	    (has_cas ? 0u : RULES_BY_CERT);
}

/* The kinds of a rule's key. */
static unsigned
kinds_of_key(const struct rules_verdict *rule)
{
	const unsigned char *key = rule->key;
	size_t len = rule->key_len, name = len;
	unsigned kinds;

	while (name > 0 && key[name - 1] != '@')
		name--;
	kinds = name > 0 ? RULES_BY_INFO : 0;
	if (name < len && key[name] == '=')
		kinds |= RULES_BY_HOST;
	return kinds;
}

unsigned
rules_kinds(const void *table, size_t len)
{
	struct rules_walk walk = { 0, 0 };
	struct rules_verdict rule;
	unsigned kinds = 0;

	while (rules_next(table, len, &walk, &rule))
		kinds |= kinds_of_key(&rule) | kinds_of_data(&rule);
	return kinds;
}

/*
 * Every maker of these files puts the 256 hash tables one behind the other
 * at the end, and fills in the header last.  A header that is still a hole,
 * or was lost in a crash, is zeros, and would be a table without rules,
 * which lets everybody in.
 */
int
rules_check_header(const unsigned char header[RULES_HEADER_SIZE], uint64_t len)
{
	struct table t = { .bytes = header, .len = RULES_HEADER_SIZE };
	uint64_t at = number_at(&t, 0);
	size_t i;

	if (len > RULES_SIZE_MAX || at < RULES_HEADER_SIZE)
		return -1;
	for (i = 0; i < TABLES; i++) {
		if (number_at(&t, i * 8) != at)
			return -1;
		at += (uint64_t)number_at(&t, i * 8 + 4) * SLOT_SIZE;
	}
	return at == len ? 0 : -1;
}

int
rules_check(const void *table, size_t len)
{
	struct table t = { .bytes = table, .len = len };
	size_t space = len;
	unsigned i;

	if (len < RULES_HEADER_SIZE || take(&space, RULES_HEADER_SIZE) == -1 ||
	    rules_check_header(table, len) == -1)
		return -1;
	for (i = 0; i < TABLES; i++)
		if (check_slots(&t, i, &space) == -1)
			return -1;
	return 0;
}
