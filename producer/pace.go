package producer

import "time"

// What AWS lets one shard take.
const (
	shardRecordsPerSecond = 1000
	shardBytesPerSecond   = 1 << 20
)

// How the share of the limit moves when Kinesis throttles: down by a factor at
// each throttled call, up by a step per second, never below a floor.
const (
	paceDown  = 0.7
	paceUp    = 0.05
	paceFloor = 1.0 / 64
)

// pace is the write budget of one shard: two token buckets, of Kinesis records
// and of bytes, which hold a second's worth. The share that other producers
// leave to us is found by multiplicative decrease and additive increase.
type pace struct {
	limit   float64 // times the shard's limits; not above 0 is no limit
	share   float64 // of limit, in [paceFloor, 1]
	records float64 // tokens; below 0 is debt
	bytes   float64
	at      time.Time // of the last advance
}

func newPace(limit float64, now time.Time) pace {
	p := pace{limit: limit, share: 1, at: now}
	p.records, p.bytes = p.rates()
	return p
}

// rates are tokens per second, and the most that the buckets hold.
func (p *pace) rates() (records, bytes float64) {
	f := p.limit * p.share
	return f * shardRecordsPerSecond, f * shardBytesPerSecond
}

func (p *pace) advance(now time.Time) {
	dt := now.Sub(p.at).Seconds()
	if dt <= 0 {
		return
	}
	p.at = now
	p.share = min(1, p.share+paceUp*dt)
	records, bytes := p.rates()
	p.records = min(records, p.records+records*dt)
	p.bytes = min(bytes, p.bytes+bytes*dt)
}

// delay is how long to wait until one Kinesis record of size bytes may be sent:
// 0 for now. A record larger than the bucket may go when the bucket is full,
// and leaves a debt.
func (p *pace) delay(now time.Time, size int) time.Duration {
	if p.limit <= 0 {
		return 0
	}
	p.advance(now)
	records, bytes := p.rates()
	wait := max(
		(min(1, records)-p.records)/records,
		(min(float64(size), bytes)-p.bytes)/bytes,
	)
	if wait <= 0 {
		return 0
	}
	// Rounded up, so that the bucket is full enough when the time has passed.
	return time.Duration(wait*float64(time.Second)) + time.Microsecond
}

// spend takes one Kinesis record of size bytes out of the budget.
func (p *pace) spend(size int) {
	p.records--
	p.bytes -= float64(size)
}

// throttled lowers the share after Kinesis refused a record for its rate.
func (p *pace) throttled(now time.Time) {
	p.advance(now)
	p.share = max(paceFloor, p.share*paceDown)
	records, bytes := p.rates()
	p.records = min(p.records, records)
	p.bytes = min(p.bytes, bytes)
}
