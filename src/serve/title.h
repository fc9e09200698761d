/*
 * title: what ps(1) shows for a role.
 */
#ifndef SERVE_TITLE_H
#define SERVE_TITLE_H

/*
 * Remember where the kernel keeps the arguments, and move arguments and
 * environment out of the way: *argv and environ then point to copies, which
 * are never freed.  First call of a main that sets a title, before anything
 * points into either.  0, or -1 when memory is short.
 */
int title_prepare(char ***argv);

/* Show "sslserver: role", cut to the room there is. */
void title_set(const char *role);

/* The same of another program's role. */
void title_set_of(const char *program, const char *role);

#endif
