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
