package wire

import "strings"

// An Entry is one peer of a peer list (protocol.md 5.3).
type Entry struct {
	Nick     string   // valid (ValidNick) in what is sent
	Location Location // the zero value does not serve
	Gone     bool     // a departure
	Features []string // sorted
}

// AppendEntry appends an entry without the comma that separates it from the next one. features says whether the receiver
// announced FeaturePeerlist itself: to any other the features are not written, because existing clients skip the whole
// entry. A departure is always plain, for the same reason (protocol.md 5.3, rules 1 and 2). Nick and features must be valid.
func AppendEntry(dst []byte, e Entry, features bool) []byte {
	dst = append(dst, e.Nick...)
	dst = append(dst, ';')
	dst = e.Location.append(dst)
	if e.Gone {
		return append(dst, ";D"...)
	}
	if !features || len(e.Features) == 0 {
		return dst
	}
	dst = append(dst, ";F:"...)
	for i, f := range e.Features {
		if i > 0 {
			dst = append(dst, '+')
		}
		dst = append(dst, f...)
	}
	return dst
}

// ParsePeerlist reads the line of a peer list as leniently as newer clients do: items without ';' are skipped, fields after
// the second in any order, unknown ones ignored. Nothing is checked; a location that does not parse, clearnet ones allowed,
// reads as not serving, so that its departure is still seen. Features are as sent.
func ParsePeerlist(line []byte) []Entry {
	var entries []Entry
	for item := range strings.SplitSeq(string(line), ",") {
		nick, rest, ok := strings.Cut(item, ";")
		if !ok {
			continue
		}
		location, rest, more := strings.Cut(rest, ";")
		e := Entry{Nick: nick}
		if l, err := ParseLocation(location, true); err == nil {
			e.Location = l
		}
		for more {
			var field string
			field, rest, more = strings.Cut(rest, ";")
			if field == "D" {
				e.Gone = true
			} else if list, ok := strings.CutPrefix(field, "F:"); ok {
				for f := range strings.SplitSeq(list, "+") {
					if f != "" {
						e.Features = append(e.Features, f)
					}
				}
			}
		}
		entries = append(entries, e)
	}
	return entries
}
