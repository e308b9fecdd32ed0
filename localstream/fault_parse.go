package localstream

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// faultKinds are the actions by the names that [ParseFault] reads.
var faultKinds = map[string]Action{
	"throttle": Throttle, "error": Fail, "expire": ExpireIterator, "drop": Drop, "delay": Delay, "lose-reply": LoseReply,
}

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
	if err := f.check(given); err != nil {
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
		number, ok := state.ParseShardID(value)
		if f.Shard = state.ShardID(number); value == EveryShard {
			f.Shard = value
		} else if !ok {
			return fmt.Errorf("shard %q: want an id like %s, or * for each", value, state.ShardID(0))
		}
	case "kind":
		var known bool
		if f.Action, known = faultKinds[value]; !known {
			return fmt.Errorf("kind %q: want %s", value, strings.Join(slices.Sorted(maps.Keys(faultKinds)), ", "))
		}
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

// check refuses a fault that could never happen, or not as it says.
func (f *Fault) check(given map[string]bool) error {
	_, known := operationsByName()[f.Operation]
	switch {
	case given["op"] && !known && f.Operation != eventOperation:
		return fmt.Errorf("op %q: want an operation of Kinesis, such as PutRecords", f.Operation)
	case given["op"] && f.Shard != "" && !slices.Contains(shardOperations, f.Operation):
		return fmt.Errorf("%s is not about one shard: want shard with %s", f.Operation, strings.Join(shardOperations, ", "))
	case given["delay"] != (f.Action == Delay):
		return fmt.Errorf("delay and kind=delay go together")
	case (given["type"] || given["message"]) && f.Action != Fail:
		return fmt.Errorf("type and message want kind=error")
	case f.Shard != "" && (f.Action == Drop || f.Action == Delay || f.Action == LoseReply) && (f.Operation == "PutRecord" || f.Operation == "PutRecords"):
		return fmt.Errorf("a shard of %s can be refused (throttle, error) only: leave out shard", f.Operation)
	}
	return nil
}
