package admin

// A Meaning is what the operator is told of a reason.
type Meaning struct {
	Means string // what happened
	Do    string // what to do about it; "" if nothing
}

// Meanings returns what the reasons of a kind (server.Reason.Kind) mean, by name. It has every server.Reason of that kind; it is
// not to be changed.
func Meanings(kind string) map[string]Meaning { return meanings[kind] }

// meanings are all of them, by kind. docs/metrics.md has the same words.
var meanings = map[string]map[string]Meaning{
	"closed": {
		"by_peer":            {"The peer ended the connection.", ""},
		"reset":              {"The connection broke, mostly because its circuit did.", "Many at once: look at Tor and at this machine's line."},
		"politely":           {"The peer said goodbye first.", ""},
		"malformed":          {"The peer sent something that is not a message.", "Harmless: something else than JoinMarket connects."},
		"line_too_long":      {"The peer sent a line above 40 000 bytes.", "Harmless, even as an attack."},
		"line_too_slow":      {"The peer began a line and did not finish it in limits.line_timeout.", "Harmless while limits.max_handshakes is not reached."},
		"proof_out_of_order": {"The peer sent part of a proof of its nick outside such a proof.", "Harmless: a broken client."},
		"violations":         {"The peer broke rules more than limits.max_violations times.", "If honest makers are hit, raise limits.message_burst."},
	},
	"evicted": {
		"handshake_timeout":   {"Connected, but no handshake within limits.handshake_timeout.", "Scanners do this. If there are many, leave tor.pow on."},
		"handshake_pool_full": {"The oldest of more than limits.max_handshakes connections without a handshake; up to a quarter of them, those that wait for a nick that is taken, come last.", "A flood of connections: leave tor.pow and tor.intro_dos_defense on."},
		"outbox_full":         {"More than limits.outbox_bytes waited for the peer.", "A few are slow circuits. If there are many, look at this machine's network and Tor's processor time."},
		"outbox_age":          {"A message waited longer than limits.outbox_age for the peer.", "A few are slow circuits. If there are many, look at this machine's network and Tor's processor time."},
		"no_progress":         {"The peer took nothing for limits.write_timeout while messages waited.", "A few are dead circuits. If there are many, look at this machine's network."},
		"idle":                {"The peer was silent for heartbeat.evict_idle.", ""},
		"idle_legacy":         {"The peer was silent for heartbeat.legacy_idle and cannot be asked for a sign of life.", ""},
		"no_pong":             {"The peer did not answer a ping: it is gone, its circuit not yet.", ""},
		"displaced":           {"The same nick connected anew and the old connection gave no sign of life.", ""},
		"shutdown":            {"The server stopped.", ""},
		"kicked":              {"You ended the connection.", ""},
		"banned":              {"You banned the nick or the circuit.", ""},
		"no_file":             {"There were no open files left for the connection.", "Raise LimitNOFILE= (ulimit -n), or lower limits.max_peers."},
		"circuit":             {"So many connections of its circuit as circuits.max_closes says broke rules: the circuit was closed.", ""},
	},
	"refused": {
		"undecodable":     {"The first line was no message at all: a scanner, or another program.", "Harmless."},
		"not_handshake":   {"The first message was not a handshake.", ""},
		"app_name":        {"The handshake was of another application.", ""},
		"directory":       {"The handshake was that of a directory, which is not a client.", ""},
		"proto_ver":       {"The client speaks another version of the protocol.", "Its user has to upgrade. If there are many, look for a newer release of this server."},
		"network":         {"The client is on another bitcoin network.", "If there are many, check network and network_aliases."},
		"nick":            {"The nick has not the form of a nick.", ""},
		"location":        {"The client's location is not an onion address with a port.", ""},
		"features":        {"The list of features cannot be read.", ""},
		"own_nick":        {"The client took the directory's own nick.", "Harmless: somebody tries to pass for the directory."},
		"own_location":    {"The client gave the directory's own address for its own.", "Harmless: somebody tries to pass for the directory."},
		"nick_in_use":     {"The nick is here already and its owner is alive.", "A few are clients that come back before their old circuit is dead."},
		"host_full":       {"More than limits.max_nicks_per_host nicks claimed one onion address.", "Raise it only if an honest maker asks for it."},
		"directory_full":  {"limits.max_peers was reached.", "Raise limits.max_peers, and LimitNOFILE= with it."},
		"banned":          {"The nick or the circuit is banned.", ""},
		"draining":        {"The server was draining: it takes nobody new.", "End it when the maintenance is over."},
		"rate_handshake":  {"Handshakes faster than limits.handshake_rate or circuits.handshake_rate, or that took a nick over while limits.deliveries_rate was used up.", "A flood of connections, or very many peers after a restart: then raise limits.handshake_rate."},
		"proof_required":  {"The client cannot prove its nick, and nick_auth.mode says that it must.", "If there are many, consider nick_auth.mode = \"prefer_verified\"."},
		"proof_not_ready": {"Nicks must be proven, and the directory did not know its own address yet.", "Wait until Tor has published it, or set nick_auth.directory_id."},
		"proof_malformed": {"What came instead of a proof of the nick was none.", ""},
		"proof_expired":   {"No proof of the nick came in nick_auth.timeout.", "A few are slow circuits."},
		"proof_invalid":   {"The proof did not prove the nick: somebody tried to take it, or dials this directory by another address.", "If honest clients are hit, check nick_auth.directory_id."},
		"proof_policy":    {"The nick belongs to a peer that has proven it with another key.", ""},
		"other":           {"Another rule of the handshake was broken.", "Log level debug says which."},
	},
	"dropped": {
		"rate_public":        {"Public messages faster than limits.message_rate.", "If honest makers are hit, raise limits.message_burst."},
		"rate_private":       {"Private messages faster than limits.message_rate.", "If honest takers are hit, raise limits.message_burst."},
		"rate_peerlist":      {"Requests for the peer list faster than limits.peerlist_rate.", ""},
		"rate_control":       {"Pings and the like faster than limits.control_rate.", ""},
		"rate_bytes":         {"Bytes faster than limits.bytes_rate, for longer than limits.patience.", ""},
		"rate_offer":         {"Messages with an offer faster than offers.rate.", "If honest makers are hit, raise offers.burst."},
		"offer_size":         {"A message with an offer above offers.max_bytes.", ""},
		"offer_limit":        {"More offers of one peer than offers.max.", "If honest makers are hit, raise offers.max."},
		"budget":             {"More public messages than limits.orderbook_rate, limits.public_bytes_rate or limits.deliveries_rate, for longer than limits.patience, and others came first.", "A flood of public messages. If there is none, raise the rate."},
		"crowded_out":        {"A private message to a peer that reads too slowly, beyond its sender's share of what may wait there (limits.outbox_share).", "Somebody floods a peer, harmless to it. If there is no flood, look at Tor and at this machine's line."},
		"repeated_orderbook": {"The same orderbook request again within limits.orderbook_window.", ""},
		"forged_sender":      {"The message named another sender than the peer.", "It reached nobody. Enough of them end the connection."},
		"malformed":          {"The message had no sender, no receiver or no text, or more than two orderbook requests at once.", ""},
		"unknown_target":     {"The receiver is not here, mostly because it has just left.", "Many at once: circuits break, look at Tor."},
		"to_self":            {"The receiver was the sender.", ""},
		"displaced":          {"The nick of its sender went to a new connection while the message waited for a rate or a budget.", "Its client came back without waiting for it. If there are many, look at budget, too."},
		"too_long":           {"The message would be above 40 000 bytes.", ""},
		"unexpected_type":    {"A type of message that means nothing from a client.", "If there are many, look for a newer release of this server."},
	},
}
