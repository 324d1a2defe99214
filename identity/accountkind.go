package identity

import "fmt"

// AccountKind is what the email of a [ServiceAccount] says about who made the
// account. It goes by the form of the address alone: nothing keeps a user from
// naming an account service-123, and then it looks like a service agent.
//
// Kinds may be added, so a switch over them needs a default.
//
// https://cloud.google.com/iam/docs/service-account-types
type AccountKind int8

const (
	// AccountUnknown is the kind of the zero ServiceAccount.
	AccountUnknown AccountKind = iota

	// AccountUserManaged is an account that a user created:
	// NAME@PROJECT.iam.gserviceaccount.com. So is, from before there were names,
	// an account NUMBER-HASH@developer.gserviceaccount.com.
	AccountUserManaged

	// AccountComputeDefault is the default account of Compute Engine, and
	// of Cloud Run: NUMBER-compute@developer.gserviceaccount.com.
	AccountComputeDefault

	// AccountAppEngineDefault is the default account of App Engine:
	// PROJECT@appspot.gserviceaccount.com.
	AccountAppEngineDefault

	// AccountServiceAgent is an account that Google manages, and through which
	// its services act: service-NUMBER@HOST.iam.gserviceaccount.com (service-org-
	// and service-folder- likewise), every account at a host gcp-sa-*, and
	// NAME@SERVICE.gserviceaccount.com, such as 123@cloudservices.gserviceaccount.com.
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
