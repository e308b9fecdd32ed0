//go:build !(linux || darwin || freebsd || dragonfly)

package ledger

import "errors"

// locked refuses: the suites need the signals of Unix, so nobody adds here.
func locked(string, func() error) error {
	return errors.New("the ledger is only written on Unix")
}
