/*
 * title: what ps(1) shows for a role.
 */
#ifndef SERVE_TITLE_H
#define SERVE_TITLE_H

/*
 * Remember where the kernel keeps the arguments, and move arguments and
 * environment out of the way: *argv and environ then point to copies, which
 * are never freed.  Titles will begin with program, which must stay; or,
 * where that is NULL, with what argv[0] has before a colon.  First call of a
 * main that sets a title, before anything points into either.  0, or -1
 * when memory is short.
 */
int title_prepare(char ***argv, const char *program);

/* Show "PROGRAM: role", cut to the room there is. */
void title_set(const char *role);

#endif
