package page

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// colours reads the variables of both schemes of the style sheet.
func colours(t *testing.T) (light, dark map[string]string) {
	css := string(content("page.css"))
	start := strings.Index(css, "@media (prefers-color-scheme: dark)")
	end := strings.Index(css, "box-sizing")
	read := func(part string) map[string]string {
		found := make(map[string]string)
		for _, m := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{3,6});`).FindAllStringSubmatch(part, -1) {
			if len(m[2]) == 3 {
				m[2] = string([]byte{m[2][0], m[2][0], m[2][1], m[2][1], m[2][2], m[2][2]})
			}
			found[m[1]] = m[2]
		}
		return found
	}
	light, dark = read(css[:start]), read(css[start:end])
	if !slices.Equal(slices.Sorted(maps.Keys(light)), slices.Sorted(maps.Keys(dark))) || len(light) < 10 {
		t.Fatal("the schemes have not the same colours")
	}
	return light, dark
}

// luminance is the relative luminance of WCAG 2.
func luminance(hex string) float64 {
	n, _ := strconv.ParseUint(hex, 16, 32)
	part := func(shift int) float64 {
		c := float64(n>>shift&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

// TestTextHasContrast guards level AA of WCAG 2: 4.5 : 1 for text, 3 : 1 for what is drawn.
func TestTextHasContrast(t *testing.T) {
	light, dark := colours(t)
	for name, scheme := range map[string]map[string]string{"light": light, "dark": dark} {
		check := func(least float64, above, below string) {
			a, b := luminance(scheme[above]), luminance(scheme[below])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < least {
				t.Errorf("%s: %s on %s has %.2f : 1", name, above, below, ratio)
			}
		}
		for _, ground := range []string{"ground", "card", "good-ground", "warn-ground", "bad-ground"} {
			check(4.5, "ink", ground)
			check(4.5, "soft", ground)
		}
		for _, level := range []string{good, warn, bad} {
			check(4.5, level, level+"-ground")
			check(4.5, level, "card")
		}
		for _, drawn := range []string{"one", "two", "three", "four"} {
			check(3, drawn, "card")
		}
	}
}

// TestClassesAreStyled guards that the page and its style sheet do not drift apart.
func TestClassesAreStyled(t *testing.T) {
	css := string(content("page.css"))
	styled := make(map[string]bool)
	for _, m := range regexp.MustCompile(`\.([a-z]+)\b`).FindAllStringSubmatch(regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(css, ""), -1) {
		styled[m[1]] = true
	}
	used := map[string]bool{"stale": true} // set by the script
	for _, src := range cases {
		for _, address := range addresses {
			root, err := html.Parse(get(t, src, address).Body)
			if err != nil {
				t.Fatal(err)
			}
			for n := range root.Descendants() {
				for _, class := range strings.Fields(attr(n, "class")) {
					used[class] = true
				}
			}
		}
	}
	for class := range used {
		if !styled[class] {
			t.Errorf("class %q has no style", class)
		}
	}
	for class := range styled {
		if !used[class] {
			t.Errorf("class %q is not used", class)
		}
	}
}
