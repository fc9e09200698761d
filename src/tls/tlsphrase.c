/*
 * Encrypted private keys.
 *
 * Runs in the keeper; the blocks come from the administrator's key file.
 * Three families: PKCS#8 under PBES2 (today's), PKCS#8 under PBES1 or
 * PKCS#12 schemes, and the traditional PEM form, whose key derivation is
 * one MD5.  Many of the older ones need ciphers that OpenSSL 3 keeps in its
 * legacy provider.  PEM_do_header would fetch from the default context
 * alone, so the traditional form is decrypted step by step here.
 */
#include "tls/tlsphrase.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>

#include "base/text.h"
#include "compat/compat.h"
#include "tls/tlscompat.h"
#include "tls/tlslib.h"

struct tlsphrase {
	const char *bytes;
	size_t len;
	struct tlscompat_old *old;
	char why_not[TEXT_PRINTABLE_SIZE]; /* old ciphers cannot be had */
};

struct tlsphrase *
tlsphrase_new(void)
{
	struct tlsphrase *phrase = calloc(1, sizeof(*phrase));

	if (phrase == NULL)
		return NULL;
	tlslib_start();
	phrase->bytes = "";
	phrase->old = tlscompat_old_new(phrase->why_not);
	if (phrase->old != NULL)
		return phrase;
	free(phrase);
	return NULL;
}

void
tlsphrase_set(struct tlsphrase *phrase, const char *bytes, size_t len)
{
	phrase->bytes = bytes;
	phrase->len = len;
}

const char *
tlsphrase_doubt(const struct tlsphrase *phrase)
{
	if (phrase->len == 0)
		return "it is empty";
	if (phrase->bytes[phrase->len - 1] == '\n')
		return "it ends in a newline";
	return NULL;
}

void
tlsphrase_free(struct tlsphrase *phrase)
{
	if (phrase == NULL)
		return;
	tlscompat_old_free(phrase->old);
	free(phrase);
}

/* An encryption that is not to be had here.  Always NULL. */
static EVP_PKEY *
blame_scheme(const struct tlsphrase *phrase, const char *name, char *error)
{
	char shown[TEXT_PRINTABLE_SIZE];

	text_printable(shown, name, strlen(name));
	if (phrase->why_not[0] == '\0')
		text_format(error, TLSPHRASE_ERROR_SIZE,
		    "encrypted with %.60s, which the TLS library does not "
		    "know",
		    shown);
	else
		text_format(error, TLSPHRASE_ERROR_SIZE,
		    "encrypted with %.60s, which needs OpenSSL's legacy "
		    "provider: %s",
		    shown, phrase->why_not);
	ERR_clear_error();
	return NULL;
}

/*
 * PKCS#8
 */

/*
 * Was it for want of an algorithm?  Whatever else fails behind the key
 * derivation does so for a wrong phrase: what it decrypts to is noise.
 */
static bool
is_about_algorithms(void)
{
	unsigned long code;
	bool is_one = false;

	while ((code = ERR_get_error()) != 0) {
		int reason = ERR_GET_REASON(code);

		is_one |= tlscompat_is_unsupported(code);
		if (ERR_GET_LIB(code) == ERR_LIB_EVP)
			is_one |= reason == EVP_R_UNKNOWN_PBE_ALGORITHM ||
			    reason == EVP_R_UNKNOWN_CIPHER ||
			    reason == EVP_R_UNSUPPORTED_ALGORITHM ||
			    reason == EVP_R_UNSUPPORTED_CIPHER ||
			    reason == EVP_R_UNSUPPORTED_PRF ||
			    reason == EVP_R_UNSUPPORTED_KEYLENGTH ||
			    reason == EVP_R_UNSUPPORTED_KEY_DERIVATION_FUNCTION;
	}
	return is_one;
}

static const char *
scheme_name(const X509_SIG *sig)
{
	const X509_ALGOR *how;
	const ASN1_OBJECT *object;
	int nid;

	X509_SIG_get0(sig, &how, NULL);
	X509_ALGOR_get0(&object, NULL, NULL, how);
	nid = OBJ_obj2nid(object);
	return nid == NID_undef ? "an unknown scheme" : OBJ_nid2sn(nid);
}

