/*
 * shadow: rules that can never match, because others are looked up first.
 *
 * Part of tcprules; the records come from its own reading of the text.
 *
 * Addresses: each rule covers a span of addresses, and two spans are
 * disjoint or one lies in the other.  Sorted, they are visited as a tree is,
 * with the spans around the present one on a stack.  A prefix (/n) is never
 * reached under a whole address or dotted part, nor where such and longer
 * prefixes fill it; a dotted part where longer ones fill it.  When all
 * addresses of both families are filled, what is looked up after them is
 * never reached either.  Names: every record but the first with its key.
 */
#include "rules/shadow.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rules/rules.h"
#include "rules/ruletext.h"

#define RECORDS_AT 2048 /* where the first record of a table begins */
#define DEPTH_MAX 136	/* root, prefixes, dotted parts, an address */
#define NO_LINE 0	/* of a span that no rule made */
#define KEY_BYTES 18	/* of a span: address and rank */

/* 128 bits; IPv4 addresses are in the upper 32. */
struct number {
	uint64_t hi, lo;
};

/* The addresses of one rule, and who made it. */
struct span {
	struct number start;
	uint32_t line;
	/* Bits that count, times two, plus one for a prefix (/n). */
	uint16_t rank;
};

/* A record found by its text. */
struct place {
	uint32_t offset, line;
	bool yields; /* only clients with addresses that no rule has */
};

/* A line whose range made more or fewer records than one. */
struct range {
	uint32_t line, records;
};

/* A record that can never match, and why. */
struct death {
	uint32_t line;
	uint32_t other;	  /* the line with the reason */
	uint32_t quad;	  /* with DEATH_DOTTED: the address there */
	uint16_t numbers; /* and how many numbers of it */
	enum { DEATH_TOLD, DEATH_SAME, DEATH_DOTTED, DEATH_WHOLE } cause;
	const char *told; /* with DEATH_TOLD; static */
};

/* Room for members of one size. */
struct list {
	void *members;
	size_t count, room;
};

struct shadow {
	struct list v4, v6;	  /* struct span */
	struct list places;	  /* struct place */
	struct list ranges;	  /* struct range */
	struct list deaths;	  /* struct death */
	uint64_t offset;	  /* of the next record */
	uint32_t records_of_line; /* so far */
};

/* A span with those inside that have been seen. */
struct frame {
	const struct span *span;
	struct number filled; /* up to here, when there is no gap */
	bool has_gap, is_begun;
};

struct walk {
	struct shadow *shadow;
	struct frame stack[DEPTH_MAX];
	size_t depth;
	bool is_v4;
};

/* ----- lists ----- */

/* Room for one more, zeroed, or NULL with errno. */
static void *
list_add(struct list *l, size_t size)
{
	unsigned char *member;

	if (l->count == l->room) {
		size_t room = l->room > 0 ? l->room * 2 : 64;
		void *members = l->room > SIZE_MAX / 2
		    ? NULL
		    : reallocarray(l->members, room, size);

		if (members == NULL) {
			errno = ENOMEM;
			return NULL;
		}
		l->members = members;
		l->room = room;
	}
	member = (unsigned char *)l->members + l->count++ * size;
	memset(member, 0, size);
	return member;
}

struct shadow *
shadow_new(void)
{
	struct shadow *shadow = calloc(1, sizeof(*shadow));

	if (shadow != NULL)
		shadow->offset = RECORDS_AT;
	return shadow;
}

void
shadow_free(struct shadow *shadow)
{
	if (shadow == NULL)
		return;
	free(shadow->v4.members);
	free(shadow->v6.members);
	free(shadow->places.members);
	free(shadow->ranges.members);
	free(shadow->deaths.members);
	free(shadow);
}

/* ----- what has been found ----- */

static int
add_death(struct shadow *s, const struct death *death)
{
	struct death *added = list_add(&s->deaths, sizeof(*added));

	if (added == NULL)
		return -1;
	*added = *death;
	return 0;
}

static int
dies_told(struct shadow *s, uint32_t line, const char *reason)
{
	struct death death = { .line = line, .told = reason };

	return add_death(s, &death);
}

static int
dies_same(struct shadow *s, uint32_t line, uint32_t first)
{
	struct death death = {
		.line = line, .other = first, .cause = DEATH_SAME
	};

	return add_death(s, &death);
}

