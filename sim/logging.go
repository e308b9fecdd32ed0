package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.uber.org/zap/zapcore"

	"github.com/shardrun/shardrun/internal/history"
)

// noteCore puts log lines into a history.
type noteCore struct {
	history *history.History
	name    string
	fields  []zapcore.Field
}

func (c *noteCore) Enabled(l zapcore.Level) bool { return l >= zapcore.InfoLevel }

func (c *noteCore) With(fields []zapcore.Field) zapcore.Core {
	return &noteCore{c.history, c.name, slices.Concat(c.fields, fields)}
}

func (c *noteCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *noteCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range c.fields { // most are the same each time
		if f.Key == "shard" || f.Key == "lease" {
			f.AddTo(enc)
		}
	}
	for _, f := range fields {
		if f.Key != "stack" { // it has the numbers of goroutines
			f.AddTo(enc)
		}
	}
	var text strings.Builder
	for _, k := range slices.Sorted(maps.Keys(enc.Fields)) {
		fmt.Fprintf(&text, " %s=%v", k, enc.Fields[k])
	}
	c.history.Logged(c.name, fmt.Sprintf("%s %s: %s%s", e.Level.CapitalString(), e.LoggerName, e.Message, text.String()))
	return nil
}

func (c *noteCore) Sync() error { return nil }
