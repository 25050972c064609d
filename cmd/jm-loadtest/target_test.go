package main

import "testing"

func TestTargets(t *testing.T) {
	for _, test := range []struct{ in, want string }{ // want "": refused
		{"127.0.0.1:5222", "127.0.0.1:5222"},
		{"127.9.9.9:1", "127.9.9.9:1"},
		{"[::1]:5222", "[::1]:5222"},
		{"[::ffff:127.0.0.1]:5222", "127.0.0.1:5222"},
		{"unix:/run/jm/d.sock", "unix:/run/jm/d.sock"},
		{"unix:d.sock", "unix:d.sock"},
		{testOnion, testOnion},

		{"", ""},
		{"unix:", ""},
		{"127.0.0.1", ""},
		{"127.0.0.1:0", ""},
		{"127.0.0.1:65536", ""},
		{"127.1:5222", ""},
		{"2130706433:5222", ""},
		{"localhost:5222", ""},
		{"0.0.0.0:5222", ""},
		{"[::]:5222", ""},
		{"[::1%lo]:5222", ""},
		{"[::ffff:192.0.2.1]:5222", ""},
		{"10.0.0.1:5222", ""},
		{"169.254.0.1:5222", ""},
		{"192.168.0.1:5222", ""},
		{"192.0.2.1:5222", ""},
		{"[2001:db8::1]:5222", ""},
		{"directory.example:5222", ""},
		{"127.0.0.1.example:5222", ""},
		{"example.onion:5222", ""},
		{"a" + testOnion[1:], ""},
		{testOnion[:62], ""},
		{"x." + testOnion, ""},
	} {
		got, err := parseTarget(test.in)
		switch {
		case (err == nil) != (test.want != ""):
			t.Errorf("%q: %v, %v", test.in, got, err)
		case err == nil && got.String() != test.want:
			t.Errorf("%q is read as %s", test.in, got)
		}
	}
}
