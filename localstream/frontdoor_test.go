package localstream

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// request is a request that the client of the SDK would not send.
type request struct {
	method, path, body string
	header             map[string]string
}

const (
	listStreams = targetPrefix + "ListStreams"
	unknownOld  = `{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException","message":null},"Version":"1.0"}`
	deniedXML   = "<AccessDeniedException>\n  <Message>Unable to determine service/operation name to be authorized</Message>\n</AccessDeniedException>\n"
)

func TestFrontDoor(t *testing.T) {
	h := start(t, 0)
	url, _ := socket(t, h.server)
	ok := func(changes ...string) map[string]string {
		m := map[string]string{"Content-Type": contentJSON, "X-Amz-Target": listStreams, "Authorization": auth, "X-Amz-Date": "x"}
		for i := 0; i < len(changes); i += 2 {
			m[changes[i]] = changes[i+1]
		}
		return m
	}
	incomplete := func(message string) string {
		b, _ := json.Marshal(map[string]string{"__type": "IncompleteSignatureException", "message": message})
		return string(b)
	}
	const missing = `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`
	const listed = `{"HasMoreStreams":false,"StreamNames":[],"StreamSummaries":[]}`
	const listedCBOR = "\xbf\x6eHasMoreStreams\xf4\x6bStreamNames\x9f\xff\x6fStreamSummaries\x9f\xff\xff"
	const unknownCBOR, serializationCBOR = "\xbf\x66__type\x78\x19UnknownOperationException\xff", "\xbf\x66__type\x76SerializationException\xff"
	long := func(text string) string { return "\x78" + string([]byte{byte(len(text))}) + text } // of 24 to 255 bytes
	cbor := func(changes ...string) map[string]string {
		return ok(append([]string{"Content-Type", contentCBOR}, changes...)...)
	}
	tests := []struct {
		name   string
		req    request
		status int
		body   string // "" means any
	}{
		{"a request that works", request{header: ok(), body: "{}"}, 200, listed},
		{"parameters of the content type are ignored", request{header: ok("Content-Type", contentJSON+"; charset=UTF-8"), body: "{}"}, 200, listed},
		{"GET", request{method: "GET"}, 403, deniedXML},
		{"PUT", request{method: "PUT", header: ok(), body: "{}"}, 403, deniedXML},
		{"OPTIONS, as before a request of another web site", request{method: "OPTIONS", header: map[string]string{"Access-Control-Request-Method": "POST"}}, 403, deniedXML},
		{"no content type", request{header: ok("Content-Type", ""), body: "{}"}, 403, deniedXML},
		{"a form", request{header: ok("Content-Type", "text/plain", "X-Amz-Target", ""), body: "{}"}, 403, deniedXML},
		{"a wrong content type", request{header: ok("Content-Type", "application/x-amz-json-1.0"), body: "{}"}, 404, "<UnknownOperationException/>\n"},
		{"no target", request{header: ok("X-Amz-Target", ""), body: "{}"}, 400, `{"__type":"UnknownOperationException"}`},
		{"an unknown target", request{header: ok("X-Amz-Target", targetPrefix+"ListStream"), body: "{}"}, 400, `{"__type":"UnknownOperationException"}`},
		{"an unknown target with a bad body", request{header: ok("X-Amz-Target", targetPrefix+"ListStream"), body: "{"}, 400, `{"__type":"SerializationException"}`},
		{"no body", request{header: ok()}, 400, `{"__type":"SerializationException"}`},
		{"no body for an unknown target", request{header: ok("X-Amz-Target", "")}, 400, `{"__type":"UnknownOperationException"}`},
		{"a body that is not JSON", request{header: ok(), body: "hello"}, 400, `{"__type":"SerializationException"}`},
		{"a body that is not JSON, without a signature", request{header: ok("Authorization", ""), body: "hello"}, 400, `{"__type":"SerializationException"}`},
		{"a wrong type", request{header: ok(), body: `{"Limit":"1"}`}, 400, `{"__type":"SerializationException","Message":"class java.lang.String can not be converted to an Integer"}`},
		{"application/json", request{header: ok("Content-Type", "application/json"), body: "{}"}, 200, unknownOld},
		{"application/json, not JSON", request{header: ok("Content-Type", "application/json"), body: "hello"}, 200,
			`{"Output":{"__type":"com.amazon.coral.service#SerializationException","Message":null},"Version":"1.0"}`},
		{"a compressed body", request{header: ok("Content-Encoding", "gzip"), body: "{}"}, 400, `{"__type":"SerializationException"}`},

		{"CBOR", request{header: cbor(), body: "\xa0"}, 200, listedCBOR},
		{"CBOR, with a parameter", request{header: cbor("Content-Type", contentCBOR+";charset=utf-8"), body: "\xbf\xff"}, 200, listedCBOR},
		{"CBOR of the wrong type", request{header: cbor(), body: "\xa1\x65Limit\x611"}, 400,
			"\xbf\x66__type\x76SerializationException\x67Message" + long("class java.lang.String can not be converted to an Integer") + "\xff"},
		{"CBOR out of bounds", request{header: cbor(), body: "\xa1\x65Limit\x00"}, 400,
			"\xbf\x66__type\x73ValidationException\x67message" +
				long("1 validation error detected: Value '0' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1") + "\xff"},
		{"not CBOR", request{header: cbor(), body: "{}"}, 400, serializationCBOR},
		{"not CBOR, without a signature", request{header: cbor("Authorization", ""), body: "{}"}, 400, serializationCBOR},
		{"CBOR without a body", request{header: cbor()}, 400, serializationCBOR},
		{"CBOR without a body or a target", request{header: cbor("X-Amz-Target", "")}, 400, unknownCBOR},
		{"CBOR without a target", request{header: cbor("X-Amz-Target", ""), body: "\xa0"}, 400, unknownCBOR},
		{"CBOR for an unknown target", request{header: cbor("X-Amz-Target", targetPrefix+"ListStream"), body: "\xa0"}, 400, unknownCBOR},
		{"CBOR for an unknown target with a bad body", request{header: cbor("X-Amz-Target", targetPrefix+"ListStream"), body: "\xa1"}, 400, serializationCBOR},
		{"CBOR without a signature", request{header: cbor("Authorization", ""), body: "\xa0"}, 400,
			"\xbf\x66__type\x78\x23MissingAuthenticationTokenException\x67message\x78\x1cMissing Authentication Token\xff"},
		{"CBOR that is compressed", request{header: cbor("Content-Encoding", "gzip"), body: "\xa0"}, 400, serializationCBOR},
		{"no body, of no type", request{header: ok("Content-Type", "")}, 400, serializationCBOR},
		{"no body, of another type", request{header: ok("Content-Type", "text/plain", "X-Amz-Target", "")}, 400, unknownCBOR},
		{"no body, application/json", request{header: ok("Content-Type", "application/json")}, 400, serializationCBOR},

		{"no signature", request{header: ok("Authorization", ""), body: "{}"}, 400, missing},
		{"an empty signature", request{header: ok("Authorization", "X", "X-Amz-Date", ""), body: "{}"}, 400,
			incomplete("Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. " +
				"Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=X")},
		{"half a signature", request{header: ok("Authorization", "AWS4- Signature=b,Credential=a"), body: "{}"}, 400,
			incomplete("Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b,Credential=a")},
		{"a signature between spaces", request{header: ok("Authorization", "AWS4- Signature=b Credential=a"), body: "{}"}, 400,
			incomplete("Authorization header requires 'SignedHeaders' parameter. Authorization=AWS4- Signature=b Credential=a")},
		{"two signatures", request{path: "/?X-Amz-Algorithm", header: ok(), body: "{}"}, 400,
			`{"__type":"InvalidSignatureException","message":"Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."}`},
		{"a query without the algorithm", request{path: "/?X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d", header: ok("Authorization", ""), body: "{}"}, 400, missing},
		{"half a query", request{path: "/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d", header: ok("Authorization", ""), body: "{}"}, 400,
			incomplete("AWS query-string parameters must include 'X-Amz-SignedHeaders'. Re-examine the query-string parameters.")},
		{"a whole query", request{path: "/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d&X-Amz-SignedHeaders=e", header: ok("Authorization", ""), body: "{}"}, 200, listed},

		{"a name of somebody else", request{header: ok("Host", "evil.example"), body: "{}"}, 403, ""},
		{"a name of somebody else, on the health page", request{method: "GET", path: HealthPath, header: map[string]string{"Host": "evil.example:4567"}}, 403, ""},
		{"localhost", request{header: ok("Host", "LOCALHOST:1"), body: "{}"}, 200, listed},
		{"IPv6 loopback", request{header: ok("Host", "[::1]:4567"), body: "{}"}, 200, listed},
		{"an address of somebody else", request{header: ok("Host", "10.1.2.3"), body: "{}"}, 403, ""},
		{"a web page of elsewhere", request{header: ok("Origin", "http://evil.example"), body: "{}"}, 403, ""},
		{"a page of a file", request{header: ok("Origin", "null"), body: "{}"}, 403, ""},
		{"a browser's word for elsewhere", request{header: ok("Sec-Fetch-Site", "cross-site"), body: "{}"}, 403, ""},
		{"a browser's word for another port", request{header: ok("Sec-Fetch-Site", "same-site"), body: "{}"}, 403, ""},
		{"a browser without a page", request{header: ok("Sec-Fetch-Site", "none"), body: "{}"}, 200, listed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := do(t, url, tt.req)
			if resp.StatusCode != tt.status || tt.body != "" && body != tt.body {
				t.Errorf("got %d %s\nwant %d %s", resp.StatusCode, body, tt.status, tt.body)
			}
			if want := map[byte]string{'\xbf': contentCBOR, '{': contentJSON, '<': ""}; len(tt.body) > 0 && !strings.HasPrefix(tt.body, `{"Output"`) {
				equal(t, "content type", resp.Header.Get("Content-Type"), want[tt.body[0]])
			}
			if id := resp.Header.Get("x-amzn-RequestId"); !regexp.MustCompile(`^[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89ab][a-f0-9]{3}-[a-f0-9]{12}$`).MatchString(id) {
				t.Errorf("request id %q", id)
			}
			if id, err := base64.StdEncoding.DecodeString(resp.Header.Get("x-amz-id-2")); err != nil || len(id) < 72 || len(id) > 80 {
				t.Errorf("second id %d bytes, %v", len(id), err)
			}
			for name := range resp.Header {
				if strings.HasPrefix(name, "Access-Control") {
					t.Errorf("header %s lets other web sites in", name)
				}
			}
		})
	}
}

