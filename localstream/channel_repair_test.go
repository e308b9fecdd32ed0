package localstream

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Whatever a repair of the journal forgets of deliveries, no record is left out;
// those of a delivery that is forgotten come once more.
func TestDeliveryAfterARepairOfTheJournal(t *testing.T) {
	for _, tt := range []struct {
		what, entry string // of the last delivery, whose entry is damaged
		named       bool   // its objects have got their names
		want        string
	}{
		{"the end of a delivery", `"written":{`, true, "[one two two]"},
		{"the beginning of a delivery", `"planned":{`, true, "[one two two]"},
		{"the beginning of a delivery without names", `"planned":{`, false, "[one two]"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				disk := vfs.NewCrash()
				cfg := Config{fs: disk}
				h := open(t, cfg)
				h.onDemand("s")
				h.channel(toS3())
				h.put("a", "one")
				time.Sleep(400 * time.Second)
				h.put("a", "two")
				time.Sleep(400 * time.Second)
				equal(t, "delivered", lines(t, disk), "[one two]")
				h.must(h.server.Close())
				if !tt.named { // as if the server had ended just before
					for _, o := range objectsIn(t, disk, folderDir) {
						if o.body == "two\n" {
							h.must(disk.Rename(o.path, o.path[:strings.LastIndex(o.path, "/")+1]+".incomplete-x"))
						}
					}
				}
				clone := disk.CrashClone(rand.New(rand.NewPCG(1, 1)))
				h.must(clone.Damage(journalDir+"/journal", func(b []byte) []byte {
					b[bytes.LastIndex(b, []byte(tt.entry))] ^= 1
					return b
				}))
				p, err := planRepair(clone)
				h.must(err)
				equal(t, "lost changes", len(p.report.LostChanges) > 0, true)
				h.must(p.apply())
				cfg.fs = clone
				h = open(t, cfg)
				time.Sleep(400 * time.Second)
				got := []string{}
				for _, o := range objectsIn(t, clone, folderDir) {
					if !strings.Contains(o.path, ".incomplete-") {
						got = append(got, strings.TrimSuffix(o.body, "\n"))
					}
				}
				slices.Sort(got)
				equal(t, "delivered after the repair", got, tt.want)
				h.must(h.server.Close())
			})
		})
	}
}
