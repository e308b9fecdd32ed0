package consumer

import "time"

// pace spaces the reads of one shard. It keeps what AWS allows: so many reads a
// second, and so many bytes, where a long answer is paid for afterwards.
type pace struct {
	reads  float64 // a second, negative for no limit
	bytes  int     // a second, negative for no limit
	idle   time.Duration
	minGap time.Duration // of idle reads, the first and the longest
	maxGap time.Duration
}

// next is how long after the start of a read the following one may start, when
// it brought so many bytes, or found nothing at the tip of the stream.
func (p *pace) next(bytes int, idle bool) time.Duration {
	var gap time.Duration
	if p.reads > 0 {
		gap = time.Duration(float64(time.Second) / p.reads)
	}
	if p.bytes > 0 {
		gap = max(gap, time.Duration(float64(bytes)/float64(p.bytes)*float64(time.Second)))
	}
	if !idle {
		p.idle = 0
		return gap
	}
	p.idle = min(max(2*p.idle, p.minGap), p.maxGap)
	return max(gap, p.idle)
}
