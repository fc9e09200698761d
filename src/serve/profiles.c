/*
 * Which profiles there are.
 *
 * The copier, which has no rights, looks for sets of TLS variables in a
 * table that it has found to be sound; keepers, as root, and the others read
 * no more of a rule file than these lists, which are decoded whole or
 * refused.  A client of a default rule of -y may meet a rule of -x as well,
 * so with such a rule each set of -x makes two profiles.
 */
#include "serve/profiles.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/text.h"
#include "rules/rules.h"
#include "serve/msg.h"
#include "serve/sealed.h"

/* What a rule says of TLS. */
struct set {
	struct profile profile; /* NULL where it says nothing */
	bool is_default;	/* it is the default rule */
	const char *rule;
};

/* Sets on their way from a table into a list. */
struct collection {
	struct set sets[PROFILES_MAX];
	size_t count;
	const char *path;
};

static bool
is_same(const struct set *a, const struct set *b)
{
	return a->is_default == b->is_default &&
	    profile_is_same(&a->profile, &b->profile);
}

/* Returns whether the rule says anything of TLS. */
static bool
take_rule(struct set *set, const struct rules_verdict *rule)
{
	const char *variable;
	size_t at = 0;
	bool has_any = false;

	memset(set, 0, sizeof(*set));
	set->is_default = rule->is_default;
	while (!rule->denies && (variable = rules_variable(rule, &at)) != NULL)
		has_any = profile_take(&set->profile, variable) || has_any;
	return has_any;
}

static char *
name_rule(const char *path, const struct rules_verdict *rule)
{
	char shown[TEXT_PRINTABLE_SIZE], file[TEXT_PRINTABLE_SIZE];
	char name[2 * TEXT_PRINTABLE_SIZE + 20];

	text_format(name, sizeof(name), "rule file %s, rule %s",
	    text_printable(file, path, strlen(path)), rules_show(shown, rule));
	return strdup(name);
}

static int
collect(struct collection *found, const struct rules_verdict *rule)
{
	struct set *set, next;
	size_t i;

	if (!take_rule(&next, rule))
		return 0;
	for (i = 0; i < found->count; i++)
		if (is_same(&found->sets[i], &next))
			return 0;
	if (found->count == PROFILES_MAX) {
		errno = E2BIG;
		return -1;
	}
	set = &found->sets[found->count++];
	*set = next;
	set->rule = name_rule(found->path, rule);
	return set->rule == NULL ? -1 : 0;
}

static void
put_list(const struct collection *found, struct msg_writer *w)
{
	size_t i;

	msg_put_number(w, found->count);
	for (i = 0; i < found->count; i++) {
		msg_put_number(w, found->sets[i].is_default);
		msg_put_text(w, found->sets[i].rule);
		profile_put(&found->sets[i].profile, w);
	}
}

static int
write_list(const struct collection *found, int fd)
{
	struct msg_writer w;
	unsigned char *bytes;
	size_t len;
	int r;

	msg_write_to(&w, NULL, PROFILES_LIST_MAX);
	put_list(found, &w);
	if (msg_written(&w, &len) == -1) {
		errno = E2BIG;
		return -1;
	}
	bytes = malloc(len);
	if (bytes == NULL)
		return -1;
	msg_write_to(&w, bytes, len);
	put_list(found, &w);
	r = fd_write_all(fd, bytes, len);
	free(bytes);
	return r == 0 ? sealed_seal(fd) : -1;
}

int
profiles_list(const void *table, size_t len, const char *path, int fd)
{
	struct collection *found = calloc(1, sizeof(*found));
	struct rules_walk walk = { 0, 0 };
	struct rules_verdict rule;
	int r = 0;

	if (found == NULL)
		return -1;
	found->path = path;
	while (r == 0 && rules_next(table, len, &walk, &rule))
		r = collect(found, &rule);
	if (r == 0)
		r = write_list(found, fd);
	while (found->count > 0)
		free((void *)(uintptr_t)found->sets[--found->count].rule);
	free(found);
	return r;
}

/* How long a list without sets is. */
#define EMPTY_SIZE sizeof(uint64_t)

bool
profiles_is_empty(int fd)
{
	struct stat status;

	return fd == -1 ||
	    (fstat(fd, &status) == 0 && status.st_size == (off_t)EMPTY_SIZE);
}

/*
 * Reading
 */

/* How many of a list's sets are left in it. */
struct reading {
	struct msg_reader reader;
	size_t left;
};

static int
bad_list(void)
{
	errno = EPROTO;
	return -1;
}

/* 0, or -1 with errno.  -1 for fd is a list without sets. */
static int
map_list(struct profiles_list *list, int fd)
{
	list->bytes = NULL;
	if (fd == -1)
		return 0;
	if (sealed_check(fd, PROFILES_LIST_MAX, &list->len) == -1)
		return -1;
	list->bytes = (void *)(uintptr_t)sealed_map(fd, list->len);
	return list->bytes == NULL ? -1 : 0;
}

static void
unmap_list(struct profiles_list *list)
{
	if (list->bytes != NULL)
		munmap(list->bytes, list->len);
	list->bytes = NULL;
}

