package mutants

import (
	"regexp"
	"strings"
	"testing"
)

// root is the module's, from here.
const root = "../.."

func TestEveryMutantFitsTheCode(t *testing.T) {
	for _, m := range Gallery() {
		if _, err := m.Source(root); err != nil {
			t.Error(err)
		}
		if m.New == m.Old {
			t.Errorf("%s changes nothing", m.Name)
		}
	}
}

func TestEveryMutantIsDescribed(t *testing.T) {
	name := regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	seen, places := map[string]bool{}, map[string]bool{}
	for _, m := range Gallery() {
		switch change := m.File + m.Old + m.New; {
		case !name.MatchString(m.Name):
			t.Errorf("%q is not a name", m.Name)
		case seen[m.Name]:
			t.Errorf("%s stands twice", m.Name)
		case places[change]:
			t.Errorf("%s is another mutant under a new name", m.Name)
		case m.Breaks == "" || strings.Contains(m.Breaks, "|"):
			t.Errorf("%s breaks %q", m.Name, m.Breaks)
		case !strings.HasPrefix(m.Test.Package, "./") || m.Test.Run == "":
			t.Errorf("%s is hunted by %q", m.Name, m.Test)
		default:
			if _, err := regexp.Compile(m.Test.Run); err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
			seen[m.Name], places[change] = true, true
		}
	}
	if n := len(seen); n < 40 {
		t.Errorf("%d mutants, want at least 40", n)
	}
}
