/*
 * settings: the first noun of ucspissl.h, as connections see it.
 */
#ifndef LIB_SETTINGS_H
#define LIB_SETTINGS_H

#include <ucspissl.h>

#include "tls/tlsverify.h"

struct tlsctx;

/* The loaded context; NULL: not loaded, or for the other side. */
struct tlsctx *settings_ctx(
    const struct ucspissl_settings *settings, enum ucspissl_side side);

/*
 * What is wanted of a peer, which is used, not copied.  0, or -1 with errno
 * EINVAL: it is missing.
 */
int settings_verify(const struct ucspissl_settings *settings, const char *peer,
    struct tlsverify *verify);

/* ALPN as it travels, or NULL. */
const unsigned char *settings_alpn(
    const struct ucspissl_settings *settings, size_t *len);

#endif
