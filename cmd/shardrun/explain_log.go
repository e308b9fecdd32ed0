package main

import (
	"slices"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// explaining is a log for people: of an error it says what explain does.
type explaining struct{ zapcore.Core }

func explainIn(log *zap.Logger) *zap.Logger {
	return log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core { return explaining{c} }))
}

// With adds fields to all that is written.
func (c explaining) With(fields []zapcore.Field) zapcore.Core {
	return explaining{c.Core.With(explainFields(fields))}
}

// Check has the entry written here, if it is of a level that is.
func (c explaining) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

// Write writes an entry.
func (c explaining) Write(e zapcore.Entry, fields []zapcore.Field) error {
	return c.Core.Write(e, explainFields(fields))
}

// explainFields gives the fields with the errors among them explained.
func explainFields(fields []zapcore.Field) []zapcore.Field {
	fields = slices.Clone(fields)
	for i, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			fields[i].Interface = explain(err)
		}
	}
	return fields
}
