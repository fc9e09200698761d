/* A program's own, as s/qmail has one. */
#ifndef STRALLOC_H
#define STRALLOC_H

typedef struct stralloc {
	char *s;
	unsigned int len;
	unsigned int a;
} stralloc;

extern int stralloc_ready(stralloc *, unsigned int);

#endif
