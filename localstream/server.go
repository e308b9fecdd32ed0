package localstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/wal"
	"github.com/shardrun/shardrun/localstream/internal/wire"
)

// Server is a Kinesis Data Streams server. [Open] makes one, [Server.Close]
// ends it. All methods may be called concurrently.
type Server struct {
	cfg     Config
	logger  *zap.Logger
	fs      vfs.FS
	release []io.Closer // the lock and the directory, closed last
	started time.Time

	operations map[string]*operation
	decoder    wire.Decoder
	buffers    sync.Pool // of *buffers, for requests and answers
	large      sync.Pool // of *buffers, for requests that are large
	sealer     *sealer
	faults     faults
	refusals   refusals
	calls      callRates
	kms        *kmsKeys
	ids        *requestIDs
	inFlight   *budget
	keys       map[string]*credential // by their ids
	peers      *headcount             // of the requests of each peer
	authority  *authority             // of generated certificates, or nil
	space      *space                 // nil if there is room for everything

	catalog  atomic.Pointer[catalog]
	channels atomic.Pointer[channels]
	metadata *metadata            // the keeper's
	changes  chan func(*metadata) // to the keeper; not buffered: the caller waits for the answer anyway

	folder     *folder       // stands for S3; nil for none
	delivering chan struct{} // holds a token while a channel delivers; capacity 1 makes it a lock that may be held over I/O

	closing    context.Context // done when Close was called
	close      context.CancelFunc
	background sync.WaitGroup // the keeper, the upkeep, transitions, deliveries

	// mu guards the two below.
	mu       sync.Mutex
	closed   bool
	requests sync.WaitGroup // being handled; only grows while closed is false

	closeOnce sync.Once
	closeErr  error
}

// Open opens the server on its data directory, or on an empty one, and
// recovers what the last one left, however it ended. It fails if another
// process has the directory, if the directory cannot be written, or with a
// [*DamagedError] if the metadata is damaged, or missing while there are streams.
// Damaged records do not keep a server from opening: the shards that lost them
// refuse to serve, and Config.Damaged is told of them.
func Open(cfg Config) (*Server, error) { return OpenOn(nil, 0, cfg) }

// OpenOn is [Open] on a file system of its own, in place of Config.DataDir; nil
// is none. A segment of a log is full at segmentBytes; 0 is the default. The type
// of the file system is internal: this is for the simulation of this module,
// which fails disks, cuts their power, and sees segments fill up.
func OpenOn(fsys vfs.FS, segmentBytes int64, cfg Config) (*Server, error) {
	if fsys != nil {
		cfg.fs = fsys
	}
	cfg.segmentBytes = cmp.Or(segmentBytes, cfg.segmentBytes)
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, logger: cfg.Logger, started: time.Now(), changes: make(chan func(*metadata)),
		delivering: make(chan struct{}, 1), ids: newRequestIDs()}
	s.keys, s.cfg.Keys = cfg.credentials(), nil
	s.cfg.TLS = cfg.TLS.Clone()
	s.peers = newHeadcount(maxPeerRequests)
	s.operations = operationsByName()
	s.inFlight = newBudget(cmp.Or(cfg.maxInFlight, maxInFlight))
	s.kms = newKMSKeys(cfg.KMSKeys)
	s.buffers.New = func() any { return new(buffers) }
	if err := s.openFiles(); err != nil {
		return nil, fmt.Errorf("open localstream: %w", err)
	}
	if err := s.openTLS(); err != nil {
		return nil, fmt.Errorf("open localstream: %w", errors.Join(err, s.closeFiles()))
	}
	s.space = newSpace(s)
	if err := s.openState(); err != nil {
		return nil, fmt.Errorf("open localstream: %w", errors.Join(err, s.closeFiles()))
	}
	s.logger.Info("open", zap.Stringer("durability", cfg.Durability), zap.String("data_dir", cfg.DataDir),
		zap.Int("streams", len(*s.catalog.Load())))
	return s, nil
}

// openFiles opens and locks the data directory.
func (s *Server) openFiles() error {
	s.fs = s.cfg.fs
	switch {
	case s.fs != nil:
	case s.cfg.Durability == Memory:
		s.fs = vfs.NewMemory()
	default:
		dir, err := vfs.OpenOS(s.cfg.DataDir)
		if err != nil {
			return err
		}
		s.fs = dir
		s.release = append(s.release, dir)
	}
	lock, err := s.fs.Lock(lockName)
	if err != nil {
		return errors.Join(fmt.Errorf("data directory %s: %w", s.cfg.DataDir, err), s.closeFiles())
	}
	s.release = append(s.release, lock)
	if err := s.openFolder(); err != nil {
		return errors.Join(err, s.closeFiles())
	}
	return nil
}

// openFolder opens the directory that stands for S3, if there is one.
func (s *Server) openFolder() error {
	switch {
	case s.cfg.ChannelDir != "":
		dir, err := vfs.OpenOS(s.cfg.ChannelDir)
		if err != nil {
			return fmt.Errorf("directory of channels: %w", err)
		}
		s.release = append(s.release, dir)
		s.folder = &folder{fs: dir, root: "."}
	case s.cfg.Durability != Memory:
		s.folder = &folder{fs: s.fs, root: folderDir}
	}
	return nil
}

// openState recovers metadata and logs and starts the background work.
func (s *Server) openState() error {
	m, err := openMetadata(s)
	if err != nil {
		return err
	}
	s.metadata = m
	if s.sealer, err = newSealer(m.state.Secret); err != nil {
		return err
	}
	c, err := m.openAll()
	s.catalog.Store(&c)
	if err != nil {
		return err
	}
	s.space.begin()
	ch := m.openChannels()
	s.channels.Store(&ch)
	s.closing, s.close = context.WithCancel(context.Background())
	if err := errors.Join(m.resume(), m.resumeChannels()); err != nil {
		s.close()
		s.background.Wait()
		return err
	}
	s.background.Go(func() { s.keep(m) })
	s.background.Go(s.upkeep)
	return nil
}

// closeFiles closes logs, journal and directory, whatever of them is open.
func (s *Server) closeFiles() error {
	var errs []error
	if c := s.catalog.Load(); c != nil {
		for _, st := range *c {
			errs = append(errs, st.log.Close())
		}
	}
	if s.metadata != nil {
		errs = append(errs, s.metadata.journal.Close())
	}
	for _, c := range slices.Backward(s.release) {
		errs = append(errs, c.Close())
	}
	s.release = nil
	return errors.Join(errs...)
}

// Close ends the server: it refuses new requests, waits for those that it is
// handling, and makes everything durable. Clients that are slow to send their
// request or to read the answer are cut off after two seconds. It may be called
// twice. What the log or the disk has to say last is its error.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.close()
		s.requests.Wait()
		s.background.Wait()
		if err := s.closeFiles(); err != nil {
			s.closeErr = fmt.Errorf("close localstream: %w", err)
		}
		s.logger.Info("closed", zap.Error(s.closeErr))
	})
	return s.closeErr
}

// enter counts a request in, unless the server is closing. Each true needs a
// call of s.requests.Done.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.requests.Add(1)
	return true
}

func (s *Server) walDurability() wal.Durability {
	switch s.cfg.Durability {
	case Async:
		return wal.Async
	case Memory:
		return wal.Memory
	}
	return wal.Sync
}
