/*
 * identity: users and groups by name or number.
 */
#ifndef CMD_IDENTITY_H
#define CMD_IDENTITY_H

#include "serve/settings.h"

struct options;

#define IDENTITY_ERROR_SIZE 256

/*
 * Fill the identities of options->settings from -u, -g, -U and the
 * environment.  Without root, asking for another identity or root than the
 * present one is an error.  Returns 0, or 100 or 111 with one sentence.
 */
int identity_resolve(struct options *options, char error[IDENTITY_ERROR_SIZE]);

/*
 * Of a program that has one such role only: the identity of what meets the
 * network, from SSLNET_USER.  Returns as identity_resolve.
 */
int identity_network(
    struct settings_identity *id, char error[IDENTITY_ERROR_SIZE]);

/* Say on descriptor 2 what is unwise about them, a line each. */
void identity_warn(const struct options *options);

#endif
