package localstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"go.uber.org/zap"

	"github.com/shardrun/shardrun/localstream/internal/state"
	"github.com/shardrun/shardrun/localstream/internal/wal"
)

// deliverer delivers what there is now.
type deliverer struct {
	server   *Server
	channel  *channel
	template keyTemplate

	// Of the delivery that is being written, nil if there is none.
	delivery *state.Delivery
	objects  map[string]*objectWriter // by path
	next     map[uint32]uint64
	bytes    int
}

func newDeliverer(s *Server, ch *channel) (*deliverer, error) {
	t, err := parseKeyTemplate(ch.S3.Template)
	if err != nil { // was checked when the channel was made
		return nil, fmt.Errorf("key template: %w", err)
	}
	return &deliverer{server: s, channel: ch, template: t}, nil
}

// shard delivers the records of a shard from a number on, up to what was its
// end when this began.
func (d *deliverer) shard(sh state.Shard, from uint64, horizon int64) error {
	log := d.channel.stream.log
	tip, _ := log.Tip(sh.Number)
	for from < tip {
		if err := d.server.closing.Err(); err != nil {
			return err
		}
		p, err := log.Read(sh.Number, from, horizon, deliveryPageRecords, deliveryPage)
		if err != nil {
			return fmt.Errorf("deliver: %w", err)
		}
		if len(p.Records) == 0 {
			return nil // they have expired, and their place will be passed when others come
		}
		err = d.page(sh, &p)
		p.Free()
		if err != nil {
			return err
		}
		from = p.Next
	}
	return nil
}

// key is an error if the channel's own key does not work.
func (d *deliverer) key() error {
	if err := d.server.kms.use(d.channel.stream.key, d.channel.KMSKey); err != nil {
		return fmt.Errorf("%w: %w", errKey, err)
	}
	return nil
}

// page delivers a page, in a new delivery if there is none. One with a key that
// does not work has to wait. When there is no room for it, what was delivered
// until then is committed.
func (d *deliverer) page(sh state.Shard, p *wal.Page) error {
	if err := d.server.mayRead(d.channel.stream.view.Load(), sh.Number, p.Records); err != nil {
		return fmt.Errorf("%w: %w", errKey, err)
	}
	if err := d.room(p.Records); err != nil {
		return errors.Join(err, d.commit())
	}
	if d.delivery == nil {
		if err := d.begin(); err != nil {
			return err
		}
	}
	for i := range p.Records {
		if err := d.record(sh, &p.Records[i]); err != nil {
			return err
		}
	}
	d.next[sh.Number] = p.Next
	if d.bytes < d.server.cfg.objectBytes {
		return nil
	}
	return d.commit()
}

// unwritten is more than what the two objects of a delivery have in memory.
const unwritten = 4 * objectBuffer

// room is an error if the disk would be too full with records that are still to
// be delivered: then it would be the journal that finds no room next.
func (d *deliverer) room(recs []wal.Record) error {
	least := d.server.cfg.MinFreeBytes
	if least <= 0 {
		return nil
	}
	free, err := d.server.folder.fs.Free()
	if errors.Is(err, errors.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("how much of the disk is free: %w", err)
	}
	need := int64(unwritten)
	for i := range recs {
		need += int64(max(len(recs[i].Data)+1, letterBytes))
	}
	if free-need < least {
		return fmt.Errorf("the disk has %d bytes left, and %d are to stay free", free, least)
	}
	return nil
}

// begin makes a delivery known.
func (d *deliverer) begin() error {
	next := newDelivery(d.channel.Channel, d.template, d.channel.stream.key.Name, time.Now())
	if err := d.change(state.ChannelEvent{Planned: &state.ChannelPlanned{ID: d.channel.ID, Delivery: next}}); err != nil {
		return err
	}
	d.delivery, d.objects, d.next, d.bytes = &next, map[string]*objectWriter{}, map[uint32]uint64{}, 0
	return nil
}

