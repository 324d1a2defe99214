package fake

import (
	"encoding/base64"
	"sort"
	"strconv"

	"github.com/runidentity/runidentity/fake/internal/wire"
)

// page cuts what pageSize and pageToken ask for out of sorted ids. A token
// holds the last id of the page before, so that a page follows on whatever
// was added or removed meanwhile.
func (c *call) page(ids []string, usual, most int) (page []string, next string, err error) {
	size := usual
	if s := c.query.Get("pageSize"); s != "" {
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 0 {
			return nil, "", wire.Invalid("Invalid value at 'page_size' (TYPE_INT32), %q", s)
		}
		if n > 0 {
			size = min(int(n), most)
		}
	}
	start := 0
	if token := c.query.Get("pageToken"); token != "" {
		last, err := base64.RawURLEncoding.DecodeString(token)
		if err != nil || len(last) == 0 {
			return nil, "", wire.Invalid("The page token is invalid.")
		}
		start = sort.Search(len(ids), func(i int) bool { return ids[i] > string(last) })
	}
	end := min(start+size, len(ids))
	if end < len(ids) {
		next = base64.RawURLEncoding.EncodeToString([]byte(ids[end-1]))
	}
	return ids[start:end], next, nil
}
