package onion

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// keyVector is a record of onion_keys.jsonl.
type keyVector struct {
	Name      string `json:"name"`
	Secret    string `json:"hs_ed25519_secret_key"`
	Public    string `json:"hs_ed25519_public_key"`
	Hostname  string `json:"hostname"`
	PublicKey string `json:"public_key"`
	Expect    string `json:"expect"`
}

func (v keyVector) files(t testing.TB) (secret, public []byte) {
	secret, err := hex.DecodeString(v.Secret)
	if err != nil {
		t.Fatal(err)
	}
	if public, err = hex.DecodeString(v.Public); err != nil {
		t.Fatal(err)
	}
	return secret, public
}

func keyVectors(t testing.TB) []keyVector {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "server", "wire", "testdata", "vectors", "onion_keys.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []keyVector
	for s := bufio.NewScanner(f); s.Scan(); {
		var v keyVector
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		all = append(all, v)
	}
	if len(all) != 11 {
		t.Fatalf("%d vectors, want 11", len(all))
	}
	return all
}

// writeKeyDir writes a HiddenServiceDir; nil files are left out.
func writeKeyDir(t *testing.T, secret, public, hostname []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "onion")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{secretName: secret, publicName: public, hostnameName: hostname} {
		if b == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestKeyDirectoryVectors(t *testing.T) {
	for _, v := range keyVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			secret, public := v.files(t)
			dir := writeKeyDir(t, secret, public, []byte(v.Hostname))
			key, err := LoadKey(dir)
			if v.Expect == "reject" {
				if err == nil {
					t.Fatal("accepted")
				}
				if b, e := os.ReadFile(filepath.Join(dir, secretName)); e != nil || !bytes.Equal(b, secret) {
					t.Errorf("a bad key file was touched: %v", e)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(key.public[:]); got != v.PublicKey {
				t.Errorf("public key %s, want %s", got, v.PublicKey)
			}
			if key.Address()+"\n" != v.Hostname {
				t.Errorf("address %s, want %s", key.Address(), v.Hostname)
			}
		})
	}
}

func TestMissingPublicAndHostnameFilesAreMadeFromTheSecret(t *testing.T) {
	for _, v := range keyVectors(t) {
		if v.Expect != "accept" {
			continue
		}
		secret, public := v.files(t)
		dir := writeKeyDir(t, secret, nil, nil)
		if _, err := LoadKey(dir); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string][]byte{publicName: public, hostnameName: []byte(v.Hostname)} {
			path := filepath.Join(dir, name)
			if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, want) {
				t.Errorf("%s: %q, %v", name, b, err)
			}
			if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
				t.Errorf("%s: mode %v, %v", name, fi.Mode(), err)
			}
		}
	}
}

func TestHalfAKeyIsNotTakenForNone(t *testing.T) {
	v := keyVectors(t)[0]
	_, public := v.files(t)
	dir := writeKeyDir(t, nil, public, []byte(v.Hostname))
	if _, err := loadOrCreateKey(dir); err == nil || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("err %v", err)
	}
}

func TestKeyFilesOpenToOthersAreRefused(t *testing.T) {
	v := keyVectors(t)[0]
	secret, public := v.files(t)
	for path, says := range map[string]string{".": "chmod 700", secretName: "chmod 600", publicName: "chmod 600"} {
		dir := writeKeyDir(t, secret, public, []byte(v.Hostname))
		if err := os.Chmod(filepath.Join(dir, path), 0o744); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKey(dir); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: err %v", path, err)
		}
	}
}

func TestCreateKeyNeverReplacesOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "onion")
	if _, err := LoadKey(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no key: %v", err)
	}
	key, err := CreateKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateKey(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second key: %v", err)
	}
	again, err := LoadKey(dir)
	if err != nil || again != key {
		t.Errorf("loaded another key: %v", err)
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 3 {
		t.Errorf("files %v, %v", list, err)
	}
}

func TestGeneratedKeysAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key, err := GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParseKey(key.secretFile(), key.publicFile(), key.hostnameFile())
		if err != nil || again != key {
			t.Fatalf("own key: %v", err)
		}
		// Any one bit elsewhere is noticed, or is another key with another
		// address, which the public file and the hostname contradict.
		secret := key.secretFile()
		bit := rapid.IntRange(0, 64*8-1).Draw(t, "bit") // tag and scalar
		secret[bit/8] ^= 1 << (bit % 8)
		if _, err := ParseKey(secret, key.publicFile(), nil); err == nil {
			t.Fatalf("bit %d changed, and still accepted", bit)
		}
	})
}

func TestSecretKeyIsNeverPrinted(t *testing.T) {
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	hidden := struct {
		K SecretKey
		P *SecretKey
	}{key, &key}
	text, err := json.Marshal(hidden)
	if err != nil {
		t.Fatal(err)
	}
	bare := hex.EncodeToString(key.expanded[:8])
	for _, s := range []string{
		string(text), key.String(), fmt.Sprint(key), fmt.Sprintf("%v %+v %#v %s %x %d %q", key, key, key, key, key, key, key),
		fmt.Sprintf("%v %+v %#v %x", hidden, hidden, hidden, hidden), fmt.Sprintf("%d", key.expanded[:0]),
	} {
		if strings.Contains(s, bare) || strings.Contains(s, fmt.Sprintf("%d %d %d", key.expanded[0], key.expanded[1], key.expanded[2])) {
			t.Errorf("a key is printed: %s", s)
		}
	}
	if s := fmt.Sprintf("%#v", key); s != redacted {
		t.Errorf("%%#v prints %s", s)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, v := range keyVectors(f) {
		secret, public := v.files(f)
		f.Add(secret, public, []byte(v.Hostname))
		f.Add(secret, []byte{}, []byte{})
		f.Add(secret, public, []byte(strings.ToUpper(v.Hostname)))
		f.Add(secret, public, []byte(v.Hostname+"\n"))
	}
	for _, bit := range []int{0, 1, 2, 254, 255} { // those that are clamped
		secret, public := keyVectors(f)[0].files(f)
		secret[32+bit/8] ^= 1 << (bit % 8)
		f.Add(secret, []byte{}, []byte{})
		public[len(public)-1] ^= 1 << (bit % 8)
		secret, _ = keyVectors(f)[0].files(f)
		f.Add(secret, public, []byte{})
	}
	f.Fuzz(func(t *testing.T, secret, public, hostname []byte) {
		if len(public) == 0 {
			public = nil // the file is absent
		}
		if len(hostname) == 0 {
			hostname = nil
		}
		key, err := ParseKey(secret, public, hostname)
		if err != nil {
			return
		}
		if !bytes.Equal(key.secretFile(), secret) || secret[32]&0b111 != 0 || secret[63]>>6 != 0b01 {
			t.Error("an accepted secret key file is not what Tor would read")
		}
		if public != nil && !bytes.Equal(key.publicFile(), public) {
			t.Error("an accepted public key file is not ours")
		}
		if hostname != nil && strings.TrimSuffix(string(hostname), "\n") != key.Address() {
			t.Errorf("%q is taken for %s", hostname, key.Address())
		}
	})
}
