package page

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// get asks the handler of src, as a browser would.
func get(t testing.TB, src Source, address string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	atNoon(src).ServeHTTP(w, httptest.NewRequest("GET", address, nil))
	return w
}

// addresses are all that show a report.
var addresses = []string{"/", "/?span=hour", "/?span=day", "/page/now", "/page/past", "/page/past?span=hour", "/page/past?span=day", "/?span=recent"}

// eachPage calls f with every state at every address.
func eachPage(t *testing.T, f func(t *testing.T, body string, root *html.Node)) {
	for name, src := range cases {
		for _, address := range addresses {
			t.Run(name+address, func(t *testing.T) {
				w := get(t, src, address)
				if w.Code != http.StatusOK {
					t.Fatalf("%d: %s", w.Code, w.Body)
				}
				root, err := html.Parse(strings.NewReader(w.Body.String()))
				if err != nil {
					t.Fatal(err)
				}
				f(t, w.Body.String(), root)
			})
		}
	}
}

// attr returns an attribute, "" if there is none.
func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// elements returns those of a name.
func elements(root *html.Node, name string) (found []*html.Node) {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && n.Data == name {
			found = append(found, n)
		}
	}
	return found
}

// text returns what can be read of n.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// TestPageSaysHowItIs guards the word of every state, and that what is wrong is said.
func TestPageSaysHowItIs(t *testing.T) {
	for name, want := range map[string][]string{
		"running":                    {"Reachable", "passed", "842 ms", "23 min ago", "312", "1 062 /s", "up 12 d", "0.4.9.11", "unknown_target", "The last 24 hours"},
		"starting":                   {"Starting", "Tor 45 %: Requesting relay descriptors", "What it waits for", "no firewall", "signet", "none yet every 5 min", "Nothing is recorded"},
		"nothing known":              {"Running", "up 0 s"},
		"no tor":                     {"Running", "No Tor of its own."},
		"self-check off":             {"Published", "The self-check is off"},
		"self-check none":            {"Published", "has not ended yet"},
		"self-check failed once":     {"In doubt", "a message did not come back, 2 min ago"},
		"not reachable":              {"Not reachable", "What is wrong", "The last three self-checks failed", "What to do", "restart the service", "no way to our own onion", "of the last that passed, 31 min ago", "built without it"},
		"store broken":               {"Reachable", "broken", "no space left on device, since 2031-05-14 11:02 UTC", "free some space", "The history cannot be read: store: no space left on device"},
		"draining":                   {"Draining", "newcomers are refused"},
		"draining and not reachable": {"Not reachable", "Clients cannot reach the directory now."},
		"stopping":                   {"Stopping"},
		"one sample":                 {"Reachable", "100 % of the time that it ran"},
		"at its limits":              {"Reachable", "10 000", "evicted at 2 min"},
		"huge numbers":               {"Reachable", "18.4 E", "–"},
		"hostile texts":              {"Not reachable", hostile},
		"long texts":                 {"Not reachable", strings.Repeat("x", 400)},
	} {
		src, ok := cases[name]
		if !ok {
			t.Fatalf("there is no case %q", name)
		}
		root, err := html.Parse(get(t, src, "/").Body)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.ReplaceAll(text(root), thin, " ")
		h1 := elements(root, "h1")
		if len(h1) != 1 || text(h1[0]) != want[0] {
			t.Errorf("%s: the state is %q, want %q", name, text(h1[0]), want[0])
		}
		for _, some := range want {
			if !strings.Contains(all, some) {
				t.Errorf("%s: %q is not on the page", name, some)
			}
		}
	}
}

