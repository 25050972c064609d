package onion

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// MinVersion is the oldest Tor that the network still serves in full: older
// ones lack the required protocol FlowCtrl=1.
const MinVersion = "0.4.8.17"

// refuseBelow is the oldest Tor that is started at all.
var refuseBelow = version{0, 4, 8, 0}

// version is a Tor version, MAJOR.MINOR.MICRO.PATCH (version-spec).
type version [4]int

var versionText = regexp.MustCompile(`\b(\d{1,4})\.(\d{1,4})\.(\d{1,4})\.(\d{1,4})(?:-[0-9A-Za-z.-]+)?`)

// parseVersion finds a version in a text such as "Tor version 0.4.9.11." and
// returns it also as it stands there, its status tag included.
func parseVersion(s string) (v version, text string, err error) {
	m := versionText.FindStringSubmatch(s)
	if m == nil {
		return version{}, "", fmt.Errorf("no Tor version in %q", s)
	}
	for i := range v {
		v[i], _ = strconv.Atoi(m[i+1]) // digits by the expression
	}
	return v, m[0], nil
}

func (v version) less(w version) bool { return slices.Compare(v[:], w[:]) < 0 }

// checkVersion refuses a Tor that cannot work, and returns advice for one that
// will probably not. text is what it calls itself.
func checkVersion(text string) (advice string, err error) {
	v, name, err := parseVersion(text)
	if err != nil {
		return "", err
	}
	if v.less(refuseBelow) {
		return "", fmt.Errorf("%w: version %s, and the Tor network requires %s or newer (FlowCtrl=1): use the embedded Tor or install a newer one", ErrTorTooOld, name, MinVersion)
	}
	if oldest, _, _ := parseVersion(MinVersion); v.less(oldest) {
		return fmt.Sprintf("Tor %s is older than %s and lacks the protocol FlowCtrl=1, which the Tor network requires: use the embedded Tor or install a newer one.", name, MinVersion), nil
	}
	return "", nil
}
