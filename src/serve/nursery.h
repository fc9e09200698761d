/*
 * nursery: where sessions are born.
 */
#ifndef SERVE_NURSERY_H
#define SERVE_NURSERY_H

/* The whole life of ucspissl-nursery; never returns. */
__attribute__((noreturn)) void nursery_run(void);

#endif
