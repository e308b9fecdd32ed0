package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/shardrun/shardrun/localstream"
)

func TestShellsCompleteTheValuesOfFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"serve", "--durability", ""}, "sync async memory"},
		{[]string{"serve", "--auth", ""}, "off sigv4"},
		{[]string{"serve", "--limits", ""}, "off aws"},
		{[]string{"serve", "--log-level", ""}, "debug info warn error"},
		{[]string{"serve", "--fault", "kind=d"}, "kind=drop kind=delay"},
		{[]string{"serve", "--fault", "op=PutRecords,kind=l"}, "op=PutRecords,kind=lose-reply"},
		{[]string{"serve", "--fault", "op=PutRecords,s"}, "op=PutRecords,stream= op=PutRecords,shard="},
		{[]string{"serve", "--fault", "op=PutRecords,o"}, ""},
		{[]string{"serve", "--fault", "count="}, "count=all"},
		{[]string{"leases", "init", "--at", ""}, "trim latest"},
		{[]string{"reset", "--to", ""}, "trim latest"},
	} {
		out := ok(t, "", append([]string{"__complete"}, c.args...)...)
		var offered []string
		for line := range strings.Lines(out) {
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, ":") {
				offered = append(offered, line)
			}
		}
		if got := strings.Join(offered, " "); got != c.want {
			t.Errorf("%v: offered %q, want %q", c.args, got, c.want)
		}
	}
}

// What is offered and told of is what localstream takes.
func TestFaultsAreTold(t *testing.T) {
	_, err := localstream.ParseFault("kind=no-such")
	_, known, _ := strings.Cut(err.Error(), "want ")
	kinds := faultKinds()
	if strings.Join(kinds, ", ") != known {
		t.Errorf("kinds %v, localstream wants %s", kinds, known)
	}
	_, err = localstream.ParseFault("no-such=x")
	if _, known, _ = strings.Cut(err.Error(), "none of "); strings.Join(faultParts(), ", ") != known {
		t.Errorf("names %v, localstream wants %s", faultParts(), known)
	}
	help := ok(t, "", "serve", "--help")
	for _, word := range slices.Concat(kinds, faultParts()) {
		if _, told, _ := strings.Cut(help, "--fault takes"); !strings.Contains(told[:min(len(told), 900)], word) {
			t.Errorf("the help keeps silent about %s of --fault", word)
		}
	}
}
