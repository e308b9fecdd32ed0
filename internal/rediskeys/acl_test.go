package rediskeys_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/shardrun/shardrun/internal/rediskeys"
	"github.com/shardrun/shardrun/internal/redistest"
)

// rules are what SECURITY.md tells an operator to set for a user of the group
// billing, behind its name: those for any server, and those that a cluster needs
// besides.
func rules(t *testing.T) (server, cluster []string) {
	t.Helper()
	text, err := os.ReadFile("../../SECURITY.md")
	if err != nil {
		t.Fatal(err)
	}
	read := func(prefix string) []string {
		_, rest, ok := strings.Cut(string(text), "\n"+prefix)
		if !ok {
			t.Fatalf("no line %q in SECURITY.md", prefix)
		}
		rest, _, _ = strings.Cut(rest, "\n```")
		rest, _, _ = strings.Cut(strings.ReplaceAll(rest, "\\\n", " "), "\n")
		return strings.Fields(rest)
	}
	return read("ACL SETUSER billing "), read("ACL SETUSER billing-cluster ")
}

// allow makes the user of the rules on a server and returns options to be it.
func allow(p *redistest.Process, user string, rules []string) *redis.Options {
	args := []any{"ACL", "SETUSER", user}
	for _, r := range rules {
		args = append(args, r)
	}
	p.Do(args...)
	return &redis.Options{Addr: p.Addr, Username: user, Password: "secret"}
}

// without are the rules but one.
func without(rules []string, gone string) []string {
	var out []string
	for _, r := range rules {
		if r != gone {
			out = append(out, r)
		}
	}
	return out
}

