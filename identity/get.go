package identity

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/api/run/v2"

	"github.com/runidentity/runidentity/internal/names"
	"github.com/runidentity/runidentity/internal/refusal"
)

// An Attachment is the identity that a workload has.
type Attachment struct {
	Workload Workload `json:"workload"`
	// ServiceAccount is what the workload's template names. It is zero if the
	// template names none, which means the project's default identity. Cloud Run
	// has been seen to write the default's address instead. If the workload runs
	// as an agent identity, only WorkloadIdentity says so.
	ServiceAccount ServiceAccount `json:"serviceAccount"`
	// Default reports whether ServiceAccount is the project's default identity,
	// the Compute Engine default service account. It is Unknown if the address is
	// of that form, Workload doesn't name the project by its number, and
	// [GetOptions].ProjectNumber is zero. It goes by ServiceAccount alone, also if
	// the workload runs as an agent identity.
	Default Tristate `json:"default"`
	// WorkloadIdentity is the template's workloadIdentityConfig, or nil if it has
	// none. If its IdentityType is IDENTITY_TYPE_AGENT_IDENTITY, the workload runs
	// as an agent identity, and not as ServiceAccount.
	WorkloadIdentity *run.GoogleCloudRunV2WorkloadIdentityConfig `json:"workloadIdentity,omitempty"`
	// Generation is the workload's generation when it was read.
	Generation int64 `json:"generation"`
	// Serving lists the revisions of a service or worker pool that receive
	// traffic. ServingOther reports whether one of them runs as another identity
	// than ServiceAccount. Without [GetOptions].ReadRevisions, Serving is nil and
	// ServingOther is Unknown. For a job, Serving is nil and ServingOther is No.
	Serving      []ServingRevision `json:"serving,omitempty"`
	ServingOther Tristate          `json:"servingOther"`
}

// A ServingRevision is a revision that receives traffic, or runs instances of
// a worker pool.
type ServingRevision struct {
	Name string `json:"name"` // full name
	// Percent is the revision's share of the traffic, or of the instances.
	Percent int `json:"percent"`
	// ServiceAccount is zero if the revision names none, which means the project's
	// default identity.
	ServiceAccount ServiceAccount `json:"serviceAccount"`
}

// Get reads the identity that a workload has. It takes one call, unless
// [GetOptions].ReadRevisions is set. The error wraps [ErrNotFound] if the
// workload does not exist. Get also returns an error if the template, or a
// revision that it reads, names what isn't the address of a service account.
func (c *Client) Get(ctx context.Context, w Workload, opts *GetOptions) (Attachment, error) {
	a, err := c.attachment(ctx, w, opts)
	if err != nil {
		return Attachment{}, fmt.Errorf("get the identity of %s: %w", w, err)
	}
	return a, nil
}

func (c *Client) attachment(ctx context.Context, w Workload, opts *GetOptions) (Attachment, error) {
	if err := w.Validate(); err != nil {
		return Attachment{}, err
	}
	if opts == nil {
		opts = new(GetOptions)
	}
	d, err := c.read(ctx, w)
	if err != nil {
		return Attachment{}, err
	}
	sa, err := d.account(w.Kind)
	if err != nil {
		return Attachment{}, err
	}
	a := Attachment{
		Workload: w, ServiceAccount: sa, Default: isDefault(w, sa, opts.ProjectNumber),
		WorkloadIdentity: d.template(w.Kind).Identity, Generation: int64(d.Generation),
	}
	if w.Kind == KindJob {
		// An execution keeps the identity that its job had; none receives
		// traffic.
		a.ServingOther = No
	}
	if opts.ReadRevisions && w.Kind != KindJob {
		if a.Serving, err = c.serving(ctx, w, d); err != nil {
			return Attachment{}, err
		}
		a.ServingOther = servesOther(a, opts.ProjectNumber)
	}
	return a, nil
}

// servesOther reports whether a revision that receives traffic runs as another
// identity.
func servesOther(a Attachment, number int64) Tristate {
	if len(a.Serving) == 0 {
		return Unknown
	}
	other := No
	for _, r := range a.Serving {
		switch same(a.Workload, a.ServiceAccount, r.ServiceAccount, number) {
		case No:
			return Yes
		case Unknown:
			other = Unknown
		case Yes:
		}
	}
	return other
}

// read reads a workload.
func (c *Client) read(ctx context.Context, w Workload) (*document, error) {
	raw, err := c.get(ctx, w.Name())
	if err != nil {
		return nil, refusal.Wrap(err)
	}
	return parseDocument(raw)
}

// isDefault reports whether an account is the default identity of a workload's
// project, of which the number may be known.
func isDefault(w Workload, sa ServiceAccount, number int64) Tristate {
	if sa.IsZero() {
		return Yes
	}
	if sa.Kind() != AccountComputeDefault {
		return No
	}
	told, _ := sa.Project()
	switch {
	case number > 0:
		return tristate(sa == DefaultServiceAccount(number))
	case isProjectNumber(w.Project):
		return tristate(told == w.Project)
	default:
		return Unknown
	}
}

// same reports whether two accounts are the same identity of a workload, of which
// the zero one is the project's default.
func same(w Workload, a, b ServiceAccount, number int64) Tristate {
	switch {
	case a == b:
		return Yes
	case a.IsZero():
		return isDefault(w, b, number)
	case b.IsZero():
		return isDefault(w, a, number)
	}
	return No
}

// serving reads the revisions that receive traffic, side by side.
func (c *Client) serving(ctx context.Context, w Workload, d *document) ([]ServingRevision, error) {
	prefix := w.Name() + "/revisions/"
	var list []ServingRevision
	index := make(map[string]int)
	for _, t := range d.shares() {
		id := names.Last(t.Revision)
		if t.toLatest() {
			id = names.Last(d.LatestReadyRevision)
		}
		if t.Percent == 0 || id == "" {
			continue
		}
		name := prefix + id
		if i, seen := index[name]; seen {
			list[i].Percent += int(t.Percent)
			continue
		}
		index[name] = len(list)
		list = append(list, ServingRevision{Name: name, Percent: int(t.Percent)})
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i := range list {
		group.Go(func() error {
			raw, err := c.get(ctx, list[i].Name)
			if err != nil {
				return fmt.Errorf("read %s: %w", list[i].Name, err) // a missing revision is no missing workload
			}
			var r run.GoogleCloudRunV2Revision
			if err := unmarshal(raw, &r); err != nil {
				return fmt.Errorf("read %s: %w", list[i].Name, err)
			}
			list[i].ServiceAccount, err = accountOf(r.ServiceAccount)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return list, nil
}

// shares are where the traffic or the instances go now.
func (d *document) shares() []traffic {
	for _, list := range [][]traffic{d.TrafficStatuses, d.InstanceSplitStatuses, d.Traffic, d.InstanceSplits} {
		if len(list) > 0 {
			return list
		}
	}
	return nil
}
