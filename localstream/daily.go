package localstream

import (
	"slices"
	"time"
)

// How often some changes of a stream may be made in any 24 hours, as AWS has
// it. The times are kept in memory, so a server that is opened anew counts
// anew.
const (
	scalingsPerDay     = 10
	modeSwitchesPerDay = 2
	encryptionsPerDay  = 25 // starts, and as many stops
)

// daily is when a stream was changed in the last 24 hours. It belongs to the
// keeper.
type daily struct {
	scalings, modeSwitches, encryptionStarts, encryptionStops []time.Time
}

// withinDay gives the times, which rise, of the last 24 hours.
func withinDay(times []time.Time, now time.Time) []time.Time {
	return slices.DeleteFunc(times, func(t time.Time) bool { return now.Sub(t) >= 24*time.Hour })
}

// daily counts what a stream may have only so often in 24 hours, and refuses
// what is over that, if the rates of AWS apply.
func (c *call) daily(times *[]time.Time, most int, v *view, what string) error {
	if c.server.cfg.Limits != LimitsAWS {
		return nil
	}
	now := time.Now()
	recent := withinDay(*times, now)
	if len(recent) >= most {
		return limitExceeded("%s can be called at most %d times in 24 hours for stream %s under account %s.", what, most, v.Name, v.Account)
	}
	*times = append(recent, now)
	return nil
}
