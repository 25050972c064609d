// Package admin is how an operator looks at a directory and acts on it: HTTP on a unix socket, or on loopback
// when asked for. It answers with counts, reasons and states, and never names a peer.
//
//	GET  /livez     200 while registry and outboxes move, 503 with the reason
//	GET  /readyz    200 while clients can reach the directory through its onion, 503 with the reasons, one a line
//	GET  /health    both, with what is wrong, as JSON (Health); 503 if either fails
//	GET  /status    Report, as JSON
//	GET  /history   samples of the past, as JSON (History): ?span=minute|hour|day&from=TIME&to=TIME
//	GET  /metrics   the same numbers for Prometheus (docs/metrics.md)
//	GET  /bans      the bans in force, as JSON (Bans)
//	GET  /store     a copy of the file of bans and history, for backups; on a unix socket only
//	GET  /          a page to look at, with what it needs below /page/
//	POST /actions/… kick, ban, unban, drain, motd, log-level: KickRequest and so on, as JSON
//
// A TIME is RFC 3339 or seconds since 1970. What goes wrong is answered with a status of 400 or more and an Error.
//
// Whoever can connect may do everything. A unix socket is for its owner alone; a loopback port is for everybody on the host,
// and for every web site that the operator looks at, unless that is prevented: requests there must be
// for a loopback address by number or for localhost (no DNS rebinding), those on a socket for that or a name without a dot,
// and everywhere actions must come as JSON and not from another origin. Bodies, headers, times and connections are
// bounded, and nothing is kept of a request.
//
// The package knows the directory (server) and nothing of Tor or the store: what it shows of those it is given
// through Source.
package admin
