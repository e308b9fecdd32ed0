package localstream

import (
	"net"
	"net/http"
	"slices"
	"strings"
)

// hostAllowed refuses names in the Host header that are not known to be ours:
// a web page could make any name of its own point here (DNS rebinding).
func (s *Server) hostAllowed(r *http.Request) bool {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	if host == "localhost" || slices.ContainsFunc(s.cfg.AllowHosts, func(name string) bool { return strings.EqualFold(name, host) }) {
		return true
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ip.IsLoopback() || ok && local.IP.Equal(ip)
}

// originAllowed refuses requests that come from a web page of elsewhere.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin != "" {
		return slices.Contains(s.cfg.AllowOrigins, origin)
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

// exposedHeaders are those of an answer that scripts of an allowed origin may
// read.
const exposedHeaders = "x-amzn-RequestId, x-amz-id-2, Date"

// shareWithOrigin tells the browser that a page of an allowed origin may read
// the answer. It reports whether the request is a preflight, with which a
// browser asks beforehand what the page may send: everything.
func (s *Server) shareWithOrigin(h http.Header, r *http.Request) (preflight bool) {
	if len(s.cfg.AllowOrigins) == 0 {
		return false
	}
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin) // which originAllowed found in the list
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
		return false
	}
	h.Add("Vary", "Access-Control-Request-Method")
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", "7200") // seconds
	return true
}
