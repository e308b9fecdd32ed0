package rediskeys

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxGroup is the longest name of a group, in bytes.
const maxGroup = 256

// Keys are the keys of a group in the order in which scripts take them. The
// braces put them into one slot of a cluster.
func Keys(group string) []string {
	out := make([]string, 0, 8)
	for _, k := range []string{"m", "s", "i", "o", "c", "d", "g", "w"} {
		out = append(out, "{"+group+"}:"+k)
	}
	return out
}

// Channel is where changes of a group are announced.
func Channel(group string) string { return "{" + group + "}:ev" }

// ValidateGroup reports why a name cannot be a group's: it must be 1 to 256
// bytes of printable UTF-8 without braces, which Redis Cluster reads.
func ValidateGroup(group string) error {
	switch {
	case group == "":
		return errors.New("group name is empty")
	case len(group) > maxGroup:
		return fmt.Errorf("group name has %d bytes, at most %d are allowed", len(group), maxGroup)
	case !utf8.ValidString(group):
		return fmt.Errorf("group name %q is not UTF-8", group)
	case strings.ContainsAny(group, "{}"):
		return fmt.Errorf("group name %q has a brace, which would change where Redis Cluster puts its keys", group)
	case strings.ContainsFunc(group, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fmt.Errorf("group name %q has a control character", group)
	}
	return nil
}