// TestPageIsAccessible guards what those rely on who do not see it: landmarks, headings, names of drawings and tables.
func TestPageIsAccessible(t *testing.T) {
	eachPage(t, func(t *testing.T, body string, root *html.Node) {
		ids := make(map[string]bool)
		for n := range root.Descendants() {
			if id := attr(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("two elements are %q", id)
				}
				ids[id] = true
			}
		}
		for n := range root.Descendants() {
			if by := attr(n, "aria-labelledby"); by != "" && !ids[by] {
				t.Errorf("nothing is %q", by)
			}
			switch n.Data {
			case "svg":
				hidden := n.Parent.Data == "svg" || attr(n.Parent, "aria-hidden") == "true"
				if !hidden && (attr(n, "role") != "img" || attr(n, "aria-label") == "") {
					t.Error("a drawing has no name")
				}
			case "section":
				if attr(n, "aria-labelledby") == "" && attr(n, "aria-label") == "" {
					t.Error("a section has no name")
				}
			case "th":
				if attr(n, "scope") == "" {
					t.Errorf("the table's head %q has no scope", text(n))
				}
			case "dl":
				if len(elements(n, "dt")) == 0 {
					t.Error("a list has nothing in it")
				}
			}
		}
		if !strings.HasPrefix(body, "<!doctype html>") {
			return // a part
		}
		for _, one := range []string{"main", "header", "footer", "nav", "h1", "title"} {
			if n := len(elements(root, one)); n != 1 {
				t.Errorf("there are %d %s", n, one)
			}
		}
		if attr(elements(root, "html")[0], "lang") != "en" {
			t.Error("no language")
		}
		if n := len(elements(root, "table")); n == 0 {
			t.Error("no table of reasons")
		}
	})
}

// TestPageNeedsOnlyItsOrigin guards that the policy forbids nothing that the page wants, and that no text of a report
// became more than text.
func TestPageNeedsOnlyItsOrigin(t *testing.T) {
	known := []string{"page/page.css?" + revision, "page/page.js?" + revision, "page/icon.svg?" + revision}
	eachPage(t, func(t *testing.T, _ string, root *html.Node) {
		for n := range root.Descendants() {
			if n.Type != html.ElementNode {
				continue
			}
			switch n.Data {
			case "script":
				if !slices.Contains(known, attr(n, "src")) || n.FirstChild != nil {
					t.Errorf("a script that is not ours: %v", n.Attr)
				}
			case "style", "iframe", "object", "embed", "form", "base", "img", "image", "use", "foreignObject":
				t.Errorf("there is a %s", n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case a.Key == "style", strings.HasPrefix(a.Key, "on"):
					t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
				case a.Key == "src", a.Key == "href", a.Key == "data-from", a.Namespace != "":
					u, err := url.Parse(a.Val)
					if err != nil || u.Scheme != "" || u.Host != "" || strings.HasPrefix(u.Path, "/") {
						t.Errorf("%s leads to %q", n.Data, a.Val)
					}
				case strings.Contains(a.Val, "url("):
					t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
				}
			}
		}
	})
	for name := range assets {
		if body := string(content(name)); regexp.MustCompile(`(?i)@import|url\(|https?:`).MatchString(strings.ReplaceAll(body, "http://www.w3.org/2000/svg", "")) {
			t.Errorf("%s refers to something else", name)
		}
	}
}

// TestPartsAreWellFormed guards the markup, drawings included: each part is XML too, so that nothing in it is left to how a
// browser mends it.
func TestPartsAreWellFormed(t *testing.T) {
	for name, src := range cases {
		for _, address := range addresses {
			if !strings.HasPrefix(address, "/page/") {
				continue
			}
			d := xml.NewDecoder(strings.NewReader("<part>" + get(t, src, address).Body.String() + "</part>"))
			for {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Errorf("%s%s: %v", name, address, err)
					break
				}
			}
		}
	}
}

// TestPartsAreThoseOfThePage guards that the script finds on the page what an answer brings.
func TestPartsAreThoseOfThePage(t *testing.T) {
	src := cases["running"]
	page, err := html.Parse(get(t, src, "/?span=day").Body)
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	on := make(map[string]string)
	for n := range page.Descendants() {
		on[attr(n, "id")] = n.Data
		if from := attr(n, "data-from"); from != "" {
			asked = append(asked, from)
		}
	}
	if want := []string{"page/now", "page/past?span=day"}; !slices.Equal(asked, want) {
		t.Fatalf("the page asks for %q, want %q", asked, want)
	}
	parts := 0
	for _, from := range asked {
		root, err := html.Parse(get(t, src, "/"+from).Body)
		if err != nil {
			t.Fatal(err)
		}
		for n := range elements(root, "body")[0].ChildNodes() {
			if n.Type == html.ElementNode {
				parts++
				if id := attr(n, "id"); id == "" || on[id] != n.Data {
					t.Errorf("%s: %s %q is not on the page", from, n.Data, id)
				}
			}
		}
	}
	if parts != 4 {
		t.Errorf("%d parts, want 4", parts)
	}
}

