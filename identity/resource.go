package identity

import (
	"errors"
	"fmt"

	"google.golang.org/api/run/v2"
)

// A Resource is a workload in the form of the generated client, for programs
// that make the API calls themselves.
type Resource interface {
	*run.GoogleCloudRunV2Job | *run.GoogleCloudRunV2Service | *run.GoogleCloudRunV2WorkerPool
}

// Of returns the identity in a resource. It is zero if the resource's template
// names none, which means the project's default, and if resource is nil. Of returns an error if the
// resource runs as an agent identity ([ErrAgentIdentity]), or if its template
// names what isn't the address of a service account.
func Of[R Resource](resource R) (ServiceAccount, error) {
	var t taskTemplate
	switch r := any(resource).(type) {
	case *run.GoogleCloudRunV2Job:
		if r != nil && r.Template != nil && r.Template.Template != nil {
			t = taskTemplate{r.Template.Template.ServiceAccount, r.Template.Template.WorkloadIdentityConfig}
		}
	case *run.GoogleCloudRunV2Service:
		if r != nil && r.Template != nil {
			t = taskTemplate{r.Template.ServiceAccount, r.Template.WorkloadIdentityConfig}
		}
	case *run.GoogleCloudRunV2WorkerPool:
		if r != nil && r.Template != nil {
			t = taskTemplate{ServiceAccount: r.Template.ServiceAccount}
		}
	}
	if isAgent(t.Identity) {
		return ServiceAccount{}, ErrAgentIdentity
	}
	sa, err := accountOf(t.ServiceAccount)
	if err != nil {
		return sa, fmt.Errorf("the identity in the resource: %w", err)
	}
	return sa, nil
}

// Set puts an identity into a resource that is about to be created or replaced.
// It makes the template if that is missing. It clears an explicit revision name in
// the template of a service or worker pool, since a name can't be used for two
// revisions. Set returns an error, and leaves the resource unchanged, if sa is
// zero, if resource is nil, or if the resource runs as an agent identity
// ([ErrAgentIdentity]).
func Set[R Resource](resource R, sa ServiceAccount) error {
	if err := sa.validate(); err != nil {
		return err
	}
	if resource == nil {
		return errors.New("the resource is nil")
	}
	if _, err := Of(resource); errors.Is(err, ErrAgentIdentity) {
		return err
	}
	switch r := any(resource).(type) {
	case *run.GoogleCloudRunV2Job:
		if r.Template == nil {
			r.Template = &run.GoogleCloudRunV2ExecutionTemplate{}
		}
		if r.Template.Template == nil {
			r.Template.Template = &run.GoogleCloudRunV2TaskTemplate{}
		}
		r.Template.Template.ServiceAccount = sa.Email()
	case *run.GoogleCloudRunV2Service:
		if r.Template == nil {
			r.Template = &run.GoogleCloudRunV2RevisionTemplate{}
		}
		r.Template.ServiceAccount, r.Template.Revision = sa.Email(), ""
	case *run.GoogleCloudRunV2WorkerPool:
		if r.Template == nil {
			r.Template = &run.GoogleCloudRunV2WorkerPoolRevisionTemplate{}
		}
		r.Template.ServiceAccount, r.Template.Revision = sa.Email(), ""
	}
	return nil
}

// validate refuses the zero value, in the parser's words.
func (sa ServiceAccount) validate() error {
	_, err := ParseServiceAccount(sa.email)
	return err
}
