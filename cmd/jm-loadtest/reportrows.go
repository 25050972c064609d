package main

// A reportRow is one row of the table that report writes: what is shown of the results with a title, beside what was to be
// reached, and what other directory servers reached.
type reportRow struct {
	work  string
	title string // of the results; FAMILY stands for tcp or unix
	show  string // {name} stands for a figure, a quantile or the server's CPU time
	goal  string // over TCP
	// Recorded on another day on such a machine, over TCP: the Python server, the Rust server, the reference implementation.
	python, rust, reference string
}

var reportRows = []reportRow{
	{"broadcast 400 B, 1000 peers, 1 in flight: deliveries/s; p99", "broadcast 1 000 peers, 1 in flight",
		"{deliveries_per_second}; {p99} ms", "≥ 100 000; ≤ 10 ms", "21 600", "45 700", ""},
	{"the same, 16 in flight; p99; server CPU per million", "broadcast 1 000 peers, 16 in flight",
		"{deliveries_per_second}; {p99} ms; {cpu} s", "≥ 500 000; ≤ 40 ms; ≤ 1.8 s", "17 100; 981 ms; 58 s", "270 000; 53 ms; 2.7 s", "109 000; 166 ms; 9.1 s"},
	{"the same, 128 in flight; CPU per million", "broadcast 1 000 peers, 128 in flight",
		"{deliveries_per_second}; {cpu} s", "≥ 1 000 000; ≤ 0.9 s", "", "773 000; 1.73 s", ""},
	{"broadcast, 100 peers, 16 in flight; p99", "broadcast 100 peers, 16 in flight",
		"{deliveries_per_second}; {p99} ms", "≥ 200 000; ≤ 5 ms", "21 500; 95 ms", "48 000; 45 ms", "39 700; 48 ms"},
	{"broadcast, 5000 peers, 16 in flight", "broadcast 5 000 peers, 16 in flight",
		"{deliveries_per_second}", "≥ 350 000", "20 100", "194 000", ""},
	{"burst: 1000 peers send one message each at once, until the last has come", "broadcast 1 000 peers, all at once",
		"{seconds_to_last} s", "≤ 3 s, none lost or evicted", "75 s", "98 % lost, all evicted", ""},
	{"private, 100 pairs, 16 of each in flight: messages/s", "private 100 pairs, 16 each",
		"{messages_per_second}", "≥ 180 000", "8 460", "104 000 to 162 000", "6 750"},
	{"private, idle server, there and back: p50; p99", "private 100 pairs, one at a time",
		"{p50}; {p99} ms", "≤ 0.12; 0.19 ms", "0.36; 0.63 ms", "0.13; 0.19 ms", "0.88; 1.9 ms"},
	{"memory of an idle peer (growth of RSS)", "ramp 10 000 peers",
		"{rss_growth_per_peer_bytes} B", "≤ 3500 B", "8800 B", "13 400 B", "1200 B"},
	{"handshakes/s while 10 000 join; CPU of each", "ramp 10 000 peers",
		"{handshakes_per_second}; {server_cpu_microseconds_per_handshake} µs", "≥ 15 000", "3070", "14 400", "2520"},
	{"list of 10 000 peers, to the last entry; largest line", "peerlist of 9 999 makers",
		"{milliseconds_to_last_entry} ms; {largest_line_bytes} B", "≤ 20 ms; ≤ 40 000 B", "25.3 s", "7 ms; 425 000 B", "none"},
	{"250 of 1000 peers leave at once: last notice", "churn 250 of 1 000 leave",
		"{milliseconds_to_last_notice} ms", "≤ 1500 ms, none evicted", "11.8 s", "0.29 s", "2.1 s"},
	{"500 of 1000 peers leave at once: last notice", "churn 500 of 1 000 leave",
		"{milliseconds_to_last_notice} ms", "none evicted", "", "evicts the other 500", ""},
	{"1 of 100 peers never reads: deliveries/s to the others; its end", "slow 1 of 100 never read",
		"{deliveries_per_second}; {seconds_until_slow_ended} s", "as without it; ≤ 35 s", "all broadcasts stop for minutes", "as without it; never", "as without it"},
	{"500 peers, 1.5 times what goes: deliveries/s; private messages of others, p50; p99", "overload 500 peers, 1.50 times what goes",
		"{deliveries_per_second}; {private_p50_ms}; {private_p99_ms} ms", "none lost or evicted", "", "", ""},
	{"orderbook, 100 makers answer", "orderbook 100 makers",
		"{milliseconds_to_last_answer} ms", "≤ 3 ms", "28 ms", "3.4 ms, 1 of 20 incomplete", "24 ms"},
	{"orderbook, 500 makers answer", "orderbook 500 makers",
		"{milliseconds_to_last_answer} ms", "complete", "", "10 of 20 incomplete", ""},
	{"orderbook, 1000 makers answer", "orderbook 1 000 makers",
		"{milliseconds_to_last_answer} ms", "complete", "", "", ""},
	{"no server: 1 message in a write, 1000 sockets: deliveries/s; CPU per million, writing", "limit FAMILY 1 000 peers, 1 a write",
		"{deliveries_per_second}; {writer_cpu_seconds_per_million} s", "", "", "", ""},
	{"no server: 4 messages in a write", "limit FAMILY 1 000 peers, 4 a write",
		"{deliveries_per_second}; {writer_cpu_seconds_per_million} s", "", "", "", ""},
	{"no server: 16 messages in a write", "limit FAMILY 1 000 peers, 16 a write",
		"{deliveries_per_second}; {writer_cpu_seconds_per_million} s", "", "", "", ""},
	{"no server: a message there and back between two threads: p50; p99", "limit FAMILY there and back",
		"{p50}; {p99} ms", "", "", "", ""},
}