// do sends a request, POST / by default.
func do(t *testing.T, url string, r request) (*http.Response, string) {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodPost
	}
	if r.path == "" {
		r.path = "/"
	}
	req, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path, strings.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range r.header {
		if name == "Host" {
			req.Host = value
		} else if value != "" {
			req.Header.Set(name, value)
		}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(b)
}

func TestAllowedHostsAndOrigins(t *testing.T) {
	s := NewT(t, Config{AllowHosts: []string{"kinesis.test"}, AllowOrigins: []string{"http://localhost:3000"}})
	url, _ := socket(t, s)
	header := map[string]string{"Content-Type": contentJSON, "X-Amz-Target": listStreams, "Authorization": auth, "X-Amz-Date": "x",
		"Host": "Kinesis.Test:4567", "Origin": "http://localhost:3000"}
	if resp, body := do(t, url, request{header: header, body: "{}"}); resp.StatusCode != http.StatusOK {
		t.Errorf("got %d %s", resp.StatusCode, body)
	}
}

func TestHealth(t *testing.T) {
	s := NewT(t, Config{Version: "1.2.3"})
	url, _ := socket(t, s)
	resp, body := do(t, url, request{method: "GET", path: HealthPath})
	var health map[string]any
	if err := json.Unmarshal([]byte(body), &health); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s: %v", resp.StatusCode, body, err)
	}
	for name, want := range map[string]any{"status": "ok", "version": "1.2.3", "durability": "memory", "account_id": "000000000000", "region": "us-east-1"} {
		equal(t, name, health[name], want)
	}
	if _, ok := health["uptime_seconds"].(float64); !ok {
		t.Error("no uptime")
	}
}

