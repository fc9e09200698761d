/*
 * Where the system keeps its CAs.
 *
 * Runs in sslclient, before anything else is started.  A file is taken
 * before a directory: distributions have both with the same contents, and
 * a directory is hundreds of files to be read.
 */
#include "tls/tlssystem.h"

#include <stdlib.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "tls/tlsfile.h"

static const char *const files[] = {
	"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
	"/etc/pki/tls/certs/ca-bundle.crt",   /* Red Hat */
	"/etc/ssl/ca-bundle.pem",	      /* SUSE */
	"/etc/ssl/cert.pem",		      /* BSDs, macOS */
};

static const char *
value_of(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || *value == '\0' ? NULL : value;
}

/* The library's own, or one of those above; NULL: there is none. */
static const char *
find_file(void)
{
	const char *file = X509_get_default_cert_file();
	size_t i;

	if (access(file, R_OK) == 0)
		return file;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (access(files[i], R_OK) == 0)
			return files[i];
	return NULL;
}

void
tlssystem_use(struct tls_settings *settings)
{
	settings->cafile = value_of(X509_get_default_cert_file_env());
	settings->cadir = value_of(X509_get_default_cert_dir_env());
	if (settings->cafile != NULL || settings->cadir != NULL)
		return;
	settings->cafile = find_file();
	if (settings->cafile == NULL &&
	    access(X509_get_default_cert_dir(), R_OK | X_OK) == 0)
		settings->cadir = X509_get_default_cert_dir();
}
