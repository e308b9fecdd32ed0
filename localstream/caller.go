package localstream

import (
	"cmp"
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/localstream/internal/state"
)

// credential is a key as requests need it.
type credential struct {
	id, account string
	secret      func() Secret // a function, so that no printing of a Server can show it
	allow       []Permission
}

// credentials gives the keys of a configuration by their ids.
func (c Config) credentials() map[string]*credential {
	byID := map[string]*credential{}
	for _, k := range c.Keys {
		account := k.Account
		if account == "" && isAccount(k.ID) {
			account = k.ID
		}
		byID[k.ID] = &credential{id: k.ID, account: cmp.Or(account, c.AccountID), secret: func() Secret { return k.Secret }, allow: k.Allow}
	}
	return byID
}

// caller is who sent a request.
type caller struct {
	scope     state.Scope
	request   *http.Request
	signature *signature  // these two are nil when signatures
	key       *credential // are not verified
}

// identify says who claims to have sent a request, and checks everything about
// the signature for which the body is not needed.
func (s *Server) identify(r *http.Request) (*caller, error) {
	_, inProcess := r.Body.(*ownedBody)
	who := &caller{request: r}
	if s.cfg.Auth == AuthOff || inProcess {
		who.scope = s.scopeOf(r)
		return who, checkAuth(r, true)
	}
	if err := checkAuth(r, false); err != nil {
		return who, err
	}
	sig, err := parseSignature(r)
	if err != nil {
		return who, err
	}
	key := s.keys[sig.keyID]
	if key == nil || r.Header.Get("X-Amz-Security-Token") != "" || sig.inQuery && r.URL.Query().Has("X-Amz-Security-Token") {
		// Keys of ours have no session tokens; AWS refuses one that does not
		// belong to the key in the same way.
		return who, clientError("UnrecognizedClientException", "The security token included in the request is invalid.")
	}
	if err := sig.current(time.Now()); err != nil {
		return who, err
	}
	if err := sig.covers(r); err != nil {
		return who, err
	}
	who.signature, who.key = sig, key
	who.scope = state.Scope{Account: key.account, Region: sig.region}
	return who, nil
}

// prove verifies the signature, now that the body is known.
func (c *caller) prove(body []byte) error {
	if c.signature == nil {
		return nil
	}
	return c.signature.verify(c.request, body, c.key.secret())
}

// target is something that a request is about.
type target struct {
	arn     string
	account string
	stream  string // empty if it is not known to be a stream, or of one
	none    bool   // it is nothing at all, as the operation will say
}

// authorize checks that the key of the caller may do this.
func (s *Server) authorize(who *caller, op *operation, in any) error {
	if who.key == nil {
		return nil
	}
	named := s.targets(who.scope, in)
	if len(named) == 0 {
		named = []target{{arn: "*", account: who.scope.Account}}
	}
	for _, r := range named {
		if r.account != who.scope.Account || !who.key.may(op.name, r) {
			return clientError(typeAccessDenied, "User: arn:aws:iam::%s:user/%s is not authorized to perform: kinesis:%s on resource: %s "+
				"because no identity-based policy allows the kinesis:%s action", who.scope.Account, who.key.id, op.name, r.arn, op.name)
		}
	}
	return nil
}

// may reports whether the key may run an operation on a resource.
func (k *credential) may(action string, r target) bool {
	if k.allow == nil {
		return true
	}
	return slices.ContainsFunc(k.allow, func(p Permission) bool {
		return anyMatches(p.Actions, action) && (r.none || anyMatches(p.Streams, r.stream))
	})
}

// anyMatches reports whether one of the patterns stands for s, as none at all
// do.
func anyMatches(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return matches(p, s) })
}

// targets gives what the members of a request name, if the request is one
// that the model allows. A channel is of the stream that it reads. What is not
// known to belong to a stream has none.
func (s *Server) targets(scope state.Scope, in any) []target {
	var out []target
	arn := func(text *string) {
		if text == nil {
			return
		}
		if ch, err := s.lookupChannel(*text); err == nil {
			out = append(out, target{arn: *text, account: ch.Account, stream: ch.stream.key.Name})
			return
		}
		key, ok := state.ParseARN(*text)
		if !ok {
			out = append(out, target{arn: *text, account: accountOf(*text)})
			return
		}
		out = append(out, target{arn: *text, account: key.Account, stream: key.Name})
	}
	stream := func(key state.Key) {
		out = append(out, target{arn: key.ARN(), account: key.Account, stream: key.Name})
	}
	v := reflect.ValueOf(in).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || v.Field(i).IsZero() {
			continue
		}
		switch member := v.Field(i).Interface(); field.Name {
		case "StreamName":
			stream(state.Key{Scope: scope, Name: *member.(*string)})
		case "StreamARN", "ConsumerARN", "ChannelARN", "ResourceARN":
			arn(member.(*string))
		case "ShardIterator":
			if it, _, ok := s.readIterator(*member.(*string)); ok {
				stream(it.Stream)
			} else {
				out = append(out, target{arn: "*", account: scope.Account, none: true})
			}
		case "NextToken":
			if payload, _, err := s.sealer.open(kindShards, *member.(*string)); err == nil {
				var at shardsToken
				_ = json.Unmarshal(payload, &at) // it is ours; without a stream it names nobody's
				stream(at.Stream)
			}
		case "StreamConfigurationList":
			for _, c := range member.([]types.ChannelStreamConfiguration) {
				arn(c.StreamARN)
			}
		case "StreamFilter":
			for _, f := range member.([]types.StreamFilter) {
				arn(f.StreamARN)
			}
		}
	}
	return out
}

// accountOf is the account in an ARN that is not that of a stream.
func accountOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 {
		return ""
	}
	return parts[4]
}