static int
begin(struct reading *reading, const struct profiles_list *list)
{
	const struct msg msg = { .body = list->bytes, .len = list->len };

	reading->left = 0;
	if (list->bytes == NULL)
		return 0;
	msg_read_from(&reading->reader, &msg);
	reading->left = (size_t)msg_get_number(&reading->reader);
	if (reading->reader.failed || reading->left > PROFILES_MAX ||
	    (reading->left == 0 && msg_read_all(&reading->reader) == -1))
		return bad_list();
	return 0;
}

/* 1 and *set; 0: there are no more; -1: malformed. */
static int
next_set(struct reading *reading, struct set *set)
{
	struct msg_reader *r = &reading->reader;

	if (reading->left == 0)
		return 0;
	set->is_default = msg_get_number(r) != 0;
	set->rule = msg_get_text(r);
	profile_get(&set->profile, r);
	reading->left--;
	if (r->failed || set->rule == NULL ||
	    (reading->left == 0 && msg_read_all(r) == -1))
		return bad_list();
	return 1;
}

static bool
has_set(const struct profiles_list *list, const struct set *wanted)
{
	struct reading reading;
	struct set set;

	if (begin(&reading, list) == -1)
		return false;
	while (next_set(&reading, &set) == 1)
		if (is_same(&set, wanted))
			return true;
	return false;
}

static bool
covers(const struct profiles_list *other, const struct profiles_list *list)
{
	struct reading reading;
	struct set set;
	int r;

	if (begin(&reading, list) == -1)
		return false;
	while ((r = next_set(&reading, &set)) == 1)
		if (!has_set(other, &set))
			return false;
	return r == 0;
}

bool
profiles_covers(int other_fd, int list_fd)
{
	struct profiles_list other, list;
	bool r = false;

	if (map_list(&list, list_fd) == -1)
		return false;
	if (map_list(&other, other_fd) == 0) {
		r = covers(&other, &list);
		unmap_list(&other);
	}
	unmap_list(&list);
	return r;
}

/*
 * Making
 */

static int
find(const struct profiles *profiles, const struct profile *wanted)
{
	size_t i;

	for (i = 0; i < profiles->count; i++)
		if (profile_is_same(&profiles->all[i].profile, wanted))
			return (int)i;
	return -1;
}

/* base with what upper says over it, unless it is there. */
static int
add(struct profiles *profiles, const struct profile *base,
    const struct set *upper)
{
	struct profile profile = *base;

	profile_lay_over(&profile, &upper->profile);
	if (find(profiles, &profile) != -1)
		return 0;
	if (profiles->count == PROFILES_MAX) {
		errno = E2BIG;
		return -1;
	}
	profiles->all[profiles->count++] =
	    (struct profiles_entry){ profile, upper->rule };
	return 0;
}

/*
 * All of a list, over each base.  *of_default becomes what the default rule
 * says, if there is one in the list.
 */
static int
add_list(struct profiles *profiles, const struct profiles_list *list,
    const struct profile *bases, size_t base_count, struct set *of_default)
{
	struct reading reading;
	struct set set;
	size_t i;
	int r;

	if (begin(&reading, list) == -1)
		return -1;
	while ((r = next_set(&reading, &set)) == 1) {
		for (i = 0; i < base_count; i++)
			if (add(profiles, &bases[i], &set) == -1)
				return -1;
		if (set.is_default && of_default != NULL)
			*of_default = set;
	}
	return r;
}

/* 0, or -1 with errno: what is there then is to be freed. */
static int
make(struct profiles *profiles, const struct profile *start)
{
	struct profile bases[2] = { *start, *start };
	struct set of_default = { .rule = NULL };

	profiles->all = calloc(PROFILES_MAX, sizeof(*profiles->all));
	if (profiles->all == NULL)
		return -1;
	profiles->all[profiles->count++] =
	    (struct profiles_entry){ *start, NULL };
	if (add_list(profiles, &profiles->lists[PROFILES_EARLY], bases, 1,
		&of_default) == -1)
		return -1;
	profile_lay_over(&bases[1], &of_default.profile);
	return add_list(
	    profiles, &profiles->lists[PROFILES_LATE], bases, 2, NULL);
}

int
profiles_make(struct profiles *profiles, const struct profile *start,
    const int lists[PROFILES_LISTS])
{
	size_t i;
	int r = 0, error;

	memset(profiles, 0, sizeof(*profiles));
	for (i = 0; i < PROFILES_LISTS && r == 0; i++)
		r = map_list(&profiles->lists[i], lists[i]);
	if (r == 0)
		r = make(profiles, start);
	error = errno;
	if (r == -1)
		profiles_free(profiles);
	errno = error;
	return r;
}

void
profiles_free(struct profiles *profiles)
{
	size_t i;

	for (i = 0; i < PROFILES_LISTS; i++)
		unmap_list(&profiles->lists[i]);
	free(profiles->all);
	profiles->all = NULL;
	profiles->count = 0;
}

int
profiles_find(
    const struct profiles *profiles, const char *variables, size_t len)
{
	struct profile profile;
	bool has_any = false;
	size_t at = 0;

	if (profiles->count == 0)
		return -1;
	profile = profiles->all[0].profile;
	while (at < len) {
		has_any = profile_take(&profile, variables + at) || has_any;
		at += strlen(variables + at) + 1;
	}
	return has_any ? find(profiles, &profile) : 0;
}
