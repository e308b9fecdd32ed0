package lease

import (
	"strings"
	"testing"
)

func TestWhatNobodyRemembersOfAListing(t *testing.T) {
	listing := strings.Fields("g p:g c:p d:p m:d+q q")
	for _, test := range []struct{ what, table, want string }{
		{"nothing is remembered", "", "c d g m p q"},
		{"all are", "g,e p,e c,a d,a q,a m", ""},
		{"a shard that has not ended is followed by none that has begun", "g,a q,a", ""},
		{"a merged shard waits for one of its parents", "g,e p,e c,a d,e q,a", ""},
		{"of the shards after one that ended one is missing", "g,e p,e c,a d:p q,a", ""},
		{"a shard after one that ended is missing", "g,e p,e c,a q,a", "d"},
		{"those before one that has started were handled", "c,a d,a q,a", ""},
		{"one that has not started tells nothing", "c:p d,a q,a", ""},
		{"what waits for nothing that is known", "q,a c:p", "d g p"},
	} {
		var rows []Row
		for _, name := range listing {
			name, parents, _ := strings.Cut(name, ":")
			row := Row{Name: name}
			for p := range strings.FieldsFuncSeq(parents, func(r rune) bool { return r == '+' }) {
				row.Shard.Parents = append(row.Shard.Parents, p)
			}
			rows = append(rows, row)
		}
		var table []Lease
		for text := range strings.FieldsSeq(test.table) {
			text, marks, _ := strings.Cut(text, ",")
			for name, l := range known(text + " " + marks).leases {
				l.Name = strings.TrimPrefix(name, "s/")
				if _, parents, waits := strings.Cut(text, ":"); waits {
					l.Shard.Parents = []string{parents}
				}
				table = append(table, *l)
			}
		}
		if got := strings.Join(unrestored(rows, table), " "); got != test.want {
			t.Errorf("%s: %q, want %q", test.what, got, test.want)
		}
	}
}
