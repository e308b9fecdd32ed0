// Package ledger keeps the running total of what the reliability suites ran:
// how often, how much of what, and how often it failed. The total is a JSON file
// that is committed with the code, and the table in the README is made of it, so
// that what is claimed there is what was run.
//
// A suite adds its result with [Add] when it was asked to (its -ledger flag,
// which `make reliability` and its parts give). Ordinary tests add nothing.
package ledger
