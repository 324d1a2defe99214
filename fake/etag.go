package fake

import (
	"encoding/base64"
	"encoding/binary"
	"strconv"
	"time"
)

// etag returns an etag built as the recorded ones are: the update time as a
// protobuf Timestamp and the resource's name, each in base64, in quotes.
func etag(updated time.Time, name string) string {
	stamp := []byte{1 << 3}
	stamp = binary.AppendUvarint(stamp, uint64(updated.Unix()))
	stamp = append(stamp, 2<<3)
	stamp = binary.AppendUvarint(stamp, uint64(updated.Nanosecond()))
	enc := base64.RawURLEncoding
	return strconv.Quote(enc.EncodeToString(stamp) + "/" + enc.EncodeToString([]byte(name)))
}
