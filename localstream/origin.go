package localstream

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.uber.org/zap"
)

// refusal is why a request is not even looked at.
type refusal struct {
	kind, name string // "host" or "origin", and what the request says there
	message    string // for the client
}

// refused gives the reason to refuse a request that may be the work of a web
// page, or nil.
func (s *Server) refused(r *http.Request) *refusal {
	host := hostOf(r)
	switch origin, site := r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site"); {
	case !s.hostAllowed(r, host):
		return &refusal{"host", host, hostMessage(host)}
	case origin != "" && !slices.Contains(s.cfg.AllowOrigins, origin):
		return &refusal{"origin", origin, originMessage(origin)}
	case origin == "" && site != "" && site != "same-origin" && site != "none":
		return &refusal{"origin", "Sec-Fetch-Site: " + site, "Requests that a page of another web site makes without saying which are refused " +
			"(Sec-Fetch-Site " + repeated(site) + " and no Origin)."}
	}
	return nil
}

// hostOf is the name or address in the Host header, in small letters.
func hostOf(r *http.Request) string {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// hostAllowed refuses names that are not known to be ours: a web page could
// make any name of its own point here (DNS rebinding).
func (s *Server) hostAllowed(r *http.Request, host string) bool {
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

func hostMessage(host string) string {
	if !isHost(host) {
		return "Host " + repeated(host) + " is not one of this server's names: use localhost."
	}
	return fmt.Sprintf("Host %s is not one of this server's names: start it with --allow-host %s (Config.AllowHosts), or use localhost.", repeated(host), host)
}

func originMessage(origin string) string {
	if len(origin) > maxRefusedName || !isOrigin(origin) { // as "null"
		return "Pages of the origin " + repeated(origin) + " may not call this server: one like http://localhost:3000 can be allowed with --allow-origin (Config.AllowOrigins)."
	}
	return fmt.Sprintf("Pages of the origin %s may not call this server: start it with --allow-origin %s (Config.AllowOrigins).", repeated(origin), origin)
}

// maxRefusedName is how much of a refused name is repeated, in bytes: a name of
// DNS has no more.
const maxRefusedName = 253

// sayable reports whether a text has letters, digits and these others only, and
// few enough of them, so that it can be part of a command.
func sayable(text, others string) bool {
	return text != "" && len(text) <= maxRefusedName && strings.Trim(strings.ToLower(text), "abcdefghijklmnopqrstuvwxyz0123456789"+others) == ""
}

// repeated is a text of a stranger, no longer than it may be.
func repeated(text string) string { return strconv.QuoteToASCII(bounded(text)) }

func bounded(text string) string {
	if len(text) > maxRefusedName {
		return text[:maxRefusedName] + "..."
	}
	return text
}

// maxRefusals is how many refused names are logged: strangers choose them.
const maxRefusals = 64

// refusals are the names that were refused and logged. The zero value is ready.
type refusals struct {
	mu   sync.Mutex // guards seen
	seen map[string]bool
}

// note reports whether a name is to be logged, and whether it is the last one.
func (n *refusals) note(r *refusal) (first, last bool) {
	name := r.kind + " " + bounded(r.name)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen[name] || len(n.seen) == maxRefusals {
		return false, false
	}
	if n.seen == nil {
		n.seen = map[string]bool{}
	}
	n.seen[strings.Clone(name)] = true
	return true, len(n.seen) == maxRefusals
}

// refuse answers a request that is refused, in the protocol that it asks for, so
// that an SDK shows the reason, and logs each name once.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, why *refusal) {
	if first, last := s.refusals.note(why); first {
		s.logger.Warn("requests are refused: "+why.message, zap.String(why.kind, bounded(why.name)))
		if last {
			s.logger.Warn("more names that are refused will not be logged", zap.Int("logged", maxRefusals))
		}
	}
	denied := &apiError{Type: typeAccessDenied, Message: why.message, Status: http.StatusForbidden}
	if encoding, known := encodingOf(contentType(r)); known && r.Method == http.MethodPost {
		s.writeError(w, encoding, denied)
		return
	}
	s.writeXML(w, denied)
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
	h.Set("Access-Control-Allow-Origin", origin) // which refused found in the list
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
