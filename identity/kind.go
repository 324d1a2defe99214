package identity

import (
	"fmt"
	"strings"
)

// Kind is which of Cloud Run's resources a [Workload] is.
//
// Kinds may be added, so a switch over them needs a default.
type Kind int8

const (
	// KindUnknown is the kind of the zero Workload. No method accepts it.
	KindUnknown Kind = iota

	// KindJob is a job, which runs to completion when executed.
	KindJob

	// KindService is a service, which answers requests.
	KindService

	// KindWorkerPool is a worker pool, which runs all the time without requests.
	KindWorkerPool
)

// String returns the kind in words for people, such as "worker pool".
func (k Kind) String() string {
	switch k {
	case KindUnknown:
		return "unknown"
	case KindJob:
		return "job"
	case KindService:
		return "service"
	case KindWorkerPool:
		return "worker pool"
	}
	return fmt.Sprintf("Kind(%d)", int8(k))
}

// MarshalText returns a code: "job", "service" or "worker-pool", and "" for
// KindUnknown.
func (k Kind) MarshalText() ([]byte, error) {
	if k == KindUnknown {
		return nil, nil
	}
	return []byte(strings.ReplaceAll(k.String(), " ", "-")), nil
}

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(text []byte) error {
	for _, known := range []Kind{KindUnknown, KindJob, KindService, KindWorkerPool} {
		if code, _ := known.MarshalText(); string(code) == string(text) {
			*k = known
			return nil
		}
	}
	return fmt.Errorf("kind %s must be job, service or worker-pool", quote(string(text)))
}

// collection returns the segment that stands before the id in the names of
// workloads of kind k, "" for an unknown kind.
func (k Kind) collection() string {
	switch k {
	case KindJob:
		return "jobs"
	case KindService:
		return "services"
	case KindWorkerPool:
		return "workerPools"
	default:
		return ""
	}
}

// kindOf returns the kind of the workloads in collection.
func kindOf(collection string) Kind {
	switch collection {
	case "jobs":
		return KindJob
	case "services":
		return KindService
	case "workerPools":
		return KindWorkerPool
	default:
		return KindUnknown
	}
}