// Bodies above the limit of their operation are refused by what they announce,
// and by what arrives when they announce nothing.
func TestBodyLimits(t *testing.T) {
	h := start(t, 1)
	url, _ := socket(t, h.server)
	signed := true
	send := func(op string, size int, chunked bool) int {
		t.Helper()
		var body io.Reader = bytes.NewReader(bytes.Repeat([]byte(" "), size))
		if chunked {
			body = io.MultiReader(body)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
		h.must(err)
		req.Header.Set("Content-Type", contentJSON)
		req.Header.Set("X-Amz-Target", targetPrefix+op)
		if signed {
			req.Header.Set("Authorization", auth)
			req.Header.Set("X-Amz-Date", "x")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			// The server may hang up before everything was sent.
			if strings.Contains(err.Error(), "reset") || strings.Contains(err.Error(), "broken pipe") {
				return http.StatusRequestEntityTooLarge
			}
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for _, chunked := range []bool{false, true} {
		equal(t, "small operation over its limit", send("ListStreams", defaultBodyBytes+1, chunked), 413)
		equal(t, "small operation at its limit", send("ListStreams", defaultBodyBytes, chunked), 400)
		equal(t, "PutRecord over its limit", send("PutRecord", recordBodyBytes+1, chunked), 413)
		equal(t, "PutRecords over its limit", send("PutRecords", recordsBodyBytes+1, chunked), 413)
		equal(t, "unknown operation over its limit", send("Nothing", defaultBodyBytes+1, chunked), 413)
	}
	h.must(h.server.Close()) // waits for the requests
	equal(t, "bytes in flight that are left", h.server.inFlight.left, maxInFlight)
}

// Without a signature the server takes a small body only, and says so instead
// of reading a large one.
func TestALargeBodyNeedsASignature(t *testing.T) {
	h := start(t, 1)
	url, _ := socket(t, h.server)
	const missing = `{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`
	for _, announced := range []string{"Content-Length: 16777216", "Transfer-Encoding: chunked"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		h.must(err)
		defer conn.Close()
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: %sPutRecords\r\nContent-Type: %s\r\n%s\r\n\r\n", targetPrefix, contentJSON, announced)
		h.must(err)
		if strings.HasPrefix(announced, "T") { // enough to see that it is large
			_, err = fmt.Fprintf(conn, "%x\r\n%s\r\n", unsignedBodyBytes+1, strings.Repeat(" ", unsignedBodyBytes+1))
			h.must(err)
		}
		h.must(conn.SetReadDeadline(time.Now().Add(5 * time.Second)))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		h.must(err)
		b, err := io.ReadAll(resp.Body)
		h.must(err)
		resp.Body.Close()
		equal(t, announced, string(b), missing)
	}
}

// A web page of an allowed origin may call the server, and read its answers;
// others may not, and learn nothing.
func TestPagesOfAllowedOrigins(t *testing.T) {
	const page = "http://localhost:3000"
	url, _ := socket(t, NewT(t, Config{AllowOrigins: []string{page}}))
	call := map[string]string{"Content-Type": contentJSON, "X-Amz-Target": listStreams, "Authorization": auth, "X-Amz-Date": "x"}
	ask := map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-amz-target"}
	const allow = "Access-Control-Allow-"
	for _, tt := range []struct {
		name, method, origin string
		header               map[string]string
		status               int
		want                 map[string]string // of the answer
	}{
		{"a preflight", "OPTIONS", page, ask, 200, map[string]string{
			allow + "Origin": page, allow + "Methods": "GET, POST", allow + "Headers": "authorization,x-amz-target",
			"Vary": "Origin Access-Control-Request-Method Access-Control-Request-Headers"}},
		{"a call", "POST", page, call, 200, map[string]string{
			allow + "Origin": page, "Access-Control-Expose-Headers": exposedHeaders, "Vary": "Origin"}},
		{"an error", "POST", page, map[string]string{"X-Amz-Target": listStreams, "Content-Type": contentJSON}, 400, map[string]string{allow + "Origin": page}},
		{"OPTIONS that is no preflight", "OPTIONS", page, nil, 403, map[string]string{allow + "Origin": page, allow + "Methods": ""}},
		{"a preflight of elsewhere", "OPTIONS", "http://evil.example", ask, 403, map[string]string{allow + "Origin": "", allow + "Methods": ""}},
		{"a call of elsewhere", "POST", "http://evil.example", call, 403, map[string]string{allow + "Origin": ""}},
		{"a preflight of nowhere", "OPTIONS", "", ask, 403, map[string]string{allow + "Origin": "", allow + "Methods": "", "Vary": "Origin"}},
		{"a client that is no browser", "POST", "", call, 200, map[string]string{allow + "Origin": "", "Vary": "Origin"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			header := maps.Clone(tt.header)
			if header == nil {
				header = map[string]string{}
			}
			header["Origin"] = tt.origin
			resp, body := do(t, url, request{method: tt.method, header: header, body: "{}"})
			if resp.StatusCode != tt.status {
				t.Errorf("got %d %s, want %d", resp.StatusCode, body, tt.status)
			}
			for name, want := range tt.want {
				equal(t, name, strings.Join(resp.Header.Values(name), " "), want)
			}
		})
	}
}

// An error repeats what was wrong, as it was: nothing is escaped for a web page.
func TestErrorsAreNotEscapedForHTML(t *testing.T) {
	h := start(t, 1)
	_, answer := h.raw("PutRecord", `{"StreamName":"s","PartitionKey":"k","Data":"<&>"}`)
	want := `{"__type":"SerializationException","Message":"'<&>' can not be converted to a Blob: Base64 encoded length is expected a multiple of 4 bytes but found: 3"}`
	equal(t, "answer", answer, want)
}

// A client that sends its headers slowly, or none, does not keep a connection.
func TestSlowClientsAreCutOff(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a real time-out")
	}
	t.Parallel()
	h := start(t, 0)
	url, _ := socket(t, h.server)
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	h.must(err)
	defer conn.Close()
	_, err = conn.Write([]byte("POST / HTTP/1.1\r\nHost: localhost\r\nX-"))
	h.must(err)
	h.must(conn.SetReadDeadline(time.Now().Add(2 * headerTimeout)))
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("the connection was still open: %v", err)
	}
}
