package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestClientTellsWhatAnswers(t *testing.T) {
	answers := map[string]struct {
		raw  string
		want string
	}{
		"another program":  {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "something else answers"},
		"another protocol": {"220 mail ESMTP\r\n", "something else answers"},
		"other JSON":       {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "something else answers"},
		"another page":     {"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n", "something else answers"},
		"nothing":          {"", "EOF"},
		"an error":         {"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n{\"error\":\"does not move\\u001b[2J now\"}\n", `does not move\x1b[2J now`},
		"too much":         {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + strings.Repeat(" ", maxAdminAnswer+2), "the answer is larger than"},
	}
	for name, test := range answers {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "s")
			l, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				conn.Read(make([]byte, 4096))
				io.WriteString(conn, test.raw)
			}()
			client := newAdminClient(address{path: path})
			defer client.close()
			_, _, err = client.status(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestClientDoesNotWaitForEver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path) // who connects waits in its queue
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client := newAdminClient(address{path: path})
	defer client.close()
	if client.http.Timeout != adminTimeout {
		t.Errorf("the timeout is %v", client.http.Timeout)
	}
	client.http.Timeout = 20 * time.Millisecond
	if _, err := client.health(t.Context()); err == nil || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("got %v", err)
	}
}

func TestMissingPermissionSaysWhatToDo(t *testing.T) {
	denied := &net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", os.ErrPermission)}
	if got := dialError(denied).Error(); got != "permission denied: use sudo, or be the server's user" {
		t.Errorf("got %q", got)
	}
	if why := absence(address{path: "/s"}, denied); why != "" {
		t.Errorf("somebody is there, not %q", why)
	}
}

func TestDoctorDoesNotHaveAServerStartedThatRuns(t *testing.T) {
	denied := fmt.Errorf("admin socket: %w", dialError(&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", os.ErrPermission)}))
	if do := adviceWithoutServer(denied); strings.Contains(do, "start") || !strings.Contains(do, "as root") {
		t.Errorf("advice %q", do)
	}
	if do := adviceWithoutServer(&notRunningError{[]string{"there is no unix:/s"}}); !strings.HasPrefix(do, "start it") {
		t.Errorf("advice %q", do)
	}
}

// parsedAdminFlags returns the flags of a command line.
func parsedAdminFlags(t *testing.T, args ...string) *adminFlags {
	t.Helper()
	cmd := &cobra.Command{Use: "test"}
	flags := addAdminFlags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return flags
}

func TestServerIsSoughtWhereNothingNamesAnother(t *testing.T) {
	tests := map[string]struct {
		config string
		args   []string
		want   string // places or a part of the error
	}{
		"nothing is set":    {"", nil, "unix:STATE/run/admin.sock unix:SERVICE"},
		"--admin":           {"", []string{"--admin", "unix:/x"}, "unix:/x"},
		"--admin, loopback": {"", []string{"--admin", "127.0.0.1:5280"}, "127.0.0.1:5280"},
		"--state-dir":       {"", []string{"--state-dir", "/y"}, "unix:/y/run/admin.sock"},
		"admin.listen":      {"admin.listen = \"unix:/z\"", nil, "unix:/z"},
		"runtime_dir":       {"runtime_dir = \"/r\"", nil, "unix:/r/admin.sock"},
		"off":               {"admin.listen = \"off\"", nil, `admin.listen = "off"`},
		"--admin, public":   {"", []string{"--admin", "192.0.2.1:5280"}, "--admin: must be unix:PATH"},
		"--admin, a name":   {"", []string{"--admin", "directory:5280"}, "--admin: must be unix:PATH"},
		"--admin, any port": {"", []string{"--admin", "127.0.0.1:0"}, "--admin: must be unix:PATH"},
	}
	was := defaultConfigFile
	t.Cleanup(func() { defaultConfigFile = was })
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("STATE_DIRECTORY", dir)
			t.Setenv("RUNTIME_DIRECTORY", "")
			defaultConfigFile = filepath.Join(dir, "config.toml")
			if err := os.WriteFile(defaultConfigFile, []byte(test.config), 0o600); err != nil {
				t.Fatal(err)
			}
			places, err := parsedAdminFlags(t, test.args...).places()
			var texts []string
			for _, a := range places {
				texts = append(texts, a.String())
			}
			got := strings.NewReplacer(dir, "STATE", serviceAdminSocket, "SERVICE").Replace(strings.Join(texts, " "))
			if err != nil {
				got = err.Error()
			}
			if got != test.want && (err == nil || !strings.Contains(got, test.want)) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	t.Run("another file", func(t *testing.T) {
		dir := t.TempDir()
		t.Setenv("STATE_DIRECTORY", dir)
		t.Setenv("RUNTIME_DIRECTORY", "")
		file := filepath.Join(dir, "other.toml")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if places, err := parsedAdminFlags(t, "--config", file).places(); err != nil || len(places) != 1 {
			t.Errorf("got %v, %v", places, err)
		}
	})
}

func TestServerOfTheServiceIsFoundBehindAStaleSocket(t *testing.T) {
	a, _ := fakeServer(t, "running")
	gone := address{path: filepath.Join(t.TempDir(), "s")}
	client, err := findServer(t.Context(), []address{gone, {path: a.path}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.close()
	if client.where.path != a.path {
		t.Errorf("found %v", client.where)
	}
	_, err = findServer(context.Background(), []address{gone})
	if err == nil || !strings.Contains(err.Error(), "no server is running: there is no "+gone.String()) {
		t.Errorf("got %v", err)
	}
}
