/*
 * sslhandle: a TLS server whose program is a function.
 *
 * Who defines server() and links libsslhandle has a whole server: main(), the
 * options of sslhandle(8), the pool of TLS processes, rules, limits, the log.
 * See sslhandle(3).
 */
#ifndef SSLHANDLE_H
#define SSLHANDLE_H

#ifdef __cplusplus
extern "C" {
#endif

/*
 * To be defined by the program.  It is called for one connection after
 * another, in one of the -c children, with what follows options, host and
 * port on the command line; argv[argc] is NULL.
 *
 * As in a program of sslserver(8) descriptor 0 is what the client sends, 1
 * what goes to it, and the environment says who it is.  When the function
 * returns, standard streams are flushed and the connection ends; environment,
 * descriptors, working directory, umask, signal actions and mask are put
 * back.  Variables keep their values.  A child that exits or dies ends its
 * connection as a program of that status, and is replaced.
 *
 * What getenv(3) gives is good until it returns.
 */
void server(int argc, char *const *argv);

#ifdef __cplusplus
}
#endif

#endif
