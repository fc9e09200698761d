/*
 * master: parent of all processes.
 */
#ifndef SERVE_MASTER_H
#define SERVE_MASTER_H

struct program;
struct settings;

/*
 * The whole life of master, just after front has forked it; never returns.
 * front_fd is the message socket to front, listen_fd the listener (-1:
 * only check the settings), phrase_fd where the first keeper shall read the
 * pass phrase (-1: there is none).  Exits 0 when told to stop and all is
 * done, 111 when the start fails, after one sentence on descriptor 2.
 */
__attribute__((noreturn)) void master_run(const struct settings *settings,
    const struct program *program, int front_fd, int listen_fd, int phrase_fd);

#endif
