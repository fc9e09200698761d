/*
 * tlslib: start of the TLS library, and its error texts.
 *
 * Runs in keeper and nursery, later in sslclient.  The configuration file
 * is never read: what it could set (providers, engines, ciphers, the
 * random generator) belongs to our own variables, and the nursery must not
 * open files.
 */
#include "tls/tlslib.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "tls/tlscompat.h"

void
tlslib_start(void)
{
	OPENSSL_init_crypto(
	    OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
	    NULL);
}

static void *
allocate(size_t size, const char *file, int line)
{
	(void)file;
	(void)line;
	return malloc(size);
}

static void
wipe_and_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	if (block != NULL)
		explicit_bzero(block, malloc_usable_size(block));
	free(block);
}

static void *
reallocate(void *block, size_t size, const char *file, int line)
{
	size_t room = block == NULL ? 0 : malloc_usable_size(block);
	void *moved;

	if (block != NULL && size > 0 && size <= room)
		return block;
	moved = size == 0 ? NULL : malloc(size);
	if (moved == NULL && size > 0)
		return NULL;
	if (moved != NULL && room > 0)
		memcpy(moved, block, room);
	wipe_and_free(block, file, line);
	return moved;
}

int
tlslib_wipe_freed(void)
{
	return CRYPTO_set_mem_functions(allocate, reallocate, wipe_and_free) ==
		1
	    ? 0
	    : -1;
}

char *
tlslib_reason(char text[TEXT_PRINTABLE_SIZE])
{
	unsigned long code = ERR_get_error();
	const char *reason = NULL;

	/* The oldest error is the cause, later ones say who passed it on. */
	if (tlscompat_system_error(code) != 0)
		reason = strerror(tlscompat_system_error(code));
	else if (code != 0)
		reason = ERR_reason_error_string(code);
	if (reason == NULL)
		reason = "unknown error";
	ERR_clear_error();
	return text_printable(text, reason, strlen(reason));
}

int
tlslib_sha256(
    const void *bytes, size_t len, unsigned char digest[TLSLIB_SHA256_SIZE])
{
	int r = EVP_Digest(bytes, len, digest, NULL, EVP_sha256(), NULL);

	ERR_clear_error();
	return r == 1 ? 0 : -1;
}
