package page

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"jm-directory-server/server/admin"
)

// chromium runs a headless browser, with or without scripts, until it has done what flags ask for, and returns its output
// and the lines of the console of the page.
func chromium(t *testing.T, script bool, flags ...string) (output string, console []string) {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("JM_REQUIRE_TOOLS") == "1" {
			t.Fatal("there is no chromium; scripts/test-packages.sh installs it")
		}
		t.Skip("there is no chromium; scripts/test-packages.sh installs it")
	}
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	home := t.TempDir()
	if !script {
		dir := filepath.Join(home, "Default")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		// For the page only: what prints it is a script too, so that a switch for all of the browser will not do.
		const blocked = `{"profile":{"default_content_setting_values":{"javascript":2}}}`
		if err := os.WriteFile(filepath.Join(dir, "Preferences"), []byte(blocked), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(ctx, path, append([]string{
		"--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-component-update",
		"--user-data-dir=" + home, "--enable-logging=stderr", "--hide-scrollbars",
		"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", // the page's own server is all there is
	}, flags...)...)
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.WaitDelay = 10 * time.Second
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, log.String())
	}
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, ":CONSOLE") {
			console = append(console, line)
		}
	}
	return out.String(), console
}

// shown returns the number of peers and the time in a page.
func shown(dom string) (peers, clock string) {
	p := regexp.MustCompile(`<dt>Peers.*?<span class="value">(.*?)</span>`).FindStringSubmatch(dom)
	c := regexp.MustCompile(`<time datetime="(.*?)">`).FindStringSubmatch(dom)
	if p == nil || c == nil {
		return "", ""
	}
	return p[1], c[1]
}

// counting is a directory to which a peer comes at every look.
func counting() *fake {
	f := &fake{history: lived}
	f.report = func() admin.Report {
		n := int(f.asked.Load())
		r := running(noon.Add(time.Duration(n) * time.Second))
		r.ConnectedPeers.Total = n
		return r
	}
	return f
}

// TestBrowserShowsNumbersWithoutScript guards that the page is complete as it comes.
func TestBrowserShowsNumbersWithoutScript(t *testing.T) {
	f := counting()
	web := httptest.NewServer(Handler(f))
	defer web.Close()
	dom, console := chromium(t, false, "--virtual-time-budget=20000", "--dump-dom", web.URL+"/")
	if peers, _ := shown(dom); peers != "1" {
		t.Errorf("%q peers are shown, want 1", peers)
	}
	if n := strings.Count(dom, "<path "); n < 6 {
		t.Errorf("%d paths are drawn", n)
	}
	if f.asked.Load() != 1 {
		t.Errorf("the report was asked for %d times", f.asked.Load())
	}
	if len(console) > 0 {
		t.Errorf("console: %q", console)
	}
}

// TestBrowserRefreshesNumbers guards that the script follows the directory, and that the policy lets it.
func TestBrowserRefreshesNumbers(t *testing.T) {
	for name, src := range map[string]*fake{"running": counting(), "hostile": cases["hostile texts"]} {
		t.Run(name, func(t *testing.T) {
			web := httptest.NewServer(Handler(src))
			defer web.Close()
			before := src.asked.Load()
			dom, console := chromium(t, true, "--virtual-time-budget=20000", "--dump-dom", web.URL+"/?span=hour")
			if n := src.asked.Load() - before; n < 4 {
				t.Errorf("the report was asked for %d times in 20 s", n)
			}
			if len(console) > 0 {
				t.Errorf("console: %q", console)
			}
			if strings.Contains(dom, `class="stale"`) {
				t.Error("the page says that the server does not answer")
			}
			if name != "running" {
				return
			}
			peers, clock := shown(dom)
			if peers == "" || peers == "1" || clock <= noon.Add(time.Second).Format(time.RFC3339) {
				t.Errorf("%q peers at %q: not refreshed", peers, clock)
			}
			if !strings.Contains(dom, "<title>Reachable · "+peers+" peers</title>") {
				t.Errorf("the title does not follow")
			}
		})
	}
}

// TestBrowserSaysThatNobodyAnswers guards that old numbers are not taken for new ones.
func TestBrowserSaysThatNobodyAnswers(t *testing.T) {
	h := Handler(counting())
	web := httptest.NewServer(onlyOnce(h))
	defer web.Close()
	dom, _ := chromium(t, true, "--virtual-time-budget=8000", "--dump-dom", web.URL+"/")
	if !strings.Contains(dom, `class="stale"`) || !strings.Contains(dom, "<title>No answer · ") {
		t.Error("the page shows old numbers as if they were new")
	}
}

// TestScreenshot makes pictures of the page, light and dark, build/page.png and build/page-dark.png, for the README and for
// whoever changes its looks. JM_SCREENSHOT is the address of a page, as of a running directory, or 1 for made-up directories in
// several states, on a phone too.
func TestScreenshot(t *testing.T) {
	asked := os.Getenv("JM_SCREENSHOT")
	if asked == "" {
		t.Skip("JM_SCREENSHOT is not set")
	}
	build, err := filepath.Abs("../../../build")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(build, 0o755); err != nil {
		t.Fatal(err)
	}
	take := func(t *testing.T, address, name string, width, height int, more ...string) {
		file := filepath.Join(build, name)
		_, console := chromium(t, true, append(more, fmt.Sprintf("--window-size=%d,%d", width, height+200), "--force-device-scale-factor=2",
			"--virtual-time-budget=5000", "--screenshot="+file, address)...)
		if len(console) > 0 {
			t.Errorf("console: %q", console)
		}
		crop(t, file, 2*width, 2*height) // the end of what fits into the window is not painted
	}
	if asked != "1" {
		take(t, asked, "page.png", 1280, 985) // down to the graphs
		take(t, asked, "page-dark.png", 1280, 985, "--blink-settings=preferredColorScheme=0")
		return
	}
	now := time.Now().UTC()
	for name, src := range map[string]*fake{"page": healthy(now), "page-starting": cases["starting"], "page-bad": cases["not reachable"]} {
		web := httptest.NewServer(Handler(src))
		defer web.Close()
		take(t, web.URL+"/", name+".png", 1280, 2300)
		take(t, web.URL+"/", name+"-dark.png", 1280, 2300, "--blink-settings=preferredColorScheme=0")
		phone := httptest.NewServer(framed(Handler(src), 390))
		defer phone.Close()
		take(t, phone.URL+"/frame", name+"-phone.png", 500, 4200)
	}
}

// crop cuts a picture to a size in pixels, from the upper left corner.
func crop(t *testing.T, file string, width, height int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	part := image.NewNRGBA(image.Rect(0, 0, width, height).Intersect(whole.Bounds()))
	draw.Draw(part, part.Bounds(), whole, image.Point{}, draw.Src)
	var out bytes.Buffer
	if err := png.Encode(&out, part); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// framed adds a page at /frame that shows the page of h in a narrow frame: a browser's window cannot be as narrow as a
// phone's. It takes away the policy, which forbids that.
func framed(h http.Handler, width int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/frame" {
			fmt.Fprintf(w, `<!doctype html><body style="margin:0"><iframe src="/?span=hour" width="%d" height="4400" style="border:0"></iframe>`, width)
			return
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.Write(rec.Body.Bytes())
	})
}
