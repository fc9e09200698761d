/*
 * tlsscheme: what may be signed with a server's key, and how it is asked.
 *
 * Shared by the key object in a session (which asks) and the keeper (which
 * checks and signs).  Numbers are TLS SignatureScheme values (RFC 8446,
 * 4.2.3) plus one of our own for the MD5+SHA1 of TLS 1.0 and 1.1 with RSA.
 */
#ifndef TLS_TLSSCHEME_H
#define TLS_TLSSCHEME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tlsscheme {
	TLSSCHEME_RSA_PKCS1_SHA1 = 0x0201,
	TLSSCHEME_ECDSA_SHA1 = 0x0203,
	TLSSCHEME_RSA_PKCS1_SHA256 = 0x0401,
	TLSSCHEME_ECDSA_SHA256 = 0x0403,
	TLSSCHEME_RSA_PKCS1_SHA384 = 0x0501,
	TLSSCHEME_ECDSA_SHA384 = 0x0503,
	TLSSCHEME_RSA_PKCS1_SHA512 = 0x0601,
	TLSSCHEME_ECDSA_SHA512 = 0x0603,
	TLSSCHEME_RSA_PSS_RSAE_SHA256 = 0x0804,
	TLSSCHEME_RSA_PSS_RSAE_SHA384 = 0x0805,
	TLSSCHEME_RSA_PSS_RSAE_SHA512 = 0x0806,
	TLSSCHEME_ED25519 = 0x0807,
	TLSSCHEME_RSA_PKCS1_MD5_SHA1 = 0xfe01
};

/* Longest text that is ever signed: two randoms and DH 8192 parameters. */
#define TLSSCHEME_TEXT_MAX 4096
/* Longest signature: RSA-16384. */
#define TLSSCHEME_SIGNATURE_MAX 2048

struct tls_settings;
struct tls_public;

/* What a profile permits in the texts it signs. */
struct tlsscheme_policy {
	const unsigned char *dh_p, *dh_g; /* big-endian, or NULL: no DHE */
	size_t dh_p_len, dh_g_len;
	uint16_t groups[16]; /* TLS NamedGroup numbers for ECDHE */
	size_t group_count;
	bool permits_tls12; /* TLSMIN is 1.2 or lower */
	bool permits_tls13; /* TLSMAX is 1.3 */
	bool permits_old;   /* SHA-1 and MD5: the security level is 0 */
};

/*
 * Is text what a TLS server signs, under this policy and scheme?
 * TLS 1.3 (RFC 8446, 4.4.3): 64 blanks, "TLS 1.3, server
 * CertificateVerify", NUL, a hash of 32 or 48 bytes; never PKCS#1 v1.5 or
 * SHA-1.  Up to 1.2 (RFC 8422, 5.4; RFC 5246, 7.4.3): two randoms of 32
 * bytes, then a named-curve ECDHE point of exactly that group's length
 * (uncompressed, on the curve, where the group is a Weierstrass curve), or
 * p, g and Ys with p and g exactly the policy's, Ys of p's size and
 * 1 < Ys < p - 1.  Nothing before, between or after.  A scheme with SHA-1
 * or MD5 needs permits_old as well: a signature of a broken hash may be
 * one of another text too.  Pure but for OpenSSL's curve tables.
 */
bool tlsscheme_permits(const struct tlsscheme_policy *policy, unsigned scheme,
    const unsigned char *text, size_t len);

/* Has text the shape of TLS 1.3?  (Up to 1.2: see tlsscheme_permits.) */
bool tlsscheme_is_tls13(const unsigned char *text, size_t len);

/*
 * The groups of a TLSGROUPS list ("X25519:P-256", OpenSSL's or TLS names,
 * case ignored) that TLS 1.2 can use, or of the library's default when
 * list is NULL or "".  Unknown names are skipped here (tlsctx_new refuses
 * them).  Fills policy->groups.
 */
void tlsscheme_groups(struct tlsscheme_policy *policy, const char *list);

/*
 * The policy of a profile.  Its DH parameters point into public, which
 * must stay.  permits_old is set where the library itself would ask for
 * such signatures: at security level 0, which a TLSMIN below 1.2 or an
 * @SECLEVEL=0 in CIPHERS brings.  0, or -1: TLSMIN or TLSMAX cannot be read, or the DH
 * parameters (tlsfile_load and tlsctx_new have said so in words).
 */
int tlsscheme_policy_init(struct tlsscheme_policy *policy,
    const struct tls_settings *settings, const struct tls_public *public);

/* Is the group of that name (len bytes) one that TLS 1.2 can use here? */
bool tlsscheme_knows_group(const char *name, size_t len);

/*
 * Make dh_p and dh_g those of a DER DHParameter (PKCS#3) or X9.42
 * DomainParameters, which begin alike; they point into
 * der.  0, or -1 and no DHE when it is not one.
 */
int tlsscheme_dh(
    struct tlsscheme_policy *policy, const unsigned char *der, size_t len);

#endif
