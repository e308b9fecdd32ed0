package localstream

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

// The examples of AWS, and one for each rule.
func TestKeyTemplates(t *testing.T) {
	v := keyValues{channel: "chan", id: "id7", stream: "orders", compression: "GZIP", at: time.Date(2026, 7, 9, 4, 5, 59, 0, time.UTC)}
	for template, want := range map[string]string{
		"!{channel-name}/!{yyyy}/!{MM}/!{dd}/!{HH}/records!{extension}":               "chan/2026/07/09/04/records-S.gz",
		"data/stream=!{stream-name}/!{yyyy}-!{MM}-!{dd}/!{HH}!{mm}!{extension:.json}": "data/stream=orders/2026-07-09/0405-S.json",
		"!{channel-name}/!{channel-id}":                                               "chan/id7-S",
		"!{yy}!{extension:.json.gz}":                                                  "26-S.json.gz",
		defaultKeyTemplate:                                                            "kinesis-channel/chan/id7/2026/07/09/04/chan-id7-2026-07-09-04-05-S.gz",
		"azAZ09!-_'.*()/=":                                                            "azAZ09!-_'.*()/=-S",
		"a/":                                                                          "a/-S",
		"!!{yy}!":                                                                     "!26!-S",
		"!{extension}":                                                                "-S.gz",
		"/data/!{channel-name}!{extension}":                                           "it starts with a slash",
		"data/../!{channel-name}!{extension}":                                         "it contains consecutive periods",
		"data/./!{channel-name}":                                                      "it contains a path segment that is a period",
		"data/.":                                                                      "it contains a path segment that is a period",
		"data//!{channel-name}!{extension}":                                           "it contains consecutive slashes",
		"!{channel-name}!{extension}/!{yyyy}":                                         "!{extension} is not at the end",
		"!{extension}!{extension:.gz}":                                                "!{extension} is not at the end",
		"data/!{partition-id}!{extension}":                                            "!{partition-id} is not a variable",
		"data/!{}":                                                                    "!{} is not a variable",
		"data/!{extensions}":                                                          "!{extensions} is not a variable",
		"data/!{channel-name}/!{yyyy":                                                 "a variable is not closed",
		"data/{x}":                                                                    `"{" is not allowed outside of variables: want letters, digits and any of ! - _ ' . * ( ) / =`,
		"data/a:b":                                                                    `":" is not allowed outside of variables: want letters, digits and any of ! - _ ' . * ( ) / =`,
		"a!{extension:json}":                                                          `the extension "json" has to start with a period and contain only lowercase letters and periods`,
		"a!{extension:}":                                                              `the extension "" has to start with a period and contain only lowercase letters and periods`,
		"a!{extension:.J}":                                                            `the extension ".J" has to start with a period and contain only lowercase letters and periods`,
		"a!{extension:.x..y}":                                                         "it contains consecutive periods",
		"kinesis/!{channel-name}/!{HH}/!{mm}/x!{extension:" + strings.Repeat(".a", 9) + "}": "kinesis/chan/04/05/x-S" + strings.Repeat(".a", 9),
	} {
		parsed, err := parseKeyTemplate(template)
		if err != nil {
			equal(t, template, err, want)
			continue
		}
		equal(t, template, parsed.expand(v, "-S"), want)
	}
}

// Whatever a bucket, a prefix, or a channel is called, its objects stay in the
// folder, each a file of its own.
func TestNoNameLeadsOutOfTheFolder(t *testing.T) {
	dir := t.TempDir()
	disk, err := vfs.OpenOS(filepath.Join(dir, "s3"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	f := &folder{fs: disk, root: "."}
	seen := map[string]bool{}
	for _, bucket := range []string{"...", "..a"} {
		for _, name := range []string{".", "..", "..."} {
			for _, prefix := range []string{"", "/", "../", "../../", "./", "//", "/../", "a/../../../b", "..", "...", "a/./b/", "a", "CON", "*'()!/"} {
				ch := &state.Channel{Name: name, ID: "id", S3: &state.Bucket{ARN: "arn:aws:s3:::" + bucket},
					Letters: state.DeadLetters{Bucket: "arn:aws:s3:::" + bucket, Prefix: prefix}}
				template, err := parseKeyTemplate("!{channel-name}/!{stream-name}/x")
				if err != nil {
					t.Fatal(err)
				}
				d := newDelivery(ch, template, "..", time.Now())
				for _, object := range []string{d.Object, d.Letters} {
					if seen[object] || !filepath.IsLocal(object) || !strings.HasPrefix(filepath.Clean(object), bucket+"/") {
						t.Fatalf("bucket %s, channel %s, prefix %s make %s", bucket, name, prefix, object)
					}
					seen[object] = true
					w, err := f.create(&d, object, "NONE")
					if err == nil {
						err = w.finish()
					}
					if err != nil {
						t.Fatalf("%s: %v", object, err)
					}
				}
				d.Written = true
				if err := f.settle(&d); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}
