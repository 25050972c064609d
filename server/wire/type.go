package wire

import "strconv"

// A Type is the code of an envelope (protocol.md 3).
type Type uint32

// The codes of the protocol. LocalConnect, LocalDisconnect and LocalConnectIn are events inside one existing client and
// have no meaning on the wire: inert when received, never sent (protocol.md 3.1). Pong goes out only as the answer
// to a Ping, and Disconnect never: existing clients drop the directory on both.
const (
	Privmsg            Type = 685 // client to client through the directory
	Pubmsg             Type = 687 // client to all others through the directory
	LocalConnect       Type = 785 // never on the wire
	LocalDisconnect    Type = 787 // never on the wire
	Peerlist           Type = 789 // directory to client
	GetPeerlist        Type = 791 // client to directory
	ClientHandshake    Type = 793 // client to directory, the first line of a connection
	DirectoryHandshake Type = 795 // directory to client, the answer
	LocalConnectIn     Type = 797 // never on the wire; an obsolete code of ping
	Ping               Type = 798 // directory to client, tolerated from clients
	Pong               Type = 799 // the answer to Ping
	Disconnect         Type = 801 // client to directory
	NickChallenge      Type = 803 // directory to client (protocol.md 7)
	NickProof          Type = 805 // client to directory
	NickResult         Type = 807 // directory to client
)

// String returns the name of the code for logs and metrics, or "type-N" for a code that is not in protocol.md 3.
func (t Type) String() string {
	switch t {
	case Privmsg:
		return "privmsg"
	case Pubmsg:
		return "pubmsg"
	case LocalConnect:
		return "local-connect"
	case LocalDisconnect:
		return "local-disconnect"
	case Peerlist:
		return "peerlist"
	case GetPeerlist:
		return "getpeerlist"
	case ClientHandshake:
		return "handshake"
	case DirectoryHandshake:
		return "dn-handshake"
	case LocalConnectIn:
		return "local-connect-in"
	case Ping:
		return "ping"
	case Pong:
		return "pong"
	case Disconnect:
		return "disconnect"
	case NickChallenge:
		return "nick-challenge"
	case NickProof:
		return "nick-proof"
	case NickResult:
		return "nick-result"
	}
	return "type-" + strconv.FormatUint(uint64(t), 10)
}
