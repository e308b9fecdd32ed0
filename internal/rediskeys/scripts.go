package rediskeys

import (
	_ "embed" // the scripts are files
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/prelude.lua
var prelude string

// The scripts, one a file; the head of each says what it takes and answers.
var (
	//go:embed lua/beat.lua
	beat string
	//go:embed lua/view.lua
	view string
	//go:embed lua/acquire.lua
	acquire string
	//go:embed lua/checkpoint.lua
	checkpoint string
	//go:embed lua/complete.lua
	complete string
	//go:embed lua/create.lua
	create string
	//go:embed lua/request.lua
	request string
	//go:embed lua/refuse.lua
	refuse string
	//go:embed lua/bye.lua
	bye string
	//go:embed lua/load.lua
	load string
	//go:embed lua/seed.lua
	seed string
	//go:embed lua/adopt.lua
	adopt string
	//go:embed lua/retire.lua
	retire string
	//go:embed lua/collect.lua
	collect string
	//go:embed lua/mark.lua
	mark string
	//go:embed lua/pause.lua
	pause string
	//go:embed lua/reset.lua
	reset string
)

// Script names a script.
type Script int

// The scripts.
const (
	Beat Script = iota
	View
	Acquire
	Checkpoint
	Complete
	Create
	Request
	Refuse
	Bye
	Load
	Seed
	Adopt
	Retire
	Collect
	Mark
	Pause
	Reset
)

// Sources are the texts of the scripts, by their number.
func Sources() []string {
	out := []string{beat, view, acquire, checkpoint, complete, create, request, refuse, bye, load, seed, adopt, retire, collect, mark, pause, reset}
	for i, body := range out {
		out[i] = prelude + "\n" + body
	}
	return out
}

// program is a script as it is sent: by its hash, and by its text to a server
// that does not know the hash.
type program struct{ hash, text string }

// compile makes the scripts callable, by their number, after an edit of each.
func compile(edit func(source string) string) []program {
	var out []program
	for _, source := range Sources() {
		if edit != nil {
			source = edit(source)
		}
		out = append(out, program{redis.NewScript(source).Hash(), source})
	}
	return out
}

// Reply is what a script answered: a status and what stands behind it.
type Reply struct {
	Status string
	Rest   []any
}

// errReply is an answer that no script of ours gives.
var errReply = errors.New("unexpected answer of a script")

// ParseReply reads an answer.
func ParseReply(v any) (Reply, error) {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return Reply{}, fmt.Errorf("%w: %T", errReply, v)
	}
	status, ok := list[0].(string)
	if !ok {
		return Reply{}, fmt.Errorf("%w: status %T", errReply, list[0])
	}
	return Reply{Status: status, Rest: list[1:]}, nil
}

// Text is the i-th text behind the status, empty when there is none.
func (r Reply) Text(i int) string {
	if i >= len(r.Rest) {
		return ""
	}
	s, _ := r.Rest[i].(string) // not a text is none
	return s
}

// Texts is the i-th list behind the status; what is not a text in it is empty.
func (r Reply) Texts(i int) []string {
	if i >= len(r.Rest) {
		return nil
	}
	return texts(r.Rest[i])
}

// Rows is the i-th list of lists behind the status.
func (r Reply) Rows(i int) [][]string {
	if i >= len(r.Rest) {
		return nil
	}
	list, _ := r.Rest[i].([]any) // not a list has no rows
	out := make([][]string, len(list))
	for k, row := range list {
		out[k] = texts(row)
	}
	return out
}

func texts(v any) []string {
	list, _ := v.([]any) // not a list has no texts
	out := make([]string, len(list))
	for k, t := range list {
		out[k], _ = t.(string) // not a text is empty
	}
	return out
}
