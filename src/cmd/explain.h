/*
 * explain: --explain and --version.
 */
#ifndef CMD_EXPLAIN_H
#define CMD_EXPLAIN_H

struct ip_endpoint;
struct options;

/*
 * Print on descriptor 1 what is in effect, one `name: value' a line; what
 * nobody has changed is marked as default.
 */
void explain_settings(
    const struct options *options, const struct ip_endpoint *local);

/* Print versions of program, keeper and nursery.  0, or 111. */
int explain_versions(const char *program);

#endif
