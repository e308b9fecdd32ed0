// Package mutants is a gallery of bugs that we planted to see whether our tests
// find them. Each is small and one that a good engineer could make: an fsync
// that is forgotten, a comparison that is off by one, a check that is skipped.
// A test suite that lets one live would let the real one live too.
//
// A mutant is a piece of text in one file and what stands there instead. It is
// never written into the checkout: package hunt builds with an overlay. An
// ordinary test checks that each piece of text still occurs exactly once, so that
// the gallery follows the code; `make mutants` hunts them all and fails when one
// survives.
package mutants
