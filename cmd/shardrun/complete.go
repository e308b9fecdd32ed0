package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/shardrun/shardrun/localstream"
)

// completeFlags gives flags of c the values that shells offer for them.
func completeFlags(c *cobra.Command, values map[string][]string) {
	for flag, choices := range values {
		// It fails only for a flag that is not there.
		_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
	}
}

// faultParts are the names that --fault takes, and faultKinds its kinds.
func faultParts() []string {
	return []string{"op", "stream", "shard", "kind", "count", "delay", "type", "message"}
}

func faultKinds() (kinds []string) {
	for _, a := range []localstream.Action{
		localstream.Throttle, localstream.Fail, localstream.ExpireIterator, localstream.Drop, localstream.Delay, localstream.LoseReply,
	} {
		kinds = append(kinds, a.String())
	}
	return kinds
}

// completeFault offers what may come next in a --fault: a name that is not
// there yet, or a kind.
func completeFault(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	head, last := "", typed
	if i := strings.LastIndexByte(typed, ','); i >= 0 {
		head, last = typed[:i+1], typed[i+1:]
	}
	var choices []string
	switch name, _, valued := strings.Cut(last, "="); {
	case valued && name == "kind":
		for _, kind := range faultKinds() {
			choices = append(choices, head+"kind="+kind)
		}
	case valued && name == "count":
		choices = append(choices, head+"count=all")
	case !valued:
		for _, part := range faultParts() {
			if !strings.Contains(","+head, ","+part+"=") {
				choices = append(choices, head+part+"=")
			}
		}
	}
	var fit []string
	for _, c := range choices {
		if strings.HasPrefix(c, typed) {
			fit = append(fit, c)
		}
	}
	return fit, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
