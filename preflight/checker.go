package preflight

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/api/cloudresourcemanager/v1"
	crmv3 "google.golang.org/api/cloudresourcemanager/v3"
	"google.golang.org/api/iam/v1"
	iamv2 "google.golang.org/api/iam/v2"
	"google.golang.org/api/option"
	"google.golang.org/api/orgpolicy/v2"
	"google.golang.org/api/policytroubleshooter/v3"
	"google.golang.org/api/run/v2"
	"google.golang.org/api/serviceusage/v1"

	"github.com/runidentity/runidentity/identity"
	"github.com/runidentity/runidentity/internal/rest"
	"github.com/runidentity/runidentity/internal/settings"
)

// A Checker checks whether deploys would work. [NewChecker] makes one. It is safe
// for concurrent use once its fields are set, and holds nothing that needs closing.
//
// Each service may be replaced, or set to nil if it must not be used: checks that
// need a nil service are Unknown. A zero Checker calls nothing: every check is Unknown.
type Checker struct {
	// Caller is who calls the APIs, as a member of an allow policy, such as
	// "serviceAccount:bot@web-prod.iam.gserviceaccount.com". NewChecker fills it in
	// if the credentials tell. If empty, checks of the caller work all the same, but
	// fixes can't name whom to grant to: their Member is "".
	Caller string

	Run               *run.Service                  // Cloud Run v2
	IAM               *iam.Service                  // IAM v1
	DenyPolicies      *iamv2.Service                // IAM v2
	ResourceManager   *crmv3.Service                // Resource Manager v3
	ResourceManagerV1 *cloudresourcemanager.Service // for the ancestors of a project
	OrgPolicy         *orgpolicy.Service            // Organization Policy v2
	ServiceUsage      *serviceusage.Service         // Service Usage v1
	Troubleshooter    *policytroubleshooter.Service // only for [CheckOptions.Troubleshoot]
	// Identity reads the identity that a workload has, and sends the change for
	// [CheckOptions.ValidateOnly].
	Identity *identity.Client

	// GroupMembers returns the direct members of a Google group, as members of an
	// allow policy. None of the APIs used here lists group members. If it is nil or
	// returns an error, what depends on the group is Unknown and names the group.
	GroupMembers func(ctx context.Context, email string) ([]string, error)
}

// NewChecker returns a checker that uses Application Default Credentials unless the
// options say otherwise. It refuses [option.WithEndpoint], since it asks several
// APIs: to use another endpoint for one of them, replace that service's field.
//
// No API is called. Without a credentials file, NewChecker asks the machine's
// metadata server which account it runs as, for 2 seconds at most.
func NewChecker(ctx context.Context, opts ...option.ClientOption) (*Checker, error) {
	if err := settings.RefuseEndpoint(opts...); err != nil {
		return nil, fmt.Errorf("new checker: %w", err)
	}
	c := new(Checker)
	errs := []error{
		connect(ctx, &c.Run, rest.Service("run", run.NewService), opts),
		connect(ctx, &c.IAM, rest.Service("iam", iam.NewService), opts),
		connect(ctx, &c.DenyPolicies, rest.Service("iam", iamv2.NewService), opts),
		connect(ctx, &c.ResourceManager, rest.Service("cloudresourcemanager", crmv3.NewService), opts),
		connect(ctx, &c.ResourceManagerV1, rest.Service("cloudresourcemanager", cloudresourcemanager.NewService), opts),
		connect(ctx, &c.OrgPolicy, rest.Service("orgpolicy", orgpolicy.NewService), opts),
		connect(ctx, &c.ServiceUsage, rest.Service("serviceusage", serviceusage.NewService), opts),
		connect(ctx, &c.Troubleshooter, rest.Service("policytroubleshooter", policytroubleshooter.NewService), opts),
		connect(ctx, &c.Identity, identity.NewClient, opts),
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("new checker: %w", err)
	}
	c.Caller = callerOf(ctx, opts)
	return c, nil
}

func connect[S any](ctx context.Context, s **S, dial func(context.Context, ...option.ClientOption) (*S, error), opts []option.ClientOption) error {
	var err error
	*s, err = dial(ctx, opts...)
	return err
}

// errNoChecker is the error of a nil Checker.
var errNoChecker = errors.New("the Checker is nil: make it with preflight.NewChecker")

// Check makes all checks of a target. It only reads, but for
// [CheckOptions.ValidateOnly]. If opts is nil, the defaults of [CheckOptions] hold.
//
// The error is about the target or the checker's Caller, or says that ctx ended. The
// report then has the target only. A failed check is no error, see [Report.Err].
// What can't be read is in the report, as Unknown.
func (c *Checker) Check(ctx context.Context, t Target, opts *CheckOptions) (Report, error) {
	if c == nil {
		return Report{Target: t}, fmt.Errorf("check %s: %w", t.Workload.Name(), errNoChecker)
	}
	var o CheckOptions
	if opts != nil {
		o = *opts
	}
	r := newReader(c, o)
	r.eager = true
	return r.check(ctx, t)
}
