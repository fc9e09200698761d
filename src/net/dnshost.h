/*
 * dnshost: the addresses of one host name, asked of name servers.
 *
 * For a process that does nothing else meanwhile, and may meet the network.
 * /etc/hosts has no say: whoever names servers wants to know what they know.
 */
#ifndef NET_DNSHOST_H
#define NET_DNSHOST_H

#include <stddef.h>
#include <stdint.h>

#include "net/dns.h"
#include "net/resolvconf.h"

#define DNSHOST_ADDRESSES_MAX 64

/*
 * Ask conf's servers for the addresses of name, of one family or (AF_UNSPEC)
 * both, those of IPv6 first.  A name without a dot is looked for in conf's
 * domain first, one with dots there last; a final dot says that it is whole.
 * localhost, and what ends in it, is this machine (RFC 6761, section 6.3).
 * Blocks until the deadline (clock_now) at the latest.  DNS_FOUND and *count
 * of found; DNS_NONE: there are none; DNS_FAILED: no usable answer in time.
 */
enum dns_result dnshost_find(const struct resolvconf *conf, const char *name,
    int family, int64_t deadline, struct ip found[DNSHOST_ADDRESSES_MAX],
    size_t *count);

#endif
