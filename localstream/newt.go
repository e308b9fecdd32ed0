package localstream

// TB is what [NewT] needs of a *testing.T, *testing.B or *testing.F.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// NewT gives a test a server in memory, and closes it at the test's end. What
// config sets is kept but for the Durability, which is Memory; only the first
// is used. In a testing/synctest bubble the server follows the time of the
// bubble.
func NewT(t TB, config ...Config) *Server {
	t.Helper()
	var cfg Config
	if len(config) > 0 {
		cfg = config[0]
	}
	cfg.Durability = Memory
	s, err := Open(cfg)
	if err != nil {
		t.Fatalf("open localstream: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close localstream: %v", err)
		}
	})
	return s
}
