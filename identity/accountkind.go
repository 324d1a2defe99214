package identity

import "fmt"

// AccountKind is what the email of a [ServiceAccount] says about who made the
// account. It goes by the form of the address alone: an account that a user named
// service-123 may look like a service agent.
//
// Kinds may be added, so a switch over them needs a default.
//
// https://cloud.google.com/iam/docs/service-account-types
type AccountKind int8

const (
	// AccountUnknown is the kind of the zero ServiceAccount.
	AccountUnknown AccountKind = iota

	// AccountUserManaged is an account that a user created:
	// NAME@PROJECT.iam.gserviceaccount.com. Accounts from before there were
	// names, NUMBER-HASH@developer.gserviceaccount.com, are of this kind as well.
	AccountUserManaged

	// AccountComputeDefault is the default account of Compute Engine, and
	// of Cloud Run: NUMBER-compute@developer.gserviceaccount.com.
	AccountComputeDefault

	// AccountAppEngineDefault is the default account of App Engine:
	// PROJECT@appspot.gserviceaccount.com.
	AccountAppEngineDefault

	// AccountServiceAgent is an account that Google manages, and through which
	// its services act. Its address is
	// service-NUMBER@HOST.iam.gserviceaccount.com (service-org- and
	// service-folder- likewise), any at a host gcp-sa-*, or
	// NAME@SERVICE.gserviceaccount.com, such as
	// 123@cloudservices.gserviceaccount.com.
	AccountServiceAgent
)

// String returns the kind in words for people, such as "service agent".
func (k AccountKind) String() string {
	switch k {
	case AccountUnknown:
		return "unknown"
	case AccountUserManaged:
		return "user-managed"
	case AccountComputeDefault:
		return "Compute Engine default"
	case AccountAppEngineDefault:
		return "App Engine default"
	case AccountServiceAgent:
		return "service agent"
	}
	return fmt.Sprintf("AccountKind(%d)", int8(k))
}
