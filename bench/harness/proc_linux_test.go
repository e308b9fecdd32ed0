package harness

import (
	"os"
	"testing"
)

func TestOutputHasProcessorTimeAndMemory(t *testing.T) {
	ran, err := testEnv(t).Output(t.Context(), Command{
		Path: "sh", Args: []string{"-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo $i"},
	})
	if err != nil || string(ran.Output) != "200000\n" {
		t.Fatalf("it wrote %q, %v", ran.Output, err)
	}
	if ran.CPU < 0.01 || ran.CPU > 60 || ran.PeakRSS < 100<<10 {
		t.Errorf("it took %v s and %d bytes", ran.CPU, ran.PeakRSS)
	}
}

func TestLiveProcessHasProcessorTimeAndMemory(t *testing.T) {
	p, err := testEnv(t).Start(t.Context(), Command{
		Path: "sh", Args: []string{"-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done; read x"},
		Ready: func(line string) bool { return line == "done" },
		Stdin: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if p.CPU() < 0.01 || p.RSS() <= 0 || p.PeakRSS() < p.RSS() {
		t.Errorf("CPU %v s, RSS %d, peak %d", p.CPU(), p.RSS(), p.PeakRSS())
	}
	before, known := readLoad()
	if !known || before.exempt <= 0 || before.busy <= 0 || before.total < before.busy {
		t.Errorf("load is %+v, %v", before, known)
	}
}

func TestStatOfANameWithBrackets(t *testing.T) {
	path := t.TempDir() + "/stat"
	text := "77 (a (b) c) S 12 77 77 0 -1 4194304 100 0 0 0 7 5 3 2 20 0 1 0 100 1000 10\n"
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	got, ok := readStat(path)
	if want := (procStat{pid: 77, parent: 12, self: 12, reaped: 5}); !ok || got != want {
		t.Errorf("stat is %+v, %v, want %+v", got, ok, want)
	}
}
