package localstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
)

// changesOfKeys is how many changes of its encryption the stream "s" remembers.
func changesOfKeys(h *harness) int { return len(mustView(h).Encryption) }

// Changes of a stream's encryption are forgotten when no record is left that
// was put before them, and only then.
func TestKeysOfExpiredRecordsAreForgotten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		disk := vfs.NewMemory()
		h := open(t, Config{fs: disk})
		h.create("s", 1)
		for range 3 {
			h.must(h.encrypt(testKeyID))
			h.put("a", "1")
			h.must(h.decrypt())
			h.put("a", "0")
		}
		time.Sleep(time.Hour)
		h.must(h.encrypt(testKeyID))
		h.put("a", "2")
		h.must(h.encrypt(testKey2))
		equal(t, "changes", changesOfKeys(h), 8)
		time.Sleep(23*time.Hour - time.Minute)
		equal(t, "changes before anything expires", changesOfKeys(h), 8)
		time.Sleep(2*upkeepEvery + time.Second)
		equal(t, "changes when the first records have expired", changesOfKeys(h), 2)
		equal(t, "records", h.encryptionOf(), "2:KMS")
		time.Sleep(time.Hour)
		equal(t, "changes at the end", fmt.Sprint(changesOfKeys(h), mustView(h).KeyID()), "1"+testKey2)
		h.must(h.server.Close())
		h = open(t, Config{fs: disk})
		equal(t, "changes after a restart", fmt.Sprint(changesOfKeys(h), mustView(h).KeyID()), "1"+testKey2)
		h.must(h.server.Close())
	})
}

// A boundary is not older than a record before it, whose time may be ahead of the
// clock: the record would be taken for one that was never encrypted.
func TestABoundaryIsNotOlderThanTheRecordsBeforeIt(t *testing.T) {
	h := start(t, 1)
	h.put("a", "1")
	st := (*h.server.catalog.Load())[testKey("s")]
	_, arrival := st.log.Tip(0)
	b := st.boundary(mustView(h).Stream, time.UnixMilli(arrival).Add(-time.Hour))
	equal(t, "boundary", b.At, arrival)
}

// What is remembered of a stream's encryption has an end.
func TestChangesOfEncryptionAreLimited(t *testing.T) {
	h := start(t, 1)
	for range maxKeyChanges / 2 {
		h.must(h.encrypt(testKeyID))
		h.put("a", "1")
		h.must(h.decrypt())
		h.put("a", "0")
	}
	equal(t, "changes", changesOfKeys(h), maxKeyChanges)
	h.wantError(h.encrypt(testKeyID), typeLimitExceeded, "Stream s under account 000000000000 has changed its encryption 1000 times within its retention period. "+
		"Try again when records from before have expired.")
	h.must(h.decrypt()) // changes nothing
	v := mustView(h)
	for i, want := range []string{testKeyID, "", testKeyID} {
		first := h.server.metadata.floor()
		equal(t, "key", v.KeyOf(0, first+uint64(i)), want)
	}
}
