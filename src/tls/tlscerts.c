/*
 * tlscerts: a list of certificates.
 *
 * Filled in a keeper, which reads files, and again in the nursery, which
 * gets them by way of master and then shares them with every session: what
 * they hold is not copied there but borrowed from memory that no process
 * writes to, so that a session costs the same however many there are.
 */
#include "tls/tlscerts.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static int
make_room(struct tlscerts *certs)
{
	size_t room = certs->room == 0 ? 8 : 2 * certs->room;
	struct tlscert *grown;

	if (certs->count < certs->room)
		return 0;
	if (room > 2 * TLSCERTS_MAX)
		return -1;
	grown = realloc(certs->all, room * sizeof(*grown));
	if (grown == NULL)
		return -1;
	certs->all = grown;
	certs->room = room;
	return 0;
}

int
tlscerts_add(struct tlscerts *certs, const char *name, struct buf *chain)
{
	struct tlscert cert = { .chain = chain->data, .chain_len = chain->len };

	if (make_room(certs) == -1)
		return -1;
	if (name != NULL && (cert.name = strdup(name)) == NULL)
		return -1;
	certs->all[certs->count++] = cert;
	buf_init(chain, chain->max);
	return 0;
}

int
tlscerts_borrow(struct tlscerts *certs, size_t count)
{
	certs->all = calloc(count > 0 ? count : 1, sizeof(*certs->all));
	if (certs->all == NULL)
		return -1;
	certs->count = certs->room = count;
	certs->is_borrowed = true;
	return 0;
}

size_t
tlscerts_nameless(const struct tlscerts *certs)
{
	size_t n = 0;

	while (n < certs->count && certs->all[n].name == NULL)
		n++;
	return n;
}

static bool
is_label_char(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
	    c == '_';
}

int
tlscerts_normal(char normal[TLSCERTS_NAME_SIZE], const char *name)
{
	size_t i, label = 0;

	for (i = 0; name[i] != '\0'; i++) {
		unsigned char c = (unsigned char)name[i];

		if (i == TLSCERTS_NAME_SIZE - 1)
			return -1;
		if (c >= 'A' && c <= 'Z')
			c = (unsigned char)(c - 'A' + 'a');
		label = c == '.' ? 0 : label + 1;
		if (c == '.' ? i == 0 || name[i - 1] == '.'
			     : !is_label_char(c) || label > 63)
			return -1;
		normal[i] = (char)c;
	}
	normal[i] = '\0';
	return label > 0 ? 0 : -1;
}

/* The first one whose name is not before this one. */
static size_t
lower_bound(const struct tlscerts *certs, const char *name)
{
	size_t low = tlscerts_nameless(certs), high = certs->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const char *other = certs->all[middle].name;

		if (other != NULL && strcmp(other, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t
find_exactly(const struct tlscerts *certs, const char *name, size_t *first)
{
	size_t end;

	*first = end = lower_bound(certs, name);
	while (end < certs->count && certs->all[end].name != NULL &&
	    strcmp(certs->all[end].name, name) == 0)
		end++;
	return end - *first;
}

size_t
tlscerts_find(const struct tlscerts *certs, const char *name, size_t *first)
{
	char normal[TLSCERTS_NAME_SIZE], *rest;
	size_t count;

	if (tlscerts_normal(normal, name) == -1)
		return 0;
	count = find_exactly(certs, normal, first);
	rest = strchr(normal, '.');
	if (count > 0 || rest == NULL)
		return count;
	/* There is a character before the dot. */
	*--rest = '_';
	return find_exactly(certs, rest, first);
}

void
tlscerts_free(struct tlscerts *certs)
{
	size_t i;

	for (i = 0; !certs->is_borrowed && i < certs->count; i++) {
		free((void *)(uintptr_t)certs->all[i].name);
		free((void *)(uintptr_t)certs->all[i].chain);
	}
	free(certs->all);
	memset(certs, 0, sizeof(*certs));
}
