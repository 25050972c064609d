package wire

// Names of features that mean something to a directory (protocol.md 5.1). All others are carried in peer lists unchanged.
const (
	FeaturePeerlist = "peerlist_features" // the client reads ";F:" in peer lists
	FeaturePing     = "ping"              // the client answers Ping with Pong
	FeatureNickAuth = "nick_auth"         // protocol.md 7
	// FeatureReachable in a peer list is the directory's word, not the peer's: the directory has reached the peer where it
	// says that it serves. It is never taken from a handshake.
	FeatureReachable = "reachable"
)

// Limits of the features in a handshake (protocol.md 5.1): above either, the handshake is refused.
const (
	MaxFeatures    = 32 // entries
	MaxFeatureName = 64 // bytes
)

// ValidFeature reports whether a name may stand in a peer list: 1 to MaxFeatureName of a to z, 0 to 9 and _ (protocol.md
// 5.3).
func ValidFeature[T ~string | ~[]byte](name T) bool {
	if len(name) == 0 || len(name) > MaxFeatureName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}

func appendFeatures(dst []byte, features []string) []byte {
	dst = append(dst, '{')
	for i, f := range features {
		if i > 0 {
			dst = append(dst, ", "...)
		}
		dst = appendQuoted(dst, f)
		dst = append(dst, ": true"...)
	}
	return append(dst, '}')
}
