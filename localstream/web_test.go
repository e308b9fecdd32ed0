package localstream

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// No route answers a name that is not the server's, nor a web page of
// elsewhere: not the health page, not a preflight, no operation, whether over
// TLS or not.
func TestNoRouteAnswersAWebPage(t *testing.T) {
	for name, cfg := range map[string]Config{"plain": {}, "TLS": generated(Config{}), "pages of elsewhere": {AllowOrigins: []string{"http://localhost:3000"}}} {
		t.Run(name, func(t *testing.T) {
			s := NewT(t, cfg)
			url, _ := socket(t, s)
			client := http.DefaultClient
			if cfg.TLS != nil {
				url, client = strings.Replace(url, "http", "https", 1), trusting(t, s, protocols(true))
			}
			call := map[string]string{"Content-Type": contentJSON, "Authorization": auth, "X-Amz-Date": "x"}
			requests := []request{
				{method: "GET", path: HealthPath}, {method: "GET", path: "/"}, {method: "HEAD", path: HealthPath}, {method: "PUT", path: "/"}, {method: "DELETE", path: "/"},
				{method: "OPTIONS", path: "/", header: map[string]string{"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-amz-target"}},
				{method: "OPTIONS", path: HealthPath, header: map[string]string{"Access-Control-Request-Method": "GET"}},
				{method: "POST", path: "/", body: "{}", header: map[string]string{"Content-Type": "text/plain"}},
				{method: "POST", path: "/", body: "a=b", header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
				{method: "POST", path: "/?Action=ListStreams", body: "{}"},
			}
			for op := range operationsByName() {
				header := maps.Clone(call)
				header["X-Amz-Target"] = targetPrefix + op
				requests = append(requests, request{method: "POST", path: "/", body: "{}", header: header})
				old := maps.Clone(header)
				old["Content-Type"] = contentOld
				requests = append(requests, request{method: "POST", path: "/", body: "{}", header: old})
			}
			for _, from := range []map[string]string{
				{"Host": "evil.example"}, {"Host": "localhost.evil.example"}, {"Host": "10.0.0.1"}, {"Host": "127.0.0.1.evil.example:4567"},
				{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": url}, {"Origin": "http://localhost:3000.evil.example"},
				{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
			} {
				for _, r := range requests {
					req, err := http.NewRequestWithContext(t.Context(), r.method, url+r.path, strings.NewReader(r.body))
					if err != nil {
						t.Fatal(err)
					}
					for header, value := range r.header {
						req.Header.Set(header, value)
					}
					for header, value := range from {
						if header == "Host" {
							req.Host = value
						} else {
							req.Header.Set(header, value)
						}
					}
					resp, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(resp.Body)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					if resp.StatusCode != http.StatusForbidden {
						t.Errorf("%v: %s %s %v: %d %s", from, r.method, r.path, r.header, resp.StatusCode, body)
					}
					for header := range resp.Header {
						if strings.HasPrefix(header, "Access-Control") {
							t.Errorf("%v: %s %s: header %s", from, r.method, r.path, header)
						}
					}
				}
			}
		})
	}
}

// Whoever asks may know that a server with keys is up, and nothing else of it.
func TestHealthOfAServerWithKeysTellsStrangersNothing(t *testing.T) {
	s := NewT(t, verifying())
	url, _ := socket(t, s)
	_, body := do(t, url, request{method: "GET", path: HealthPath})
	var health map[string]any
	if err := json.Unmarshal([]byte(body), &health); err != nil {
		t.Fatal(err)
	}
	equal(t, "members", slices.Sorted(maps.Keys(health)), []string{"durability", "status", "uptime_seconds"})
}