// TestPageNamesNobody guards that no text of the page looks like a nick or an onion address.
func TestPageNamesNobody(t *testing.T) {
	eachPage(t, func(t *testing.T, body string, root *html.Node) {
		if m := regexp.MustCompile(`\.onion|\b[a-z2-7]{56}\b|\bJ[5-9][1-9A-HJ-NP-Za-km-z]{10,}`).FindString(body); m != "" {
			t.Errorf("the page names %q", m)
		}
	})
}

// TestPageIsSmall guards the time that the page takes through a tunnel to a distant server.
func TestPageIsSmall(t *testing.T) {
	eachPage(t, func(t *testing.T, body string, _ *html.Node) {
		if len(body) > 60_000 {
			t.Errorf("%d bytes", len(body))
		}
	})
}

// TestHeaders guards what goes with every answer.
func TestHeaders(t *testing.T) {
	for _, address := range append([]string{"/page/page.css", "/page/page.js", "/page/icon.svg", "/nothing"}, addresses...) {
		w := get(t, cases["running"], address)
		for name, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s: %q", address, name, got)
			}
		}
		keep := strings.HasPrefix(address, "/page/page.") || strings.HasPrefix(address, "/page/icon")
		if got := w.Header().Get("Cache-Control"); keep != (got != "no-store") {
			t.Errorf("%s: Cache-Control: %q", address, got)
		}
	}
}

// TestAnswers guards which requests are answered.
func TestAnswers(t *testing.T) {
	for _, test := range []struct {
		method, address string
		code            int
		kind            string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"POST", "/", 405, ""},
		{"GET", "/?span=century", 200, "text/html; charset=utf-8"},
		{"GET", "/page/page.css", 200, "text/css; charset=utf-8"},
		{"GET", "/page/page.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/page/icon.svg", 200, "image/svg+xml"},
		{"GET", "/page/page.html", 404, ""},
		{"GET", "/page/", 404, ""},
		{"GET", "/favicon.ico", 404, ""},
		{"DELETE", "/page/now", 405, ""},
	} {
		w := httptest.NewRecorder()
		atNoon(cases["running"]).ServeHTTP(w, httptest.NewRequest(test.method, test.address, nil))
		if w.Code != test.code || test.kind != "" && w.Header().Get("Content-Type") != test.kind {
			t.Errorf("%s %s: %d %s", test.method, test.address, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

// TestPeriods guards that ?span= chooses what is read and drawn.
func TestPeriods(t *testing.T) {
	for _, p := range periods {
		root, err := html.Parse(get(t, cases["running"], "/?span="+p.Name).Body)
		if err != nil {
			t.Fatal(err)
		}
		if all := text(root); !strings.Contains(all, "The last "+p.Title) {
			t.Errorf("%s is not shown", p.Title)
		}
		current := 0
		for _, a := range elements(root, "a") {
			if attr(a, "aria-current") != "" {
				current++
				if text(a) != p.Title {
					t.Errorf("%s is current in %s", text(a), p.Name)
				}
			}
		}
		if current != 1 {
			t.Errorf("%d periods are current", current)
		}
	}
}

// onlyOnce answers for the page and its files, and not for its parts.
func onlyOnce(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/page/now") {
			http.Error(w, "no", http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func BenchmarkPage(b *testing.B) {
	src := healthy(noon)
	h := atNoon(src)
	samples, _ := lived(lastDay.sample, noon.Add(-day), noon)
	src.history = fixed(samples)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		b.SetBytes(int64(w.Body.Len()))
	}
}

func BenchmarkNow(b *testing.B) {
	h := atNoon(healthy(noon))
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", "/page/now", nil))
		b.SetBytes(int64(w.Body.Len()))
	}
}
