/*
 * Children and their connections.  Runs in master (programs) and in the
 * nursery (sessions).  Allocates at start only.
 */
#include "serve/pids.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/fd.h"

int
pids_init(struct pids *pids, size_t limit)
{
	memset(pids, 0, sizeof(*pids));
	pids->limit = limit;
	pids->bucket_count = 16;
	while (pids->bucket_count < limit)
		pids->bucket_count *= 2;
	pids->entries = calloc(limit, sizeof(*pids->entries));
	pids->buckets = calloc(pids->bucket_count, sizeof(*pids->buckets));
	if (pids->entries == NULL || pids->buckets == NULL) {
		pids_free(pids);
		return -1;
	}
	return 0;
}

/* Pids are handed out in sequence: their low bits spread by themselves. */
static struct pids_entry **
bucket_of(const struct pids *pids, pid_t pid)
{
	return &pids->buckets[(size_t)pid & (pids->bucket_count - 1)];
}

/* The link that points to the entry of pid, or to NULL. */
static struct pids_entry **
find(const struct pids *pids, pid_t pid)
{
	struct pids_entry **link = bucket_of(pids, pid);

	while (*link != NULL && (*link)->pid != pid)
		link = &(*link)->next;
	return link;
}

/*
 * One that has been used, or the first that has not, or NULL.  Those behind
 * it take no memory yet, whose pages every fork would have to copy.
 */
static struct pids_entry *
take_entry(struct pids *pids)
{
	struct pids_entry *entry = pids->unused;

	if (entry != NULL)
		pids->unused = entry->next;
	else if (pids->fresh < pids->limit)
		entry = &pids->entries[pids->fresh++];
	return entry;
}

int
pids_add(struct pids *pids, pid_t pid, uint64_t conn, int fd)
{
	struct pids_entry *entry = take_entry(pids);
	struct pids_entry **bucket = bucket_of(pids, pid);

	if (entry == NULL) {
		fd_close(&fd);
		return -1;
	}
	entry->fd = fd;
	entry->pid = pid;
	entry->conn = conn;
	entry->next = *bucket;
	*bucket = entry;
	pids->count++;
	return 0;
}

int
pids_has(const struct pids *pids, pid_t pid, uint64_t conn)
{
	const struct pids_entry *entry = *find(pids, pid);

	return entry != NULL && entry->conn == conn;
}

int
pids_remove(struct pids *pids, pid_t pid, uint64_t *conn)
{
	struct pids_entry **link = find(pids, pid), *entry = *link;

	if (entry == NULL)
		return -1;
	*link = entry->next;
	*conn = entry->conn;
	fd_close(&entry->fd);
	entry->pid = 0;
	entry->next = pids->unused;
	pids->unused = entry;
	pids->count--;
	return 0;
}

void
pids_close_fd(struct pids *pids, pid_t pid, uint64_t conn)
{
	struct pids_entry *entry = *find(pids, pid);

	if (entry != NULL && entry->conn == conn)
		fd_close(&entry->fd);
}

void
pids_close_fds(struct pids *pids)
{
	struct pids_entry *entry;
	size_t i;

	for (i = 0; i < pids->bucket_count; i++)
		for (entry = pids->buckets[i]; entry != NULL;
		     entry = entry->next)
			fd_close(&entry->fd);
}

void
pids_disown(struct pids *pids)
{
	struct pids_entry *entry;
	size_t i;

	for (i = 0; i < pids->bucket_count; i++)
		for (entry = pids->buckets[i]; entry != NULL;
		     entry = entry->next)
			entry->conn = 0;
}

void
pids_signal_disowned(const struct pids *pids, int signo)
{
	const struct pids_entry *entry;
	size_t i;

	for (i = 0; i < pids->bucket_count; i++)
		for (entry = pids->buckets[i]; entry != NULL;
		     entry = entry->next)
			if (entry->conn == 0)
				kill(entry->pid, signo);
}

void
pids_signal_all(const struct pids *pids, int signo)
{
	const struct pids_entry *entry;
	size_t i;

	for (i = 0; i < pids->bucket_count; i++)
		for (entry = pids->buckets[i]; entry != NULL;
		     entry = entry->next)
			kill(entry->pid, signo);
}

void
pids_free(struct pids *pids)
{
	free(pids->entries);
	free(pids->buckets);
	memset(pids, 0, sizeof(*pids));
}
