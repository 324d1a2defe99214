package fake

import "time"

// tick returns the time of a write: later than any write before it, so that no
// two have the same etag.
func (st *state) tick(now time.Time) time.Time {
	now = now.Truncate(time.Microsecond)
	if !now.After(st.lastWrite) {
		now = st.lastWrite.Add(time.Microsecond)
	}
	st.lastWrite = now
	return now
}

// timestamp formats a time as the API does, to the microsecond.
func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }
