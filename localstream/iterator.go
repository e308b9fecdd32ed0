package localstream

import (
	"encoding/binary"
	"strings"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// iterator is a place in a shard: in front of the first record whose index is
// at least From.
type iterator struct {
	Stream state.Key
	ID     string // of the stream; another stream of the same name is not the iterator's
	Shard  uint32
	From   uint64
}

// encode packs the iterator. A stream's name has up to 128 bytes, its id 36
// and its region 32, so the sealed text stays below the 512 of the API.
func (it iterator) encode() []byte {
	b := make([]byte, 0, 256)
	b = binary.BigEndian.AppendUint32(b, it.Shard)
	b = binary.BigEndian.AppendUint64(b, it.From)
	for _, s := range []string{it.Stream.Account, it.Stream.Region, it.ID, it.Stream.Name} {
		b = append(append(b, byte(len(s))), s...)
	}
	return b
}

func decodeIterator(b []byte) (iterator, bool) {
	if len(b) < 12 {
		return iterator{}, false
	}
	it := iterator{Shard: binary.BigEndian.Uint32(b), From: binary.BigEndian.Uint64(b[4:])}
	b = b[12:]
	for _, to := range []*string{&it.Stream.Account, &it.Stream.Region, &it.ID, &it.Stream.Name} {
		if len(b) == 0 || len(b) < 1+int(b[0]) {
			return iterator{}, false
		}
		*to, b = string(b[1:1+b[0]]), b[1+b[0]:]
	}
	return it, len(b) == 0
}

// sealIterator makes the text of an iterator that is good from now on.
func (s *Server) sealIterator(it iterator, now time.Time) string {
	return s.sealer.seal(kindIterator, it.encode(), now)
}

// javaTime is how AWS writes times in messages.
const javaTime = "Mon Jan 02 15:04:05 UTC 2006"

// readIterator reads the text of an iterator, however old it is. AWS tolerates
// quotes around it.
func (s *Server) readIterator(text string) (it iterator, made time.Time, ok bool) {
	if len(text) >= 2 && strings.HasPrefix(text, `"`) && strings.HasSuffix(text, `"`) {
		text = text[1 : len(text)-1]
	}
	payload, made, err := s.sealer.open(kindIterator, text)
	if err != nil {
		return iterator{}, made, false
	}
	it, ok = decodeIterator(payload)
	return it, made, ok
}

// openIterator reads the text of an iterator that is to be used.
func (s *Server) openIterator(text string, now time.Time) (iterator, error) {
	it, made, ok := s.readIterator(text)
	if !ok {
		return iterator{}, invalidArgument("Invalid ShardIterator.")
	}
	if now.Sub(made) >= tokenLife {
		return iterator{}, expiredIterator(made, now)
	}
	return it, nil
}

func expiredIterator(made, now time.Time) *apiError {
	return clientError(typeExpiredIterator, "Iterator expired. The iterator was created at time %s while right now it is %s "+
		"which is further in the future than the tolerated delay of %d milliseconds.",
		made.UTC().Format(javaTime), now.UTC().Format(javaTime), tokenLife.Milliseconds())
}
