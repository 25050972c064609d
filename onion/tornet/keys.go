package tornet

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// timeFormat is how dir-spec writes times, in UTC.
const timeFormat = "2006-01-02 15:04:05"

// writeRelayFiles makes the node's directory with an identity key and a state
// file, and returns the key's fingerprint.
func (nd *Node) writeRelayFiles(now time.Time) (string, error) {
	keys := filepath.Join(nd.dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		return "", fmt.Errorf("%s: %w", nd.Name, err)
	}
	if err := os.WriteFile(filepath.Join(nd.dir, "state"), []byte(seedBandwidth(now)), 0o600); err != nil {
		return "", fmt.Errorf("%s: %w", nd.Name, err)
	}
	return writeKey(filepath.Join(keys, "secret_id_key"), 1024) // Tor's relay identities have this size
}

// seedBandwidth is a state file that claims 10 MB/s for yesterday, so that all
// relays have the same weight from the first consensus on. Without it they
// report next to nothing, the one that happens to be above zero is chosen as
// guard and as last hop, and the relay between refuses to extend back to it.
func seedBandwidth(now time.Time) string {
	end := now.UTC().Add(-2 * time.Second).Format(timeFormat)
	var b bytes.Buffer
	fmt.Fprintf(&b, "TorVersion Tor 0.4.8.17\nLastWritten %s\n", end)
	for _, way := range []string{"Read", "Write"} {
		fmt.Fprintf(&b, "BWHistory%sEnds %s\nBWHistory%sInterval 86400\nBWHistory%sValues 100000000000\nBWHistory%sMaxima 100000000\n", way, end, way, way, way)
	}
	return b.String()
}

// writeKey writes a new RSA key and returns its fingerprint.
func writeKey(path string, bits int) (string, error) {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return "", fmt.Errorf("relay key: %w", err)
	}
	return fingerprint(&k.PublicKey), writePrivate(path, k)
}

func writePrivate(path string, k *rsa.PrivateKey) error {
	b := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(k)})
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("relay key: %w", err)
	}
	return nil
}

// digest is the SHA-1 of the key's ASN.1 form, which names it in dir-spec.
func digest(k *rsa.PublicKey) [sha1.Size]byte { return sha1.Sum(x509.MarshalPKCS1PublicKey(k)) }

func fingerprint(k *rsa.PublicKey) string { return fmt.Sprintf("%X", digest(k)) }

func publicPEM(k *rsa.PublicKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(k)})
}

// signature is an object of dir-spec: base64 between BEGIN and END.
func signature(kind string, b []byte) string {
	var o bytes.Buffer
	fmt.Fprintf(&o, "-----BEGIN %s-----\n", kind)
	text := base64.StdEncoding.EncodeToString(b)
	for ; len(text) > 64; text = text[64:] {
		o.WriteString(text[:64] + "\n")
	}
	fmt.Fprintf(&o, "%s\n-----END %s-----\n", text, kind)
	return o.String()
}

// writeAuthorityCert does what tor-gencert does: an authority identity key, a
// signing key and the certificate (dir-spec, "Creating key certificates"). It
// returns the v3ident.
func writeAuthorityCert(keys string, now time.Time) (string, error) {
	fail := func(err error) (string, error) { return "", fmt.Errorf("authority key: %w", err) }
	identity, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fail(err)
	}
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fail(err)
	}
	// Signatures are over the bare digest, without an algorithm name.
	id := digest(&identity.PublicKey)
	cross, err := rsa.SignPKCS1v15(nil, signing, 0, id[:])
	if err != nil {
		return fail(err)
	}
	v3ident := fingerprint(&identity.PublicKey)
	var cert bytes.Buffer
	fmt.Fprintf(&cert, "dir-key-certificate-version 3\nfingerprint %s\n", v3ident)
	fmt.Fprintf(&cert, "dir-key-published %s\ndir-key-expires %s\n",
		now.UTC().Add(-time.Hour).Format(timeFormat), now.UTC().AddDate(1, 0, 0).Format(timeFormat))
	fmt.Fprintf(&cert, "dir-identity-key\n%sdir-signing-key\n%s", publicPEM(&identity.PublicKey), publicPEM(&signing.PublicKey))
	fmt.Fprintf(&cert, "dir-key-crosscert\n%sdir-key-certification\n", signature("ID SIGNATURE", cross))
	whole := sha1.Sum(cert.Bytes())
	sig, err := rsa.SignPKCS1v15(nil, identity, 0, whole[:])
	if err != nil {
		return fail(err)
	}
	cert.WriteString(signature("SIGNATURE", sig))
	if err := os.WriteFile(filepath.Join(keys, "authority_certificate"), cert.Bytes(), 0o600); err != nil {
		return fail(err)
	}
	return v3ident, writePrivate(filepath.Join(keys, "authority_signing_key"), signing)
}
