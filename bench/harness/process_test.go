package harness

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

func testEnv(t *testing.T) *Env {
	t.Helper()
	env := &Env{Dir: t.TempDir(), Cache: t.TempDir()}
	t.Cleanup(func() {
		if err := env.close(); err != nil {
			t.Error(err)
		}
	})
	return env
}

func TestProcessSaysThatItIsReadyAndIsStopped(t *testing.T) {
	env := testEnv(t)
	lines := make(chan string, 10) // more than it writes
	p, err := env.Start(t.Context(), Command{
		Path: "sh", Args: []string{"-c", "echo starting; echo ready 7; read x; echo got $x; exec sleep 60"},
		Ready:  func(line string) bool { return strings.HasPrefix(line, "ready") },
		Output: func(line string) { lines <- line },
		Stdin:  true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.ReadyLine != "ready 7" {
		t.Errorf("ready line is %q", p.ReadyLine)
	}
	if _, err := p.Stdin.Write([]byte("word\n")); err != nil {
		t.Fatal(err)
	}
	if line := <-lines; line != "got word" {
		t.Errorf("line is %q", line)
	}
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.Stop() // continues it first
	if took := time.Since(began); took >= stopTime {
		t.Errorf("stopping took %v", took)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("a signal to one that has ended: %v", err)
	}
}

func TestProcessThatEndsBeforeItIsReadyIsAnErrorWithItsReason(t *testing.T) {
	_, err := testEnv(t).Start(t.Context(), Command{
		Path: "sh", Args: []string{"-c", "echo no such thing >&2; exit 3"},
		Ready: func(string) bool { return false },
	})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such thing") {
		t.Errorf("error is %v", err)
	}
}
