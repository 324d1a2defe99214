package fake

import "fmt"

// newSerial returns a number that no earlier call returned.
func (st *state) newSerial() int64 {
	st.serial++
	return st.serial
}

// newUUID returns a string of a UUID's form, a different one each time.
func (st *state) newUUID() string {
	n := mix(uint64(st.newSerial()))
	m := mix(n)
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", uint32(n), uint16(n>>32), n>>48&0xfff, 0x8000|m>>48&0x3fff, m&0xffffffffffff)
}

// suffix returns n letters and digits, different ones each time.
func (st *state) suffix(n int) string {
	const letters = "bcdfghjklmnpqrstvwxz2456789"
	out := make([]byte, n)
	for i, v := 0, mix(uint64(st.newSerial())); i < n; i++ {
		out[i] = letters[v%uint64(len(letters))]
		v /= uint64(len(letters))
	}
	return string(out)
}

// mix scatters a counter over all of its bits (splitmix64), for ids that look
// as the real ones do and are the same in every run.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
