package localstream

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// maxPolicyBytes is how long a resource policy may be.
const maxPolicyBytes = 20 << 10

// The versions of the policy language.
var policyVersions = [...]string{"2012-10-17", "2008-10-17"}

// checkPolicy refuses a policy that is not one in form: a JSON object with a
// version and statements, each of which says what its effect is, on whom, for
// which actions of Kinesis, and on this resource. What it allows is nobody's
// business here.
func checkPolicy(policy, arn string) error {
	if len(policy) > maxPolicyBytes {
		return invalidArgument("The resource policy has %d bytes. It can have at most %d.", len(policy), maxPolicyBytes)
	}
	var doc struct {
		Version   string
		Statement json.RawMessage
	}
	if err := json.Unmarshal([]byte(policy), &doc); err != nil {
		return badPolicy("it is not a JSON object with a Version and a Statement")
	}
	if !slices.Contains(policyVersions[:], doc.Version) {
		return badPolicy(fmt.Sprintf("Version %q is not one of %s", doc.Version, strings.Join(policyVersions[:], ", ")))
	}
	var statements []statement
	switch first := strings.TrimLeft(string(doc.Statement), " \t\r\n"); {
	case strings.HasPrefix(first, "{"):
		statements = make([]statement, 1)
		if json.Unmarshal(doc.Statement, &statements[0]) != nil {
			return badPolicy("a Statement is not an object of Effect, Principal, Action and Resource")
		}
	case json.Unmarshal(doc.Statement, &statements) != nil || len(statements) == 0:
		return badPolicy("Statement is not a list of objects of Effect, Principal, Action and Resource")
	}
	for i := range statements {
		if what := statements[i].lacks(arn); what != "" {
			return badPolicy(fmt.Sprintf("statement %d: %s", i+1, what))
		}
	}
	return nil
}

func badPolicy(why string) error {
	return invalidArgument("The resource policy is not valid: %s.", why)
}

// statement is a statement of a policy.
type statement struct {
	Effect    string
	Principal json.RawMessage
	Action    texts
	Resource  texts
}

// lacks says what is wrong with the statement, if something is.
func (s *statement) lacks(arn string) string {
	switch {
	case s.Effect != "Allow" && s.Effect != "Deny":
		return fmt.Sprintf("Effect %q is neither Allow nor Deny", s.Effect)
	case !isPrincipal(s.Principal):
		return "Principal is neither \"*\" nor an object of principals"
	case len(s.Action) == 0:
		return "Action is missing"
	case len(s.Resource) == 0:
		return "Resource is missing"
	}
	for _, a := range s.Action {
		service, _, ok := strings.Cut(a, ":")
		if a != "*" && (!ok || !strings.EqualFold(service, "kinesis")) {
			return fmt.Sprintf("Action %q is not one of Kinesis, such as kinesis:GetRecords", a)
		}
	}
	for _, r := range s.Resource {
		if !matches(r, arn) {
			return fmt.Sprintf("Resource %q is not the resource that the policy is for, %s", r, arn)
		}
	}
	return ""
}

// isPrincipal reports whether a policy may have this as a Principal: "*", or
// an object such as {"AWS": "123456789012"}.
func isPrincipal(b json.RawMessage) bool {
	var one string
	if json.Unmarshal(b, &one) == nil {
		return one == "*"
	}
	var kinds map[string]texts
	if json.Unmarshal(b, &kinds) != nil || len(kinds) == 0 {
		return false
	}
	for _, names := range kinds {
		if len(names) == 0 || slices.Contains(names, "") {
			return false
		}
	}
	return true
}

// texts is a text, or a list of them.
type texts []string

// UnmarshalJSON reads either.
func (t *texts) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*t = texts{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(t))
}

// matches reports whether a pattern with * and ? fits a text.
func matches(pattern, text string) bool {
	star, after := -1, 0 // the last *, and where it is tried to end
	p, i := 0, 0
	for i < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, after = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[i]):
			p++
			i++
		case star >= 0:
			after++
			p, i = star+1, after
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
