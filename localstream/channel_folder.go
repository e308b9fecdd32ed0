package localstream

import (
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/shardrun/shardrun/internal/vfs"
	"github.com/shardrun/shardrun/localstream/internal/state"
)

// folderDir is where the folder that stands for S3 is in the data directory,
// unless Config.ChannelDir says otherwise.
const folderDir = "s3"

// maxFileName is the greatest length of a name that file systems allow, in
// bytes.
const maxFileName = 255

// folder is what stands for S3: a directory with one for each bucket, in which
// every object is a file. A nil folder is none, and channels deliver nothing.
type folder struct {
	fs   vfs.FS
	root string // in fs
}

func (f *folder) path(name string) string { return path.Join(f.root, name) }

// prepare makes the bucket of an object, and says whether the object can be a
// file.
func (f *folder) prepare(name string) error {
	segments := strings.Split(name, "/")
	for _, s := range segments {
		if len(s) > maxFileName {
			return fmt.Errorf("%.40s... has %d characters between slashes, and a file name at most %d", s, len(s), maxFileName)
		}
	}
	return vfs.MkdirAll(f.fs, f.path(segments[0]))
}

// temporary is the name of an object that is being written. It is in the same
// directory, so that it can be renamed in one step.
func temporary(d *state.Delivery, object string) string {
	kind := "-records"
	if object == d.Letters {
		kind = "-errors"
	}
	return path.Join(path.Dir(object), ".incomplete-"+d.ID+kind)
}

// settle finishes a delivery: the objects that were written get their names,
// those that were not are thrown away. It may be called again, also after it
// failed.
func (f *folder) settle(d *state.Delivery) error {
	if f == nil || d == nil {
		return nil
	}
	var errs []error
	for _, object := range []string{d.Object, d.Letters} {
		if err := f.settleObject(d, object); err != nil {
			errs = append(errs, fmt.Errorf("finish object %s: %w", object, err))
		}
	}
	return errors.Join(errs...)
}

// settleObject is settle for one object. One that is not there under its
// temporary name has got its own, or is gone, or was not needed. All the same
// that has to be durable: the delivery will be forgotten.
func (f *folder) settleObject(d *state.Delivery, object string) (err error) {
	temp := f.path(temporary(d, object))
	if d.Written {
		err = f.fs.Rename(temp, f.path(object))
	} else {
		err = f.fs.Remove(temp)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = f.fs.SyncDir(path.Dir(temp))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // not even the directory
	}
	return err
}

// objectWriter writes an object under its temporary name.
type objectWriter struct {
	folder *folder
	temp   string
	file   vfs.File
	buffer *bufio.Writer
	body   io.WriteCloser // compresses into buffer
}

// objectBuffer is how much of an object is gathered before it is written.
const objectBuffer = 64 << 10

// create begins to write an object of a delivery.
func (f *folder) create(d *state.Delivery, object string, compression types.S3CompressionType) (*objectWriter, error) {
	temp := temporary(d, object)
	if err := vfs.MkdirAll(f.fs, f.path(path.Dir(object))); err != nil {
		return nil, err
	}
	file, err := f.fs.Create(f.path(temp))
	if err != nil {
		return nil, fmt.Errorf("create object: %w", err)
	}
	w := &objectWriter{folder: f, temp: temp, file: file, buffer: bufio.NewWriterSize(file, objectBuffer)}
	switch compression {
	case types.S3CompressionTypeGzip:
		w.body = gzip.NewWriter(w.buffer)
	case types.S3CompressionTypeZstd:
		w.body = newZstdWriter(w.buffer)
	default:
		w.body = plain{w.buffer}
	}
	return w, nil
}

// plain compresses nothing.
type plain struct{ io.Writer }

// Close does nothing.
func (plain) Close() error { return nil }

// Write appends to the object.
func (w *objectWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// finish makes the object complete and durable under its temporary name.
func (w *objectWriter) finish() error {
	err := w.body.Close()
	if err == nil {
		err = w.buffer.Flush()
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err = errors.Join(err, w.file.Close()); err == nil {
		err = w.folder.fs.SyncDir(w.folder.path(path.Dir(w.temp)))
	}
	w.file = nil
	if err != nil {
		return fmt.Errorf("write object: %w", err)
	}
	return nil
}

// abandon ends the writing of an object that is to be thrown away.
func (w *objectWriter) abandon() {
	if w.file != nil {
		_ = w.file.Close() // nobody will read it
	}
}
