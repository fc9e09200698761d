/*
 * tlsinfo: what is known of a connection after its handshake, as typed
 * facts; whoever takes them gives them names.
 *
 * Uses no type of the TLS library, so that the kinds are the same for those
 * that do not link it.
 */
#ifndef TLS_TLSINFO_H
#define TLS_TLSINFO_H

#include <stddef.h>

struct tlsconn;

enum tlsinfo_party {
	TLSINFO_CONNECTION, /* of both */
	TLSINFO_SERVER,	    /* of the server's certificate */
	TLSINFO_CLIENT,	    /* of the client's certificate and chain */
	TLSINFO_PARTIES
};

enum tlsinfo_kind {
	/* TLSINFO_CONNECTION */
	TLSINFO_PROTOCOL,	    /* TLSv1.3 */
	TLSINFO_SESSION_ID,	    /* lower-case hex; empty: has none */
	TLSINFO_CIPHER,		    /* TLS_AES_256_GCM_SHA384 */
	TLSINFO_CIPHER_EXPORT,	    /* true: fewer than 56 bits; false */
	TLSINFO_CIPHER_USEKEYSIZE,  /* its bits in use */
	TLSINFO_CIPHER_ALGKEYSIZE,  /* and those it could have */
	TLSINFO_VERSION_LIBRARY,    /* of the TLS library */
	TLSINFO_TLS_SNI,	    /* what the client called the server */
	TLSINFO_ALPN,		    /* the protocol agreed on */
	TLSINFO_KEX_GROUP,	    /* x25519, secp256r1, as IANA has them */
	TLSINFO_SESSION_RESUMED,    /* Initial or Resumed */
	TLSINFO_EXPORTER,	    /* RFC 9266, hex: not before TLS 1.3 without
				    * the extended master secret (RFC 7627) */
	TLSINFO_SERVER_END_POINT,   /* RFC 5929, hex: not for a signature that
				    * has no hash of its own, as Ed25519 */
	TLSINFO_CLIENT_VERIFY,	    /* NONE, SUCCESS or FAILED:reason */
	TLSINFO_CLIENT_CERT_SHA256, /* of its DER, hex */
	/* TLSINFO_SERVER and TLSINFO_CLIENT */
	TLSINFO_M_VERSION,    /* 3 */
	TLSINFO_M_SERIAL,     /* decimal: not above 1024 bytes */
	TLSINFO_M_SERIAL_HEX, /* upper case, as openssl(1) prints it */
	TLSINFO_S_DN,	      /* subject, /C=DE/O=.../CN=... */
	TLSINFO_S_DN_RFC2253, /* the same as CN=...,O=...,C=DE */
	TLSINFO_S_DN_PART,    /* index: enum tlsinfo_attribute */
	TLSINFO_I_DN,	      /* issuer */
	TLSINFO_I_DN_PART,    /* index: enum tlsinfo_attribute */
	TLSINFO_V_START,      /* Jan  2 10:57:43 2014 GMT */
	TLSINFO_V_END,	      /* the same */
	TLSINFO_A_SIG,	      /* long name of an algorithm, or UNKNOWN */
	TLSINFO_A_KEY,	      /* the same */
	TLSINFO_CERT,	      /* PEM */
	/* TLSINFO_CLIENT */
	TLSINFO_CERT_CHAIN, /* PEM; index from 0, as the client sent them */
	TLSINFO_KINDS
};

/* Of a distinguished name; the last of several of one kind counts. */
enum tlsinfo_attribute {
	TLSINFO_C,
	TLSINFO_ST,
	TLSINFO_L,
	TLSINFO_O,
	TLSINFO_OU,
	TLSINFO_CN,
	TLSINFO_T,
	TLSINFO_I,
	TLSINFO_G,
	TLSINFO_S,
	TLSINFO_D,
	TLSINFO_UID,   /* userId; without one, x500UniqueIdentifier */
	TLSINFO_EMAIL, /* emailAddress */
	TLSINFO_ATTRIBUTES
};

/*
 * One fact.  S_DN_PART and I_DN_PART are UTF-8 where the certificate says what
 * its bytes mean, and TLS_SNI and ALPN are bytes off the network: all of
 * these may hold anything, NUL included.  The others are printable ASCII,
 * PEM with newlines.
 */
struct tlsinfo_fact {
	enum tlsinfo_party party;
	enum tlsinfo_kind kind;
	unsigned index; /* 0 where the kind has none */
	const void *bytes;
	size_t len;
};

/* Take a fact, whose bytes are gone afterwards.  0; or -1: stop there. */
typedef int tlsinfo_fn(void *arg, const struct tlsinfo_fact *fact);

/*
 * Give fn every fact there is, each once, in the order of party, kind and
 * index; after the handshake only.  What does not exist or cannot be
 * printed, as a time that is none, is left out.  0, or -1: memory is short,
 * or fn has said so.
 */
int tlsinfo_walk(const struct tlsconn *conn, tlsinfo_fn *fn, void *arg);

#endif
