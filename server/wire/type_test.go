package wire

import "testing"

func TestEveryCodeHasItsNameAndNumber(t *testing.T) {
	seen := map[string]bool{}
	for code, name := range map[Type]string{
		685: "privmsg", 687: "pubmsg", 785: "local-connect", 787: "local-disconnect", 789: "peerlist", 791: "getpeerlist",
		793: "handshake", 795: "dn-handshake", 797: "local-connect-in", 798: "ping", 799: "pong", 801: "disconnect",
		803: "nick-challenge", 805: "nick-proof", 807: "nick-result", 0: "type-0", 9999: "type-9999", 4294967295: "type-4294967295",
	} {
		if got := code.String(); got != name || seen[got] {
			t.Errorf("%d: %q, want %q", uint32(code), got, name)
		}
		seen[name] = true
	}
	for i, code := range []Type{Privmsg, Pubmsg, LocalConnect, LocalDisconnect, Peerlist, GetPeerlist, ClientHandshake, DirectoryHandshake,
		LocalConnectIn, Ping, Pong, Disconnect, NickChallenge, NickProof, NickResult} {
		if want := []Type{685, 687, 785, 787, 789, 791, 793, 795, 797, 798, 799, 801, 803, 805, 807}[i]; code != want {
			t.Errorf("%v is %d, want %d", code, uint32(code), want)
		}
	}
}
