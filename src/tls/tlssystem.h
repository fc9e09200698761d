/*
 * tlssystem: the CAs that the system trusts.
 */
#ifndef TLS_TLSSYSTEM_H
#define TLS_TLSSYSTEM_H

struct tls_settings;

/*
 * Point settings->cafile and settings->cadir, one or both, to the system's
 * store: what SSL_CERT_FILE and SSL_CERT_DIR name, as for every program of
 * the TLS library; else the library's own file, or one where systems keep
 * theirs; else the library's directory.  Neither: the system has none.  Looks
 * for files, reads none.
 */
void tlssystem_use(struct tls_settings *settings);

#endif
