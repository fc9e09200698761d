/*
 * oldapi: the functions of ucspissl_compat.h, which is the contract.  Their
 * names and types are 0.12's.
 */
#ifndef TLS_OLDAPI_H
#define TLS_OLDAPI_H

#include <ucspissl_compat.h>

#include <stddef.h>

/* For oldapi_*.c: note what SSL_get_error says of answer.  Always -1. */
int oldapi_fail(const SSL *ssl, int answer);

/* Append to *to.  0, or -1: memory is short. */
int oldapi_append(stralloc *to, const char *bytes, size_t len);

#endif
