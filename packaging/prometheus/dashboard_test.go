package prometheus_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

const dashboardFile = "../grafana/jm-directory-server.json"

// panel is what a panel of Grafana's dashboard model must have.
type panel struct {
	ID          int
	Type        string
	Title       string
	Description string
	Datasource  *struct{ Type, UID string }
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct {
		RefID        string
		Expr         string
		LegendFormat string
		Datasource   struct{ Type, UID string }
	}
}

type dashboard struct {
	Title, UID    string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Panels []panel
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDashboardRefersToMetricsThatExist(t *testing.T) {
	metrics := known(t)
	var rules []string // the expressions as rules, for promtool to read
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			rules = append(rules, fmt.Sprintf("{record: r%d, expr: %s}", len(rules), quote(target.Expr)))
			for _, wrong := range mistakes(metrics, target.Expr) {
				t.Errorf("%s: %s", p.Title, wrong)
			}
			for _, label := range regexp.MustCompile(`\{\{(\w+)\}\}`).FindAllStringSubmatch(target.LegendFormat, -1) {
				if !attached[label[1]] && !anyHas(metrics, target.Expr, label[1]) {
					t.Errorf("%s: the legend shows %s, which nothing has", p.Title, label[1])
				}
			}
		}
	}
	if len(rules) < 30 {
		t.Errorf("only %d expressions were looked at", len(rules))
	}
	promtool(t, "groups: [{name: g, rules: ["+strings.Join(rules, ", ")+"]}]", "check", "rules", "/dev/stdin")
}

// quote makes an expression of the dashboard one that promtool takes, as a string of YAML.
func quote(expr string) string {
	b, _ := json.Marshal(strings.ReplaceAll(expr, "$__rate_interval", "5m"))
	return string(b)
}

func TestDashboardIsWhole(t *testing.T) {
	d := readDashboard(t)
	if d.Title == "" || d.UID == "" || d.SchemaVersion < 36 {
		t.Errorf("title %q, uid %q, schema %d", d.Title, d.UID, d.SchemaVersion)
	}
	variables := map[string]bool{}
	for _, v := range d.Templating.List {
		variables[v.Name] = true
	}
	if !variables["datasource"] || !variables["instance"] {
		t.Errorf("variables are %v", variables)
	}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" {
			t.Errorf("panel %d %q: the id is not its own, or the title is missing", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.GridPos.W < 1 || p.GridPos.H < 1 || p.GridPos.X < 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%s lies outside: %+v", p.Title, p.GridPos)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 ||
			p.Datasource == nil || p.Datasource.UID != "${datasource}" {
			t.Errorf("%s: description, unit, targets or source of data is missing", p.Title)
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if target.RefID == "" || refs[target.RefID] || target.LegendFormat == "" || target.Datasource.UID != "${datasource}" {
				t.Errorf("%s: target %q", p.Title, target.RefID)
			}
			refs[target.RefID] = true
			if !strings.Contains(target.Expr, `instance=~"$instance"`) {
				t.Errorf("%s: %s is not of the chosen directory", p.Title, target.Expr)
			}
		}
	}
}

// TestDashboardShowsWhatIsCounted guards that a new counter does not stay unseen.
func TestDashboardShowsWhatIsCounted(t *testing.T) {
	text := read(t, dashboardFile)
	for _, name := range names(t) {
		if strings.HasSuffix(name, "_total") && !strings.Contains(text, name) {
			t.Errorf("the dashboard does not show %s", name)
		}
	}
}
