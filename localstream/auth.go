package localstream

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// authError is an error of the signature's form. caller.go and signature.go
// verify signatures.
func authError(kind, message string) *apiError {
	return &apiError{Type: kind, Message: message, Status: http.StatusBadRequest}
}

// checkAuth checks that a request is signed in form, in the way and the words
// of AWS. With echo its errors repeat the header, as those of AWS do.
func checkAuth(r *http.Request, echo bool) error {
	header := r.Header.Get("Authorization")
	var query url.Values
	if r.URL.RawQuery != "" {
		query = r.URL.Query() // parameters that cannot be parsed are missing
	}
	inQuery := query.Has("X-Amz-Algorithm")
	switch {
	case header != "" && inQuery:
		return authError("InvalidSignatureException", "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
	case header != "":
		return checkAuthHeader(r, header, echo)
	case inQuery:
		return checkAuthQuery(query)
	}
	return authError("MissingAuthenticationTokenException", "Missing Authentication Token")
}

func checkAuthHeader(r *http.Request, header string, echo bool) error {
	params := authParams(header)
	var missing []string
	for _, name := range []string{"Credential", "Signature", "SignedHeaders"} {
		if params[name] == "" {
			missing = append(missing, "Authorization header requires '"+name+"' parameter.")
		}
	}
	if r.Header.Get("X-Amz-Date") == "" && r.Header.Get("Date") == "" {
		missing = append(missing, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
	}
	if len(missing) == 0 {
		return nil
	}
	if echo {
		missing = append(missing, "Authorization="+header)
	}
	return authError("IncompleteSignatureException", strings.Join(missing, " "))
}

func checkAuthQuery(query url.Values) error {
	var missing []string
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"} {
		if query.Get(name) == "" {
			missing = append(missing, "AWS query-string parameters must include '"+name+"'.")
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return authError("IncompleteSignatureException", strings.Join(missing, " ")+" Re-examine the query-string parameters.")
}

// authParams reads the parameters of an Authorization header: name=value,
// after the algorithm, between commas or spaces.
func authParams(header string) map[string]string {
	params := map[string]string{}
	_, rest, _ := strings.Cut(header, " ")
	for part := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == ',' || r == ' ' }) {
		if name, value, ok := strings.Cut(part, "="); ok {
			params[name] = value
		}
	}
	return params
}

// scopeOf says which account and region a request is about: the access key id,
// if it is a number of 12 digits, and the region of the credential scope.
// Otherwise it is the server's own.
func (s *Server) scopeOf(r *http.Request) state.Scope {
	scope := state.Scope{Account: s.cfg.AccountID, Region: s.cfg.Region}
	credential := ""
	if header := r.Header.Get("Authorization"); header != "" {
		_, after, _ := strings.Cut(header, "Credential=")
		if i := strings.IndexAny(after, ", "); i >= 0 {
			after = after[:i]
		}
		credential = after
	} else if r.URL.RawQuery != "" {
		credential = r.URL.Query().Get("X-Amz-Credential")
	}
	// access key / date / region / service / aws4_request
	parts := strings.SplitN(credential, "/", 5)
	if isAccount(parts[0]) {
		scope.Account = parts[0]
	}
	if len(parts) > 2 && isRegion(parts[2]) {
		scope.Region = parts[2]
	}
	return scope
}
