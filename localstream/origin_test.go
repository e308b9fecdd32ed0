package localstream

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/shardrun/shardrun/internal/awscbor"
)

// Who uses a name that is not the server's learns from its SDK what to do, in
// either protocol.
func TestARefusedNameSaysItsRemedy(t *testing.T) {
	h := start(t, 0)
	const want = `Host "vm.example" is not one of this server's names: start it with --allow-host vm.example (Config.AllowHosts), or use localhost.`
	for name, option := range map[string]func(*kinesis.Options){"JSON": func(*kinesis.Options) {}, "CBOR": awscbor.Use} {
		t.Run(name, func(t *testing.T) {
			client := h.server.Client(noRetry, option, func(o *kinesis.Options) { o.BaseEndpoint = aws.String("http://VM.example:4567") })
			_, err := client.ListStreams(t.Context(), &kinesis.ListStreamsInput{})
			h.wantError(err, typeAccessDenied, want)
		})
	}
}

// Each refusal names what was refused; what no flag can allow, and what is too
// long for a name, is not part of a command.
func TestMessagesOfRefusals(t *testing.T) {
	h := start(t, 0)
	url, _ := socket(t, h.server)
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct{ header, value, want string }{
		{"Host", "10.1.2.3:4567", "Host \"10.1.2.3\" is not one of this server's names: start it with --allow-host 10.1.2.3 (Config.AllowHosts), or use localhost."},
		{"Host", long, "Host \"" + long[:maxRefusedName] + "...\" is not one of this server's names: use localhost."},
		{"Host", "a:b:c", "Host \"a:b:c\" is not one of this server's names: use localhost."},
		{"Origin", strings.Repeat("x", 250) + "://a", "Pages of the origin \"" + strings.Repeat("x", 250) + "://...\" may not call this server: one like http://localhost:3000 can be allowed with --allow-origin (Config.AllowOrigins)."},
		{"Origin", "http://app.example:3000", "Pages of the origin \"http://app.example:3000\" may not call this server: start it with --allow-origin http://app.example:3000 (Config.AllowOrigins)."},
		{"Origin", "null", "Pages of the origin \"null\" may not call this server: one like http://localhost:3000 can be allowed with --allow-origin (Config.AllowOrigins)."},
		{"Origin", "http://<b>", "Pages of the origin \"http://&lt;b&gt;\" may not call this server: one like http://localhost:3000 can be allowed with --allow-origin (Config.AllowOrigins)."},
		{"Sec-Fetch-Site", "cross-site", "Requests that a page of another web site makes without saying which are refused (Sec-Fetch-Site \"cross-site\" and no Origin)."},
	} {
		resp, body := do(t, url, request{method: "GET", path: HealthPath, header: map[string]string{tt.header: tt.value}})
		equal(t, "status", resp.StatusCode, http.StatusForbidden)
		equal(t, tt.header, body, "<AccessDeniedException>\n  <Message>"+tt.want+"</Message>\n</AccessDeniedException>\n")
	}
}

// Each refused name is logged once, and no more of them than strangers should
// be able to write into a log.
func TestRefusedNamesAreLoggedOnce(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	s := NewT(t, Config{Logger: zap.New(core)})
	url, _ := socket(t, s)
	for range 3 {
		do(t, url, request{header: map[string]string{"Host": "vm"}})
		do(t, url, request{header: map[string]string{"Origin": "http://app.example"}})
	}
	equal(t, "lines", logs.Len(), 2)
	equal(t, "host", logs.All()[0].ContextMap()["host"], "vm")
	equal(t, "origin", logs.All()[1].ContextMap()["origin"], "http://app.example")
	for i := range 2 * maxRefusals {
		do(t, url, request{header: map[string]string{"Host": fmt.Sprintf("host%d.%s", i, bytes.Repeat([]byte("x"), 1000))}})
	}
	equal(t, "lines after many names", logs.Len(), maxRefusals+1)
	for _, e := range logs.All() {
		if host, _ := e.ContextMap()["host"].(string); len(host) > maxRefusedName+3 || len(e.Message) > 1000 {
			t.Errorf("a line of %d and %d bytes: %s", len(e.Message), len(host), e.Message)
		}
	}
}
