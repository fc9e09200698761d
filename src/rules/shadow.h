/*
 * shadow: rules that can never match, because others are looked up first.
 *
 * Fed with the records in the order of the table, asked when the table is
 * whole.  Memory in proportion to the number of records.  No process but
 * tcprules uses it.
 */
#ifndef RULES_SHADOW_H
#define RULES_SHADOW_H

#include <stddef.h>
#include <stdint.h>

struct ruletext_record;
struct shadow;

/* Room for a reason with its NUL. */
#define SHADOW_REASON_SIZE 128

/* NULL with errno when memory is short. */
struct shadow *shadow_new(void);
void shadow_free(struct shadow *shadow);

/*
 * The next record of the table, made of that line, which is not below the
 * one before.  0, or -1 with errno.
 */
int shadow_add(
    struct shadow *shadow, const struct ruletext_record *record, uint32_t line);

/*
 * The line has made all its records, or none.  To be called for each line
 * before the next one's.  0, or -1 with errno.
 */
int shadow_end_line(struct shadow *shadow, uint32_t line);

/*
 * Tell of each line none of whose records can match, in their order; the
 * table is the one that holds exactly the records added.  Once only.  0, or
 * -1 with errno.
 */
int shadow_report(struct shadow *shadow, const void *table, size_t len,
    void (*tell)(uint32_t line, const char *reason));

#endif
