package redis

import "testing"

func TestOldServersAreTold(t *testing.T) {
	for version, want := range map[string]bool{
		"5.0.7": true, "6.0.16": true, "6.2.0": false, "7.0.15": false, "10.1": false, "": false, "unknown": false,
	} {
		if got := len(advice(map[string]string{"redis_version": version})) > 0; got != want {
			t.Errorf("%q: told %v", version, got)
		}
	}
}
