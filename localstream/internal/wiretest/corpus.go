package wiretest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// sdkDir is where the module of the SDK's Kinesis client is. It ships the
// exact bodies of every operation with every member set.
var sdkDir = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/kinesis").Output()
	return strings.TrimSpace(string(out)), err
})

// corpus gives the bodies of the SDK's snapshots by operation.
func corpus(t testing.TB, folder, suffix string) map[string][]byte {
	t.Helper()
	dir, err := sdkDir()
	if err != nil {
		t.Fatalf("find the module of the SDK: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, folder, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatalf("no snapshots %s in %s: %v", suffix, folder, err)
	}
	bodies := map[string][]byte{}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		// The head ends at the last empty line; bodies have none.
		_, body, ok := bytes.Cut(raw, []byte("\n\n{"))
		if !ok {
			continue
		}
		bodies[strings.TrimSuffix(filepath.Base(f), suffix)] = append([]byte("{"), body...)
	}
	return bodies
}

// Requests gives the JSON body of a request for each operation, with every
// member set, by the operation's name.
func Requests(t testing.TB) map[string][]byte {
	t.Helper()
	return corpus(t, "request_snapshot", ".request.snap")
}

// Answers gives the JSON body of an answer of each operation, with every member
// set, by the operation's name.
func Answers(t testing.TB) map[string][]byte {
	t.Helper()
	return corpus(t, "response_snapshot", ".response.snap")
}
