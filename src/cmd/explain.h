/*
 * explain: --explain and --version.
 */
#ifndef CMD_EXPLAIN_H
#define CMD_EXPLAIN_H

struct ip_endpoint;
struct settings;

/*
 * Print on descriptor 1 what is in effect, one `name: value' a line; what
 * nobody has changed is marked as default.
 */
void explain_settings(
    const struct settings *settings, const struct ip_endpoint *local);

/* Print versions of sslserver, keeper and nursery.  0, or 111. */
int explain_versions(void);

#endif
