package demo

import (
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"

	"github.com/shardrun/shardrun/lease"
)

// Config says how the demo runs. All fields are required unless said.
type Config struct {
	// Records is how many records are sent, at least 2,500 so that each
	// generation of shards gets 500. A shorter input is repeated.
	Records int
	// Rate is how many records are sent in a second, 0 for full speed.
	Rate float64
	// Shards and Workers are how many there are at the start. At least 1 and 2.
	Shards, Workers int
	// Stream is the name of the stream, which is made by the demo, and Keep
	// leaves it there at the end. Group is the name of the group of workers; it
	// must be one that nobody else has.
	Stream, Group string
	Keep          bool
	// Input opens the flights, one JSON object a line.
	Input func() (io.ReadCloser, error)
	// Client and Store are where the stream and the leases are. Nil means
	// embedded: localstream in this process, leases in memory.
	Client *kinesis.Client
	Store  lease.Store
	// Where says in words where they are, for the first line.
	Where string
	// Out is where the demo shows itself, with a live view when Live is set.
	// io.Discard shows nothing.
	Out  io.Writer
	Live bool
}

// Validate names what is wrong, by the flags of the command.
func (c Config) Validate() error {
	switch {
	case c.Records < leastRecords:
		return fmt.Errorf("--records %d: at least %d, so that %d land in each generation of shards", c.Records, leastRecords, leastGeneration)
	case c.Rate < 0:
		return fmt.Errorf("--rate %v: records per second, or 0 for full speed", c.Rate)
	case c.Shards < 1:
		return fmt.Errorf("--shards %d: at least 1", c.Shards)
	case c.Workers < 2:
		return fmt.Errorf("--workers %d: at least 2, because one is killed, one is drained and one joins", c.Workers)
	}
	return nil
}
