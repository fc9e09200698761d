/*
 * logger: the process that writes the log.
 */
#ifndef SERVE_LOGGER_H
#define SERVE_LOGGER_H

/*
 * Write each message that arrives on work_fd to descriptor 2, one write
 * each, blocking; return when every sender has closed its end.
 */
void logger_run(int work_fd);

#endif
