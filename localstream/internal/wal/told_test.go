package wal

import (
	"fmt"
	"testing"

	"github.com/shardrun/shardrun/internal/vfs"
)

// Two readers may come upon the same damage before either has noted it.
func TestDamageIsToldOfOnceForEachPlace(t *testing.T) {
	var told []string
	var l *Log
	l, err := Open(Config{FS: vfs.NewMemory(), Dir: "d", Damaged: func(d *DamageError) {
		if !l.Damaged() {
			t.Error("told of before the log refuses to be used")
		}
		told = append(told, d.Error())
	}})
	if err != nil {
		t.Fatal(err)
	}
	places := []DamageError{{Segment: "a", Offset: 1, Shard: 1}, {Segment: "a", Offset: 2, Shard: 1}, {Segment: "a", Offset: 1, Shard: 2},
		{Segment: "b", AllShards: true}}
	var want []string
	for _, d := range places {
		want = append(want, d.Error())
		for range 2 {
			again := d
			l.poison(&again)
		}
	}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told of %q, want %q", told, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
