/*
 * load_floor: what the server's side of a handshake costs at the least.
 */
#ifndef BENCH_LOAD_FLOOR_H
#define BENCH_LOAD_FLOOR_H

struct load_tls_settings;

/*
 * CPU microseconds of the server's side of one handshake in memory: mean
 * of count.  cert_file and key_file are the server's; ca_file, where there
 * is one, is whom it trusts to have signed its client, which then has the
 * same certificate.  is_resuming: abbreviated handshakes, with tickets.
 * Exits on failure, and when a handshake was not of the kind wanted.
 */
double load_floor(const struct load_tls_settings *settings, unsigned count);

#endif
