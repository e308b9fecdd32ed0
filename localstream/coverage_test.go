package localstream

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// README.md lists every operation as the table of operations has it, and the
// table has every operation of the SDK.
func TestCoverageTable(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]support{}
	for line := range strings.Lines(string(readme)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		name, s := strings.TrimSpace(cells[1]), support(strings.TrimSpace(cells[2]))
		if s == full || s == partial {
			listed[name] = s
			if s == partial && strings.TrimSpace(cells[3]) == "" {
				t.Errorf("README.md does not say what %s lacks", name)
			}
		}
	}
	ops := operationsByName()
	equal(t, "operations", len(ops), 45)
	equal(t, "operations in README.md", len(listed), len(ops))
	for name, op := range ops {
		if listed[name] != op.support {
			t.Errorf("README.md has %q for %s, the table %q", listed[name], name, op.support)
		}
	}
	client := reflect.TypeFor[*kinesis.Client]()
	for m := range client.Methods() {
		if m.Type.NumIn() != 4 || m.Name == "Options" {
			continue
		}
		op := ops[m.Name]
		if op == nil {
			t.Errorf("the table lacks %s", m.Name)
		} else if op.input != m.Type.In(2).Elem() {
			t.Errorf("%s has the input %v, want %v", m.Name, op.input, m.Type.In(2).Elem())
		}
	}
}
