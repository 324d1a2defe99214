// Package stored is about JSON that is kept in files and read by later releases.
package stored

import (
	"encoding/json"
	"fmt"
)

// CheckVersion refuses JSON that has no "version", or another one than the one that
// is known. What names the thing in the error, such as "preflight report".
func CheckVersion(what string, text []byte, known int) error {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	switch {
	case head.Version == nil:
		return fmt.Errorf("%s: version: missing; %d is the one that is known", what, known)
	case *head.Version != known:
		return fmt.Errorf("%s: version: %d is not a version that is known: %d is", what, *head.Version, known)
	}
	return nil
}
