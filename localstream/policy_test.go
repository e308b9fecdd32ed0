package localstream

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
)

// policyWith is a policy for "s" with one statement.
func policyWith(effect, principal, action, resource string) string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"x","Effect":` + effect + `,"Principal":` + principal + `,"Action":` + action + `,"Resource":` + resource + `}]}`
}

var goodPolicy = policyWith(`"Allow"`, `{"AWS":["111111111111","arn:aws:iam::222222222222:root"]}`, `["kinesis:PutRecord","kinesis:PutRecords"]`, `"`+testARN+`"`)

// A policy that was never put, or was deleted, is an empty object.
func TestResourcePolicy(t *testing.T) {
	h := start(t, 1)
	arn := aws.String(testARN)
	get := func() string {
		t.Helper()
		out, err := h.client.GetResourcePolicy(t.Context(), &kinesis.GetResourcePolicyInput{ResourceARN: arn})
		h.must(err)
		return *out.Policy
	}
	put := func(policy string) {
		t.Helper()
		_, err := h.client.PutResourcePolicy(t.Context(), &kinesis.PutResourcePolicyInput{ResourceARN: arn, Policy: &policy})
		h.must(err)
	}
	equal(t, "never put", get(), "{}")
	put(goodPolicy)
	equal(t, "put", get(), goodPolicy)
	other := policyWith(`"Deny"`, `"*"`, `"kinesis:*"`, `"arn:aws:kinesis:*:000000000000:stream/?"`)
	put(other)
	equal(t, "replaced", get(), other)
	for range 2 {
		_, err := h.client.DeleteResourcePolicy(t.Context(), &kinesis.DeleteResourcePolicyInput{ResourceARN: arn})
		h.must(err)
		equal(t, "deleted", get(), "{}")
	}
}

func TestPoliciesThatAreRefused(t *testing.T) {
	const a, p, act = `"Allow"`, `"*"`, `"kinesis:PutRecord"`
	res := `"` + testARN + `"`
	for name, tt := range map[string]struct{ policy, want string }{
		"no JSON":                    {"x", "it is not a JSON object"},
		"a list":                     {"[]", "it is not a JSON object"},
		"no version":                 {`{"Statement":[]}`, `Version "" is not one of 2012-10-17`},
		"another version":            {`{"Version":"2020-01-01"}`, `Version "2020-01-01" is not one of`},
		"no statement":               {`{"Version":"2012-10-17"}`, "Statement is not a list"},
		"an empty list":              {`{"Version":"2012-10-17","Statement":[]}`, "Statement is not a list"},
		"a statement of null":        {`{"Version":"2012-10-17","Statement":[null]}`, `statement 1: Effect "" is neither`},
		"another effect":             {policyWith(`"Maybe"`, p, act, res), `statement 1: Effect "Maybe" is neither`},
		"no principal":               {policyWith(a, `{}`, act, res), "statement 1: Principal is"},
		"a principal without a name": {policyWith(a, `{"AWS":""}`, act, res), "statement 1: Principal is"},
		"a name as principal":        {policyWith(a, `"111111111111"`, act, res), "statement 1: Principal is"},
		"no action":                  {policyWith(a, p, `[]`, res), "statement 1: Action is missing"},
		"an action of S3":            {policyWith(a, p, `["kinesis:PutRecord","s3:Get"]`, res), `statement 1: Action "s3:Get" is not one of Kinesis`},
		"no resource":                {policyWith(a, p, act, `[]`), "statement 1: Resource is missing"},
		"another resource":           {policyWith(a, p, act, `"`+testARN+`x"`), `statement 1: Resource "` + testARN + `x" is not the resource`},
		"too long":                   {goodPolicy + strings.Repeat(" ", maxPolicyBytes+1-len(goodPolicy)), "The resource policy has 20481 bytes. It can have at most 20480."},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkPolicy(tt.policy, testARN)
			if err == nil || !strings.HasPrefix(err.Error(), typeInvalidArgument) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
	for name, policy := range map[string]string{
		"the longest":                        goodPolicy + strings.Repeat(" ", maxPolicyBytes-len(goodPolicy)),
		"one statement in place of the list": `{"Version":"2008-10-17","Statement": {"Effect":"Allow","Principal":{"Service":"x"},"Action":"*","Resource":"*"}}`,
	} {
		if err := checkPolicy(policy, testARN); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPolicyErrors(t *testing.T) {
	h := start(t, 1)
	const violation = "1 validation error detected: "
	for _, tt := range []struct{ operation, body, kind, message string }{
		{"PutResourcePolicy", `{"ResourceARN":"` + testARN + `"}`, typeValidation, violation + "Value null at 'policy' failed to satisfy constraint: Member must not be null"},
		{"PutResourcePolicy", `{"ResourceARN":"` + testARN + `","Policy":""}`, typeInvalidArgument, "The resource policy is not valid: it is not a JSON object with a Version and a Statement."},
		{"GetResourcePolicy", `{"ResourceARN":"arn:aws:kinesis:us-east-1:00000000000x:stream/s"}`, typeValidation, violation +
			`Value 'arn:aws:kinesis:us-east-1:00000000000x:stream/s' at 'resourceARN' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`},
		{"DeleteResourcePolicy", `{"ResourceARN":"` + testARN + `x"}`, typeNotFound, "Stream sx under account 000000000000 not found."},
		{"GetResourcePolicy", `{"ResourceARN":"` + testARN + `/consumer/c:1"}`, typeNotFound, "Resource " + testARN + "/consumer/c:1 not found."},
	} {
		kind, message := h.refused(tt.operation, tt.body)
		equal(t, tt.operation, kind+": "+message, tt.kind+": "+tt.message)
	}
}

func TestPatterns(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"a", "", false}, {"a*c", "abbc", true}, {"a*c", "abcb", false},
		{"a?c", "abc", true}, {"a?c", "ac", false}, {"*b*b", "abab", true}, {"*?", "", false}, {"a**", "a", true},
	} {
		equal(t, tt.pattern+" and "+tt.text, matches(tt.pattern, tt.text), tt.want)
	}
}
