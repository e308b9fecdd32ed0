package history

// Descriptions in violations remember what they describe, so that the violation
// can be found in the timeline.
type (
	// moment is when an event was.
	moment struct {
		text  string
		event int // none for never
	}
	// mention is of where a user record is.
	mention struct {
		text  string
		place uint32
	}
	// holder is who owned a lease.
	holder struct {
		text   string
		tenure uint32
	}
)

func (m moment) String() string  { return m.text }
func (s mention) String() string { return s.text }
func (h holder) String() string  { return h.text }

// eventOf is the event at which what a violation speaks of went wrong, as far as
// its words tell: the first moment that they name, else the delivery, else the
// acknowledgement of the first record. It is none when they name nothing.
func (j *judge) eventOf(words []any) int {
	var (
		where    *mention
		who      *holder
		fallback = none
	)
	for _, w := range words {
		switch w := w.(type) {
		case moment:
			if w.event != none {
				return w.event
			}
		case mention:
			if where == nil {
				where = &w
			}
		case holder:
			if who == nil {
				who = &w
			}
		}
	}
	if where == nil && who == nil {
		return none
	}
	for e, ev := range j.t.events {
		switch ev.kind { //nolint:exhaustive // others are of no record
		case kindDelivered:
			d := &j.t.deliveries[ev.i]
			if (where == nil || d.place == where.place) && (who == nil || d.tenure == who.tenure) {
				return e
			}
		case kindEnd:
			if end := &j.t.ends[ev.i]; fallback == none && where != nil && end.acked && end.place == where.place {
				fallback = e
			}
		}
	}
	return fallback
}
