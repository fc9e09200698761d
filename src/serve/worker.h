/*
 * worker: a child of the framework, which serves clients one after another
 * by a function of its own instead of a program.
 */
#ifndef SERVE_WORKER_H
#define SERVE_WORKER_H

#include <sys/types.h>

#include <stddef.h>

struct program;
struct settings;

#define WORKER_ERROR_SIZE 256

/*
 * What a worker calls.  Both get what stands behind host and port, NULL
 * behind the last; prepare, which may be NULL, once in each worker before
 * the first client: 0, or -1 and a sentence, and the worker ends.
 */
struct worker_code {
	void (*server)(int argc, char *const *argv);
	int (*prepare)(
	    int argc, char *const *argv, char error[WORKER_ERROR_SIZE]);
};

/*
 * What DONE says about the worker: it takes the next client, or ends, as
 * server() has changed what cannot be put back.
 */
enum worker_done { WORKER_STAYS = 1, WORKER_LEAVES };

/*
 * In a child that master has just forked: be a worker at the other end of
 * channel_fd, where it tells READY or FAILED and takes EXEC.  Ends with the
 * channel, and never returns.
 */
__attribute__((noreturn)) void worker_run(
    const struct program *program, int channel_fd);

#endif
