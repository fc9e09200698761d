/*
 * monitor: accepts, decides, keeps the state of every connection.
 */
#ifndef SERVE_MONITOR_H
#define SERVE_MONITOR_H

struct settings;

#define MONITOR_ERROR_SIZE 256

/*
 * Raise this process's descriptor limit to what -c needs, with the rights
 * it still has.  0, or -1 and a sentence with both numbers.
 */
int monitor_raise_descriptors(
    const struct settings *settings, char error[MONITOR_ERROR_SIZE]);

/*
 * The whole life of a monitor whose rights are dropped; never returns.
 * Everything it works with comes from master_fd, its life line.
 */
__attribute__((noreturn)) void monitor_run(
    const struct settings *settings, int master_fd);

#endif
