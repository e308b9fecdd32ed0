package localstream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseFault reads a fault from a line like
//
//	op=PutRecords,stream=orders,shard=*,kind=throttle,count=3
//
// Its parts, in any order, are those of a [Fault]: op, stream, shard (an id, or
// * for each), kind (throttle, error, expire, drop, delay, lose-reply), count
// (a number, or "all"), delay (as 200ms, for kind delay), type and message (for
// kind error; nothing can follow a message). What is left out is as in a zero
// Fault. The fault fits some request: what cannot happen is an error.
func ParseFault(line string) (Fault, error) {
	f := Fault{Count: 1}
	given := map[string]bool{}
	for rest := line; rest != ""; {
		var part string
		if part, rest, _ = strings.Cut(rest, ","); strings.HasPrefix(part, "message=") && rest != "" {
			part, rest = part+","+rest, ""
		}
		name, value, _ := strings.Cut(part, "=")
		if given[name] {
			return Fault{}, fmt.Errorf("fault %q: %s is there twice", line, name)
		}
		if given[name] = true; value == "" {
			return Fault{}, fmt.Errorf("fault %q: %q: want name=value", line, part)
		}
		if err := f.set(name, value); err != nil {
			return Fault{}, fmt.Errorf("fault %q: %w", line, err)
		}
	}
	if err := f.validate(); err != nil {
		return Fault{}, fmt.Errorf("fault %q: %w", line, err)
	}
	return f, nil
}

// set sets the part of a fault that a name stands for.
func (f *Fault) set(name, value string) (err error) {
	switch name {
	case "op":
		f.Operation = value
	case "stream":
		f.Stream = value
	case "shard":
		f.Shard = value
	case "kind":
		kind := slices.Index(actionNames[:], value)
		if kind < 0 {
			return fmt.Errorf("kind %q: want %s", value, strings.Join(actionNames[:], ", "))
		}
		f.Action = Action(kind)
	case "count":
		if f.Count = -1; value != "all" {
			if f.Count, err = strconv.Atoi(value); err != nil || f.Count < 1 {
				return fmt.Errorf("count %q: want a number from 1, or all", value)
			}
		}
	case "delay":
		if f.Delay, err = time.ParseDuration(value); err != nil || f.Delay <= 0 {
			return fmt.Errorf("delay %q: want a time like 200ms", value)
		}
	case "type":
		f.Type = value
	case "message":
		f.Message = value
	default:
		return fmt.Errorf("%q is none of op, stream, shard, kind, count, delay, type, message", name)
	}
	return nil
}
