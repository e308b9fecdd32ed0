package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream"
)

// kinesisNode is the Kinesis server: localstream on a disk that loses, at a
// power failure, what was not synced.
type kinesisNode struct {
	log    *zap.Logger
	work   *sync.WaitGroup // of the world
	source *source
	limits localstream.Limits
	rolls  int64 // bytes at which a segment of the log is full, 0 is the default

	// mu guards all below.
	mu      sync.Mutex
	disk    *vfs.Crash
	server  *localstream.Server // nil while it is down
	crashed chan struct{}       // closed when this server crashes
	faulty  *vfs.Faulty         // the disk of the server when it fails, or will; else nil
	fuse    chan struct{}       // closed by the next sync, nil when nobody waits for one
}

func (k *kinesisNode) config() localstream.Config {
	return localstream.Config{
		Durability: localstream.Sync, Limits: k.limits, Logger: k.log,
		UpdateDelay: 300 * time.Millisecond, // a reshard is not done at once
	}
}

func newKinesis(log *zap.Logger, work *sync.WaitGroup, s *source, limits localstream.Limits, rolls int64) (*kinesisNode, error) {
	k := &kinesisNode{log: log, work: work, source: s, limits: limits, rolls: rolls, disk: vfs.NewCrash()}
	return k, k.boot(nil)
}

// current is the server, nil when there is none, and what is closed when it
// crashes.
func (k *kinesisNode) current() (*localstream.Server, <-chan struct{}) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.server, k.crashed
}

// failed reports whether the disk of the server has failed.
func (k *kinesisNode) failed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.faulty != nil && k.faulty.Fired()
}

// syncs tells who waits for a sync that one begins.
func (k *kinesisNode) syncs() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fuse != nil {
		close(k.fuse)
		k.fuse = nil
	}
}

// nextSync is closed when the next sync begins.
func (k *kinesisNode) nextSync() <-chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fuse == nil {
		k.fuse = make(chan struct{})
	}
	return k.fuse
}

// crash cuts the power: what was not synced is lost in part or as a whole, and
// requests on their way get no answer. It reports whether there was a server.
func (k *kinesisNode) crash(dice *rand.Rand) bool {
	k.mu.Lock()
	old, crashed := k.server, k.crashed
	if old != nil {
		k.disk = k.disk.CrashClone(dice)
		k.server = nil
		close(crashed)
	}
	k.mu.Unlock()
	if old != nil {
		// What is left of the process writes to a disk that nobody looks at.
		k.work.Go(func() { _ = old.Close() })
	}
	return old != nil
}

// boot starts a server on what the disk has. A plan makes one of its operations
// fail.
func (k *kinesisNode) boot(plan *vfs.Plan) error {
	k.mu.Lock()
	disk := k.disk
	running := k.server != nil
	k.mu.Unlock()
	if running {
		return nil
	}
	var fsys vfs.FS = disk
	var faulty *vfs.Faulty
	if plan != nil {
		faulty = vfs.Fault(disk, *plan)
		fsys = faulty
	}
	server, err := localstream.OpenOn(slowDisk{fsys, k.source, k.syncs}, k.rolls, k.config())
	if err != nil {
		return fmt.Errorf("the server does not come back: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.server, k.crashed, k.faulty = server, make(chan struct{}), faulty
	return nil
}

// unsound reports whether the disk of the server fails, or will.
func (k *kinesisNode) unsound() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.server != nil && k.faulty != nil
}

// rot flips a bit of a file of the log. The server must be down.
func (k *kinesisNode) rot(dice *rand.Rand) error {
	k.mu.Lock()
	disk := k.disk
	k.mu.Unlock()
	var files []string
	if err := walk(disk, ".", &files); err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New("no files")
	}
	return disk.Damage(files[dice.IntN(len(files))], func(data []byte) []byte {
		if len(data) > 0 {
			data[dice.IntN(len(data))] ^= 1 << dice.IntN(8)
		}
		return data
	})
}

// walk lists the files below a directory, in order.
func walk(fsys vfs.FS, dir string, files *[]string) error {
	entries, err := fsys.List(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name)
		if !e.Dir {
			*files = append(*files, name)
		} else if err := walk(fsys, name, files); err != nil {
			return err
		}
	}
	return nil
}
