/*
 * keeper: the process that holds the private key and signs handshakes.
 */
#ifndef SERVE_KEEPER_H
#define SERVE_KEEPER_H

/* The whole life of ucspissl-keeper; never returns. */
__attribute__((noreturn)) void keeper_run(void);

#endif