// record adds a record to the objects, or a dead letter about it.
func (d *deliverer) record(sh state.Shard, r *wal.Record) error {
	d.bytes += len(r.Data) + 1
	format := types.RecordFormatType(d.channel.Format)
	if problem := formatProblem(format, r.Data); problem != "" {
		return d.letter(sh, r, problem)
	}
	w, err := d.object(d.delivery.Object, types.S3CompressionType(d.channel.S3.Compression))
	if err != nil {
		return err
	}
	if _, err = w.Write(r.Data); err == nil && endsLine(format, r.Data) {
		_, err = w.Write([]byte{'\n'})
	}
	return err
}

// endsLine reports whether a line has to end behind a record: records of text
// are lines, and those of bytes just follow one another.
func endsLine(format types.RecordFormatType, data []byte) bool {
	return format != types.RecordFormatTypeByteArray && (len(data) == 0 || data[len(data)-1] != '\n')
}

// formatProblem says why a record is not of a format; nothing if it is.
func formatProblem(format types.RecordFormatType, data []byte) string {
	switch {
	case format == types.RecordFormatTypeJson && !json.Valid(data):
		return "The record is not valid JSON."
	case format == types.RecordFormatTypeString && !utf8.Valid(data):
		return "The record is not a valid UTF-8 string."
	}
	return ""
}

// letterBytes is more than what a dead letter takes.
const letterBytes = 1 << 10

// deadLetter tells of a record that was not delivered. It has not got the
// record: AWS does not keep it either.
type deadLetter struct {
	StreamARN      string `json:"streamARN"`
	ShardID        string `json:"shardId"`
	SequenceNumber string `json:"sequenceNumber"`
	Arrival        string `json:"approximateArrivalTimestamp"`
	ErrorCode      string `json:"errorCode"`
	ErrorMessage   string `json:"errorMessage"`
}

// letter writes a dead letter.
func (d *deliverer) letter(sh state.Shard, r *wal.Record, problem string) error {
	w, err := d.object(d.delivery.Letters, types.S3CompressionTypeNone)
	if err != nil {
		return err
	}
	b, err := json.Marshal(deadLetter{
		StreamARN: d.channel.stream.key.ARN(), ShardID: state.ShardID(sh.Number), SequenceNumber: sh.At(r.Seq, r.Arrival).String(),
		Arrival: time.UnixMilli(r.Arrival).UTC().Format(time.RFC3339Nano), ErrorCode: "InvalidRecordFormat", ErrorMessage: problem,
	})
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	return err
}

// object is one of the two of the delivery, which is begun if it was not.
func (d *deliverer) object(path string, compression types.S3CompressionType) (*objectWriter, error) {
	if w := d.objects[path]; w != nil {
		return w, nil
	}
	w, err := d.server.folder.create(d.delivery, path, compression)
	if err == nil {
		d.objects[path] = w
	}
	return w, err
}

// commit ends the delivery that is being written, if there is one.
func (d *deliverer) commit() error {
	if d.delivery == nil {
		return nil
	}
	for _, path := range []string{d.delivery.Object, d.delivery.Letters} {
		if w := d.objects[path]; w != nil {
			if err := w.finish(); err != nil {
				return err
			}
		}
	}
	if err := d.change(state.ChannelEvent{Written: &state.ChannelWritten{ID: d.channel.ID, Delivery: d.delivery.ID, Next: d.next}}); err != nil {
		if errors.Is(err, errNoDelivery) {
			return err
		}
		d.delivery = nil // not to be thrown away
		return fmt.Errorf("%w: %w", errInDoubt, err)
	}
	done := *d.delivery
	done.Written = true
	d.delivery = nil
	return d.server.folder.settle(&done)
}

// abandon throws away what was written of a delivery that is not committed.
func (d *deliverer) abandon() {
	if d.delivery == nil {
		return
	}
	for _, w := range d.objects {
		w.abandon()
	}
	if err := d.server.folder.settle(d.delivery); err != nil {
		d.server.logger.Warn("an object that is not complete remains", zap.String("channel", d.channel.Name), zap.Error(err))
	}
}

// change changes the channel, unless it has stopped to deliver.
func (d *deliverer) change(e state.ChannelEvent) error {
	return d.server.change(d.server.closing, func(m *metadata) error {
		if ch := m.state.Channels[d.channel.ID]; ch == nil || !ch.Delivers() {
			return errNoDelivery
		}
		return m.saveChannel(d.channel.ID, d.channel.stream, e)
	})
}
