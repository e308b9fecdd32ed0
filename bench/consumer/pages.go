package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/shardrun/shardrun/bench/child"
)

// Pages says what the page server serves: a stream whose shards have the same
// number of pages, all prebuilt. What it costs to serve one is a copy, so that
// a run shows what reading costs.
type Pages struct {
	Shards int `json:"shards"`
	// Pages is the number of pages of a shard, Records the number of Kinesis
	// records in each, and Bytes the length of their data.
	Pages   int `json:"pages"`
	Records int `json:"records"`
	Bytes   int `json:"bytes"`
	// Members makes each Kinesis record an aggregate of so many user records,
	// of Bytes each. 0 for records that are not aggregated.
	Members int `json:"members"`
	// CBOR makes the pages of CBOR, for a client that talks that.
	CBOR bool `json:"cbor"`
}

// content is the encoding of the pages.
func (p Pages) content() string {
	if p.CBOR {
		return asCBOR
	}
	return asJSON
}

// total is the number of user records of the stream.
func (p Pages) total() int { return p.Shards * p.Pages * p.Records * max(p.Members, 1) }

// listening is what a server says when it is ready.
type listening struct {
	Endpoint string `json:"endpoint"`
}

// servePages is the role of the page server.
func servePages(ctx context.Context, say *child.Speaker, cfg Pages) error {
	s := &pageServer{cfg: cfg}
	for i := range cfg.Shards {
		t, err := newTemplate(cfg, i)
		if err != nil {
			return err
		}
		s.templates = append(s.templates, t)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	say.Say(listening{"http://" + listener.Addr().String()})
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// pageServer answers what a consumer asks.
type pageServer struct {
	cfg       Pages
	templates []*template // by shard
}

// request has the members of the requests that matter here.
type request struct {
	ShardID                string `json:"ShardId"`
	ShardIterator          string
	ShardIteratorType      string
	StartingSequenceNumber string
	NextToken              string
}

func (s *pageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content := r.Header.Get("Content-Type")
	if content != s.cfg.content() {
		s.refuse(w, fmt.Errorf("asked in %s, the pages are %s", content, s.cfg.content()))
		return
	}
	in, err := readRequest(content, r.Body)
	if err != nil {
		s.refuse(w, err)
		return
	}
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var out any
	switch operation {
	case "GetRecords":
		s.getRecords(w, in)
		return
	case "GetShardIterator":
		out, err = s.getShardIterator(in)
	case "ListShards":
		out = s.listShards()
	case "DescribeStreamSummary":
		out = s.describeStreamSummary()
	default:
		err = fmt.Errorf("operation %q is not served", operation)
	}
	if err != nil {
		s.refuse(w, err)
		return
	}
	body, err := encode(content, out)
	if err != nil {
		s.refuse(w, err)
		return
	}
	s.write(w, http.StatusOK, body)
}

func (s *pageServer) refuse(w http.ResponseWriter, err error) {
	body, _ := encode(s.cfg.content(), map[string]string{"__type": "InvalidArgumentException", "message": err.Error()}) // strings can be written
	s.write(w, http.StatusBadRequest, body)
}

func (s *pageServer) write(w http.ResponseWriter, status int, body []byte) {
	w.Header()["Content-Type"] = []string{s.cfg.content()}
	w.Header()["Content-Length"] = []string{fmt.Sprint(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone asks no more
}

func (s *pageServer) getRecords(w http.ResponseWriter, in request) {
	var shard, page int
	if _, err := fmt.Sscanf(in.ShardIterator, "shard-%d-page-%d", &shard, &page); err != nil ||
		shard < 0 || shard >= s.cfg.Shards || page < 0 || page > s.cfg.Pages {
		s.refuse(w, fmt.Errorf("iterator %q", in.ShardIterator))
		return
	}
	if page == s.cfg.Pages {
		body, _ := encode(s.cfg.content(), map[string]any{"Records": []any{}, "NextShardIterator": in.ShardIterator, "MillisBehindLatest": 0}) // as above
		s.write(w, http.StatusOK, body)
		return
	}
	body, done := s.templates[shard].page(page, s.cfg.Pages-page-1)
	defer done()
	s.write(w, http.StatusOK, body)
}

// getShardIterator knows the bounds of pages only: who reads whole pages asks
// for nothing else.
func (s *pageServer) getShardIterator(in request) (any, error) {
	var shard, page int
	if _, err := fmt.Sscanf(in.ShardID, "shardId-%d", &shard); err != nil || shard >= s.cfg.Shards {
		return nil, fmt.Errorf("shard %q", in.ShardID)
	}
	switch in.ShardIteratorType {
	case "TRIM_HORIZON", "AT_TIMESTAMP":
	case "LATEST":
		page = s.cfg.Pages
	case "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER":
		var record int
		var err error
		if page, record, err = parseSequence(in.StartingSequenceNumber); err != nil {
			return nil, err
		}
		switch {
		case in.ShardIteratorType == "AT_SEQUENCE_NUMBER" && record == 0:
		case in.ShardIteratorType == "AFTER_SEQUENCE_NUMBER" && record == s.cfg.Records-1:
			page++
		default:
			return nil, fmt.Errorf("sequence number %s is within a page", in.StartingSequenceNumber)
		}
	default:
		return nil, fmt.Errorf("iterator type %q", in.ShardIteratorType)
	}
	return map[string]string{"ShardIterator": iterator(shard, page)}, nil
}

func (s *pageServer) listShards() any {
	var shards []any
	for i, r := range ranges(s.cfg.Shards) {
		shards = append(shards, map[string]any{
			"ShardId":             shardID(i),
			"HashKeyRange":        map[string]string{"StartingHashKey": r.Start.String(), "EndingHashKey": r.End.String()},
			"SequenceNumberRange": map[string]string{"StartingSequenceNumber": sequence(i, 0, 0)},
		})
	}
	return map[string]any{"Shards": shards}
}

func (s *pageServer) describeStreamSummary() any {
	return map[string]any{"StreamDescriptionSummary": map[string]any{
		"StreamName": streamName, "StreamARN": "arn:aws:kinesis:us-east-1:000000000000:stream/" + streamName,
		"StreamStatus": "ACTIVE", "RetentionPeriodHours": 24, "StreamCreationTimestamp": seconds(arrival - 3600),
		"EnhancedMonitoring": []any{}, "OpenShardCount": cmp.Or(s.cfg.Shards, 1),
	}}
}