// exercise does all that a worker does in its life, and returns the first error.
// With quiet it also waits for the ping of a watch that hears nothing.
func exercise(ctx context.Context, db *rediskeys.DB, quiet bool) error {
	call := func(want string, s rediskeys.Script, args ...any) (rediskeys.Reply, error) {
		r, err := db.Run(ctx, s, group, "", args...)
		if errors.Is(err, rediskeys.ErrReplicas) {
			return r, nil // it has none, but could ask
		}
		if err == nil && r.Status != want {
			err = fmt.Errorf("script %d: %s %v, want %s", s, r.Status, r.Rest, want)
		}
		return r, err
	}
	beat := func(session string, number int) (rediskeys.Reply, error) {
		return call("OK", rediskeys.Beat, "inc", session, session, number, 0, 0, 1, 0, `{"name":"`+session+`"}`, 0, 2, 200)
	}
	for _, step := range []func() error{
		func() error { _, err := beat("a", 1); return err },
		func() error {
			_, err := call("OK", rediskeys.Create, "a", "S", "a#1", 1, 0, "S/1", "{}", "0|0|0|0|0|0", "")
			return err
		},
		func() error { _, err := call("OK", rediskeys.Bye, "a"); return err },
		func() error { // the goodbye is removed in time, and its half-made set with it
			for count := 1; ; count++ {
				r, err := beat("b", count)
				if err != nil {
					return err
				}
				if gone := fmt.Sprint(r.Rows(6)); strings.Contains(gone, "@a") && count > 1000 {
					return fmt.Errorf("a is still there: %s", gone)
				}
				if n := len(r.Texts(7)); n == 0 { // nobody is late
					break
				}
				select {
				case <-time.After(time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			_, err := call("OK", rediskeys.Create, "b", "S", "b#1", 1, 1, "S/1", "{}", "0|0|0|0|0|0", "")
			return err
		},
		func() error { _, err := call("OK", rediskeys.Acquire, "b", 1, "S/1"); return err },
		func() error {
			_, err := call("OK", rediskeys.Checkpoint, "S/1", "b#1", 1, "5", 0, 0, 1, 1, "state", 0)
			return err
		},
		func() error { _, err := call("OK", rediskeys.View, 0, 100, ""); return err },
		func() error { _, err := call("OK", rediskeys.Load, "S/1"); return err },
		func() error { _, err := db.Info(ctx, group); return err },
		func() error { return hears(ctx, db, quiet) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// hears watches until a change is heard; with quiet, also until a watch that
// hears nothing has asked whether the server is there.
func hears(ctx context.Context, db *rediskeys.DB, quiet bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	heard, ended := make(chan struct{}, 100), make(chan error, 1)
	go func() { ended <- db.Watch(ctx, group, func() { heard <- struct{}{} }) }()
	next := func() error {
		select {
		case <-heard:
			return nil
		case err := <-ended:
			return err
		case <-time.After(10 * time.Second):
			return errors.New("nothing heard for 10 s")
		}
	}
	if err := next(); err != nil { // subscribed
		return err
	}
	if quiet {
		select {
		case err := <-ended:
			return err
		case <-time.After(4 * time.Second):
		}
	}
	r, err := db.Run(ctx, rediskeys.Bye, group, "", "b")
	if err != nil || r.Status != "OK" {
		return fmt.Errorf("bye: %s, %w", r.Status, err)
	}
	return next()
}

func TestEachPermissionIsNeededAndNoMore(t *testing.T) {
	t.Parallel()
	everywhere, _ := rules(t)
	if text := strings.Join(everywhere, " "); !strings.HasSuffix(text, " ~{billing}:* &{billing}:* "+rediskeys.Rights) {
		t.Errorf("errors tell of other permissions than SECURITY.md: %s", rediskeys.Rights)
	}
	try := func(t *testing.T, rules []string, quiet bool) error {
		o := allow(redistest.Start(t), "billing", rules)
		client := redis.NewClient(o)
		defer func() { _ = client.Close() }() // the test is over
		db, err := rediskeys.Open(rediskeys.Options{Client: client, ReplicaAcks: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }() // the test is over
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return exercise(ctx, db, quiet)
	}
	t.Run("all", func(t *testing.T) {
		t.Parallel()
		if err := try(t, everywhere, true); err != nil {
			t.Error(err)
		}
	})
	taken := 0
	for _, r := range everywhere {
		if !strings.ContainsAny(r[:1], "+~&") {
			continue
		}
		taken++
		t.Run("without "+r, func(t *testing.T) {
			t.Parallel()
			if err := try(t, without(everywhere, r), r == "+ping"); !denied(err) {
				t.Errorf("without %s: %v", r, err)
			}
		})
	}
	if taken < 20 {
		t.Errorf("%d permissions found", taken)
	}
}

// denied reports whether a server said that a user may not; scripts are told in
// other words than clients.
func denied(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "permission") || strings.Contains(err.Error(), "can't"))
}

func TestAUserOfOneGroupCannotTouchAnother(t *testing.T) {
	t.Parallel()
	everywhere, _ := rules(t)
	client := redis.NewClient(allow(redistest.Start(t), "billing", everywhere))
	defer func() { _ = client.Close() }() // the test is over
	for _, args := range [][]any{
		{"HGET", "{orders}:m", "v"}, {"EVAL", "return redis.call('HGET', KEYS[1], 'v')", 1, "{orders}:m"}, {"PUBLISH", "{orders}:ev", "1"},
		{"FLUSHALL"}, {"CONFIG", "GET", "*"}, {"KEYS", "*"}, {"ACL", "LIST"}, {"SCRIPT", "FLUSH"},
	} {
		if err := client.Do(t.Context(), args...).Err(); !denied(err) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

// TestEachPermissionIsNeededOnACluster holds the same of the permissions that a
// cluster wants besides. +asking is for the time in which a slot moves, and
// +publish and +subscribe for servers before 7.0, which have no other.
func TestEachPermissionIsNeededOnACluster(t *testing.T) {
	t.Parallel()
	if redistest.Version(t) < 7 {
		t.Skip("Redis before 7.0 has no announcements within a slot")
	}
	everywhere, cluster := rules(t)
	c := redistest.StartCluster(t, false)
	try := func(t *testing.T, user string, rules []string) error {
		for _, p := range c.Primaries {
			allow(p, user, rules)
		}
		c.Primaries[c.Owner("{"+group+"}:m")].Do("FLUSHALL")
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: user, Password: "secret"})
		defer func() { _ = client.Close() }() // the test is over
		db, err := rediskeys.Open(rediskeys.Options{Client: client})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }() // the test is over
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return exercise(ctx, db, false)
	}
	if err := try(t, "billing", cluster); err != nil {
		t.Error(err)
	}
	var more []string
	for _, r := range cluster {
		if !slices.Contains(everywhere, r) {
			more = append(more, r)
		}
	}
	if got := strings.Join(more, " "); got != "+cluster|slots +asking +spublish +ssubscribe" {
		t.Errorf("a cluster wants %s besides", got)
	}
	for i, r := range []string{"+cluster|slots", "+spublish", "+ssubscribe"} {
		if err := try(t, fmt.Sprint("billing", i), without(cluster, r)); !denied(err) {
			t.Errorf("without %s: %v", r, err)
		}
	}
	if err := try(t, "modern", without(without(cluster, "+publish"), "+subscribe")); err != nil {
		t.Errorf("without +publish and +subscribe: %v", err)
	}
}