static EVP_PKEY *
decrypt_pkcs8(const struct tlsphrase *phrase, const unsigned char *bytes,
    size_t len, char *error)
{
	X509_SIG *sig = d2i_X509_SIG(NULL, &bytes, (long)len);
	PKCS8_PRIV_KEY_INFO *info;
	EVP_PKEY *key = NULL;
	char reason[TEXT_PRINTABLE_SIZE];

	if (sig == NULL) {
		text_format(error, TLSPHRASE_ERROR_SIZE, "bad private key: %s",
		    tlslib_reason(reason));
		return NULL;
	}
	info =
	    tlscompat_old_pkcs8(phrase->old, sig, phrase->bytes, phrase->len);
	if (info != NULL) {
		key = EVP_PKCS82PKEY(info);
		if (key == NULL)
			text_format(error, TLSPHRASE_ERROR_SIZE,
			    "bad private key: %s", tlslib_reason(reason));
		PKCS8_PRIV_KEY_INFO_free(info);
	} else if (is_about_algorithms())
		blame_scheme(phrase, scheme_name(sig), error);
	X509_SIG_free(sig);
	return key;
}

/*
 * The traditional form
 */

/* Into plain, of len bytes and a block.  Its length, or -1. */
static int
decrypt_bytes(const EVP_CIPHER *cipher, const unsigned char *key,
    const unsigned char *iv, const unsigned char *bytes, size_t len,
    unsigned char *plain)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n = 0, rest = 0, r = 0;

	if (ctx != NULL)
		r = EVP_DecryptInit_ex(ctx, cipher, NULL, key, iv) == 1 &&
		    EVP_DecryptUpdate(ctx, plain, &n, bytes, (int)len) == 1 &&
		    EVP_DecryptFinal_ex(ctx, plain + n, &rest) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return r == 1 ? n + rest : -1;
}

static EVP_PKEY *
decrypt_with(const struct tlsphrase *phrase, const EVP_CIPHER *cipher,
    const unsigned char *iv, const unsigned char *bytes, size_t len)
{
	unsigned char derived[EVP_MAX_KEY_LENGTH], *plain;
	const unsigned char *at;
	EVP_PKEY *key = NULL;
	int n = -1;

	plain = malloc(len + EVP_MAX_BLOCK_LENGTH);
	if (plain == NULL)
		return NULL;
	at = plain;
	/* The first eight bytes of the IV are the salt. */
	if (EVP_BytesToKey(cipher, EVP_md5(), iv,
		(const unsigned char *)phrase->bytes, (int)phrase->len, 1,
		derived, NULL) > 0)
		n = decrypt_bytes(cipher, derived, iv, bytes, len, plain);
	if (n > 0)
		key = d2i_AutoPrivateKey(NULL, &at, n);
	explicit_bzero(derived, sizeof(derived));
	explicit_bzero(plain, len + EVP_MAX_BLOCK_LENGTH);
	free(plain);
	ERR_clear_error();
	return key;
}

static EVP_PKEY *
decrypt_traditional(const struct tlsphrase *phrase, char *header,
    const unsigned char *bytes, size_t len, char *error)
{
	EVP_CIPHER_INFO info;
	const EVP_CIPHER *cipher;
	EVP_PKEY *key;
	char reason[TEXT_PRINTABLE_SIZE];

	if (PEM_get_EVP_CIPHER_INFO(header, &info) != 1 ||
	    info.cipher == NULL) {
		text_format(error, TLSPHRASE_ERROR_SIZE,
		    "bad PEM header of the private key: %s",
		    tlslib_reason(reason));
		return NULL;
	}
	cipher = tlscompat_old_cipher(phrase->old, info.cipher);
	if (cipher == NULL)
		return blame_scheme(
		    phrase, EVP_CIPHER_name(info.cipher), error);
	key = decrypt_with(phrase, cipher, info.iv, bytes, len);
	tlscompat_old_cipher_free(cipher);
	return key;
}

EVP_PKEY *
tlsphrase_key(const struct tlsphrase *phrase, char *header,
    const unsigned char *bytes, size_t len, char error[TLSPHRASE_ERROR_SIZE])
{
	EVP_PKEY *key;

	error[0] = '\0';
	ERR_clear_error();
	if (strstr(header, "ENCRYPTED") != NULL)
		key = decrypt_traditional(phrase, header, bytes, len, error);
	else
		key = decrypt_pkcs8(phrase, bytes, len, error);
	ERR_clear_error();
	return key;
}
