package page

// A kind is a group of reasons, in the words of the page.
type kind struct {
	Name  string // that of Reason.Kind
	Title string
	Of    string // what is counted
}

// kinds are all of them, those first that an operator has most to do with.
var kinds = []kind{
	{"refused", "Refused", "handshakes"},
	{"dropped", "Dropped", "messages"},
	{"evicted", "Evicted", "by the server"},
	{"closed", "Closed", "by the peer"},
}