/* Also the order of struct range and struct death, which begin with one. */
static int
compare_lines(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* How many records a line has made. */
static uint32_t
records_of(const struct shadow *s, uint32_t line)
{
	const struct range *range = NULL;

	if (s->ranges.count > 0)
		range = bsearch(&line, s->ranges.members, s->ranges.count,
		    sizeof(*range), compare_lines);
	return range != NULL ? range->records : 1;
}

static void
format_dotted(char *reason, const struct death *death)
{
	char ip[sizeof("255.255.255.255")] = "";
	uint32_t quad = death->quad;
	unsigned i;

	for (i = 0; i < death->numbers; i++, quad <<= 8)
		(void)text_format(ip + strlen(ip), sizeof(ip) - strlen(ip),
		    i < 3 ? "%u." : "%u", (unsigned)(quad >> 24));
	(void)text_format(reason, SHADOW_REASON_SIZE,
	    "%s of line %lu is looked up first", ip,
	    (unsigned long)death->other);
}

static void
format_reason(char reason[SHADOW_REASON_SIZE], const struct death *death)
{
	unsigned long other = death->other;

	switch (death->cause) {
	case DEATH_TOLD:
		(void)text_copy(reason, SHADOW_REASON_SIZE, death->told);
		break;
	case DEATH_SAME:
		(void)text_format(reason, SHADOW_REASON_SIZE,
		    "line %lu has the same address", other);
		break;
	case DEATH_DOTTED:
		format_dotted(reason, death);
		break;
	case DEATH_WHOLE:
		(void)text_format(reason, SHADOW_REASON_SIZE,
		    "the whole address of line %lu is looked up first", other);
		break;
	}
}

/* Tell of the lines all of whose records are dead. */
static void
tell_deaths(struct shadow *s, void (*tell)(uint32_t, const char *))
{
	const struct death *deaths = s->deaths.members;
	char reason[SHADOW_REASON_SIZE];
	size_t i, first = 0;

	if (s->deaths.count == 0)
		return;
	qsort(
	    s->deaths.members, s->deaths.count, sizeof(*deaths), compare_lines);
	for (i = 0; i < s->deaths.count; i++) {
		if (deaths[i].line != deaths[first].line)
			first = i;
		if (i + 1 < s->deaths.count &&
		    deaths[i + 1].line == deaths[i].line)
			continue;
		if (i - first + 1 < records_of(s, deaths[i].line))
			continue;
		format_reason(reason, &deaths[i]);
		tell(deaths[i].line, reason);
	}
}

/* ----- collecting ----- */

static struct number
number_of(const unsigned char *bytes, size_t len)
{
	struct number n = { 0, 0 };
	size_t i;

	for (i = 0; i < len && i < 8; i++)
		n.hi |= (uint64_t)bytes[i] << (56 - 8 * i);
	for (; i < len; i++)
		n.lo |= (uint64_t)bytes[i] << (120 - 8 * i);
	return n;
}

static int
add_span(struct shadow *s, const struct ruletext_record *record, uint32_t line)
{
	bool is_v4 = rulekey_is_v4(record->ip);
	struct span *span = list_add(is_v4 ? &s->v4 : &s->v6, sizeof(*span));

	if (span == NULL)
		return -1;
	span->start =
	    is_v4 ? number_of(record->ip + 12, 4) : number_of(record->ip, 16);
	span->rank =
	    (uint16_t)(record->bits * 2 + (record->kind == RULETEXT_PREFIX));
	span->line = line;
	return 0;
}

static int
add_place(
    struct shadow *s, enum ruletext_kind kind, uint32_t offset, uint32_t line)
{
	struct place *place = list_add(&s->places, sizeof(*place));

	if (place == NULL)
		return -1;
	place->offset = offset;
	place->line = line;
	place->yields = kind == RULETEXT_SUFFIX || kind == RULETEXT_DEFAULT;
	return 0;
}

int
shadow_add(
    struct shadow *shadow, const struct ruletext_record *record, uint32_t line)
{
	uint64_t offset = shadow->offset;

	shadow->offset += 8 + (uint64_t)record->key_len + record->data_len;
	if (shadow->offset > RULES_SIZE_MAX) {
		errno = EFBIG;
		return -1;
	}
	shadow->records_of_line++;
	switch (record->kind) {
	case RULETEXT_ADDRESS:
	case RULETEXT_DOTTED:
	case RULETEXT_PREFIX:
		return add_span(shadow, record, line);
	case RULETEXT_OTHER:
		return dies_told(shadow, line, record->never);
	default:
		return add_place(shadow, record->kind, (uint32_t)offset, line);
	}
}

int
shadow_end_line(struct shadow *shadow, uint32_t line)
{
	uint32_t records = shadow->records_of_line;
	struct range *range;

	shadow->records_of_line = 0;
	if (records == 1)
		return 0;
	range = list_add(&shadow->ranges, sizeof(*range));
	if (range == NULL)
		return -1;
	range->line = line;
	range->records = records;
	if (records > 0)
		return 0;
	return dies_told(shadow, line, "the range holds no number");
}

/* ----- sorting ----- */

/* Byte i of what spans are sorted by, the least first. */
static unsigned
key_byte(const struct span *s, unsigned i)
{
	if (i < 2)
		return s->rank >> 8 * i & 255;
	if (i < 10)
		return s->start.lo >> 8 * (i - 2) & 255;
	return s->start.hi >> 8 * (i - 10) & 255;
}

/* One pass: from into to, in the order of byte i, else as they were. */
static void
sort_pass(const struct span *from, struct span *to, size_t count, unsigned i)
{
	size_t places[256] = { 0 }, sum = 0, k;

	for (k = 0; k < count; k++)
		places[key_byte(&from[k], i)]++;
	for (k = 0; k < 256; k++) {
		size_t n = places[k];

		places[k] = sum;
		sum += n;
	}
	for (k = 0; k < count; k++)
		to[places[key_byte(&from[k], i)]++] = from[k];
}

/* A span with the bits set in which the keys are not all the same. */
static struct span
differences(const struct span *spans, size_t count)
{
	struct span found = { .rank = 0 };
	size_t k;

	for (k = 1; k < count; k++) {
		found.start.hi |= spans[k].start.hi ^ spans[0].start.hi;
		found.start.lo |= spans[k].start.lo ^ spans[0].start.lo;
		found.rank |= spans[k].rank ^ spans[0].rank;
	}
	return found;
}

/*
 * By address, around before inside, then by line.  Not qsort(3), whose calls
 * took longer for a million rules than all the rest.
 */
static int
sort_spans(struct list *l)
{
	struct span *from = l->members, *to, *swap, differs;
	unsigned i;

	if (l->count < 2)
		return 0;
	to = calloc(l->count, sizeof(*to));
	if (to == NULL)
		return -1;
	differs = differences(from, l->count);
	for (i = 0; i < KEY_BYTES; i++) {
		if (key_byte(&differs, i) == 0)
			continue;
		sort_pass(from, to, l->count, i);
		swap = from;
		from = to;
		to = swap;
	}
	free(to);
	l->members = from;
	l->room = l->count;
	return 0;
}

/* ----- the walk over sorted spans ----- */

static bool
is_equal(struct number a, struct number b)
{
	return a.hi == b.hi && a.lo == b.lo;
}

static bool
is_prefix(const struct span *s)
{
	return s->rank & 1;
}

static unsigned
bits_of(const struct span *s)
{
	return s->rank / 2U;
}

/* The address behind the last; zero behind the last of all. */
static struct number
end_of(const struct span *s)
{
	struct number end = s->start;
	unsigned bits = bits_of(s);

	if (bits == 0)
		end.hi = end.lo = 0;
	else if (bits <= 64)
		end.hi += (uint64_t)1 << (64 - bits);
	else {
		end.lo += (uint64_t)1 << (128 - bits);
		end.hi += end.lo == 0;
	}
	return end;
}

static bool
holds(const struct span *outer, const struct span *inner)
{
	unsigned bits = bits_of(outer);
	uint64_t hi = outer->start.hi ^ inner->start.hi;
	uint64_t lo = outer->start.lo ^ inner->start.lo;

	if (bits > bits_of(inner))
		return false;
	if (bits == 0)
		return true;
	if (bits <= 64)
		return hi >> (64 - bits) == 0;
	return hi == 0 && lo >> (128 - bits) == 0;
}

/* One more span inside, to the right of all before. */
static void
fill(struct frame *f, const struct span *inner)
{
	if (!f->is_begun)
		f->filled = f->span->start;
	f->is_begun = true;
	if (!is_equal(f->filled, inner->start))
		f->has_gap = true;
	f->filled = end_of(inner);
}

static bool
is_full(const struct frame *f)
{
	return f->is_begun && !f->has_gap &&
	    is_equal(f->filled, end_of(f->span));
}

static int
push(struct walk *w, const struct span *s)
{
	struct frame *f = &w->stack[w->depth];

	if (w->depth == DEPTH_MAX) {
		errno = EOVERFLOW;
		return -1;
	}
	memset(f, 0, sizeof(*f));
	f->span = s;
	w->depth++;
	return 0;
}

/* Leave the innermost span. */
static int
pop(struct walk *w)
{
	const struct frame *f = &w->stack[--w->depth];

	if (!is_full(f) || f->span->line == NO_LINE)
		return 0;
	return dies_told(w->shadow, f->span->line,
	    "the rules inside it, looked up first, cover all of it");
}

static int
prefix_dies(struct walk *w, const struct span *s, const struct span *around)
{
	struct death death = { .line = s->line, .other = around->line };

	death.cause = w->is_v4 ? DEATH_DOTTED : DEATH_WHOLE;
	death.quad = (uint32_t)(around->start.hi >> 32);
	death.numbers = (uint16_t)(bits_of(around) / 8);
	return add_death(w->shadow, &death);
}

/* Enter a span; all that do not hold it have been left. */
static int
enter(struct walk *w, const struct span *s)
{
	struct frame *around = &w->stack[w->depth - 1];

	if (around->span->rank == s->rank &&
	    is_equal(around->span->start, s->start))
		return dies_same(w->shadow, s->line, around->span->line);
	/* So what is around a prefix, if anything, is prefixes alone. */
	if (is_prefix(s) && !is_prefix(around->span))
		return prefix_dies(w, s, around->span);
	fill(around, s);
	return push(w, s);
}

/* Tell of a family's dead rules.  0 or -1; *is_all: no address is left. */
static int
walk_family(struct shadow *shadow, struct list *l, bool is_v4, bool *is_all)
{
	/* No bit, and filled by all there is: as a prefix /0. */
	static const struct span root = { .rank = 1, .line = NO_LINE };
	struct walk w = { .shadow = shadow, .is_v4 = is_v4 };
	const struct span *spans;
	size_t i;

	if (sort_spans(l) == -1 || push(&w, &root) == -1)
		return -1;
	spans = l->members;
	for (i = 0; i < l->count; i++) {
		while (!holds(w.stack[w.depth - 1].span, &spans[i]))
			if (pop(&w) == -1)
				return -1;
		if (enter(&w, &spans[i]) == -1)
			return -1;
	}
	while (w.depth > 1)
		if (pop(&w) == -1)
			return -1;
	*is_all = is_full(&w.stack[0]);
	return 0;
}

/* Clients of IPv4 are not looked up as IPv6: no rule need cover them. */
static int
add_mapped(struct shadow *s)
{
	struct span *span = list_add(&s->v6, sizeof(*span));

	if (span == NULL)
		return -1;
	span->start.lo = (uint64_t)0xffff << 32;
	span->rank = 96 * 2;
	span->line = NO_LINE;
	return 0;
}

/* ----- names ----- */

static int
compare_offsets(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static int
check_place(struct shadow *s, const struct place *place, const void *table,
    size_t len, bool is_all)
{
	struct place wanted = { .offset = 0 };
	const struct place *first;
	const unsigned char *key;
	size_t key_len;

	key = rules_key_at(table, len, place->offset, &key_len);
	if (key != NULL)
		wanted.offset =
		    (uint32_t)rules_locate(table, len, key, key_len);
	first = bsearch(&wanted, s->places.members, s->places.count,
	    sizeof(*place), compare_offsets);
	if (first == NULL) {
		errno = EINVAL;
		return -1;
	}
	if (first != place)
		return dies_same(s, place->line, first->line);
	if (place->yields && is_all)
		return dies_told(s, place->line,
		    "the rules for addresses, looked up first, cover all");
	return 0;
}

int
shadow_report(struct shadow *shadow, const void *table, size_t len,
    void (*tell)(uint32_t line, const char *reason))
{
	const struct place *places = shadow->places.members;
	bool is_all_v4, is_all_v6;
	size_t i;

	if (add_mapped(shadow) == -1 ||
	    walk_family(shadow, &shadow->v4, true, &is_all_v4) == -1 ||
	    walk_family(shadow, &shadow->v6, false, &is_all_v6) == -1)
		return -1;
	for (i = 0; i < shadow->places.count; i++)
		if (check_place(shadow, &places[i], table, len,
			is_all_v4 && is_all_v6) == -1)
			return -1;
	tell_deaths(shadow, tell);
	return 0;
}
