package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/shardrun/shardrun/lease"
)

// sessionInfo is a worker as the command prints it, from its start to its end.
type sessionInfo struct {
	Session   string   `json:"session"`
	Worker    string   `json:"worker"`
	Host      string   `json:"host"`
	State     string   `json:"state"` // up, drain, paused, silent, lapsed; gone in a watch
	Leases    int      `json:"leases"`
	Capacity  float64  `json:"capacity"`
	MaxLeases int      `json:"max_leases"` // 0 for no bound
	Streams   []string `json:"streams"`
}

func sessionInfos(v lease.View) []sessionInfo {
	held := map[string]int{}
	for _, l := range v.Leases {
		held[lease.SessionOf(l.Token)]++
	}
	infos := make([]sessionInfo, 0, len(v.Sessions))
	for _, s := range v.Sessions {
		infos = append(infos, sessionInfo{
			Session: s.ID, Worker: s.Name, Host: s.Host, State: sessionState(v, s), Leases: held[s.ID],
			Capacity: cmp.Or(s.Capacity, 1), MaxLeases: s.MaxLeases, Streams: append([]string{}, s.Streams...),
		})
	}
	slices.SortFunc(infos, func(x, y sessionInfo) int {
		return cmp.Or(cmp.Compare(x.Worker, y.Worker), cmp.Compare(x.Session, y.Session))
	})
	return infos
}

func printSessions(out io.Writer, infos []sessionInfo) error {
	if len(infos) == 0 {
		fmt.Fprintln(out, "no worker runs")
		return nil
	}
	t := newTable(out, "WORKER", "HOST", "STATE", "LEASES", "AT MOST", "CAPACITY", "STREAMS")
	for _, i := range infos {
		most := "-"
		if i.MaxLeases > 0 {
			most = strconv.Itoa(i.MaxLeases)
		}
		var streams []string
		for _, s := range i.Streams {
			streams = append(streams, streamName(s))
		}
		t.row(plain(i.Worker), plain(i.Host), plain(i.State), strconv.Itoa(i.Leases), most,
			strconv.FormatFloat(i.Capacity, 'g', -1, 64), plain(cmp.Or(strings.Join(streams, ", "), "-")))
	}
	return t.flush()
}
