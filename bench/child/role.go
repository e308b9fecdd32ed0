package child

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Role is a part that this program can play instead of what it does
// otherwise; args are its arguments behind the role's name. The context ends
// on SIGTERM.
type Role = func(ctx context.Context, args []string) error

// As makes a role of a function whose configuration comes in JSON, see [Start].
func As[T any](play func(ctx context.Context, say *Speaker, config T) error) Role {
	return func(ctx context.Context, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%d arguments, not the configuration alone", len(args))
		}
		var config T
		if err := json.Unmarshal([]byte(args[0]), &config); err != nil {
			return fmt.Errorf("configuration: %w", err)
		}
		return play(ctx, &Speaker{out: json.NewEncoder(os.Stdout)}, config)
	}
}

// Speaker is how a child reports. It may be used concurrently.
type Speaker struct {
	mu  sync.Mutex // guards out; lines must not mix, so it is held for the write
	out *json.Encoder
}

// Say reports v on a line of its own. When nobody can hear it any more, the
// process ends.
func (s *Speaker) Say(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.out.Encode(v); err != nil {
		os.Exit(3)
	}
}

// Main is the main function of a program that has one role: its arguments are
// the role's.
func Main(role Role) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := role(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
